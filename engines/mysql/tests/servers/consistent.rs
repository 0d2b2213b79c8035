//! The consistent point under a running write load, and what is blocked while it is held.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use backstay_bed::{TestServer, on_both, run};
use backstay_engine_api::position::TypedPosition;
use backstay_engine_api::{EngineError, ErrorKind, Position, Server};
use backstay_mysql::{ConsistentPoint, Flavour, LockOptions, Session};

use crate::TestHost;

on_both!(
    snapshots_and_position_are_one_point,
    what_is_blocked_while_it_is_held,
    without_a_binary_log,
    privileges_first
);

pub(crate) const ACCOUNTS: i64 = 100;

/// Threads that move money between accounts until they are told to stop; each transaction also leaves a row in `log`.
pub(crate) struct Load {
    stop: Arc<AtomicBool>,
    threads: Vec<JoinHandle<u64>>,
}

impl Load {
    pub(crate) fn start(server: &Server, threads: u64) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let work = |number: u64| {
            let (stop, mut session) = (Arc::clone(&stop), Session::connect(server).unwrap());
            thread::spawn(move || {
                let mut done = 0;
                while !stop.load(Ordering::Relaxed) {
                    let (a, b) = ((done * 7 + number) % 50, 50 + (done * 3 + number) % 50);
                    run(
                        &mut session,
                        &[
                            "BEGIN",
                            &format!("UPDATE shop.account SET balance = balance - 5 WHERE id = {a}"),
                            &format!("UPDATE shop.account SET balance = balance + 5 WHERE id = {b}"),
                            "INSERT INTO shop.log () VALUES ()",
                            "COMMIT",
                        ],
                    );
                    done += 1;
                }
                done
            })
        };
        let threads = (0..threads).map(work).collect();
        Self { stop, threads }
    }

    pub(crate) fn stop(self) -> u64 {
        self.stop.store(true, Ordering::Relaxed);
        self.threads.into_iter().map(|thread| thread.join().unwrap()).sum()
    }
}

pub(crate) fn shop(bed: &TestServer) {
    let mut session = bed.session();
    run(
        &mut session,
        &[
            "CREATE DATABASE shop",
            "CREATE TABLE shop.account (id INT PRIMARY KEY, balance BIGINT) ENGINE=InnoDB",
            "CREATE TABLE shop.log (id INT AUTO_INCREMENT PRIMARY KEY) ENGINE=InnoDB",
        ],
    );
    let rows: Vec<String> = (0..ACCOUNTS).map(|id| format!("({id}, 1000)")).collect();
    run(
        &mut session,
        &[&format!("INSERT INTO shop.account VALUES {}", rows.join(", "))],
    );
}

/// How many transactions a position counts, on a server that only this test writes to.
pub(crate) fn transactions(position: &Position) -> u64 {
    match position.typed().unwrap() {
        TypedPosition::MysqlGtid(set) => u64::try_from(set.count()).unwrap(),
        TypedPosition::MariadbGtid(position) => position.get(0).map_or(0, |gtid| gtid.sequence),
        other => panic!("{other:?}"),
    }
}

pub(crate) fn open_snapshots(locking: &mut Session) -> Result<Vec<Session>, EngineError> {
    let mut sessions = Vec::new();
    for _ in 0..3 {
        let mut session = locking.another()?;
        session.run("SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ")?;
        session.run("START TRANSACTION WITH CONSISTENT SNAPSHOT")?;
        sessions.push(session);
    }
    Ok(sessions)
}

fn snapshots_and_position_are_one_point(flavour: Flavour) {
    let bed = TestServer::start(flavour);
    shop(&bed);
    let mut session = bed.session();
    let before = {
        let server = bed.address();
        TestHost::default()
            .job(move |job| {
                ConsistentPoint::take(job, &server, LockOptions::default(), |_| Ok(())).map(|(point, ())| point)
            })
            .unwrap()
    };
    let base = transactions(&before.positions()[0]);
    before.release().unwrap();

    let load = Load::start(&bed.address(), 4);
    for _ in 0..20 {
        thread::sleep(Duration::from_millis(30));
        let server = bed.address();
        let host = TestHost::default();
        let (mut point, snapshots) = host
            .job(move |job| ConsistentPoint::take(job, &server, LockOptions::default(), open_snapshots))
            .unwrap_or_else(|error| panic!("{error}"));
        let kinds: Vec<&str> = point
            .positions()
            .iter()
            .map(|position| position.kind.as_str())
            .collect();
        assert_eq!(
            kinds,
            [
                if flavour.is_mariadb() {
                    "mariadb-gtid"
                } else {
                    "mysql-gtid"
                },
                "binlog-file"
            ]
        );
        assert!(
            point
                .positions()
                .iter()
                .all(|position| position.point_in_time().unwrap().is_some())
        );
        assert!(point.lock_held() < Duration::from_secs(5));
        assert!(point.notices().is_empty(), "{:?}", point.notices());
        for mut snapshot in snapshots {
            let (sum, rows): (i64, u64) = snapshot
                .query_first("SELECT (SELECT SUM(balance) FROM shop.account), (SELECT COUNT(*) FROM shop.log)")
                .unwrap()
                .unwrap();
            assert_eq!(sum, ACCOUNTS * 1000);
            assert_eq!(
                base + rows,
                transactions(&point.positions()[0]),
                "the snapshot is not at the position"
            );
        }
        point.check_alive().unwrap();
        point.release().unwrap();
        host.assert_all_released();
    }
    let done = load.stop();
    let rows: Option<u64> = session.query_first("SELECT COUNT(*) FROM shop.log").unwrap();
    assert_eq!(rows, Some(done));
    assert!(done > 100, "the load did hardly anything: {done}");
}

