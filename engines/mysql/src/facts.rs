//! What is known of a server: who it is, its place in replication, and what a server that starts on its data must be like.

mod content;
mod mysql_schema;
mod replication;

use backstay_engine_api::{EngineError, Role, ServerFacts};
use serde_json::{Map, Value, json};

use crate::session::{Session, quote_text};
pub use content::{Content, SYSTEM_SCHEMAS, content, non_transactional};
pub use mysql_schema::left_out;

/// Variables whose values are text. A server does not have each of them.
const TEXTS: &[&str] = &[
    "binlog_format",
    "binlog_row_image",
    "character_set_server",
    "collation_server",
    "datadir",
    "default_storage_engine",
    "default_authentication_plugin",
    "authentication_policy",
    "file_key_management_encryption_algorithm",
    "file_key_management_filekey",
    "file_key_management_filename",
    "gtid_mode",
    "gtid_purged",
    "innodb_checksum_algorithm",
    "innodb_data_file_path",
    "innodb_data_home_dir",
    "innodb_log_group_home_dir",
    "innodb_undo_directory",
    "plugin_dir",
    "sql_mode",
    "system_time_zone",
    "time_zone",
    "version_comment",
    "version_compile_machine",
    "version_compile_os",
];

/// Variables whose values are whole numbers.
const NUMBERS: &[&str] = &[
    "innodb_log_file_size",
    "innodb_log_files_in_group",
    "innodb_page_size",
    "innodb_redo_log_capacity",
    "innodb_undo_tablespaces",
    "lower_case_table_names",
];

/// Variables that are on or off.
const SWITCHES: &[&str] = &[
    "explicit_defaults_for_timestamp",
    "innodb_file_per_table",
    "log_bin",
    "log_replica_updates",
    "log_slave_updates",
    "read_only",
    "super_read_only",
];

/// What makes a server this one and no other: `server_uuid` on MySQL, `server_id` and `gtid_domain_id` on MariaDB.
const IDENTITY: &[&str] = &["server_uuid", "server_id", "gtid_domain_id", "server_uid"];

/// Looks at a server.
///
/// The keys of `facts` are names of system variables, and `plugins` (names of those that are active) and
/// `plugin_libraries` (those loaded from a file, by name, with the file).
///
/// # Errors
/// [`Privilege`](backstay_engine_api::ErrorKind::Privilege) with the GRANT if the account may not see replication.
pub fn facts(session: &mut Session) -> Result<ServerFacts, EngineError> {
    let variables = variables(session)?;
    let text = |name: &str| {
        variables
            .iter()
            .find(|(key, _)| key.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_str())
    };
    let mut found = ServerFacts {
        flavour: session.flavour().as_str().to_owned(),
        version: session.version().raw.clone(),
        ..ServerFacts::default()
    };
    for name in IDENTITY {
        if let Some(value) = text(name) {
            found.identity.insert((*name).to_owned(), number_or_text(value));
        }
    }
    for name in TEXTS {
        // A key itself may be there, where usually the name of its file is.
        let is_secret = |value: &&str| *name == "file_key_management_filekey" && !value.starts_with("FILE:");
        if let Some(value) = text(name).filter(|value| !is_secret(value)) {
            found.facts.insert((*name).to_owned(), json!(value));
        }
    }
    for name in NUMBERS {
        if let Some(value) = text(name) {
            found.facts.insert((*name).to_owned(), number_or_text(value));
        }
    }
    for name in SWITCHES {
        if let Some(value) = text(name) {
            found
                .facts
                .insert((*name).to_owned(), json!(matches!(value, "ON" | "1")));
        }
    }
    plugins(session, &mut found.facts)?;

    let replication = replication::look(session)?;
    let read_only = text("super_read_only") == Some("ON");
    let replica = replication.is_replica() || read_only || replication::group_secondary(session);
    found.role = Some(if replica { Role::Replica } else { Role::Primary });
    found.lag = replication.lag;
    found.replication = replication.coordinates;
    Ok(found)
}

fn variables(session: &mut Session) -> Result<Vec<(String, String)>, EngineError> {
    let names: Vec<String> = [TEXTS, NUMBERS, SWITCHES, IDENTITY]
        .concat()
        .into_iter()
        .map(quote_text)
        .collect();
    session.query(format!(
        "SHOW GLOBAL VARIABLES WHERE Variable_name IN ({})",
        names.join(", ")
    ))
}

/// Numbers as JSON numbers; `server_uid` and `server_uuid` stay texts.
fn number_or_text(value: &str) -> Value {
    value
        .parse::<u64>()
        .map_or_else(|_| json!(value), |number| json!(number))
}

fn plugins(session: &mut Session, facts: &mut Map<String, Value>) -> Result<(), EngineError> {
    let mut names = Vec::new();
    let mut libraries = Map::new();
    for row in session.query_named("SHOW PLUGINS")? {
        if let (Some(name), Some("ACTIVE")) = (row.get(&["Name"]), row.get(&["Status"])) {
            names.push(name.to_owned());
            if let Some(library) = row.get(&["Library"]) {
                libraries.insert(name.to_owned(), json!(library));
            }
        }
    }
    names.sort();
    names.dedup();
    facts.insert("plugins".to_owned(), json!(names));
    facts.insert("plugin_libraries".to_owned(), Value::Object(libraries));
    Ok(())
}
