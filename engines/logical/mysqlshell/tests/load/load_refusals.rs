//! What is refused, and that nothing was changed by then.

use std::collections::BTreeMap;

use backstay_bed::{TestServer, run};
use backstay_engine_api::{EngineError, ErrorKind, Selection};
use backstay_mysql::Flavour;
use serde_json::json;

use crate::{TestHost, dumps, files_of};

fn bed() -> TestServer {
    TestServer::start(Flavour::MySql)
}

fn files() -> BTreeMap<String, Vec<u8>> {
    files_of(&dumps().join("instance-none"))
}

fn restore(files: BTreeMap<String, Vec<u8>>, target: &TestServer) -> Result<(), EngineError> {
    TestHost::holding(files)
        .restore(
            target.address(),
            false,
            Selection::default(),
            json!({"accounts": false}),
        )
        .map(|_| ())
}

fn changed(text: &str, from: &str, to: &str) -> Vec<u8> {
    assert!(text.contains(from), "{from}");
    text.replace(from, to).into_bytes()
}

/// Each file of the dump is left out once: the dump is refused with the file's name, or it needs no such file.
#[test]
fn files_that_are_missing() {
    let target = bed();
    let all = files();
    let optional = |name: &str| name.ends_with(".idx") || ["@.sql", "@.post.sql", "@.users.sql"].contains(&name);
    let mut refused = 0;
    for name in all.keys().filter(|name| !optional(name)) {
        let mut some = all.clone();
        some.remove(name);
        let error = restore(some, &target).unwrap_err();
        assert_eq!(error.kind, ErrorKind::Damaged, "{name}: {error}");
        // Of data files the next is looked for.
        let named = name.replace("@@", "@");
        assert!(
            error.message.contains(name) || error.message.contains(&named),
            "{name}: {error}"
        );
        refused += 1;
    }
    assert!(refused > 100, "{refused}");
    let found: Vec<String> = target.session().query("SHOW DATABASES").unwrap();
    assert_eq!(found, ["information_schema", "mysql", "performance_schema", "sys"]);
}

#[test]
fn what_can_not_be_restored() {
    let target = bed();
    let all = files();
    let text = |name: &str| String::from_utf8(all[name].clone()).unwrap();
    let instance = text("@.json");
    let with = |name: &str, bytes: Vec<u8>| {
        let mut files = all.clone();
        files.insert(name.to_owned(), bytes);
        files
    };
    for (name, bytes, expected) in [
        (
            "@.json",
            changed(&instance, "\"2.0.1\"", "\"2.1.0\""),
            "the dump is of version 2.1.0 of the format",
        ),
        (
            "@.json",
            changed(&instance, "\"2.0.1\"", "\"x\""),
            "says no version of the format",
        ),
        (
            "@.json",
            changed(&instance, "partition_awareness", "time_travel"),
            "knows `time_travel`",
        ),
        (
            "@.json",
            b"{".to_vec(),
            "`@.json` of the dump is not what the format says",
        ),
        (
            "golden.json",
            changed(
                &text("golden.json"),
                "\"multifileDdl\": false",
                "\"multifileDdl\": true",
            ),
            "multifileDdl",
        ),
        (
            "golden@t_blob.json",
            changed(&text("golden@t_blob.json"), "FROM_BASE64", "FROM_MOON"),
            "decoded by `FROM_MOON`",
        ),
        (
            "golden@t_blob.json",
            changed(
                &text("golden@t_blob.json"),
                "\"linesTerminatedBy\": \"\\n\"",
                "\"linesTerminatedBy\": \"\\r\\n\"",
            ),
            "not tab-separated utf8mb4 text",
        ),
    ] {
        let error = restore(with(name, bytes), &target).unwrap_err();
        assert!(error.message.contains(expected), "{error}");
    }
    run(&mut target.session(), &["SET GLOBAL local_infile = 0"]);
    let error = restore(all.clone(), &target).unwrap_err();
    assert_eq!(
        error.advice.as_deref(),
        Some("run: SET GLOBAL local_infile = 1"),
        "{error}"
    );
    run(
        &mut target.session(),
        &[
            "SET GLOBAL local_infile = 1",
            "CREATE DATABASE mine",
            "CREATE TABLE mine.t (a INT)",
        ],
    );
    let error = restore(all, &target).unwrap_err();
    assert!(error.message.contains("is not empty: it has mine"), "{error}");
    let found: Vec<String> = target.session().query("SHOW DATABASES").unwrap();
    assert_eq!(
        found,
        ["information_schema", "mine", "mysql", "performance_schema", "sys"]
    );
}

/// What goes wrong on the way names the file.
#[test]
fn rows_that_do_not_fit() {
    let all = files();
    let with = |name: &str, bytes: &[u8]| {
        let mut files = all.clone();
        files.insert(name.to_owned(), bytes.to_vec());
        files
    };
    let done = String::from_utf8(all["@.done.json"].clone()).unwrap();
    for (name, bytes, expected) in [
        (
            "golden@fk_self@@0.tsv",
            &b"1\t\\N\n2\tx\n3\t\\N\n"[..],
            "golden.fk_self from `golden@fk_self@@0.tsv`: the server did not take",
        ),
        ("golden@fk_self@@0.tsv", b"1\t\\N\n1\t\\N\n", "Duplicate entry"),
        ("golden@fk_self@@0.tsv", b"1\t\\N\n2", "the file ends within a row"),
        ("golden@fk_self@@0.tsv", b"1\t\\N\n", "`@.done.json` says"),
        (
            "golden@t_blob@@0.tsv",
            b"1\tY?==\t\\N\t\\N\t\\N\t\\N\t\\N\n",
            "a value is no base64",
        ),
        (
            "golden@t_ints.sql",
            b"USE golden;\nSET x;\n",
            "`golden@t_ints.sql` of the dump, line 2: the server refused `SET x`",
        ),
        (
            "golden@t_ints.sql",
            b"USE golden;\n",
            "`golden@t_ints.sql` of the dump has no CREATE TABLE",
        ),
    ] {
        let target = bed();
        let error = restore(with(name, bytes), &target).unwrap_err();
        assert!(error.to_string().contains(expected), "{error}");
        let kept = error.causes.last().unwrap();
        assert!(kept.contains("is in the schema `backstay_restore`"), "{error}");
        assert!(error.advice.is_some(), "{error}");
        // Mended, it goes on.
        restore(all.clone(), &target).unwrap();
    }
    assert!(done.contains("chunkFileBytes"));
}

