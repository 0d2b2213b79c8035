//! Tables and views whose names end as the names of other files do.

use backstay_bed::{TestServer, on_both, run};
use backstay_mysql::Flavour;
use serde_json::json;

use crate::TestHost;

on_both!(each_has_its_own_files);

/// A table beside another's triggers, and a table and a view beside a view's placeholder.
fn each_has_its_own_files(flavour: Flavour) {
    let source = TestServer::start(flavour);
    run(
        &mut source.session(),
        &[
            "CREATE DATABASE d",
            "CREATE TABLE d.t (id INT PRIMARY KEY)",
            "CREATE TRIGGER d.tr BEFORE INSERT ON d.t FOR EACH ROW SET NEW.id = NEW.id + 1",
            "CREATE TABLE d.`t.triggers` (id INT PRIMARY KEY)",
            "CREATE VIEW d.v AS SELECT id FROM d.t",
            "CREATE TABLE d.`v.pre` (id INT PRIMARY KEY)",
            "CREATE VIEW d.`v.pre.pre` AS SELECT id FROM d.`v.pre`",
            "INSERT INTO d.t VALUES (1)",
            "INSERT INTO d.`t.triggers` VALUES (3)",
            "INSERT INTO d.`v.pre` VALUES (4)",
        ],
    );
    let host = TestHost::new();
    let options = json!({"accounts": false, "compression": "none"});
    host.backup(source.address(), options)
        .unwrap_or_else(|error| panic!("{error}"));
    let names = host.names();
    for name in [
        "d@t.triggers.sql",
        "d@t%2Etriggers.sql",
        "d@t%2Etriggers@@0.tsv",
        "d@v.pre.sql",
        "d@v%2Epre.sql",
        "d@v.pre%2Epre.sql",
        "d@v.pre%2Epre.pre.sql",
    ] {
        assert!(names.iter().any(|found| found == name), "{name} of {names:?}");
    }

    let target = TestServer::start(flavour);
    host.restore_all(target.address(), json!({"accounts": false}))
        .unwrap_or_else(|error| panic!("{error}"));
    let mut session = target.session();
    for (name, id) in [("t", 2), ("t.triggers", 3), ("v", 2), ("v.pre", 4), ("v.pre.pre", 4)] {
        let found: Vec<u64> = session.query(format!("SELECT id FROM d.`{name}`")).unwrap();
        assert_eq!(found, [id], "{name}");
    }
    let triggers: Vec<(String, String)> = session
        .query("SELECT TRIGGER_NAME, EVENT_OBJECT_TABLE FROM information_schema.TRIGGERS WHERE TRIGGER_SCHEMA = 'd'")
        .unwrap();
    assert_eq!(triggers, [("tr".to_owned(), "t".to_owned())]);
}
