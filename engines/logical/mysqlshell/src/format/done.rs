//! `@.done.json`: that the dump is whole, and how much it is.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// A number for each table of each schema.
pub(crate) type PerTable = BTreeMap<String, BTreeMap<String, u64>>;

/// Written last. A reader needs nothing in it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct DoneFile {
    /// When it was written: `YYYY-MM-DD HH:MM:SS` in UTC.
    pub(crate) end: String,
    /// Bytes of all rows before compression.
    pub(crate) data_bytes: u64,
    /// The same by table.
    pub(crate) table_data_bytes: PerTable,
    /// Rows by table; not before 9.x.
    pub(crate) table_rows: PerTable,
    /// Bytes before compression by name of data file.
    pub(crate) chunk_file_bytes: BTreeMap<String, u64>,
}
