//! `T.json`: what is said of a table.

use serde::{Deserialize, Serialize};

use super::ordered::Ordered;

/// How the data files of a table are to be read, and what of it there is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct TableFile {
    pub(crate) options: DataOptions,
    /// In the order in which they are to be made.
    pub(crate) triggers: Vec<String>,
    /// Columns of which the server had a histogram.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) histograms: Vec<Histogram>,
    pub(crate) includes_data: bool,
    pub(crate) includes_ddl: bool,
    /// `tsv`, `tsv.zst` or `tsv.gz`.
    pub(crate) extension: String,
    pub(crate) chunking: bool,
    pub(crate) compression: String,
    pub(crate) primary_index: Vec<String>,
    pub(crate) partitions: Vec<String>,
    /// Partitions, to the first part of the names of their data files; empty if the table has none.
    pub(crate) basenames: Ordered<String>,
    /// Whether the data has the history of a system-versioned table (MariaDB): its period columns are among the columns. A
    /// key of this engine's.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub(crate) history: bool,
    /// Columns with text whose bytes are dumped as they are, in base64, to their character sets. A key of this engine's.
    #[serde(skip_serializing_if = "Ordered::is_empty")]
    pub(crate) character_sets: Ordered<String>,
    #[serde(rename = "where", skip_serializing_if = "Option::is_none")]
    pub(crate) where_: Option<String>,
}

impl Default for TableFile {
    /// What an absent key means to a reader.
    fn default() -> Self {
        Self {
            options: DataOptions::default(),
            triggers: Vec::new(),
            histograms: Vec::new(),
            includes_data: true,
            includes_ddl: true,
            extension: "tsv".to_owned(),
            chunking: false,
            compression: "none".to_owned(),
            primary_index: Vec::new(),
            partitions: Vec::new(),
            basenames: Ordered::default(),
            history: false,
            character_sets: Ordered::default(),
            where_: None,
        }
    }
}

/// A column's histogram (MySQL): it is made anew from the rows that are restored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Histogram {
    pub(crate) column: String,
    /// How many it may have, as ANALYZE TABLE was told.
    pub(crate) buckets: u64,
    /// Whether the server keeps it up to date (8.4). A key of this engine's.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) auto_update: bool,
}

/// The `options` of a [`TableFile`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct DataOptions {
    pub(crate) schema: String,
    pub(crate) table: String,
    pub(crate) columns: Vec<String>,
    /// Column to `FROM_BASE64` or `UNHEX`.
    #[serde(skip_serializing_if = "Ordered::is_empty")]
    pub(crate) decode_columns: Ordered<String>,
    pub(crate) default_character_set: String,
    pub(crate) fields_terminated_by: String,
    pub(crate) fields_enclosed_by: String,
    pub(crate) fields_optionally_enclosed: bool,
    pub(crate) fields_escaped_by: String,
    pub(crate) lines_terminated_by: String,
}

impl Default for DataOptions {
    /// The dialect that the format has unless a file says otherwise.
    fn default() -> Self {
        Self {
            schema: String::new(),
            table: String::new(),
            columns: Vec::new(),
            decode_columns: Ordered::default(),
            default_character_set: "utf8mb4".to_owned(),
            fields_terminated_by: "\t".to_owned(),
            fields_enclosed_by: String::new(),
            fields_optionally_enclosed: false,
            fields_escaped_by: "\\".to_owned(),
            lines_terminated_by: "\n".to_owned(),
        }
    }
}
