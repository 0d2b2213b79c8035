//! The consistent point when something stands in its way: it names it, and leaves nothing behind.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use backstay_bed::{TestServer, on_both, run, until, until_runs, until_waits};
use backstay_engine_api::{EngineError, ErrorKind, Server};
use backstay_mysql::{ConsistentPoint, Flavour, LockOptions, Session};

use crate::TestHost;

on_both!(
    a_prepared_transaction_is_named,
    a_prepared_transaction_that_goes_is_waited_for,
    a_long_query_is_named,
    readers_are_left_alone,
    no_deadlock_through_row_locks,
    an_idle_lock_holder_is_named,
    cancellation_leaves_nobody_waiting,
    a_failure_under_the_lock_lets_go,
);

fn take(host: &TestHost, server: &Server, lock_wait: Duration) -> Result<ConsistentPoint, EngineError> {
    let server = server.clone();
    host.job(move |job| {
        ConsistentPoint::take(
            job,
            &server,
            LockOptions {
                lock_wait,
                tables: None,
            },
            |_| Ok(()),
        )
        .map(|(point, ())| point)
    })
}

fn table(bed: &TestServer) {
    run(
        &mut bed.session(),
        &[
            "CREATE DATABASE shop",
            "CREATE TABLE shop.t (id INT PRIMARY KEY) ENGINE=InnoDB",
            "INSERT INTO shop.t VALUES (1)",
        ],
    );
}

/// A query that takes its time, with its table open; in a thread, until it is killed.
fn long_query(bed: &TestServer) -> (u64, thread::JoinHandle<()>) {
    let mut session = bed.session();
    let id = session.connection_id();
    let thread = thread::spawn(move || {
        let _ = session.run("SELECT /* report */ SLEEP(60) FROM shop.t");
    });
    until_runs(&mut bed.session(), "SELECT /* report */");
    (id, thread)
}

fn prepare(bed: &TestServer) -> Session {
    let mut session = bed.session();
    run(
        &mut session,
        &[
            "XA START 'order','7'",
            "INSERT INTO shop.t VALUES (2)",
            "XA END 'order','7'",
            "XA PREPARE 'order','7'",
        ],
    );
    session
}

fn a_prepared_transaction_is_named(flavour: Flavour) {
    let bed = TestServer::start(flavour);
    table(&bed);
    let mut holder = prepare(&bed);
    let host = TestHost::default();
    let error = take(&host, &bed.address(), Duration::from_secs(1)).unwrap_err();
    assert_eq!(error.kind, ErrorKind::Busy);
    assert_eq!(error.message, "prepared XA transactions did not end within 1 s: 1 left");
    assert_eq!(
        error.causes[0].to_lowercase().replace("xid ", ""),
        if flavour.is_mariadb() {
            "'order','7'"
        } else {
            "x'6f72646572',x'37',1"
        }
    );
    host.assert_all_released();
    bed.assert_free(&[holder.connection_id()]);
    // What the advice says works.
    let advice = error.advice.unwrap();
    let rollback = advice
        .split("or ")
        .find(|part| part.starts_with("XA ROLLBACK"))
        .unwrap();
    run(&mut holder, &[rollback.trim_end_matches([',', ' '])]);
    take(&host, &bed.address(), Duration::from_secs(5))
        .unwrap()
        .release()
        .unwrap();
}

fn a_prepared_transaction_that_goes_is_waited_for(flavour: Flavour) {
    let bed = TestServer::start(flavour);
    table(&bed);
    let mut holder = prepare(&bed);
    let mut watcher = bed.session();
    let committer = thread::spawn(move || {
        // It has looked twice, and so it waits; but not with the lock, which would hold up the commit.
        until("it looks again", || looks(&mut watcher) >= 2);
        run(&mut holder, &["XA COMMIT 'order','7'"]);
    });
    take(&TestHost::default(), &bed.address(), Duration::from_secs(60)).unwrap();
    committer.join().unwrap();
}

