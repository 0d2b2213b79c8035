//! Warnings that say nothing against a file: of what was so on the source, however many there are.

use backstay_bed::{TestServer, on_both, run};
use backstay_engine_api::{ErrorKind, Selection};
use backstay_mysql::{Flavour, Session};
use serde_json::json;

use crate::TestHost;
use crate::describe::{assert_same, describe};

on_both!(more_than_a_server_counts, of_generated_columns);

fn round_trip(source: &TestServer, target: &TestServer) {
    let host = TestHost::new();
    host.backup(source.address(), json!({"accounts": false, "compression": "none"}))
        .unwrap();
    host.restore_all(target.address(), json!({"accounts": false})).unwrap();
    let [want, got] = [source, target].map(|server| describe(&mut server.session(), &["d"]));
    assert_same(&want, &got);
}

/// Rows whose ENUM holds none of its members give a warning each.
fn more_than_a_server_counts(flavour: Flavour) {
    let source = TestServer::start(flavour);
    let mut session = source.session();
    run(
        &mut session,
        &[
            "SET SESSION sql_mode = ''",
            "CREATE DATABASE d",
            "CREATE TABLE d.p (id INT PRIMARY KEY AUTO_INCREMENT, g ENUM('m','f') NOT NULL, z ENUM('0','f') NOT NULL)",
            "INSERT INTO d.p (g, z) VALUES ('', ''), ('m', '0')",
        ],
    );
    while count(&mut session) < 200_000 {
        run(&mut session, &["INSERT INTO d.p (g, z) SELECT g, z FROM d.p"]);
    }
    let target = TestServer::start(flavour);
    round_trip(&source, &target);
    let errors: Option<u64> = target
        .session()
        .query_first("SELECT COUNT(*) FROM d.p WHERE g + 0 = 0")
        .unwrap();
    assert!(errors.unwrap() > u64::from(u16::MAX), "{errors:?}");
}

fn count(session: &mut Session) -> u64 {
    session.query_first("SELECT COUNT(*) FROM d.p").unwrap().unwrap()
}

/// What is computed of a row was clipped when it was written, and is again.
fn of_generated_columns(flavour: Flavour) {
    let source = TestServer::start(flavour);
    run(
        &mut source.session(),
        &[
            "SET SESSION sql_mode = ''",
            "CREATE DATABASE d",
            "CREATE TABLE d.t (id INT PRIMARY KEY, a INT, code VARCHAR(9), s TINYINT AS (a + 1) STORED, \
             n INT AS (CAST(code AS UNSIGNED)) STORED, q INT AS (a DIV (a - 1)) STORED)",
            "INSERT INTO d.t (id, a, code) VALUES (1, 1000, 'A12'), (2, 1, '7'), (3, 2, 'x')",
        ],
    );
    let target = TestServer::start(flavour);
    round_trip(&source, &target);
    // A value of the file that the column does not take is still an error.
    let host = TestHost::new();
    host.backup(source.address(), json!({"accounts": false, "compression": "none"}))
        .unwrap();
    run(
        &mut target.session(),
        &[
            "SET SESSION sql_mode = ''",
            "TRUNCATE TABLE d.t",
            "ALTER TABLE d.t MODIFY a TINYINT",
        ],
    );
    let rows = json!({"accounts": false, "content": "data"});
    let error = host
        .restore(target.address(), false, Selection::default(), rows)
        .unwrap_err();
    assert_eq!(error.kind, ErrorKind::Damaged, "{error}");
    assert!(error.causes.iter().any(|cause| cause.contains("'a'")), "{error}");
}
