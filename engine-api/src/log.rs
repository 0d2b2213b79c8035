//! [`LoggedTransaction`]: a line of the index beside a piece of a server's log.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// The name of the object that a [`Segment`](crate::job::Segment)'s index is in: a [`LoggedTransaction`] as JSON in each line,
/// in the order of the log. It is the last of the segment's objects.
pub const LOG_INDEX: &str = "transactions.jsonl";

/// A transaction of a log: where it lies, when it was committed, and what it did.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LoggedTransaction {
    /// Its name, in the database's own form (`uuid:23`, `uuid:tag:23`, `0-1-270`); `None` if the server gives it none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gtid: Option<String>,
    /// The object of the segment that it is in.
    pub file: String,
    /// Where its first event begins in that object, in bytes.
    pub offset: u64,
    /// How long its events are together, in bytes.
    pub length: u64,
    /// The end of its last event in the server's own log: `binlog.000007:1234`.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub end: String,
    /// When it was committed on the server that the log is of: RFC 3339 in UTC, as exact as the server says it (microseconds on
    /// MySQL, seconds on MariaDB).
    pub time: String,
    /// What it did, each kind once: `insert`, `update`, `delete`, `ddl`, `xa-prepare`, `xa-commit`, `xa-rollback`, `other`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub kinds: Vec<String>,
    /// The tables that it touched, as `schema.table`, each once; a schema as a whole is `schema.*`. Of a statement (and not
    /// rows) what can be read off its beginning.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tables: Vec<String>,
    /// How many rows were changed, by kind; only what was logged as rows.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub rows: BTreeMap<String, u64>,
    /// Its first statement that is DDL, or else its first one that was logged as text, cut off at 1,000 characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub statement: Option<String>,
}
