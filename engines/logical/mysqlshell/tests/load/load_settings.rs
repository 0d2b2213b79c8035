//! What is in a backup loads whatever a target demands of new tables and rows, and whatever schemas it has already.

use backstay_bed::{TestServer, on_both, run};
use backstay_mysql::Flavour;
use serde_json::json;

use crate::TestHost;
use crate::describe::{assert_same, describe};

on_both!(
    what_a_target_demands,
    defaults_that_are_no_text,
    an_empty_schema_that_is_there,
    a_target_of_another_language
);

fn what_a_target_demands(flavour: Flavour) {
    let source = TestServer::start(flavour);
    let mut session = source.session();
    run(
        &mut session,
        &[
            "CREATE DATABASE d",
            "USE d",
            "CREATE TABLE nokey (t VARCHAR(20))",
            "INSERT INTO nokey VALUES ('a row'), ('a row')",
            "CREATE TABLE days (id INT PRIMARY KEY, d DATE, t DATETIME(6), KEY (d))",
            "INSERT INTO days VALUES (1, '2021-02-31', '2021-11-31 23:59:59.999999'), (2, '0000-00-00', '2021-00-00 00:00:00')",
            "SET SESSION innodb_strict_mode = OFF",
            "CREATE TABLE fixed (id INT PRIMARY KEY) ROW_FORMAT=FIXED",
            "INSERT INTO fixed VALUES (1)",
            "CREATE TABLE checked (id INT PRIMARY KEY, n INT, CONSTRAINT positive CHECK (n > 0))",
        ],
    );
    if flavour.is_mariadb() {
        run(
            &mut session,
            &[
                "SET SESSION check_constraint_checks = OFF",
                "INSERT INTO checked VALUES (1, -1)",
            ],
        );
    }
    let target = TestServer::start(flavour);
    let mut found = target.session();
    let mut demanded = 0;
    for (name, value) in [
        ("sql_require_primary_key", "ON"),
        ("innodb_strict_mode", "ON"),
        ("binlog_format", "STATEMENT"),
    ] {
        if found.variable(name).unwrap().is_some() {
            run(&mut found, &[&format!("SET GLOBAL {name} = {value}")]);
            demanded += 1;
        }
    }
    assert!(demanded >= 2);
    let host = TestHost::new();
    host.backup(source.address(), json!({"accounts": false, "compression": "none"}))
        .unwrap();
    host.restore_all(target.address(), json!({"accounts": false})).unwrap();
    let [want, got] = [&mut session, &mut target.session()].map(|session| {
        let rows: Option<String> = session.query_first("SELECT GROUP_CONCAT(id) FROM d.fixed").unwrap();
        let mut all = describe(session, &["d"]);
        // MySQL's sum of a table in this format is another for the same rows.
        all.insert("sum d.fixed".to_owned(), rows.unwrap_or_default());
        all
    });
    assert_same(&want, &got);
}

#[test]
fn indexes_are_sorted_in_more_memory_than_mysql_gives_by_itself() {
    let source = TestServer::start(Flavour::MySql);
    run(
        &mut source.session(),
        &[
            "CREATE DATABASE d",
            "CREATE TABLE d.t (id INT PRIMARY KEY, n INT, KEY (n))",
            "INSERT INTO d.t VALUES (1, 2), (2, 1)",
        ],
    );
    let host = TestHost::new();
    host.backup(source.address(), json!({"accounts": false})).unwrap();
    let target = TestServer::start(Flavour::MySql);
    let mut session = target.session();
    run(
        &mut session,
        &["SET GLOBAL log_output = 'TABLE', GLOBAL general_log = ON"],
    );
    // By the host's three threads; and of a server that gives more already.
    for (given, set) in [(1 << 20, Some(44_739_242)), (1 << 30, None)] {
        run(
            &mut session,
            &[
                &format!("SET GLOBAL innodb_ddl_buffer_size = {given}"),
                "TRUNCATE mysql.general_log",
                "DROP DATABASE IF EXISTS d",
            ],
        );
        host.restore_all(target.address(), json!({"accounts": false})).unwrap();
        let said: Vec<String> = session
            .query("SELECT DISTINCT CONVERT(argument USING utf8mb4) FROM mysql.general_log WHERE argument LIKE 'SET SESSION innodb_ddl%'")
            .unwrap();
        let expected: Vec<String> = set
            .map(|bytes| format!("SET SESSION innodb_ddl_buffer_size = {bytes}"))
            .into_iter()
            .collect();
        assert_eq!(said, expected);
    }
}