#[test]
fn the_redo_log_is_on_again() {
    let target = bed();
    let status = |bed: &TestServer| -> String {
        let row: Option<(String, String)> = bed
            .session()
            .query_first("SHOW GLOBAL STATUS LIKE 'Innodb_redo_log_enabled'")
            .unwrap();
        row.unwrap().1
    };
    let host = TestHost::holding(files());
    let options = json!({"accounts": false, "disable_redo_log": true});
    host.cancel_after_reads(200);
    let error = host.restore_all(target.address(), options.clone()).unwrap_err();
    assert_eq!(error.kind, ErrorKind::Cancelled, "{error}");
    assert_eq!(status(&target), "ON");
    host.restore_all(target.address(), options.clone()).unwrap();
    assert_eq!(status(&target), "ON");
    let error = host
        .restore(target.address(), true, Selection::default(), options)
        .unwrap_err();
    assert!(error.advice.unwrap().contains("without disable_redo_log"));
}

/// Replacing a schema must not drop what its backup has left out on purpose.
#[test]
fn what_a_backup_leaves_out_is_not_dropped() {
    for flavour in [Flavour::MySql, Flavour::MariaDb] {
        let server = TestServer::start(flavour);
        let mut session = server.session();
        run(
            &mut session,
            &[
                "CREATE DATABASE d",
                "CREATE TABLE d.a (id INT PRIMARY KEY)",
                "CREATE TABLE d.log (id INT PRIMARY KEY)",
                "CREATE TABLE d.log2 (id INT PRIMARY KEY)",
                "CREATE VIEW d.logs AS SELECT id FROM d.log",
                "INSERT INTO d.a VALUES (1), (2)",
                "INSERT INTO d.log VALUES (1), (2), (3)",
            ],
        );
        let options = json!({"compression": "none", "accounts": false});
        let dump = |more: (&str, serde_json::Value)| {
            let mut options = options.clone();
            options[more.0] = more.1;
            let host = TestHost::new();
            host.backup(server.address(), options).unwrap();
            let objects = &host.backups()[0].objects;
            let files = objects
                .iter()
                .map(|(name, object)| (name.clone(), object.bytes.clone()));
            TestHost::holding(files.collect())
        };
        let count = |table: &str| -> u64 {
            let count = server.session().query_first(format!("SELECT COUNT(*) FROM d.{table}"));
            count.unwrap().unwrap()
        };
        let everything = |dump: &TestHost| dump.restore(server.address(), true, Selection::default(), options.clone());
        for (more, lost) in [
            (("exclude_tables", json!(["d.log*"])), "d.log, d.log2, d.logs"),
            (("include_tables", json!(["d.a"])), "d.log, d.log2, d.logs"),
            (("where", json!({"d.a": "id < 2", "d.log2": "id < 2"})), "rows of d.a"),
            (("content", json!("definitions")), "rows of d.a, rows of d.log"),
        ] {
            let error = everything(&dump(more)).unwrap_err();
            assert_eq!(error.kind, ErrorKind::Refused, "{error}");
            assert!(error.message.ends_with(&format!("leaves out: {lost}")), "{error}");
            assert_eq!((count("a"), count("log")), (2, 3));
        }
        let without = dump(("exclude_tables", json!(["d.log*"])));
        run(&mut session, &["DELETE FROM d.a"]);
        let tables = Selection {
            include: vec!["d.*".parse().unwrap()],
            ..Selection::default()
        };
        without
            .restore(server.address(), true, tables, options.clone())
            .unwrap();
        assert_eq!((count("a"), count("log")), (2, 3));
        // A table that came later is replaced with its schema, as with any backup.
        run(
            &mut session,
            &[
                "DROP VIEW d.logs",
                "DROP TABLE d.log, d.log2",
                "DELETE FROM d.a",
                "CREATE TABLE d.later (id INT)",
            ],
        );
        everything(&without).unwrap();
        assert_eq!(count("a"), 2);
    }
}

/// What the format has no place for is named.
#[test]
fn general_tablespaces_are_named() {
    let server = bed();
    run(
        &mut server.session(),
        &[
            "CREATE TABLESPACE roomy ADD DATAFILE 'roomy.ibd'",
            "CREATE DATABASE d",
            "CREATE TABLE d.t (id INT PRIMARY KEY) TABLESPACE roomy",
        ],
    );
    let usable = TestHost::new()
        .backup(server.address(), json!({"accounts": false}))
        .unwrap();
    let notice = usable
        .notices
        .iter()
        .find(|notice| notice.code == "tablespaces-left-out");
    assert!(notice.unwrap().text.ends_with(": roomy"), "{notice:?}");
}
