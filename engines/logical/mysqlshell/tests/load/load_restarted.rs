//! What a restore that goes on must not load again, for triggers would fire, and what it must, for a server was started again.

use std::collections::BTreeMap;

use backstay_bed::{TestServer, on_both, run};
use backstay_engine_api::{ErrorKind, Selection};
use backstay_mysql::Flavour;
use serde_json::json;

use crate::TestHost;
use crate::craft::dump;
use crate::describe::{assert_same, describe};
use crate::load_resume::source;

on_both!(
    nothing_is_loaded_under_triggers,
    what_a_crash_can_lose_is_loaded_again,
    what_a_crash_may_have_lost_is_named,
);

type Files = BTreeMap<String, Vec<u8>>;

/// The engine's own dump of a table whose rows a trigger notes in another one.
fn with_a_trigger(flavour: Flavour) -> Files {
    let source = TestServer::start(flavour);
    run(
        &mut source.session(),
        &[
            "CREATE DATABASE d",
            "CREATE TABLE d.queue (id INT PRIMARY KEY)",
            "CREATE TABLE d.audit (id INT)",
            "CREATE TABLE d.plain (id INT) ENGINE=MyISAM",
            "CREATE TRIGGER d.notes AFTER INSERT ON d.queue FOR EACH ROW INSERT INTO d.audit VALUES (NEW.id)",
            "INSERT INTO d.queue VALUES (1), (2), (3)",
            "INSERT INTO d.plain VALUES (1)",
        ],
    );
    let host = TestHost::new();
    let options = json!({"compression": "none", "accounts": false});
    host.backup(source.address(), options).unwrap();
    let objects = &host.backups()[0].objects;
    let files = objects
        .iter()
        .map(|(name, object)| (name.clone(), object.bytes.clone()));
    files.collect()
}

/// The dump with one more statement in a schema's file, which no server takes; a restore makes what is of this kind where it is told to.
fn with_a_broken(kind: &str, file: &str, files: &Files) -> TestHost {
    let mut files = files.clone();
    let marker = kind.to_lowercase();
    let section = format!("-- begin {marker} `d`.`broken`\nCREATE {kind} broken;\n-- end {marker} `d`.`broken`\n");
    files.get_mut(file).unwrap().extend_from_slice(section.as_bytes());
    TestHost::holding(files)
}

/// Starts a server again, so long after its last start that the two can be told apart.
fn start_again(target: &mut TestServer) {
    let mut session = target.session();
    backstay_bed::until("the server has run for some seconds", || {
        let uptime: Option<(String, u64)> = session.query_first("SHOW GLOBAL STATUS LIKE 'Uptime'").unwrap();
        uptime.is_some_and(|(_, seconds)| seconds >= 6)
    });
    drop(session);
    target.restart(false);
}

/// What is emptied once triggers are there stays empty: they would fire once more. What is dropped can not be made up for.
fn nothing_is_loaded_under_triggers(flavour: Flavour) {
    let files = with_a_trigger(flavour);
    let fails = with_a_broken("EVENT", "d.sql", &files);
    let mended = TestHost::holding(files);
    let target = TestServer::start(flavour);
    let mut session = target.session();
    let error = fails.restore_all(target.address(), json!({})).unwrap_err();
    assert!(error.message.contains("CREATE EVENT broken"), "{error}");
    run(&mut session, &["DELETE FROM d.queue"]);
    mended.restore_all(target.address(), json!({})).unwrap();
    let counts = "SELECT (SELECT COUNT(*) FROM d.queue), (SELECT COUNT(*) FROM d.audit)";
    let found: Option<(u64, u64)> = session.query_first(counts).unwrap();
    assert_eq!(found, Some((0, 3)));
    // The trigger is there.
    run(&mut session, &["INSERT INTO d.queue VALUES (4)"]);
    let found: Option<(u64, u64)> = session.query_first(counts).unwrap();
    assert_eq!(found, Some((1, 4)));

    for gone in ["DROP TABLE d.plain", "DROP DATABASE d"] {
        run(&mut session, &["DROP DATABASE IF EXISTS d"]);
        let error = fails
            .restore(target.address(), true, Selection::default(), json!({}))
            .unwrap_err();
        assert!(error.message.contains("CREATE EVENT broken"), "{error}");
        run(&mut session, &[gone]);
        let error = mended.restore_all(target.address(), json!({})).unwrap_err();
        assert_eq!(error.kind, ErrorKind::Refused, "{error}");
        assert!(error.message.ends_with("is not there any more"), "{error}");
        assert_eq!(error.advice.as_deref(), Some("restore anew with --overwrite"));
    }
    mended
        .restore(target.address(), true, Selection::default(), json!({}))
        .unwrap();
    let found: Option<(u64, u64)> = session.query_first(counts).unwrap();
    assert_eq!(found, Some((3, 3)));
}

/// Rows that an engine without transactions has not synced go with the server, though they were noted.
fn what_a_crash_can_lose_is_loaded_again(flavour: Flavour) {
    let source = source(flavour);
    let mut session = source.session();
    let want = describe(&mut session, &["d"]);
    let files = dump(&mut session, "d", 60);
    // Routines are made after all rows and before triggers.
    let fails = with_a_broken("FUNCTION", "S.sql", &files);
    let mended = TestHost::holding(files);
    let mut target = TestServer::start(flavour);
    let error = fails.restore_all(target.address(), json!({})).unwrap_err();
    assert!(error.message.contains("CREATE FUNCTION broken"), "{error}");
    run(
        &mut target.session(),
        &["DELETE FROM d.myisam LIMIT 100", "DELETE FROM d.counted LIMIT 100"],
    );
    start_again(&mut target);
    // Interrupted once more, it has nothing to do again: the server was not started again since.
    let error = fails.restore_all(target.address(), json!({})).unwrap_err();
    assert!(error.message.contains("CREATE FUNCTION broken"), "{error}");
    assert_same(&want, &describe(&mut target.session(), &["d"]));
    mended.restore_all(target.address(), json!({})).unwrap();
    let opened = mended.opened();
    assert!(
        !opened.is_empty() && opened.iter().all(|name| !name.ends_with(".tsv")),
        "{opened:?}"
    );
    assert_same(&want, &describe(&mut target.session(), &["d"]));
}

/// Once triggers are there, it can only be named.
fn what_a_crash_may_have_lost_is_named(flavour: Flavour) {
    let files = with_a_trigger(flavour);
    let fails = with_a_broken("EVENT", "d.sql", &files);
    let mended = TestHost::holding(files);
    let mut target = TestServer::start(flavour);
    fails.restore_all(target.address(), json!({})).unwrap_err();
    start_again(&mut target);
    let restored = mended.restore_all(target.address(), json!({})).unwrap();
    let named: Vec<Option<&str>> = restored
        .notices
        .iter()
        .filter(|notice| notice.code == "rows-not-synced")
        .map(|notice| notice.subject.as_deref())
        .collect();
    assert_eq!(named, [Some("d.plain")]);
}
