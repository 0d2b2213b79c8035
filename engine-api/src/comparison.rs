//! [`TableComparison`]: how two tables of a server differ.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A table by its name.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct TableRef {
    /// Its schema.
    pub schema: String,
    /// Its name in the schema.
    pub table: String,
}

impl TableRef {
    /// That table.
    pub fn new(schema: impl Into<String>, table: impl Into<String>) -> Self {
        Self {
            schema: schema.into(),
            table: table.into(),
        }
    }
}

impl fmt::Display for TableRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.schema, self.table)
    }
}

/// Two tables to be compared.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TablePair {
    /// One of them.
    pub left: TableRef,
    /// The other.
    pub right: TableRef,
}

/// How two tables differ.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TableComparison {
    /// One of them.
    pub left: TableRef,
    /// The other.
    pub right: TableRef,
    /// What the left one is; `None` if it is not there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub left_kind: Option<TableKind>,
    /// What the right one is; `None` if it is not there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub right_kind: Option<TableKind>,
    /// How columns and keys differ, a sentence each, in terms of `left` and `right`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub definitions: Vec<String>,
    /// How rows differ; `None` if they were not compared.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rows: Option<RowComparison>,
    /// Why rows were not compared, or not all of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

/// What goes by the name of a table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TableKind {
    /// A table with rows of its own.
    Table,
    /// Something else: a view, a sequence.
    Other,
}

/// How many rows are in one table or the other, or in both with different values.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RowComparison {
    /// The columns by which a row of one is found in the other. Empty if there is no such key: then rows are the same or not,
    /// and one that was changed counts once on either side.
    #[serde(default)]
    pub key: Vec<String>,
    /// Rows in both, equal.
    pub same: u64,
    /// Rows in both by the key, with different values.
    pub different: u64,
    /// Rows that only the left one has.
    pub only_left: u64,
    /// Rows that only the right one has.
    pub only_right: u64,
}

impl RowComparison {
    /// Whether both have the same rows.
    pub fn is_equal(&self) -> bool {
        (self.different, self.only_left, self.only_right) == (0, 0, 0)
    }
}
