//! Columns of type TIMESTAMP on a target that gives those without a default one, and changes them with their rows.

use backstay_bed::{TestServer, on_both, refusing, run};
use backstay_engine_api::{ErrorKind, Selection, Server};
use backstay_mysql::Flavour;
use serde_json::json;

use crate::TestHost;
use crate::describe::{assert_same, describe};

on_both!(they_get_no_default);

fn they_get_no_default(flavour: Flavour) {
    let source = TestServer::start_with(flavour, &["--explicit-defaults-for-timestamp=1"]);
    let mut session = source.session();
    run(
        &mut session,
        &[
            "CREATE DATABASE d",
            "CREATE TABLE d.t (id INT PRIMARY KEY, n INT, made TIMESTAMP NOT NULL, seen TIMESTAMP(3) NOT NULL, gone TIMESTAMP NULL)",
            "INSERT INTO d.t VALUES (1, 0, '2001-02-03 04:05:06', '2001-02-03 04:05:06.789', NULL)",
        ],
    );
    let host = TestHost::new();
    host.backup(source.address(), json!({"accounts": false, "compression": "none"}))
        .unwrap();
    let target = TestServer::start_with(flavour, &["--explicit-defaults-for-timestamp=0"]);
    host.restore_all(target.address(), json!({"accounts": false})).unwrap();
    let mut found = target.session();
    assert_same(&describe(&mut session, &["d"]), &describe(&mut found, &["d"]));
    run(&mut found, &["UPDATE d.t SET n = n + 1"]);
    let row: Option<String> = found
        .query_first("SELECT CONCAT_WS(' ', id, n, made, seen) FROM d.t")
        .unwrap();
    assert_eq!(row.as_deref(), Some("1 1 2001-02-03 04:05:06 2001-02-03 04:05:06.789"));
}

/// A server may not let a session have it otherwise, as MariaDB before 10.6.9.
#[test]
fn they_would_get_a_default() {
    let source = TestServer::start(Flavour::MySql);
    run(
        &mut source.session(),
        &[
            "CREATE DATABASE d",
            "CREATE TABLE d.bare (id INT PRIMARY KEY, t TIMESTAMP NOT NULL)",
            "CREATE TABLE d.plain (id INT PRIMARY KEY, t TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP, u TIMESTAMP NULL)",
        ],
    );
    let host = TestHost::new();
    host.backup(source.address(), json!({"accounts": false, "compression": "none"}))
        .unwrap();
    let target = TestServer::start_with(Flavour::MySql, &["--explicit-defaults-for-timestamp=0"]);
    let refuses = refusing(&target, &["SET SESSION explicit_defaults_for_timestamp"]);
    let restored = |to: &Server, table: &str| {
        let selection = Selection {
            include: vec![table.parse().unwrap()],
            ..Selection::default()
        };
        host.restore(to.clone(), false, selection, json!({"accounts": false}))
    };
    let error = restored(&refuses, "d.*").unwrap_err();
    assert_eq!(error.kind, ErrorKind::Refused, "{error}");
    assert!(error.message.ends_with(": d.bare.t"), "{error}");
    assert!(error.advice.is_some(), "{error}");
    let there: Option<String> = target.session().query_first("SHOW DATABASES LIKE 'd'").unwrap();
    assert_eq!(there, None);
    restored(&refuses, "d.plain").unwrap();
    restored(&target.address(), "d.bare").unwrap();
}