fn what_is_blocked_while_it_is_held(flavour: Flavour) {
    let bed = TestServer::start(flavour);
    shop(&bed);
    let mut session = bed.session();
    run(
        &mut session,
        &[
            "CREATE TABLE shop.old (id INT) ENGINE=MyISAM",
            "SET SESSION lock_wait_timeout = 1",
        ],
    );
    let server = bed.address();
    let host = TestHost::default();
    let take = || {
        let server = server.clone();
        host.job(move |job| ConsistentPoint::take(job, &server, LockOptions::default(), |_| Ok(())))
            .unwrap()
            .0
    };
    let mut point = take();
    let notice = &point.notices()[0];
    assert_eq!(notice.code, "non-transactional-tables");
    assert!(notice.text.contains("(shop.old)"), "{}", notice.text);
    // Commits go on, DDL does not; nor do writers without transactions on MariaDB.
    run(
        &mut session,
        &[
            "UPDATE shop.account SET balance = balance + 0 WHERE id = 1",
            "INSERT INTO shop.log () VALUES ()",
        ],
    );
    let blocked = session.run("ALTER TABLE shop.log ADD COLUMN c INT, FORCE").unwrap_err();
    assert_eq!(blocked.kind, ErrorKind::Busy, "{blocked}");
    let old = session.run("INSERT INTO shop.old VALUES (1)");
    assert_eq!(old.is_err(), flavour.is_mariadb(), "{old:?}");
    point.check_alive().unwrap();
    // A drop lets go as a release does.
    drop(point);
    run(
        &mut session,
        &[
            "ALTER TABLE shop.log ADD COLUMN c INT, FORCE",
            "INSERT INTO shop.old VALUES (1)",
        ],
    );

    // A session that is lost is noticed.
    point = take();
    let ids = host.still_guarded();
    assert_eq!(ids.len(), 1, "{ids:?}");
    // The id, and after it when the server was started.
    let id = ids[0].split('@').next().unwrap();
    session.kill(id.parse().unwrap()).unwrap();
    let error = point.check_alive().unwrap_err();
    assert_eq!(error.kind, ErrorKind::Connection);
    assert!(
        error.message.contains("which kept tables from being altered"),
        "{error}"
    );
    assert!(point.release().is_err());
    host.assert_all_released();
}

/// MariaDB's stages take tables of Aria for transactional, so that writers to them go on: no snapshot holds these, and a notice says so.
#[test]
fn tables_of_aria_are_not_held() {
    let bed = TestServer::start(Flavour::MariaDb);
    let mut session = bed.session();
    run(
        &mut session,
        &[
            "CREATE DATABASE shop",
            "CREATE TABLE shop.old (id INT) ENGINE=MyISAM",
            "CREATE TABLE shop.a (id INT) ENGINE=Aria",
            "CREATE TABLE shop.history (id INT) ENGINE=Aria WITH SYSTEM VERSIONING",
            "SET SESSION lock_wait_timeout = 1",
        ],
    );
    let server = bed.address();
    let host = TestHost::default();
    let (point, ()) = host
        .job(move |job| ConsistentPoint::take(job, &server, LockOptions::default(), |_| Ok(())))
        .unwrap();
    let texts: Vec<&str> = point.notices().iter().map(|notice| notice.text.as_str()).collect();
    assert_eq!(texts.len(), 2, "{texts:?}");
    assert!(
        texts[0].contains("(shop.old): whoever writes to them waits"),
        "{texts:?}"
    );
    assert!(
        texts[1].contains("(shop.a, shop.history): no snapshot holds them"),
        "{texts:?}"
    );
    assert!(session.run("INSERT INTO shop.old VALUES (1)").is_err());
    run(&mut session, &["INSERT INTO shop.a VALUES (1)"]);
    point.release().unwrap();
    host.assert_all_released();
}

fn without_a_binary_log(flavour: Flavour) {
    let bed = TestServer::start_with(flavour, &["--skip-log-bin"]);
    let server = bed.address();
    let (point, ()) = TestHost::default()
        .job(move |job| ConsistentPoint::take(job, &server, LockOptions::default(), |_| Ok(())))
        .unwrap();
    assert!(point.positions().is_empty(), "{:?}", point.positions());
}

/// Each privilege that is missing is named with its GRANT; with all of them it works.
fn privileges_first(flavour: Flavour) {
    let bed = TestServer::start(flavour);
    let mut root = bed.session();
    run(&mut root, &["CREATE USER few@localhost"]);
    let needed: &[&str] = if flavour.is_mariadb() {
        &["BINLOG MONITOR", "RELOAD"]
    } else {
        &["REPLICATION CLIENT", "XA_RECOVER_ADMIN", "BACKUP_ADMIN", "RELOAD"]
    };
    for privilege in needed {
        let grant = format!("GRANT {privilege} ON *.* TO 'few'@'localhost'");
        let server = Server {
            user: Some("few".to_owned()),
            ..bed.address()
        };
        let error = TestHost::default()
            .job(move |job| ConsistentPoint::take(job, &server, LockOptions::default(), |_| Ok(())).map(|_| ()))
            .unwrap_err();
        assert_eq!(error.kind, ErrorKind::Privilege, "{error}");
        assert_eq!(error.advice, Some(format!("run: {grant}")), "{error}");
        run(&mut root, &[&grant]);
    }
    let server = Server {
        user: Some("few".to_owned()),
        ..bed.address()
    };
    TestHost::default()
        .job(move |job| ConsistentPoint::take(job, &server, LockOptions::default(), |_| Ok(())))
        .unwrap()
        .0
        .release()
        .unwrap();
}
