//! `@.json`: what was dumped, from which server, and at which point.

use std::collections::BTreeMap;

use backstay_engine_api::Position;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

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
    /// The dumper's; for people.
    pub(crate) options: Map<String, Value>,
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
    pub(crate) consistent: bool,
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
    /// Whether its schemas may have other tables, which were not wanted.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub(crate) tables_left_out: bool,
}

impl InstanceFile {
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

    /// Whether its schemas may have had other tables, which were not wanted.
    pub(crate) fn leaves_tables_out(&self) -> bool {
        let lists = ["includeTables", "excludeTables"].map(|name| self.options.get(name));
        let of_a_shell = lists
            .into_iter()
            .flatten()
            .any(|list| list.as_array().is_some_and(|list| !list.is_empty()));
        of_a_shell || self.backstay.as_ref().is_some_and(|own| own.tables_left_out)
    }

    /// MySQL's executed GTIDs, wherever this dump says them; empty if there are none.
    pub(crate) fn gtids(&self) -> &str {
        match &self.source {
            Some(source) if self.gtid_executed.is_empty() => &source.binlog.gtid_executed,
            _ => &self.gtid_executed,
        }
    }
}
