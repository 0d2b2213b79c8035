//! A table of the file, read key by key. What has been asked for is known; [`Section::finish`] reports the rest.

use std::fmt::Display;
use std::ops::{Range, RangeInclusive};
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::{Map, Value};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::problem::Problems;
use super::value;

/// A value and where it stands.
pub(super) type Node<'a> = &'a Spanned<DeValue<'a>>;

/// A table of the file.
pub(super) struct Section<'a> {
    /// As an operator writes it: `[cluster.orders]`; empty for the file itself.
    title: String,
    /// Where its header is.
    pub(super) span: Range<usize>,
    table: &'a DeTable<'a>,
    known: Vec<&'static str>,
    pub(super) problems: &'a Problems<'a>,
}

impl<'a> Section<'a> {
    pub(super) fn root(table: &'a DeTable<'a>, problems: &'a Problems<'a>) -> Self {
        Self {
            title: String::new(),
            span: 0..0,
            table,
            known: Vec::new(),
            problems,
        }
    }

    pub(super) fn new(title: String, span: Range<usize>, table: &'a DeTable<'a>, problems: &'a Problems<'a>) -> Self {
        Self {
            title,
            span,
            table,
            known: Vec::new(),
            problems,
        }
    }

    /// What it is called in messages.
    pub(super) fn title(&self) -> &str {
        &self.title
    }

    pub(super) fn problem(&self, span: Range<usize>, message: impl Into<String>, help: Option<&str>) {
        self.problems.add(span, message, help.map(str::to_owned));
    }

