//! `[repository]` and `[plugins]`.

use std::path::PathBuf;

use super::section::Section;
use crate::pipeline::{Bundling, Compression};

pub(super) const COMPRESSION: &[(&str, Compression)] = &[("zstd", Compression::Zstd), ("none", Compression::None)];
pub(super) const BUNDLE: &[(&str, Bundling)] = &[
    ("auto", Bundling::Auto),
    ("never", Bundling::Never),
    ("always", Bundling::Always),
];

/// The levels that zstd has, but for the negative ones.
pub(super) const LEVELS: std::ops::RangeInclusive<i64> = 1..=19;

/// Where backups are kept, and how.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RepositoryConfig {
    /// The URL as it is written: `file:///…`.
    pub url: String,
    /// The directory that the URL names.
    pub directory: PathBuf,
    /// `compression`, unless a workflow has its own.
    pub compression: Compression,
    /// `level`: 1 to 19; 3 if it is not set, as for the `zstd` program.
    pub level: i32,
    /// `bundle`, unless a workflow has its own.
    pub bundle: Bundling,
}

impl Default for RepositoryConfig {
    fn default() -> Self {
        Self {
            url: String::new(),
            directory: PathBuf::new(),
            compression: Compression::default(),
            level: 3,
            bundle: Bundling::default(),
        }
    }
}

/// Where engines are looked for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PluginsConfig {
    /// Directories, absolute.
    pub path: Vec<PathBuf>,
}

pub(super) fn read_repository(root: &mut Section<'_>) -> Option<RepositoryConfig> {
    if root.node("repository").is_none() {
        let help = "add `[repository]` with `url = \"file:///var/lib/backstay\"`";
        root.problem(0..0, "the section [repository] is missing", Some(help));
        return None;
    }
    let mut section = root.section("repository")?;
    let defaults = RepositoryConfig::default();
    let url = section.required("url", "\"file:///var/lib/backstay\"");
    let directory = url.as_ref().and_then(|(text, span)| {
        parse_file_url(text)
            .map_err(|error| section.problem(span.clone(), format!("`url` {error}"), None))
            .ok()
    });
    let config = RepositoryConfig {
        url: url.map(|(text, _)| text.to_owned()).unwrap_or_default(),
        directory: directory.unwrap_or_default(),
        compression: section.choice("compression", COMPRESSION).unwrap_or_default(),
        level: read_level(&mut section).unwrap_or(defaults.level),
        bundle: section.choice("bundle", BUNDLE).unwrap_or_default(),
    };
    section.finish();
    Some(config)
}

pub(super) fn read_level(section: &mut Section<'_>) -> Option<i32> {
    section
        .integer("level", LEVELS)
        .and_then(|level| i32::try_from(level).ok())
}

pub(super) fn read_plugins(root: &mut Section<'_>) -> PluginsConfig {
    let Some(mut section) = root.section("plugins") else {
        return PluginsConfig::default();
    };
    let path = section.paths("path");
    section.finish();
    PluginsConfig { path }
}

/// The directory of a `file:///…` URL.
pub(super) fn parse_file_url(text: &str) -> Result<PathBuf, String> {
    const EXPECTED: &str = "must be `file://` and an absolute path, such as \"file:///var/lib/backstay\"";
    let url = url::Url::parse(text).map_err(|error| match error {
        url::ParseError::RelativeUrlWithoutBase => EXPECTED.to_owned(),
        other => format!("{EXPECTED}: {other}"),
    })?;
    if url.scheme() != "file" {
        return Err(format!("{EXPECTED}; `{}` is not supported", url.scheme()));
    }
    // `file:relative` is read as `file:///relative`, and `file://host/path` names another machine.
    if !text.starts_with("file:///") || url.query().is_some() || url.fragment().is_some() {
        return Err(EXPECTED.to_owned());
    }
    url.to_file_path().map_err(|()| EXPECTED.to_owned())
}
