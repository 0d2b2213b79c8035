//! Replaying logs onto real servers, with a host in memory.

mod increments;
mod killed;
mod limits;
mod load;
mod logs;
mod nothing;
mod numbers;
mod points;
mod reference;
mod refusals;
mod ways;

use backstay_bed::{MemoryHost, TestServer};
use backstay_binlog::Binlog;
use backstay_engine_api::job::{Segment, Target};
use backstay_engine_api::position::RecoveryPoint;
use backstay_engine_api::wire::{Call, JobSpec};
use backstay_engine_api::{EngineError, Position, Recovered, ServerFacts};
use backstay_mysql::{Flavour, Session};
use serde_json::Value;

/// How many rounds a test of random moments makes: few, or as many as the variable says.
pub(crate) fn rounds(few: usize) -> usize {
    std::env::var("BACKSTAY_ROUNDS").map_or(few, |rounds| rounds.parse().expect("a number of rounds"))
}

/// What a recovery is made of.
pub(crate) struct Recovery {
    pub(crate) target: Target,
    pub(crate) from: Vec<Position>,
    pub(crate) point: RecoveryPoint,
    pub(crate) logs: Vec<Segment>,
    pub(crate) options: Value,
}

/// Has the engine recover.
pub(crate) fn recover(host: &MemoryHost<Binlog>, recovery: Recovery) -> Result<Recovered, EngineError> {
    recover_backup_of(ServerFacts::default(), host, recovery)
}

/// The same, of a backup of a server that is known.
pub(crate) fn recover_backup_of(
    source: ServerFacts,
    host: &MemoryHost<Binlog>,
    recovery: Recovery,
) -> Result<Recovered, EngineError> {
    let scratch = tempfile::tempdir().expect("a scratch directory");
    let job = JobSpec {
        id: "20261122T101530Z-recover-test".to_owned(),
        cluster: "test".to_owned(),
        options: recovery.options,
        scratch: scratch.path().to_owned(),
        threads: 2,
    };
    host.call(&Call::Recover {
        job,
        target: recovery.target,
        from: recovery.from,
        point: recovery.point,
        logs: recovery.logs,
        source,
    })
}

/// Where a server stands on which nothing was ever done.
pub(crate) fn nowhere(flavour: Flavour) -> Vec<Position> {
    let kind = if flavour.is_mariadb() {
        backstay_engine_api::PositionKind::MARIADB_GTID
    } else {
        backstay_engine_api::PositionKind::MYSQL_GTID
    };
    vec![Position::new(kind, "")]
}

/// Every table's name and checksum, and every other thing's name.
pub(crate) fn contents(server: &TestServer) -> Vec<String> {
    contents_of(&mut server.session())
}

pub(crate) fn contents_of(session: &mut Session) -> Vec<String> {
    const OTHERS: [&str; 4] = [
        "SELECT CONCAT('schema ', SCHEMA_NAME) FROM information_schema.SCHEMATA WHERE SCHEMA_NAME NOT IN ('mysql', 'sys', \
         'information_schema', 'performance_schema')",
        "SELECT CONCAT_WS('.', ROUTINE_SCHEMA, ROUTINE_NAME, ROUTINE_DEFINITION) FROM information_schema.ROUTINES WHERE \
         ROUTINE_SCHEMA NOT IN ('mysql', 'sys')",
        "SELECT CONCAT_WS('.', EVENT_OBJECT_SCHEMA, TRIGGER_NAME, ACTION_STATEMENT) FROM information_schema.TRIGGERS WHERE \
         EVENT_OBJECT_SCHEMA NOT IN ('mysql', 'sys')",
        "SELECT CONCAT('account ', User, '@', Host) FROM mysql.user",
    ];
    let mut found: Vec<String> = Vec::new();
    for sql in OTHERS {
        found.extend(session.query::<String>(sql).expect("what there is"));
    }
    found.sort();
    let tables: Vec<(String, String)> = session
        .query(
            "SELECT TABLE_SCHEMA, TABLE_NAME FROM information_schema.TABLES WHERE TABLE_TYPE = 'BASE TABLE' AND TABLE_SCHEMA NOT IN \
             ('mysql', 'sys', 'information_schema', 'performance_schema') ORDER BY 1, 2",
        )
        .expect("the tables");
    for (schema, table) in tables {
        let name = format!("`{schema}`.`{table}`");
        let sum: Option<(String, Option<u64>)> = session
            .query_first(format!("CHECKSUM TABLE {name} EXTENDED"))
            .expect("a checksum");
        let rows: Option<u64> = session
            .query_first(format!("SELECT COUNT(*) FROM {name}"))
            .expect("a count");
        let definition = session
            .query_named(format!("SHOW CREATE TABLE {name}"))
            .expect("a definition");
        let definition = definition[0].get(&["Create Table"]).unwrap_or_default();
        // Transactions that were rolled back count it up on their own server only.
        let definition: Vec<&str> = definition
            .split(' ')
            .filter(|word| !word.starts_with("AUTO_INCREMENT="))
            .collect();
        found.push(format!(
            "{name} {rows:?} {:?} {}",
            sum.and_then(|(_, sum)| sum),
            definition.join(" ")
        ));
    }
    found
}

/// That a server is what it was before a replay, but for its data: writable, no replica, its own settings.
pub(crate) fn assert_left_alone(server: &TestServer, before: &[(String, String)]) {
    let mut session = server.session();
    assert_eq!(settings(&mut session), before);
    let channels = if server.flavour.is_mariadb() {
        "SHOW ALL SLAVES STATUS"
    } else {
        "SHOW REPLICA STATUS"
    };
    assert!(session.query_named(channels).expect("channels").is_empty());
    server.assert_free(&[session.connection_id()]);
}

/// The settings that a replay may change.
pub(crate) fn settings(session: &mut Session) -> Vec<(String, String)> {
    session
        .query(
            "SHOW GLOBAL VARIABLES WHERE Variable_name REGEXP '^(slave|rpl_stop|replica|init_|sync_|innodb_flush|event_sch|read_only|super_read|gtid_strict|\
             gtid_ignore|replicate)' AND Variable_name NOT LIKE '%tmpdir' OR Variable_name IN ('server_id', 'server_uuid', 'relay_log_purge')",
        )
        .expect("the settings")
}
