//! `@.json`: what is said of the whole dump.

use backstay_engine_api::EngineError;
use backstay_engine_api::position::TypedPosition;
use backstay_mysql::{ConsistentPoint, Session};
use jiff::Timestamp;

use crate::catalogue::Catalogue;
use crate::format::VERSION;
use crate::format::instance::{Backstay, Capability, InstanceFile};
use crate::options::Options;

/// The time as the format has it: `YYYY-MM-DD HH:MM:SS` in UTC.
pub(super) fn now() -> String {
    Timestamp::now().strftime("%Y-%m-%d %H:%M:%S").to_string()
}

/// The file. `users` are those of `@.users.sql`, if there is one.
///
/// # Errors
/// The session was lost.
pub(super) fn file(
    session: &mut Session,
    options: &Options,
    catalogue: &Catalogue,
    point: &ConsistentPoint,
    users: Option<Vec<String>>,
    begin: String,
) -> Result<InstanceFile, EngineError> {
    let mut variable = |name: &str| session.variable(name).map(Option::unwrap_or_default);
    let everything = options.include_schemas.is_empty() && options.include_tables.is_empty();
    let mut file = InstanceFile {
        dumper: format!("backstay-{} {}", crate::NAME, env!("CARGO_PKG_VERSION")),
        version: VERSION.to_owned(),
        origin: if everything { "dumpInstance" } else { "dumpSchemas" }.to_owned(),
        users,
        options: Some(serde_json::Map::new()),
        default_character_set: "utf8mb4".to_owned(),
        tz_utc: true,
        bytes_per_chunk: options.bytes_per_chunk,
        hostname: hostname(),
        consistent: Some(true),
        estimated_row_count: catalogue.tables.iter().map(|table| table.rows).sum(),
        estimated_data_size: catalogue.tables.iter().map(|table| table.bytes).sum(),
        server: variable("hostname")?,
        partial_revokes: variable("partial_revokes")? == "ON",
        begin,
        ..InstanceFile::default()
    };
    let lower_case_table_names = variable("lower_case_table_names")?.parse().unwrap_or(0);
    let account = session.account();
    account
        .rsplit_once('@')
        .map_or(account, |(user, _)| user)
        .clone_into(&mut file.user);
    file.server_version = session.version().raw.clone();
    for schema in &catalogue.schemas {
        file.schemas.push(schema.name.clone());
        file.basenames.insert(schema.name.clone(), schema.base.clone());
    }
    if catalogue.tables.iter().any(|table| !table.partitions.is_empty()) {
        file.capabilities.push(Capability::partition_awareness());
    }
    for position in point.positions() {
        match position.typed() {
            Ok(TypedPosition::MysqlGtid(set)) => file.gtid_executed = set.to_string(),
            Ok(TypedPosition::BinlogFile(place)) => {
                file.binlog_file = place.file().to_owned();
                file.binlog_position = place.offset();
            }
            // MariaDB's has no key of the format's.
            _ => {}
        }
    }
    file.backstay = Some(Backstay {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        flavour: session.flavour().as_str().to_owned(),
        lower_case_table_names,
        positions: point.positions().to_vec(),
        include_tables: options.include_tables.clone(),
        exclude_tables: options.exclude_tables.clone(),
    });
    Ok(file)
}

/// This machine's, for people.
fn hostname() -> String {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    name.trim().to_owned()
}