/// How often the server was asked for prepared transactions.
fn looks(session: &mut Session) -> u64 {
    let rows = session.query_named("SHOW GLOBAL STATUS LIKE 'Com_xa_recover'").unwrap();
    rows[0].get(&["Value"]).unwrap().parse().unwrap()
}

fn a_long_query_is_named(flavour: Flavour) {
    let bed = TestServer::start(flavour);
    table(&bed);
    // A SELECT holds up MySQL's global lock by its open table; MariaDB's it does not, so there it changes data.
    let (id, query) = if flavour.is_mariadb() {
        long_update(&bed)
    } else {
        long_query(&bed)
    };
    let host = TestHost::default();
    let lock = "`FLUSH TABLES WITH READ LOCK` did not get its lock within 2 s";
    let patience = "long queries, for which a global read lock would have to wait, did not end within 2 s";
    // The first time the query is young, so that the lock is tried; later MySQL's is not.
    for message in [lock, if flavour.is_mariadb() { lock } else { patience }] {
        let error = take(&host, &bed.address(), Duration::from_secs(2)).unwrap_err();
        assert!(!query.is_finished(), "it gave up only when the query had ended");
        assert_eq!((error.kind, error.message.as_str()), (ErrorKind::Busy, message));
        let named = &error.causes[0];
        assert!(
            named.starts_with(&format!("session {id} of root@localhost, for ")),
            "{error}"
        );
        assert!(
            named.contains("/* report */ SLEEP(60)") || named.contains("UPDATE shop.t"),
            "{error}"
        );
        assert!(
            error.advice.as_ref().unwrap().contains(&format!("KILL {id}")),
            "{error}"
        );
        host.assert_all_released();
        bed.assert_free(&[id]);
    }
    bed.session().kill(id).unwrap();
    query.join().unwrap();
    take(&host, &bed.address(), Duration::from_secs(5)).unwrap();
}

/// Readers of a table that a long query reads are not held up by a backup that waits for that query, nor after it gave up.
fn readers_are_left_alone(flavour: Flavour) {
    let bed = TestServer::start(flavour);
    table(&bed);
    let (id, query) = if flavour.is_mariadb() {
        long_update(&bed)
    } else {
        long_query(&bed)
    };
    // Not so young that the lock would be tried.
    let mut reader = bed.session();
    until("the query is 3 s old", || age(&mut reader, id) >= 3);
    run(&mut reader, &["SET SESSION lock_wait_timeout = 1"]);
    let (stop, reads) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
    let (stopped, read) = (Arc::clone(&stop), Arc::clone(&reads));
    let readers = thread::spawn(move || {
        while !stopped.load(Ordering::Relaxed) {
            // A SELECT and no DO, which would wait for the rows that the query changes on MariaDB.
            let rows: Option<u64> = reader.query_first("SELECT COUNT(*) FROM shop.t").unwrap();
            assert_eq!(rows, Some(1));
            read.fetch_add(1, Ordering::Relaxed);
        }
    });
    let error = take(&TestHost::default(), &bed.address(), Duration::from_secs(2)).unwrap_err();
    assert_eq!(error.kind, ErrorKind::Busy, "{error}");
    let before = reads.load(Ordering::Relaxed);
    until("reads go on", || {
        reads.load(Ordering::Relaxed) > before + 10 || readers.is_finished()
    });
    stop.store(true, Ordering::Relaxed);
    readers.join().unwrap();
    bed.session().kill(id).unwrap();
    query.join().unwrap();
}

/// How long a session has been at its statement, in seconds.
fn age(session: &mut Session, id: u64) -> u64 {
    let rows = session.query_named("SHOW FULL PROCESSLIST").unwrap();
    let own = rows.iter().find(|row| row.get(&["Id"]) == Some(&id.to_string()));
    own.unwrap().get(&["Time"]).unwrap().parse().unwrap()
}

