//! A restore that is interrupted goes on when it is run again, and every row is there once.

use backstay_bed::{TestServer, run, until};
use backstay_engine_api::wire::{Call, JobSpec};
use backstay_engine_api::{ErrorKind, Selection, Server};
use backstay_mysql::Flavour;
use serde_json::json;

use crate::TestHost;
use crate::craft::dump;
use crate::describe::{assert_same, checksum, describe};

fn bed(flavour: Flavour) -> TestServer {
    TestServer::start(flavour)
}

/// Tables of several engines.
pub(crate) fn source(flavour: Flavour) -> TestServer {
    let source = bed(flavour);
    run(
        &mut source.session(),
        &[
            "CREATE DATABASE d",
            "USE d",
            "CREATE TABLE a (id INT PRIMARY KEY AUTO_INCREMENT, t TEXT, n INT, KEY (n), UNIQUE KEY (n, id), FULLTEXT KEY (t))",
            "CREATE TABLE nokey (t VARCHAR(200), b VARBINARY(200))",
            "CREATE TABLE myisam (t VARCHAR(200), n INT, KEY (n)) ENGINE=MyISAM",
            // A key of the same name must not be taken for the foreign key.
            "CREATE TABLE child (id INT PRIMARY KEY, p INT, UNIQUE KEY fk (p), CONSTRAINT fk FOREIGN KEY (p) REFERENCES a (id))",
            "SET @n = 0",
            "INSERT INTO a (t, n) SELECT REPEAT('text ', 20), @n := @n + 1 FROM information_schema.COLUMNS LIMIT 400",
            "INSERT INTO nokey SELECT 'the same', X'000A095C' FROM a",
            "INSERT INTO myisam SELECT 'the same', 7 FROM a",
            "INSERT INTO child SELECT id, id FROM a",
            // What comes next is not what the rows say, nor when a table of MyISAM is loaded again.
            "ALTER TABLE a AUTO_INCREMENT = 5000",
            "CREATE TABLE counted (id INT PRIMARY KEY AUTO_INCREMENT, t VARCHAR(200)) ENGINE=MyISAM AUTO_INCREMENT = 7000",
            "INSERT INTO counted SELECT id, 'the same' FROM a",
        ],
    );
    source
}

/// Interrupted after 1, 2, 3, … reads of the backup, each time further than before, until it is through: on one target, so that
/// every interruption stands on those before it.
fn interrupted_again_and_again(flavour: Flavour) {
    let source = source(flavour);
    let mut session = source.session();
    let want = describe(&mut session, &["d"]);
    let host = TestHost::holding(dump(&mut session, "d", 60));
    host.read_pieces_of(1500);
    let target = bed(flavour);
    let mut interrupted = 0;
    for reads in (30..).step_by(4) {
        host.cancel_after_reads(reads);
        match host.restore_all(target.address(), json!({})) {
            Ok(_) => break,
            Err(error) => {
                assert_eq!(error.kind, ErrorKind::Cancelled, "{error}");
                interrupted += 1;
            }
        }
    }
    assert!(interrupted >= 10, "{interrupted}");
    assert!(host.logged().iter().any(|line| line.contains("it goes on")));
    assert_same(&want, &describe(&mut target.session(), &["d"]));
    let left: Option<String> = target.session().query_first("SHOW DATABASES LIKE 'backstay%'").unwrap();
    assert_eq!(left, None);
}

#[test]
fn interrupted_again_and_again_mysql() {
    interrupted_again_and_again(Flavour::MySql);
}

#[test]
fn interrupted_again_and_again_mariadb() {
    interrupted_again_and_again(Flavour::MariaDb);
}

#[test]
fn only_the_same_restore_goes_on() {
    let source = source(Flavour::MySql);
    let mut session = source.session();
    let want = describe(&mut session, &["d"]);
    let host = TestHost::holding(dump(&mut session, "d", 60));
    host.read_pieces_of(1500);
    let target = bed(Flavour::MySql);
    host.cancel_after_reads(50);
    host.restore_all(target.address(), json!({})).unwrap_err();
    let error = host
        .restore(
            target.address(),
            false,
            Selection::default(),
            json!({"defer_indexes": "none"}),
        )
        .unwrap_err();
    assert_eq!(error.kind, ErrorKind::Refused);
    assert!(
        error.message.contains("unfinished restore with other options"),
        "{error}"
    );
    assert_eq!(
        error.causes,
        [
            "unfinished: backup given, all of it, defer_indexes = all",
            "this one: backup given, all of it, defer_indexes = none"
        ]
    );
    let command = "backstay restore given --to-server URL --option defer_indexes=all;";
    assert!(error.advice.as_ref().unwrap().contains(command), "{error}");
    host.restore(
        target.address(),
        true,
        Selection::default(),
        json!({"defer_indexes": "none"}),
    )
    .unwrap();
    assert_same(&want, &describe(&mut target.session(), &["d"]));
    // Nothing is left that would go on.
    let error = host.restore_all(target.address(), json!({})).unwrap_err();
    assert!(error.message.contains("is not empty: it has d"), "{error}");
}

