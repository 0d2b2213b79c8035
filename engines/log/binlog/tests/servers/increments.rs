//! Increments that are pieces of the binary log, as engines take them, replayed by this engine.

use backstay_bed::{MemoryHost, TestServer, on_both};
use backstay_engine_api::job::Target;
use backstay_engine_api::position::RecoveryPoint;
use backstay_engine_api::{
    BackupJob, BackupRecord, Engine, EngineError, EngineKind, ErrorKind, Manifest, Operation, Outcome, Usable,
};
use backstay_mysql::binlog::{incremental_backup, log_end};
use backstay_mysql::mysql::prelude::Queryable;
use backstay_mysql::{Flavour, Session, facts};
use serde_json::Value;

use crate::{Recovery, contents, recover};

on_both!(increments_are_replayed, a_cancelled_one_leaves_nothing);

/// Takes increments of a server that was empty when its full backup was taken.
#[derive(Debug, Default)]
struct Increments;

impl Engine for Increments {
    const MANIFEST: Manifest = Manifest::new("increments", "1.0.0", EngineKind::Logical)
        .operations(&[Operation::FullBackup, Operation::IncrementalBackup]);

    fn full_backup(&self, job: &BackupJob) -> Result<Outcome, EngineError> {
        let mut session = Session::connect(job.server())?;
        let server = facts(&mut session)?;
        let positions = log_end(&mut session, &server)?;
        Ok(Outcome::Usable(Usable {
            server,
            positions,
            ..Usable::default()
        }))
    }

    fn incremental_backup(&self, job: &BackupJob, parent: &BackupRecord) -> Result<Outcome, EngineError> {
        incremental_backup(job, parent)
    }
}

const COMMON: &[&str] = &[
    "CREATE DATABASE shop",
    "CREATE TABLE shop.orders (id INT AUTO_INCREMENT PRIMARY KEY, v VARCHAR(300), d DECIMAL(12,3), t DATETIME(6))",
    "CREATE TABLE shop.parts (id INT PRIMARY KEY, orders INT, b LONGBLOB)",
    "INSERT INTO shop.orders (v, d) VALUES ('one', 1.5), ('two', NULL)",
    "BEGIN",
    "INSERT INTO shop.orders (v) VALUES ('three')",
    "SAVEPOINT s",
    "INSERT INTO shop.orders (v) VALUES ('never')",
    "ROLLBACK TO s",
    "INSERT INTO shop.parts VALUES (1, 3, X'000102')",
    "COMMIT",
    "FLUSH BINARY LOGS",
    "SET SESSION binlog_format = STATEMENT",
    "SET @a = 'by a variable'",
    "INSERT INTO shop.orders (v) VALUES (@a)",
    "UPDATE shop.orders SET d = 7 WHERE v = 'one'",
    "SET SESSION binlog_format = ROW",
    "XA START 'x1'",
    "INSERT INTO shop.orders (v) VALUES ('xa')",
    "XA END 'x1'",
    "XA PREPARE 'x1'",
    "XA COMMIT 'x1'",
    "CREATE TABLE shop.copied AS SELECT id, v FROM shop.orders",
    "ALTER TABLE shop.orders ADD COLUMN w INT NOT NULL DEFAULT 7",
    "INSERT INTO shop.parts SELECT 2, 1, REPEAT('sixteen bytes...', 1100000)",
];

const MYSQL: &[&str] = &[
    "SET gtid_next = 'AUTOMATIC:backstay'",
    "INSERT INTO shop.orders (v) VALUES ('tagged')",
    "SET gtid_next = 'AUTOMATIC'",
    "SET SESSION binlog_transaction_compression = ON",
    "INSERT INTO shop.parts SELECT 3, 1, REPEAT('compressed', 100000)",
    "SET SESSION binlog_transaction_compression = OFF",
];

const MARIADB: &[&str] = &[
    "SET SESSION gtid_domain_id = 7",
    "INSERT INTO shop.orders (v) VALUES ('in another domain')",
    "SET SESSION gtid_domain_id = 0",
    "SET GLOBAL log_bin_compress = 1",
    "INSERT INTO shop.parts SELECT 3, 1, REPEAT('compressed', 100000)",
    "SET GLOBAL log_bin_compress = 0",
];

