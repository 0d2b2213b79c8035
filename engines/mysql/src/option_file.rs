//! MySQL's option files: read for where a server is and how to log in, written for the programs that we start.
//!
//! The format is that of mysys' `my_default.c`, which both flavours share: `[group]`, `key=value` or a bare `key`, `#`
//! outside quotes starts a comment, quotes around a value are taken off, and a few escapes hold everywhere. Dashes and
//! underscores in keys are the same.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use backstay_engine_api::{EngineError, ErrorKind};

/// How deep `!include` may nest, as in `my_default.c`.
const MAX_INCLUDES: usize = 10;

/// One line of an option file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OptionLine {
    /// The group that it stands in.
    pub group: String,
    /// The key, with dashes.
    pub key: String,
    /// The value, unquoted; `None` for a bare key.
    pub value: Option<String>,
}

/// Reads an option file and the files that it includes, in their order; later lines win.
///
/// # Errors
/// [`ErrorKind::Usage`] with file and line if it can not be read or understood.
pub fn read(path: &Path) -> Result<Vec<OptionLine>, EngineError> {
    let mut lines = Vec::new();
    read_into(path, &mut lines, 0)?;
    Ok(lines)
}

fn read_into(path: &Path, lines: &mut Vec<OptionLine>, depth: usize) -> Result<(), EngineError> {
    if depth > MAX_INCLUDES {
        let message = format!(
            "option file {}: !include nests more than {MAX_INCLUDES} deep",
            path.display()
        );
        return Err(EngineError::new(ErrorKind::Usage, message));
    }
    // Not every option file is UTF-8; what is not would never be a value that we use.
    let text = fs::read(path).map_err(|error| {
        EngineError::new(
            ErrorKind::Usage,
            format!("option file {} can not be read", path.display()),
        )
        .because(&error)
    })?;
    let mut group = None;
    for (index, line) in String::from_utf8_lossy(&text).lines().enumerate() {
        let line = line.trim();
        let wrong = |what: &str| {
            let message = format!("option file {}, line {}: {what}", path.display(), index + 1);
            EngineError::new(ErrorKind::Usage, message)
        };
        if line.is_empty() || line.starts_with(['#', ';']) {
            continue;
        }
        if let Some(directory) = directive(line, "!includedir") {
            for file in included(Path::new(directory)).map_err(|error| wrong("!includedir").because(&error))? {
                read_into(&file, lines, depth + 1)?;
            }
        } else if let Some(file) = directive(line, "!include") {
            read_into(Path::new(file), lines, depth + 1)?;
        } else if let Some(rest) = line.strip_prefix('[') {
            let name = rest.split(']').next().filter(|name| name.len() < rest.len());
            group = Some(
                name.ok_or_else(|| wrong("expected `]` after a group's name"))?
                    .trim()
                    .to_owned(),
            );
        } else {
            let group = group
                .clone()
                .ok_or_else(|| wrong("expected a [group] before the first option"))?;
            let (key, value) = split(without_comment(line));
            lines.push(OptionLine {
                group,
                key: key.replace('_', "-"),
                value: value.map(unquote),
            });
        }
    }
    Ok(())
}

fn directive<'a>(line: &'a str, word: &str) -> Option<&'a str> {
    let rest = line.strip_prefix(word)?;
    rest.starts_with(char::is_whitespace).then(|| rest.trim())
}

/// `*.cnf` of a directory, by name.
fn included(directory: &Path) -> std::io::Result<Vec<PathBuf>> {
    let mut files: Vec<PathBuf> = fs::read_dir(directory)?
        .map(|entry| entry.map(|entry| entry.path()))
        .collect::<Result<_, _>>()?;
    files.retain(|file| file.extension().is_some_and(|extension| extension == "cnf"));
    files.sort();
    Ok(files)
}

fn without_comment(line: &str) -> &str {
    let (mut quote, mut escaped) = (None, false);
    for (at, c) in line.char_indices() {
        match (quote, c) {
            (None, '#') => return &line[..at],
            (None, '\'' | '"') if !escaped => quote = Some(c),
            (Some(open), c) if c == open && !escaped => quote = None,
            _ => {}
        }
        escaped = quote.is_some() && c == '\\' && !escaped;
    }
    line
}