#[test]
fn nothing_is_noted_on_a_private_server() {
    let source = source(Flavour::MariaDb);
    let host = TestHost::holding(dump(&mut source.session(), "d", 60));
    host.read_pieces_of(1500);
    let target = bed(Flavour::MariaDb);
    let stopped = |private: bool| {
        host.cancel_after_reads(80);
        let server = Server {
            private,
            ..target.address()
        };
        let error = host.restore_all(server, json!({})).unwrap_err();
        assert_eq!(error.kind, ErrorKind::Cancelled, "{error}");
        let schemas: Vec<String> = target
            .session()
            .query("SHOW DATABASES WHERE `Database` IN ('d', 'backstay_restore')")
            .unwrap();
        (error, schemas)
    };
    let (error, schemas) = stopped(true);
    assert_eq!((error.causes, error.advice), (Vec::new(), None));
    assert_eq!(schemas, ["d"]);
    run(&mut target.session(), &["DROP DATABASE d"]);
    let (error, schemas) = stopped(false);
    assert!(error.causes[0].contains("what is restored so far stays"), "{error}");
    assert_eq!(schemas, ["backstay_restore", "d"]);
}

/// Interrupted once rows are loaded; how many.
fn interrupted(host: &TestHost, target: &TestServer, options: &serde_json::Value) -> u64 {
    for reads in (40..).step_by(4) {
        host.cancel_after_reads(reads);
        host.restore_all(target.address(), options.clone()).unwrap_err();
        let loaded: Option<Option<u64>> = target
            .session()
            .query_first("SELECT CAST(SUM(row_count) AS UNSIGNED) FROM backstay_restore.progress")
            .unwrap();
        if let Some(loaded) = loaded.flatten().filter(|loaded| *loaded > 300) {
            return loaded;
        }
    }
    unreachable!("the loop has no end")
}

/// Tables that go while a restore is interrupted are loaded again, all of them.
fn what_is_gone_is_loaded_again(flavour: Flavour, meanwhile: &[&str]) {
    let source = source(flavour);
    let mut session = source.session();
    let want = describe(&mut session, &["d"]);
    let host = TestHost::holding(dump(&mut session, "d", 60));
    host.read_pieces_of(1500);
    let target = bed(flavour);
    interrupted(&host, &target, &json!({}));
    run(&mut target.session(), meanwhile);
    host.restore_all(target.address(), json!({})).unwrap();
    assert!(host.logged().iter().any(|line| line.contains("is gone or empty")));
    assert_same(&want, &describe(&mut target.session(), &["d"]));
}

#[test]
fn what_is_dropped_meanwhile_is_loaded_again_mysql() {
    what_is_gone_is_loaded_again(Flavour::MySql, &["DROP DATABASE d"]);
}

#[test]
fn what_is_dropped_meanwhile_is_loaded_again_mariadb() {
    what_is_gone_is_loaded_again(Flavour::MariaDb, &["DROP DATABASE d"]);
}

#[test]
fn what_is_emptied_meanwhile_is_loaded_again() {
    let source = source(Flavour::MySql);
    let mut session = source.session();
    let host = TestHost::holding(dump(&mut session, "d", 60));
    host.read_pieces_of(1500);
    let target = bed(Flavour::MySql);
    interrupted(&host, &target, &json!({}));
    let mut target_session = target.session();
    run(&mut target_session, &["DELETE FROM d.nokey", "TRUNCATE TABLE d.myisam"]);
    host.restore_all(target.address(), json!({})).unwrap();
    assert!(host.logged().iter().any(|line| line.contains("is gone or empty")));
    for table in ["d.a", "d.nokey", "d.myisam", "d.child"] {
        assert_eq!(
            checksum(&mut target_session, table),
            checksum(&mut session, table),
            "{table}"
        );
    }
}