    /// A key with any value.
    pub(super) fn node(&mut self, key: &'static str) -> Option<Node<'a>> {
        if !self.known.contains(&key) {
            self.known.push(key);
        }
        self.table.get(key)
    }

    /// Where a key that is there stands.
    pub(super) fn key_span(&self, key: &str) -> Range<usize> {
        let found = self.table.iter().find(|(name, _)| name.get_ref() == key);
        found.map_or_else(|| self.span.clone(), |(name, _)| name.span())
    }

    /// A table under a key.
    pub(super) fn section(&mut self, key: &'static str) -> Option<Section<'a>> {
        let node = self.node(key)?;
        let title = format!("[{key}]");
        match node.get_ref() {
            DeValue::Table(table) => Some(Section::new(title, self.key_span(key), table, self.problems)),
            other => {
                self.wrong_type(key, node, other, "a table");
                None
            }
        }
    }

    /// The tables `[<key>.<name>]`, by name.
    pub(super) fn named(&mut self, key: &'static str) -> Vec<(String, Section<'a>)> {
        let Some(outer) = self.section(key) else {
            return Vec::new();
        };
        let mut all = Vec::new();
        for (name, node) in outer.table {
            if let Err(error) = value::check_name(name.get_ref()) {
                self.problem(name.span(), format!("the {key}'s name {error}"), None);
            }
            match node.get_ref() {
                DeValue::Table(table) => {
                    let title = format!("[{key}.{}]", name.get_ref());
                    all.push((
                        name.get_ref().to_string(),
                        Section::new(title, name.span(), table, self.problems),
                    ));
                }
                other => {
                    let message = format!(
                        "`{}` in [{key}] must be a table, and is {}",
                        name.get_ref(),
                        value::with_article(other.type_str())
                    );
                    let help = format!("write `[{key}.NAME]` above the {key}'s keys");
                    self.problem(name.span(), message, Some(&help));
                }
            }
        }
        all
    }

    /// A string.
    pub(super) fn string(&mut self, key: &'static str) -> Option<(&'a str, Range<usize>)> {
        let node = self.node(key)?;
        match node.get_ref() {
            DeValue::String(text) => Some((text, node.span())),
            other => {
                self.wrong_type(key, node, other, "a string");
                None
            }
        }
    }

    /// A string that must be there and hold something.
    pub(super) fn required(&mut self, key: &'static str, example: &str) -> Option<(&'a str, Range<usize>)> {
        if self.node(key).is_none() {
            let message = format!("{} has no `{key}`", self.title);
            self.problem(self.span.clone(), message, Some(&format!("add `{key} = {example}`")));
            return None;
        }
        self.string(key)
    }

    /// A string that is parsed further; its error says what was expected.
    pub(super) fn parsed<T, E: Display>(
        &mut self,
        key: &'static str,
        parse: impl FnOnce(&str) -> Result<T, E>,
    ) -> Option<T> {
        let (text, span) = self.string(key)?;
        match parse(text) {
            Ok(value) => Some(value),
            Err(error) => {
                self.problem(span, format!("`{key}` {error}"), None);
                None
            }
        }
    }

    /// A duration.
    pub(super) fn duration(&mut self, key: &'static str) -> Option<Duration> {
        let node = self.node(key)?;
        if !node.get_ref().is_str() {
            self.wrong_type(key, node, node.get_ref(), "a duration such as \"30s\"");
            return None;
        }
        self.parsed(key, value::parse_duration)
    }

    /// A size, in bytes.
    pub(super) fn size(&mut self, key: &'static str) -> Option<u64> {
        let node = self.node(key)?;
        if !node.get_ref().is_str() {
            self.wrong_type(key, node, node.get_ref(), "a size such as \"16MiB\"");
            return None;
        }
        self.parsed(key, value::parse_size)
    }

    /// One of some words.
    pub(super) fn choice<T: Copy>(&mut self, key: &'static str, choices: &[(&str, T)]) -> Option<T> {
        let (text, span) = self.string(key)?;
        let found = choices.iter().find(|(name, _)| *name == text);
        if found.is_none() {
            let names: Vec<_> = choices.iter().map(|(name, _)| format!("\"{name}\"")).collect();
            let help = value::nearest(text, choices.iter().map(|(name, _)| *name))
                .map(|near| format!("did you mean \"{near}\"?"));
            let message = format!("`{key}` must be one of {}, and is \"{text}\"", names.join(", "));
            self.problem(span, message, help.as_deref());
        }
        found.map(|(_, value)| *value)
    }

    /// A whole number.
    pub(super) fn integer(&mut self, key: &'static str, range: RangeInclusive<i64>) -> Option<i64> {
        let node = self.node(key)?;
        let DeValue::Integer(number) = node.get_ref() else {
            self.wrong_type(key, node, node.get_ref(), "a whole number");
            return None;
        };
        let value = i64::from_str_radix(number.as_str(), number.radix()).ok();
        let value = value.filter(|value| range.contains(value));
        if value.is_none() {
            let message = format!("`{key}` must be {} to {}, and is {number}", range.start(), range.end());
            self.problem(node.span(), message, None);
        }
        value
    }

    /// A path; a relative one is relative to the file's directory.
    pub(super) fn path(&mut self, key: &'static str) -> Option<PathBuf> {
        let directory = self.problems.directory();
        self.parsed(key, |text| value::parse_path(directory, text))
    }

    /// A list of paths.
    pub(super) fn paths(&mut self, key: &'static str) -> Vec<PathBuf> {
        let Some(node) = self.node(key) else {
            return Vec::new();
        };
        let DeValue::Array(items) = node.get_ref() else {
            self.wrong_type(key, node, node.get_ref(), "a list of directories");
            return Vec::new();
        };
        let directory: &Path = self.problems.directory();
        let mut paths = Vec::new();
        for item in items.iter() {
            match item.get_ref() {
                DeValue::String(text) => match value::parse_path(directory, text) {
                    Ok(path) => paths.push(path),
                    Err(error) => self.problem(item.span(), format!("a directory in `{key}` {error}"), None),
                },
                other => {
                    let found = value::with_article(other.type_str());
                    let message = format!("`{key}` must be a list of directories, and has {found} in it");
                    self.problem(item.span(), message, None);
                }
            }
        }
        paths
    }

    /// A table whose content is not ours to judge, as JSON.
    pub(super) fn json(&mut self, key: &'static str) -> Option<Map<String, Value>> {
        let node = self.node(key)?;
        match node.get_ref() {
            DeValue::Table(table) => match value::table_to_json(table) {
                Ok(map) => Some(map),
                Err((span, message)) => {
                    self.problem(span, message, None);
                    None
                }
            },
            other => {
                self.wrong_type(key, node, other, "a table");
                None
            }
        }
    }

    pub(super) fn wrong_type(&self, key: &str, node: Node<'_>, found: &DeValue<'_>, expected: &str) {
        let found = value::with_article(found.type_str());
        self.problem(node.span(), format!("`{key}` must be {expected}, and is {found}"), None);
    }

    /// Reports every key that nothing asked for.
    pub(super) fn finish(self) {
        for (name, node) in self.table {
            let name_text: &str = name.get_ref();
            if self.known.contains(&name_text) {
                continue;
            }
            let message = match (self.title.as_str(), node.get_ref()) {
                ("", DeValue::Table(_)) => format!("unknown section [{name_text}]"),
                ("", _) => format!("unknown key `{name_text}` outside any section"),
                (title, _) => format!("unknown key `{name_text}` in {title}"),
            };
            let secret = ["password", "passwd", "pass", "pwd"].contains(&name_text.to_ascii_lowercase().as_str());
            let help = if secret {
                "a password does not belong here: put it in a file and name that with `password_file`".to_owned()
            } else {
                value::suggest(name_text, self.known.iter().copied())
            };
            self.problem(name.span(), message, Some(&help));
        }
    }
}
