//! [`Options`]: what a workflow may say; documented in `options.schema.json`.

use std::collections::BTreeMap;
use std::time::Duration;

use backstay_engine_api::Storage;
use serde::Deserialize;

/// What of a table is backed up or restored.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Content {
    /// Definitions and rows.
    #[default]
    All,
    /// Definitions only.
    Definitions,
    /// Rows only.
    Data,
}

/// How data files are stored.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Compression {
    /// As `.tsv.zst`.
    #[default]
    Zstd,
    /// As `.tsv`.
    None,
}

impl Compression {
    /// What follows a data file's name.
    pub(crate) fn extension(self) -> &'static str {
        match self {
            Self::Zstd => "tsv.zst",
            Self::None => "tsv",
        }
    }

    /// What the format calls it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Zstd => "zstd",
            Self::None => "none",
        }
    }

    /// How the host is to store it.
    pub(crate) fn storage(self) -> Storage {
        match self {
            Self::Zstd => Storage::Zstd,
            Self::None => Storage::Store,
        }
    }
}

/// Which indexes are made after the rows are loaded.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum DeferIndexes {
    /// All that can be.
    #[default]
    All,
    /// Fulltext indexes only.
    Fulltext,
    /// None.
    None,
}

/// What becomes of a target's GTID state.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Gtid {
    /// It stays as it is.
    #[default]
    Ignore,
    /// It becomes the backup's.
    Set,
}

/// `bytes_per_chunk` if it is not set: as MySQL Shell has it.
pub(crate) const BYTES_PER_CHUNK: u64 = 64_000_000;

/// The engine's options.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Options {
    pub(crate) lock_wait: u64,
    pub(crate) include_schemas: Vec<String>,
    pub(crate) exclude_schemas: Vec<String>,
    pub(crate) include_tables: Vec<String>,
    pub(crate) exclude_tables: Vec<String>,
    /// `schema.table` (a pattern) to a condition.
    pub(crate) r#where: BTreeMap<String, String>,
    pub(crate) content: Content,
    pub(crate) accounts: bool,
    pub(crate) compression: Compression,
    pub(crate) bytes_per_chunk: u64,
    pub(crate) skip_binary_log: bool,
    pub(crate) gtid: Gtid,
    pub(crate) defer_indexes: DeferIndexes,
    pub(crate) disable_redo_log: bool,
    pub(crate) beside: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            lock_wait: 60,
            include_schemas: Vec::new(),
            exclude_schemas: Vec::new(),
            include_tables: Vec::new(),
            exclude_tables: Vec::new(),
            r#where: BTreeMap::new(),
            content: Content::All,
            accounts: true,
            compression: Compression::Zstd,
            bytes_per_chunk: BYTES_PER_CHUNK,
            skip_binary_log: false,
            gtid: Gtid::Ignore,
            defer_indexes: DeferIndexes::All,
            disable_redo_log: false,
            beside: false,
        }
    }
}

impl Options {
    /// Whether a backup with these leaves out some of the server's schemas, tables or rows.
    pub(crate) fn is_partial(&self) -> bool {
        let lists = [
            &self.include_schemas,
            &self.exclude_schemas,
            &self.include_tables,
            &self.exclude_tables,
        ];
        lists.iter().any(|list| !list.is_empty()) || !self.r#where.is_empty() || self.content != Content::All
    }

    /// How long to wait for locks.
    pub(crate) fn lock_wait(&self) -> Duration {
        Duration::from_secs(self.lock_wait)
    }
}