/// A session that holds what the loader wants next, and then wants what the loader holds; it has changed more, so that it is the
/// loader that the server rolls back.
fn rolled_back_for_another(flavour: Flavour) {
    let source = source(flavour);
    let mut session = source.session();
    let want = describe(&mut session, &["d"]);
    let host = TestHost::holding(dump(&mut session, "d", 20));
    host.read_pieces_of(1500);
    let target = bed(flavour);
    let mut other = target.session();
    run(
        &mut other,
        &[
            "CREATE DATABASE other",
            "CREATE TABLE other.t (id INT PRIMARY KEY AUTO_INCREMENT, t TEXT)",
            "SET SESSION innodb_lock_wait_timeout = 60",
            "BEGIN",
            "INSERT INTO other.t (t) SELECT 'a change' FROM information_schema.COLUMNS LIMIT 3000",
        ],
    );
    let mut look = target.session();
    std::thread::scope(|scope| {
        let restored = scope.spawn(|| {
            // The target is not empty.
            let all = Selection {
                include: vec!["d.*".parse().unwrap()],
                ..Selection::default()
            };
            host.restore(target.address(), false, all, json!({}))
        });
        // Were it dropped after the threads are joined, they would wait for it.
        let mut other = other;
        // What each thread notes when it has loaded its first file.
        let first: Vec<String> = (0..5)
            .map(|table| format!("('file S@T{table}@0.tsv', 0, 0, 0)"))
            .collect();
        let notes = format!("INSERT INTO backstay_restore.progress VALUES {}", first.join(", "));
        until("the restore has begun", || other.run(&notes).is_ok());
        until("all threads wait", || {
            // MySQL shows transactions as they were when it was asked last, if that is less than 0.1 s ago.
            std::thread::sleep(std::time::Duration::from_millis(150));
            let waiting = "SELECT COUNT(*) FROM information_schema.INNODB_TRX WHERE trx_state = 'LOCK WAIT'";
            look.query_first::<u64>(waiting).unwrap() == Some(3)
        });
        for table in ["a", "nokey", "child"] {
            run(&mut other, &[&format!("SELECT COUNT(*) FROM d.{table} FOR UPDATE")]);
        }
        run(&mut other, &["ROLLBACK"]);
        restored.join().unwrap().unwrap();
    });
    let logged = host.logged();
    assert!(
        logged
            .iter()
            .any(|line| line.contains("1213") && line.contains("tried again")),
        "{logged:?}"
    );
    assert_same(&want, &describe(&mut target.session(), &["d"]));
}

#[test]
fn rolled_back_for_another_mysql() {
    rolled_back_for_another(Flavour::MySql);
}

#[test]
fn rolled_back_for_another_mariadb() {
    rolled_back_for_another(Flavour::MariaDb);
}

/// Two at once would load the same rows.
#[test]
fn one_at_a_time() {
    for flavour in [Flavour::MySql, Flavour::MariaDb] {
        let source = source(flavour);
        let host = TestHost::holding(dump(&mut source.session(), "d", 60));
        let target = bed(flavour);
        let mut other = target.session();
        let got: Option<u8> = other.query_first("SELECT GET_LOCK('backstay_restore', 0)").unwrap();
        assert_eq!(got, Some(1));
        let error = host.restore_all(target.address(), json!({})).unwrap_err();
        assert_eq!(error.kind, ErrorKind::Refused);
        assert!(error.message.contains("is under way"), "{error}");
        let kill = format!("KILL {}", other.connection_id());
        assert!(error.advice.as_ref().unwrap().contains(&kill), "{error}");
        drop(other);
        host.restore_all(target.address(), json!({})).unwrap();
    }
}

fn redo_log(target: &TestServer) -> String {
    let row: Option<(String, String)> = target
        .session()
        .query_first("SHOW GLOBAL STATUS LIKE 'Innodb_redo_log_enabled'")
        .unwrap();
    row.unwrap().1
}

/// Killed, a restore can not turn the redo log on again: whoever goes on does, with the option or without, and whoever cleans up.
#[test]
fn a_redo_log_that_was_left_off_is_turned_on() {
    let source = source(Flavour::MySql);
    let host = TestHost::holding(dump(&mut source.session(), "d", 60));
    host.read_pieces_of(1500);
    let target = bed(Flavour::MySql);
    interrupted(&host, &target, &json!({"disable_redo_log": true}));
    run(&mut target.session(), &["ALTER INSTANCE DISABLE INNODB REDO_LOG"]);
    let clean = |sessions: &[&str]| {
        let () = host
            .call(&Call::Clean {
                job: JobSpec::default(),
                server: Some(target.address()),
                killed: "20261122T101530Z-restore-test".to_owned(),
                sessions: sessions.iter().map(|session| (*session).to_owned()).collect(),
            })
            .unwrap();
    };
    // Another restore is under way, which may want it so.
    let mut other = target.session();
    let got: Option<u8> = other.query_first("SELECT GET_LOCK('backstay_restore', 0)").unwrap();
    assert_eq!(got, Some(1));
    clean(&["1000000"]);
    assert_eq!(redo_log(&target), "OFF");
    drop(other);
    clean(&["1000000"]);
    assert_eq!(redo_log(&target), "ON");
    run(&mut target.session(), &["ALTER INSTANCE DISABLE INNODB REDO_LOG"]);
    host.restore_all(target.address(), json!({})).unwrap();
    assert_eq!(redo_log(&target), "ON");
}

