//! `@.json`: what was dumped, from which server, and at which point.

use std::collections::BTreeMap;

use backstay_engine_api::{EngineError, Position};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::catalogue::Filter;
use crate::options::Options;

/// Of the whole dump.
///
/// There is no `source`, in which a shell of 9.x puts every system variable: where it is missing, a reader takes `server`,
/// `serverVersion` and the position's own keys, as it does with dumps of 8.x.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct InstanceFile {
    /// The program, in its own words.
    pub(crate) dumper: String,
    /// The format's: [`VERSION`](super::VERSION).
    pub(crate) version: String,
    /// `dumpInstance`, `dumpSchemas` or `dumpTables`.
    pub(crate) origin: String,
    /// How a shell before 8.0.23 says that it is one of tables; read only.
    #[serde(skip_serializing)]
    pub(crate) table_only: bool,
    /// The dumper's, as it was told; a shell before 8.0.28 or so does not say.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) options: Option<Map<String, Value>>,
    pub(crate) schemas: Vec<String>,
    /// Schemas, to the first part of the names of their files.
    pub(crate) basenames: BTreeMap<String, String>,
    /// `'user'@'host'` of what `@.users.sql` has; absent if there is no such file.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) users: Option<Vec<String>>,
    pub(crate) default_character_set: String,
    /// Whether TIMESTAMP values are in UTC.
    pub(crate) tz_utc: bool,
    pub(crate) bytes_per_chunk: u64,
    /// Who took the dump, and where.
    pub(crate) user: String,
    pub(crate) hostname: String,
    pub(crate) gtid_executed_inconsistent: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) consistent: Option<bool>,
    /// The version of MySQL that the dump is made for.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(crate) target_version: String,
    pub(crate) has_library_ddl: bool,
    pub(crate) estimated_row_count: u64,
    pub(crate) estimated_data_size: u64,
    /// A 9.x shell's, read only.
    #[serde(skip_serializing)]
    pub(crate) source: Option<Source>,
    /// The server's host name.
    pub(crate) server: String,
    pub(crate) server_version: String,
    /// Empty, 0 and empty without a binary log or GTIDs.
    pub(crate) binlog_file: String,
    pub(crate) binlog_position: u64,
    pub(crate) gtid_executed: String,
    pub(crate) partial_revokes: bool,
    pub(crate) compatibility_options: Vec<String>,
    /// What a reader must know. One that it does not know makes it give up.
    pub(crate) capabilities: Vec<Capability>,
    /// Whether there is `@.checksums.json`.
    pub(crate) checksum: bool,
    /// When it began: `YYYY-MM-DD HH:MM:SS` in UTC.
    pub(crate) begin: String,
    /// What this engine needs to restore from the directory alone; absent from a shell's dump.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) backstay: Option<Backstay>,
}

/// What a reader must know.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Capability {
    pub(crate) id: String,
    pub(crate) description: String,
    /// The first shell that knows it.
    pub(crate) version_required: String,
}

impl Capability {
    /// The one that a dump with partitioned tables has.
    pub(crate) fn partition_awareness() -> Self {
        Self {
            id: "partition_awareness".to_owned(),
            description: "Partition awareness - dumper treats each partition as a separate table, improving both dump \
                          and load times."
                .to_owned(),
            version_required: "8.0.27".to_owned(),
        }
    }
}

/// What a 9.x shell says of the server.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Source {
    pub(crate) binlog: SourceBinlog,
    pub(crate) version: String,
    /// System variables by name, all as text.
    pub(crate) sysvars: BTreeMap<String, Value>,
}

/// Where its binary log stood.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct SourceBinlog {
    pub(crate) file: String,
    pub(crate) position: u64,
    pub(crate) gtid_executed: String,
}

/// This engine's own.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Backstay {
    /// The engine's version.
    pub(crate) version: String,
    /// `mysql`, `mariadb` or `percona`.
    pub(crate) flavour: String,
    /// `lower_case_table_names`.
    pub(crate) lower_case_table_names: u64,
    /// The one point that the dump shows.
    pub(crate) positions: Vec<Position>,
    /// The workflow's patterns, if it has not all tables of its schemas.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) include_tables: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) exclude_tables: Vec<String>,
}

impl InstanceFile {
    /// Whether it is a dump of single tables: their schemas may have others.
    pub(crate) fn of_tables(&self) -> bool {
        self.origin == "dumpTables" || self.table_only
    }

    /// Whether it says that it is not of one point.
    pub(crate) fn is_inconsistent(&self) -> bool {
        self.gtid_executed_inconsistent || self.consistent == Some(false)
    }

    /// The server's version, wherever this dump says it.
    pub(crate) fn version_of_server(&self) -> &str {
        if !self.server_version.is_empty() {
            return &self.server_version;
        }
        let Some(source) = &self.source else {
            return "";
        };
        if source.version.is_empty() {
            source.sysvars.get("version").and_then(Value::as_str).unwrap_or("")
        } else {
            &source.version
        }
    }

    /// What it takes of the tables of its schemas; `None` if that is all of them.
    ///
    /// # Errors
    /// A pattern is none.
    pub(crate) fn tables(&self) -> Result<Option<Filter>, EngineError> {
        let mut options = Options::default();
        if let Some(own) = &self.backstay {
            options.include_tables.clone_from(&own.include_tables);
            options.exclude_tables.clone_from(&own.exclude_tables);
        }
        // A shell has lists of names, quoted or not.
        for (name, list) in [
            ("includeTables", &mut options.include_tables),
            ("excludeTables", &mut options.exclude_tables),
        ] {
            let names = self
                .options
                .as_ref()
                .and_then(|options| options.get(name)?.as_array())
                .into_iter()
                .flatten();
            list.extend(names.filter_map(Value::as_str).map(str::to_owned));
        }
        let all = options.include_tables.is_empty() && options.exclude_tables.is_empty();
        (!all).then(|| Filter::of(&options)).transpose()
    }

    /// MySQL's executed GTIDs, wherever this dump says them; empty if there are none.
    pub(crate) fn gtids(&self) -> &str {
        match &self.source {
            Some(source) if self.gtid_executed.is_empty() => &source.binlog.gtid_executed,
            _ => &self.gtid_executed,
        }
    }
}
