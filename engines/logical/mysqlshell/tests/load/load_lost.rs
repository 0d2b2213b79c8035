//! What a shell's dump was told to leave out is not dropped by a restore of it.

use std::collections::BTreeMap;

use backstay_bed::{TestServer, run};
use backstay_engine_api::{EngineError, ErrorKind, Selection};
use backstay_mysql::{Flavour, Session};
use serde_json::{Value, json};

use crate::craft::dump;
use crate::{TestHost, dumps, files_of};

const MADE: [&str; 6] = [
    "CREATE DATABASE d",
    "CREATE TABLE d.t (id INT PRIMARY KEY)",
    "INSERT INTO d.t VALUES (1), (2)",
    "CREATE PROCEDURE d.p() SELECT 1",
    "CREATE EVENT d.e ON SCHEDULE EVERY 1 DAY DISABLE DO SELECT 1",
    "CREATE TRIGGER d.tr BEFORE INSERT ON d.t FOR EACH ROW SET NEW.id = NEW.id",
];

type Files = BTreeMap<String, Vec<u8>>;

/// The dump of a shell that was told so; `None` for one that does not say.
fn told(files: &Files, options: Option<Value>) -> Files {
    let mut files = files.clone();
    let mut head: Value = serde_json::from_slice(&files["@.json"]).unwrap();
    match options {
        Some(options) => head["options"] = options,
        None => drop(head.as_object_mut().unwrap().remove("options")),
    }
    files.insert("@.json".to_owned(), head.to_string().into_bytes());
    files
}

fn overwritten(files: Files, target: &TestServer, tables: &[&str]) -> Result<(), EngineError> {
    let selection = Selection {
        include: tables.iter().map(|text| text.parse().unwrap()).collect(),
        ..Selection::default()
    };
    let host = TestHost::holding(files);
    host.restore(target.address(), true, selection, json!({"accounts": false}))
        .map(|_| ())
}

fn count(session: &mut Session, of: &str) -> u64 {
    let count = session.query_first(format!("SELECT COUNT(*) FROM {of}"));
    count.unwrap().unwrap()
}

#[test]
fn by_a_shells_options() {
    let server = TestServer::start(Flavour::MySql);
    let mut session = server.session();
    run(&mut session, &MADE);
    // It has the table and its rows.
    let files = dump(&mut session, "d", 10);
    run(&mut session, &["CREATE TABLE d.later (id INT PRIMARY KEY)"]);
    for (options, tables, lost) in [
        (None, &[][..], "d.later, routine d.p, event d.e, trigger d.tr"),
        (Some(json!({"routines": false})), &[], "routine d.p"),
        (Some(json!({"excludeEvents": ["d.e"]})), &[], "event d.e"),
        (Some(json!({"triggers": false})), &[], "trigger d.tr"),
        (Some(json!({"triggers": false})), &["d.t"], "trigger d.tr"),
        (Some(json!({"excludeTables": ["d.later"]})), &[], "d.later"),
        (Some(json!({"partitions": {"`d`.`t`": ["p0"]}})), &[], "rows of d.t"),
        (Some(json!({"partitions": {"d.t": ["p0"]}})), &["d.t"], "rows of d.t"),
        (Some(json!({"where": {"d.t": "id < 2"}})), &[], "rows of d.t"),
    ] {
        let error = overwritten(told(&files, options.clone()), &server, tables).unwrap_err();
        assert_eq!(error.kind, ErrorKind::Refused, "{options:?}: {error}");
        assert!(error.message.ends_with(&format!(": {lost}")), "{options:?}: {error}");
        assert_eq!(
            count(&mut session, "information_schema.TRIGGERS WHERE TRIGGER_SCHEMA = 'd'"),
            1
        );
        assert_eq!(count(&mut session, "d.t"), 2);
    }
    // Of what a dump was not told to leave out it has all that there was.
    overwritten(told(&files, Some(json!({}))), &server, &[]).unwrap();
    assert_eq!(
        count(&mut session, "information_schema.ROUTINES WHERE ROUTINE_SCHEMA = 'd'"),
        0
    );
    assert_eq!(
        count(&mut session, "information_schema.TABLES WHERE TABLE_SCHEMA = 'd'"),
        1
    );
}