/// A server may refuse to do without its redo log; then nothing says that it is off.
#[test]
fn a_redo_log_that_is_not_turned_off() {
    let source = source(Flavour::MariaDb);
    let host = TestHost::holding(dump(&mut source.session(), "d", 60));
    let target = bed(Flavour::MariaDb);
    let error = host
        .restore_all(target.address(), json!({"disable_redo_log": true}))
        .unwrap_err();
    assert_eq!(error.kind, ErrorKind::Usage);
    assert!(error.message.contains("always writes its redo log"), "{error}");
    host.restore_all(target.address(), json!({})).unwrap();

    let source = self::source(Flavour::MySql);
    let host = TestHost::holding(dump(&mut source.session(), "d", 60));
    let target = bed(Flavour::MySql);
    run(
        &mut target.session(),
        &[
            "CREATE USER loader@localhost",
            "GRANT ALL ON *.* TO loader@localhost",
            "REVOKE INNODB_REDO_LOG_ENABLE ON *.* FROM loader@localhost",
        ],
    );
    let loader = Server {
        user: Some("loader".to_owned()),
        ..target.address()
    };
    let error = host
        .restore_all(loader.clone(), json!({"disable_redo_log": true}))
        .unwrap_err();
    assert_eq!(error.kind, ErrorKind::Privilege, "{error}");
    host.restore_all(loader, json!({})).unwrap();
    assert_eq!(redo_log(&target), "ON");
}

/// MariaDB truncates no table that keeps its history: neither one that is loaded again after an interruption, nor one whose rows are
/// replaced.
#[test]
fn tables_with_a_history_are_emptied_too() {
    let source = bed(Flavour::MariaDb);
    let mut session = source.session();
    run(
        &mut session,
        &[
            "CREATE DATABASE d",
            "CREATE TABLE d.v (id INT PRIMARY KEY AUTO_INCREMENT, t VARCHAR(200)) ENGINE=Aria WITH SYSTEM VERSIONING",
            "INSERT INTO d.v (t) SELECT REPEAT('text ', 20) FROM information_schema.COLUMNS LIMIT 400",
            "UPDATE d.v SET t = 'changed' WHERE id % 3 = 0",
            "DELETE FROM d.v WHERE id % 5 = 0",
        ],
    );
    let options = json!({"compression": "none", "accounts": false});
    let host = TestHost::new();
    host.backup(source.address(), options.clone()).unwrap();
    let objects = &host.backups()[0].objects;
    let files = objects
        .iter()
        .map(|(name, object)| (name.clone(), object.bytes.clone()));
    let dump = TestHost::holding(files.collect());
    dump.read_pieces_of(1500);
    let target = bed(Flavour::MariaDb);
    let mut interrupted = 0;
    for reads in (12..).step_by(3) {
        dump.cancel_after_reads(reads);
        match dump.restore_all(target.address(), options.clone()) {
            Ok(_) => break,
            Err(error) => assert_eq!(error.kind, ErrorKind::Cancelled, "{error}"),
        }
        interrupted += 1;
    }
    assert!(interrupted > 5, "{interrupted}");
    let rows = |server: &TestServer| -> Vec<(u32, String, String, String)> {
        let sql =
            "SELECT id, t, CAST(row_start AS CHAR), CAST(row_end AS CHAR) FROM d.v FOR SYSTEM_TIME ALL ORDER BY 1, 3";
        server.session().query(sql).unwrap()
    };
    let want = rows(&source);
    assert!(want.len() > 400, "{}", want.len());
    assert_eq!(rows(&target), want);
    run(&mut target.session(), &["UPDATE d.v SET t = 'and again'"]);
    dump.cancel_after_reads(usize::MAX);
    let data = json!({"accounts": false, "content": "data"});
    dump.restore(target.address(), true, Selection::default(), data)
        .unwrap();
    assert_eq!(rows(&target), want);
}