fn defaults_that_are_no_text(flavour: Flavour) {
    let source = TestServer::start(flavour);
    let mut session = source.session();
    run(
        &mut session,
        &[
            "CREATE DATABASE d",
            "CREATE TABLE d.t (id INT PRIMARY KEY, k BINARY(2) NOT NULL DEFAULT x'FF00', \
             v VARBINARY(20) DEFAULT x'27FE5C0A00E9', w VARBINARY(20) DEFAULT 'plain', t VARCHAR(9) DEFAULT 'é')",
            "INSERT INTO d.t (id) VALUES (1)",
        ],
    );
    let host = TestHost::new();
    host.backup(source.address(), json!({"accounts": false, "compression": "none"}))
        .unwrap();
    let target = TestServer::start(flavour);
    host.restore_all(target.address(), json!({"accounts": false})).unwrap();
    let mut found = target.session();
    run(&mut found, &["INSERT INTO d.t (id) VALUES (2)"]);
    let rows: Vec<String> = found
        .query("SELECT CONCAT_WS(' ', HEX(k), HEX(v), HEX(w), t) FROM d.t")
        .unwrap();
    assert_eq!(rows, ["FF00 27FE5C0A00E9 706C61696E é"; 2]);
}

/// Warnings are known by their English text.
fn a_target_of_another_language(flavour: Flavour) {
    let source = TestServer::start(flavour);
    let mut session = source.session();
    run(
        &mut session,
        &[
            "CREATE DATABASE d",
            "CREATE TABLE d.t (id INT PRIMARY KEY, e ENUM('a', 'b'))",
            // The second is stored as a value that is no member.
            "INSERT INTO d.t VALUES (1, 'a'), (2, 'neither')",
        ],
    );
    let host = TestHost::new();
    host.backup(source.address(), json!({"accounts": false, "compression": "none"}))
        .unwrap();
    let target = TestServer::start(flavour);
    run(&mut target.session(), &["SET GLOBAL lc_messages = 'de_DE'"]);
    host.restore_all(target.address(), json!({"accounts": false})).unwrap();
    assert_same(
        &describe(&mut session, &["d"]),
        &describe(&mut target.session(), &["d"]),
    );
}

/// As the `test` that some installations have: it becomes what the backup has.
fn an_empty_schema_that_is_there(flavour: Flavour) {
    let source = TestServer::start(flavour);
    run(
        &mut source.session(),
        &[
            "DROP DATABASE IF EXISTS test",
            "CREATE DATABASE test CHARACTER SET latin1 COLLATE latin1_german1_ci",
            "CREATE TABLE test.t (id INT PRIMARY KEY, t VARCHAR(9))",
            "INSERT INTO test.t VALUES (1, 'é')",
        ],
    );
    let host = TestHost::new();
    host.backup(source.address(), json!({"accounts": false, "compression": "none"}))
        .unwrap();
    let target = TestServer::start(flavour);
    let mut found = target.session();
    run(
        &mut found,
        &[
            "DROP DATABASE IF EXISTS test",
            "CREATE DATABASE test CHARACTER SET utf8mb4 COLLATE utf8mb4_bin",
        ],
    );
    host.restore_all(target.address(), json!({"accounts": false})).unwrap();
    let schema = "SELECT CONCAT(DEFAULT_CHARACTER_SET_NAME, ' ', DEFAULT_COLLATION_NAME) FROM information_schema.SCHEMATA \
                  WHERE SCHEMA_NAME = 'test'";
    assert_eq!(
        found.query_first::<String>(schema).unwrap().as_deref(),
        Some("latin1 latin1_german1_ci")
    );
    let row = "SELECT CONCAT(id, t) FROM test.t";
    assert_eq!(found.query_first::<String>(row).unwrap().as_deref(), Some("1é"));
}

/// Loading computes generated columns in UTC: a notice names those to which that matters.
#[test]
fn generated_by_the_time_zone() {
    let source = TestServer::start(Flavour::MySql);
    run(
        &mut source.session(),
        &[
            "CREATE DATABASE d",
            "CREATE TABLE d.logins (id INT PRIMARY KEY, at TIMESTAMP NOT NULL, day DATE AS (DATE(at)) STORED, \
             shown DATE AS (DATE(at)), n INT AS (id + 1) STORED)",
            "CREATE TABLE d.plain (id INT PRIMARY KEY, at DATETIME, day DATE AS (DATE(at)) STORED)",
        ],
    );
    let host = TestHost::new();
    let usable = host
        .backup(source.address(), json!({"accounts": false, "compression": "none"}))
        .unwrap();
    let notices = usable
        .notices
        .iter()
        .filter(|notice| notice.code == "generated-by-time-zone");
    let found: Vec<_> = notices.collect();
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!(found[0].subject.as_deref(), Some("d.logins"));
    assert!(found[0].text.ends_with(": day"), "{}", found[0].text);
}