/// A transaction has a row; another statement waits for the row, and our lock for that statement. What the transaction does
/// next must not wait for our lock for ever: no server sees such a deadlock.
fn no_deadlock_through_row_locks(flavour: Flavour) {
    let bed = TestServer::start(flavour);
    table(&bed);
    run(&mut bed.session(), &["INSERT INTO shop.t VALUES (100)"]);
    let mut first = bed.session();
    run(&mut first, &["BEGIN", "UPDATE shop.t SET id = 10 WHERE id = 1"]);
    let mut second = bed.session();
    let second = thread::spawn(move || run(&mut second, &["UPDATE shop.t SET id = 11 WHERE id = 1"]));
    until_runs(&mut bed.session(), "UPDATE shop.t SET id = 11");
    let address = bed.address();
    let taker = thread::spawn(move || take(&TestHost::default(), &address, Duration::from_secs(60)).map(|_| ()));
    until_waits(&mut bed.session(), "FLUSH TABLES WITH READ LOCK");
    run(&mut first, &["UPDATE shop.t SET id = 110 WHERE id = 100", "COMMIT"]);
    second.join().unwrap();
    taker.join().unwrap().unwrap_or_else(|error| panic!("{error}"));
}

fn long_update(bed: &TestServer) -> (u64, thread::JoinHandle<()>) {
    let mut session = bed.session();
    let id = session.connection_id();
    let thread = thread::spawn(move || {
        let _ = session.run("UPDATE shop.t SET id = id + SLEEP(60)");
    });
    until_runs(&mut bed.session(), "UPDATE shop.t");
    (id, thread)
}

/// LOCK TABLES … WRITE by a session that then does nothing.
fn an_idle_lock_holder_is_named(flavour: Flavour) {
    let bed = TestServer::start(flavour);
    table(&bed);
    let mut holder = bed.session();
    run(&mut holder, &["LOCK TABLES shop.t WRITE"]);
    let error = take(&TestHost::default(), &bed.address(), Duration::from_secs(1)).unwrap_err();
    assert_eq!(error.kind, ErrorKind::Busy, "{error}");
    if flavour.is_mariadb() {
        assert!(
            error
                .advice
                .as_ref()
                .unwrap()
                .contains("an idle session may hold LOCK TABLES"),
            "{error}"
        );
    } else {
        assert!(
            error.causes[0].starts_with(&format!("session {} of root@localhost", holder.connection_id())),
            "{error}"
        );
        assert!(error.causes[0].ends_with("(idle)"), "{error}");
    }
    run(&mut holder, &["UNLOCK TABLES"]);
    bed.assert_free(&[holder.connection_id()]);
}

fn cancellation_leaves_nobody_waiting(flavour: Flavour) {
    let bed = TestServer::start(flavour);
    table(&bed);
    let (id, query) = if flavour.is_mariadb() {
        long_update(&bed)
    } else {
        long_query(&bed)
    };
    let host = TestHost::default();
    let seen = host.clone();
    let mut watcher = bed.session();
    let canceller = thread::spawn(move || {
        until_waits(&mut watcher, "FLUSH TABLES WITH READ LOCK");
        seen.cancel();
    });
    let error = take(&host, &bed.address(), Duration::from_secs(60)).unwrap_err();
    assert_eq!(error.kind, ErrorKind::Cancelled, "{error}");
    assert!(!query.is_finished(), "it stopped only when the query had ended");
    host.assert_all_released();
    bed.assert_free(&[id]);
    canceller.join().unwrap();
    bed.session().kill(id).unwrap();
    query.join().unwrap();
}

fn a_failure_under_the_lock_lets_go(flavour: Flavour) {
    let bed = TestServer::start(flavour);
    table(&bed);
    let server = bed.address();
    let host = TestHost::default();
    let error = host
        .job(move |job| {
            ConsistentPoint::take(job, &server, LockOptions::default(), |_| {
                Err::<(), _>(EngineError::other("no snapshot"))
            })
            .map(|_| ())
        })
        .unwrap_err();
    assert_eq!(error.message, "no snapshot");
    host.assert_all_released();
    bed.assert_free(&[]);
}