/// Rows alone empty the tables that they go to.
#[test]
fn of_rows_alone() {
    let server = TestServer::start(Flavour::MySql);
    let mut session = server.session();
    run(&mut session, &MADE[..3]);
    let files = dump(&mut session, "d", 10);
    let rows = |options: Value| {
        let host = TestHost::holding(told(&files, Some(options)));
        let options = json!({"accounts": false, "content": "data"});
        host.restore(server.address(), true, Selection::default(), options)
    };
    let error = rows(json!({"partitions": {"d.t": ["p0"]}})).unwrap_err();
    assert!(error.message.ends_with("leaves out: rows of d.t"), "{error}");
    run(&mut session, &["DELETE FROM d.t WHERE id = 1"]);
    rows(json!({})).unwrap();
    assert_eq!(count(&mut session, "d.t"), 2);
}

/// The GTIDs of a dump of tables are those of a whole server, whose logs they must not replace.
#[test]
fn single_tables_and_gtids() {
    let server = TestServer::start(Flavour::MySql);
    run(
        &mut server.session(),
        &[
            "CREATE DATABASE golden",
            "CREATE TABLE golden.mine (id INT PRIMARY KEY)",
        ],
    );
    let gtids = || server.session().variable("gtid_executed").unwrap();
    let before = gtids();
    let host = TestHost::holding(files_of(&dumps().join("tables-none")));
    let error = host
        .restore_all(server.address(), json!({"accounts": false, "gtid": "set"}))
        .unwrap_err();
    assert_eq!(error.kind, ErrorKind::Usage, "{error}");
    assert_eq!(gtids(), before);
}

/// A dump of single tables replaces these, and nothing that is something else.
#[test]
fn of_single_tables() {
    let server = TestServer::start(Flavour::MySql);
    let mut session = server.session();
    run(
        &mut session,
        &[
            "CREATE DATABASE golden",
            "CREATE TABLE golden.elsewhere (id INT PRIMARY KEY)",
            "CREATE VIEW golden.t_nopk AS SELECT id FROM golden.elsewhere",
        ],
    );
    let files = files_of(&dumps().join("tables-none"));
    let error = overwritten(files.clone(), &server, &[]).unwrap_err();
    assert!(error.message.contains("golden.t_nopk is a view"), "{error}");
    run(&mut session, &["DROP VIEW golden.t_nopk"]);
    // Another table of the schema is in nobody's way.
    let host = TestHost::holding(files);
    host.restore_all(server.address(), json!({"accounts": false})).unwrap();
    assert_eq!(count(&mut session, "golden.elsewhere"), 0);
    assert!(count(&mut session, "golden.t_nopk") > 0);
    let again = host
        .restore_all(server.address(), json!({"accounts": false}))
        .unwrap_err();
    assert!(again.message.contains("already has golden."), "{again}");
    host.restore(server.address(), true, Selection::default(), json!({"accounts": false}))
        .unwrap();
    assert_eq!(count(&mut session, "golden.elsewhere"), 0);
}

/// Names that differ in case alone are one table where the target folds them.
#[test]
fn names_that_become_one() {
    for flavour in [Flavour::MySql, Flavour::MariaDb] {
        let source = TestServer::start(flavour);
        run(
            &mut source.session(),
            &[
                "CREATE DATABASE d",
                "CREATE TABLE d.log (id INT PRIMARY KEY)",
                "CREATE TABLE d.`Log` (id INT PRIMARY KEY)",
                "INSERT INTO d.log VALUES (1)",
                "INSERT INTO d.`Log` VALUES (2)",
            ],
        );
        let files = dump(&mut source.session(), "d", 10);
        let target = TestServer::start_with(flavour, &["--lower-case-table-names=1"]);
        for tables in [&[][..], &["d.*"]] {
            let error = overwritten(files.clone(), &target, tables).unwrap_err();
            assert_eq!(error.kind, ErrorKind::Refused, "{error}");
            // Of a backup of our own, both are told at once.
            assert!(error.message.contains("lower_case_table_names"), "{error}");
        }
        overwritten(files, &target, &["d.log"]).unwrap();
        assert_eq!(count(&mut target.session(), "d.log"), 1);
    }
}