fn split(line: &str) -> (&str, Option<&str>) {
    match line.split_once('=') {
        Some((key, value)) => (key.trim(), Some(value.trim())),
        None => (line.trim(), None),
    }
}

fn unquote(value: &str) -> String {
    let bare = ['\'', '"']
        .iter()
        .find_map(|quote| value.strip_prefix(*quote)?.strip_suffix(*quote))
        .unwrap_or(value);
    let mut text = String::with_capacity(bare.len());
    let mut rest = bare.chars();
    while let Some(c) = rest.next() {
        if c != '\\' {
            text.push(c);
            continue;
        }
        match rest.next() {
            Some('n') => text.push('\n'),
            Some('t') => text.push('\t'),
            Some('r') => text.push('\r'),
            Some('b') => text.push('\u{8}'),
            Some('s') => text.push(' '),
            Some(c @ ('"' | '\'' | '\\')) => text.push(c),
            Some(c) => text.extend(['\\', c]),
            None => text.push('\\'),
        }
    }
    text
}

/// Writes one `key="value"` line so that every client reads the value back as it is.
pub(crate) fn write_option(text: &mut String, key: &str, value: &str) {
    let mut quoted = String::with_capacity(value.len() + 2);
    for c in value.chars() {
        match c {
            '\\' => quoted.push_str("\\\\"),
            '"' => quoted.push_str("\\\""),
            '\n' => quoted.push_str("\\n"),
            '\r' => quoted.push_str("\\r"),
            '\t' => quoted.push_str("\\t"),
            '\u{8}' => quoted.push_str("\\b"),
            c => quoted.push(c),
        }
    }
    // Writing to a String does not fail.
    let _ = writeln!(text, "{key}=\"{quoted}\"");
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> Result<Vec<OptionLine>, EngineError> {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("my.cnf");
        fs::write(&file, text).unwrap();
        read(&file)
    }

    #[test]
    fn values_as_the_clients_read_them() {
        for (line, value) in [
            ("password=plain", Some("plain")),
            ("password = spaced  # comment", Some("spaced")),
            ("password=\"a#b\" # comment", Some("a#b")),
            ("password='it''s'", Some("it''s")),
            (r#"password="q\"q\\q""#, Some(r#"q"q\q"#)),
            (r"password=tab\tsp\s", Some("tab\tsp ")),
            ("password=a=b", Some("a=b")),
            ("password=", Some("")),
            ("password", None),
        ] {
            let lines = parsed(&format!("# head\n[client]\n{line}\n")).unwrap();
            assert_eq!(lines.len(), 1, "{line}");
            assert_eq!(
                (lines[0].key.as_str(), lines[0].value.as_deref()),
                ("password", value),
                "{line}"
            );
        }
    }

    #[test]
    fn what_is_written_is_read_back() {
        for value in [
            "",
            "a b",
            "#",
            "\"",
            "'",
            "\\",
            "\\n",
            "ends\\",
            "tab\tnew\nline",
            "pä$$ ;wörd",
            "'\"#\\\"",
            " a ",
        ] {
            let mut text = "[client]\n".to_owned();
            write_option(&mut text, "password", value);
            assert_eq!(parsed(&text).unwrap()[0].value.as_deref(), Some(value), "{text}");
        }
    }

    #[test]
    fn includes_and_faults() {
        let directory = tempfile::tempdir().unwrap();
        let at = |name: &str| directory.path().join(name);
        fs::create_dir(at("d")).unwrap();
        fs::write(at("d/b.cnf"), "[client]\nuser=b\n").unwrap();
        fs::write(at("d/no.txt"), "nonsense").unwrap();
        let include = format!("!includedir {}\n[client]\nssl_ca=/x\n", at("d").display());
        fs::write(at("my.cnf"), include).unwrap();
        let keys: Vec<String> = read(&at("my.cnf")).unwrap().into_iter().map(|line| line.key).collect();
        assert_eq!(keys, ["user", "ssl-ca"]);

        let error = parsed("user=root\n").unwrap_err();
        assert!(
            error
                .message
                .ends_with("line 1: expected a [group] before the first option"),
            "{error}"
        );
        fs::write(at("loop.cnf"), format!("!include {}\n", at("loop.cnf").display())).unwrap();
        assert!(read(&at("loop.cnf")).unwrap_err().message.contains("more than 10 deep"));
    }
}
