//! A restore that is interrupted goes on when it is run again, and every row is there once.

use backstay_bed::{TestServer, run};
use backstay_engine_api::{ErrorKind, Selection};
use backstay_mysql::Flavour;
use serde_json::json;

use crate::TestHost;
use crate::craft::dump;
use crate::describe::{assert_same, describe};

fn bed(flavour: Flavour) -> TestServer {
    TestServer::start(flavour)
}

fn source(flavour: Flavour) -> TestServer {
    let source = bed(flavour);
    run(
        &mut source.session(),
        &[
            "CREATE DATABASE d",
            "USE d",
            "CREATE TABLE a (id INT PRIMARY KEY AUTO_INCREMENT, t TEXT, n INT, KEY (n), UNIQUE KEY (n, id), FULLTEXT KEY (t))",
            "CREATE TABLE nokey (t VARCHAR(200), b VARBINARY(200))",
            "CREATE TABLE myisam (t VARCHAR(200), n INT, KEY (n)) ENGINE=MyISAM",
            "CREATE TABLE child (id INT PRIMARY KEY, p INT, CONSTRAINT fk FOREIGN KEY (p) REFERENCES a (id))",
            "SET @n = 0",
            "INSERT INTO a (t, n) SELECT REPEAT('text ', 20), @n := @n + 1 FROM information_schema.COLUMNS LIMIT 400",
            "INSERT INTO nokey SELECT 'the same', X'000A095C' FROM a",
            "INSERT INTO myisam SELECT 'the same', 7 FROM a",
            "INSERT INTO child SELECT id, id FROM a",
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
    assert!(error.message.contains("unfinished restore"), "{error}");
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