fn increments_are_replayed(flavour: Flavour) {
    let source = TestServer::start(flavour);
    let taker = MemoryHost::<Increments>::new();
    let full = taker.backup(source.address(), Value::Null).unwrap();
    let mut conn = source.conn();
    let own = if flavour.is_mariadb() { MARIADB } else { MYSQL };
    for statements in [
        COMMON,
        own,
        &["DELETE FROM shop.orders WHERE id = 2", "DROP TABLE shop.copied"],
    ] {
        for statement in statements {
            conn.query_drop(*statement)
                .unwrap_or_else(|error| panic!("{statement}: {error}"));
        }
        let taken = taker.backup(source.address(), Value::Null).unwrap();
        assert!(taken.log.is_some_and(|log| log.transactions > 0));
    }
    let host = MemoryHost::new();
    let increments = taker.backups()[1..].to_vec();
    let logs = increments
        .iter()
        .filter_map(|backup| backup.record.log.clone())
        .collect();
    host.backups().extend(increments);
    let target = TestServer::start_with(flavour, &["--server-id=9"]);
    let recovery = Recovery {
        target: Target::Server(target.address()),
        from: full.positions,
        point: RecoveryPoint::Latest,
        logs,
        options: Value::Null,
    };
    let recovered = recover(&host, recovery).unwrap_or_else(|error| panic!("{error} {:?}", error.causes));
    assert!(recovered.transactions > 15, "{recovered:?}");
    assert_eq!(contents(&target), contents(&source));
}

/// Without GTIDs, by the place in the log, which ends with nothing but the head of a file.
#[test]
fn mysql_without_gtids() {
    let own = ["--gtid-mode=OFF", "--enforce-gtid-consistency=OFF"];
    let source = TestServer::start_with(Flavour::MySql, &own);
    let taker = MemoryHost::<Increments>::new();
    let full = taker.backup(source.address(), Value::Null).unwrap();
    let mut conn = source.conn();
    let rounds: [&[&str]; 2] = [
        &[
            "CREATE DATABASE d",
            "CREATE TABLE d.t (id INT PRIMARY KEY)",
            "INSERT INTO d.t VALUES (1)",
            "FLUSH BINARY LOGS",
        ],
        &["FLUSH BINARY LOGS", "INSERT INTO d.t VALUES (2)", "FLUSH BINARY LOGS"],
    ];
    for (statements, transactions) in rounds.into_iter().zip([3, 1]) {
        for statement in statements {
            conn.query_drop(*statement)
                .unwrap_or_else(|error| panic!("{statement}: {error}"));
        }
        let taken = taker.backup(source.address(), Value::Null).unwrap();
        assert_eq!(taken.from.len(), 1);
        let log = taken.log.unwrap();
        assert_eq!((log.transactions, log.to.len()), (transactions, 1));
    }
    assert_eq!(full.positions.len(), 1);
    let last = taker.backups().last().unwrap().record.positions[0].value.clone();
    assert!(last.starts_with("binlog.00000"), "{last}");
}

fn a_cancelled_one_leaves_nothing(flavour: Flavour) {
    let source = TestServer::start(flavour);
    let taker = MemoryHost::<Increments>::new();
    taker.backup(source.address(), Value::Null).unwrap();
    let mut conn = source.conn();
    for statement in [
        "CREATE DATABASE d",
        "FLUSH BINARY LOGS",
        "CREATE DATABASE e",
        "CREATE DATABASE f",
    ] {
        conn.query_drop(statement).unwrap();
    }
    // When the first file's object is finished.
    taker.cancel_after_objects(1);
    let error = taker.backup(source.address(), Value::Null).unwrap_err();
    assert_eq!(error.kind, ErrorKind::Cancelled, "{error}");
    assert_eq!(taker.left_over().len(), 1);
    let own = source.session();
    source.assert_free(&[own.connection_id(), u64::from(conn.connection_id())]);
    let taken = taker.backup(source.address(), Value::Null).unwrap();
    assert!(taken.log.is_some_and(|log| log.transactions >= 3));
}
