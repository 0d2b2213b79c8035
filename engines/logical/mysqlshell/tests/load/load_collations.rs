//! Collations of schemas, and of what was made while they had another one.

use backstay_bed::{TestServer, on_both, run};
use backstay_engine_api::Selection;
use backstay_mysql::{Flavour, Session};
use serde_json::json;

use crate::{TestHost, backed_up};

on_both!(a_schema_keeps_its_collation);

/// Of the schema, and those that its trigger and its routine were made with.
fn collations(session: &mut Session) -> String {
    let mut all: Vec<String> = Vec::new();
    for sql in [
        "SELECT DEFAULT_COLLATION_NAME FROM information_schema.SCHEMATA WHERE SCHEMA_NAME = 'd'",
        "SELECT DATABASE_COLLATION FROM information_schema.TRIGGERS WHERE TRIGGER_SCHEMA = 'd'",
        "SELECT DATABASE_COLLATION FROM information_schema.ROUTINES WHERE ROUTINE_SCHEMA = 'd'",
    ] {
        all.extend(session.query::<String>(sql).unwrap());
    }
    all.join(" ")
}

/// Triggers and routines are made in the collation that their schema had on the source when they were made. The target's schema may be
/// somebody's.
fn a_schema_keeps_its_collation(flavour: Flavour) {
    let source = TestServer::start(flavour);
    run(
        &mut source.session(),
        &[
            "CREATE DATABASE d CHARACTER SET utf8mb4 COLLATE utf8mb4_bin",
            "CREATE TABLE d.t (id INT PRIMARY KEY)",
            "INSERT INTO d.t VALUES (1)",
            "CREATE TRIGGER d.tr BEFORE INSERT ON d.t FOR EACH ROW SET NEW.id = NEW.id + 1",
            "CREATE PROCEDURE d.p() SELECT 1",
            "ALTER DATABASE d CHARACTER SET latin1 COLLATE latin1_german1_ci",
        ],
    );
    let host = TestHost::new();
    host.backup(source.address(), json!({"accounts": false, "compression": "none"}))
        .unwrap();
    let mut files = backed_up(&host);
    let whole = TestHost::holding(files.clone());
    let trigger = files.get_mut("d@t.triggers.sql").unwrap();
    let text = String::from_utf8(trigger.clone()).unwrap();
    assert!(text.contains("ALTER DATABASE COLLATE utf8mb4_bin"), "{text}");
    *trigger = text.replace("DROP TRIGGER", "DROP NOTHING").into_bytes();
    let broken = TestHost::holding(files);

    let target = TestServer::start(flavour);
    let mut found = target.session();
    run(
        &mut found,
        &["CREATE DATABASE d CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_ci"],
    );
    let restored = |host: &TestHost| {
        let table = Selection {
            include: vec!["d.t".parse().unwrap()],
            ..Selection::default()
        };
        host.restore(target.address(), false, table, json!({"accounts": false}))
    };
    let error = restored(&broken).unwrap_err();
    assert!(error.message.contains("DROP NOTHING"), "{error}");
    assert_eq!(collations(&mut found), "utf8mb4_unicode_ci");
    restored(&whole).unwrap();
    assert_eq!(collations(&mut found), "utf8mb4_unicode_ci utf8mb4_bin");

    // One that comes from the backup is as it was there.
    run(&mut found, &["DROP DATABASE d"]);
    whole.restore_all(target.address(), json!({"accounts": false})).unwrap();
    assert_eq!(collations(&mut found), "latin1_german1_ci utf8mb4_bin utf8mb4_bin");
}
