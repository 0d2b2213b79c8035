//! `S.json`: what a schema has.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// What of a schema is in the dump.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct SchemaFile {
    pub(crate) schema: String,
    /// Whether there is `S.sql`.
    pub(crate) includes_ddl: bool,
    pub(crate) includes_views_ddl: bool,
    pub(crate) includes_data: bool,
    /// Whether routines and events are in files of their own; never so in what this engine writes.
    pub(crate) multifile_ddl: bool,
    pub(crate) tables: Vec<String>,
    pub(crate) views: Vec<String>,
    pub(crate) events: Vec<String>,
    pub(crate) functions: Vec<String>,
    /// Which libraries a function needs; not before 9.x.
    pub(crate) function_dependencies: Map<String, Value>,
    pub(crate) procedures: Vec<String>,
    pub(crate) procedure_dependencies: Map<String, Value>,
    /// MySQL's libraries of JavaScript; not before 9.x.
    pub(crate) libraries: Vec<String>,
    /// MariaDB's sequences, which `S.sql` makes. A key of this engine's.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) sequences: Vec<String>,
    /// MariaDB's packages, likewise.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) packages: Vec<String>,
    /// Tables and views, to the first part of the names of their files.
    pub(crate) basenames: BTreeMap<String, String>,
}

impl Default for SchemaFile {
    /// What an absent key means to a reader.
    fn default() -> Self {
        Self {
            schema: String::new(),
            includes_ddl: true,
            includes_views_ddl: true,
            includes_data: true,
            multifile_ddl: false,
            tables: Vec::new(),
            views: Vec::new(),
            events: Vec::new(),
            functions: Vec::new(),
            function_dependencies: Map::new(),
            procedures: Vec::new(),
            procedure_dependencies: Map::new(),
            libraries: Vec::new(),
            sequences: Vec::new(),
            packages: Vec::new(),
            basenames: BTreeMap::new(),
        }
    }
}
