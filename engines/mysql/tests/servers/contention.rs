//! The consistent point when something stands in its way: it names it, and leaves nothing behind.

use std::sync::atomic::Ordering;
use std::thread;
use std::time::{Duration, Instant};

use backstay_engine_api::{EngineError, ErrorKind, Server};
use backstay_mysql::{ConsistentPoint, Flavour, LockOptions, Session};

use crate::bed::{Bed, run};
use crate::host::TestHost;
use crate::on_both;

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
        ConsistentPoint::take(job, &server, LockOptions { lock_wait }, |_| Ok(())).map(|(point, ())| point)
    })
}

fn table(bed: &Bed) {
    run(
        &mut bed.session(),
        &[
            "CREATE DATABASE shop",
            "CREATE TABLE shop.t (id INT PRIMARY KEY) ENGINE=InnoDB",
            "INSERT INTO shop.t VALUES (1)",
        ],
    );
}

/// That writers get on at once, and that nobody but `allowed` is on the server.
fn assert_free(bed: &Bed, allowed: &[u64]) {
    let mut session = bed.session();
    run(
        &mut session,
        &[
            "SET SESSION lock_wait_timeout = 1",
            "CREATE TABLE shop.new (id INT)",
            "DROP TABLE shop.new",
        ],
    );
    // A session that was killed takes a moment to be gone.
    let deadline = Instant::now() + Duration::from_secs(3);
    loop {
        let others: Vec<String> = session
            .query_named("SHOW FULL PROCESSLIST")
            .unwrap()
            .iter()
            .filter(|row| row.get(&["User"]) == Some("root"))
            .filter(|row| {
                let id = row.get(&["Id"]).unwrap().parse().unwrap();
                id != session.connection_id() && !allowed.contains(&id)
            })
            .map(|row| format!("{row:?}"))
            .collect();
        if others.is_empty() {
            return;
        }
        assert!(Instant::now() < deadline, "left on the server: {others:?}");
        thread::sleep(Duration::from_millis(50));
    }
}

/// A query that takes its time, with its table open; in a thread, until it is killed.
fn long_query(bed: &Bed) -> (u64, thread::JoinHandle<()>) {
    let mut session = bed.session();
    let id = session.connection_id();
    let thread = thread::spawn(move || {
        let _ = session.run("SELECT /* report */ SLEEP(60) FROM shop.t");
    });
    thread::sleep(Duration::from_millis(300));
    (id, thread)
}

fn prepare(bed: &Bed) -> Session {
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
    let bed = Bed::start(flavour);
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
    assert_free(&bed, &[holder.connection_id()]);
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
    let bed = Bed::start(flavour);
    table(&bed);
    let mut holder = prepare(&bed);
    let committer = thread::spawn(move || {
        thread::sleep(Duration::from_millis(700));
        run(&mut holder, &["XA COMMIT 'order','7'"]);
    });
    let started = Instant::now();
    let point = take(&TestHost::default(), &bed.address(), Duration::from_secs(20)).unwrap();
    assert!(
        started.elapsed() >= Duration::from_millis(600),
        "{:?}",
        started.elapsed()
    );
    assert!(
        point.lock_held() < Duration::from_millis(600),
        "{:?}",
        point.lock_held()
    );
    committer.join().unwrap();
}

fn a_long_query_is_named(flavour: Flavour) {
    let bed = Bed::start(flavour);
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
        let started = Instant::now();
        let error = take(&host, &bed.address(), Duration::from_secs(2)).unwrap_err();
        assert!(started.elapsed() < Duration::from_secs(4), "{:?}", started.elapsed());
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
        assert_free(&bed, &[id]);
    }
    bed.session().kill(id).unwrap();
    query.join().unwrap();
    take(&host, &bed.address(), Duration::from_secs(5)).unwrap();
}

/// Readers of a table that a long query reads are not held up by a backup that waits for that query, nor after it gave up.
fn readers_are_left_alone(flavour: Flavour) {
    let bed = Bed::start(flavour);
    table(&bed);
    let (id, query) = if flavour.is_mariadb() {
        long_update(&bed)
    } else {
        long_query(&bed)
    };
    thread::sleep(Duration::from_millis(2500));
    let mut reader = bed.session();
    run(&mut reader, &["SET SESSION lock_wait_timeout = 1"]);
    let stop = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
    let stopped = std::sync::Arc::clone(&stop);
    let readers = thread::spawn(move || {
        while !stopped.load(Ordering::Relaxed) {
            run(&mut reader, &["DO (SELECT COUNT(*) FROM shop.t)"]);
        }
    });
    let error = take(&TestHost::default(), &bed.address(), Duration::from_secs(2)).unwrap_err();
    assert_eq!(error.kind, ErrorKind::Busy, "{error}");
    thread::sleep(Duration::from_millis(500));
    stop.store(true, Ordering::Relaxed);
    readers.join().unwrap();
    bed.session().kill(id).unwrap();
    query.join().unwrap();
}

/// A transaction has a row; another statement waits for the row, and our lock for that statement. What the transaction does
/// next must not wait for our lock for ever: no server sees such a deadlock.
fn no_deadlock_through_row_locks(flavour: Flavour) {
    let bed = Bed::start(flavour);
    table(&bed);
    run(&mut bed.session(), &["INSERT INTO shop.t VALUES (100)"]);
    let mut first = bed.session();
    run(&mut first, &["BEGIN", "UPDATE shop.t SET id = 10 WHERE id = 1"]);
    let mut second = bed.session();
    let second = thread::spawn(move || run(&mut second, &["UPDATE shop.t SET id = 11 WHERE id = 1"]));
    let (address, started) = (bed.address(), Instant::now());
    let taker = thread::spawn(move || take(&TestHost::default(), &address, Duration::from_secs(60)).map(|_| ()));
    thread::sleep(Duration::from_secs(1));
    run(&mut first, &["UPDATE shop.t SET id = 110 WHERE id = 100", "COMMIT"]);
    second.join().unwrap();
    taker.join().unwrap().unwrap_or_else(|error| panic!("{error}"));
    assert!(started.elapsed() < Duration::from_secs(15), "{:?}", started.elapsed());
}

fn long_update(bed: &Bed) -> (u64, thread::JoinHandle<()>) {
    let mut session = bed.session();
    let id = session.connection_id();
    let thread = thread::spawn(move || {
        let _ = session.run("UPDATE shop.t SET id = id + SLEEP(60)");
    });
    thread::sleep(Duration::from_millis(300));
    (id, thread)
}

/// LOCK TABLES … WRITE by a session that then does nothing.
fn an_idle_lock_holder_is_named(flavour: Flavour) {
    let bed = Bed::start(flavour);
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
    assert_free(&bed, &[holder.connection_id()]);
}

fn cancellation_leaves_nobody_waiting(flavour: Flavour) {
    let bed = Bed::start(flavour);
    table(&bed);
    let (id, query) = if flavour.is_mariadb() {
        long_update(&bed)
    } else {
        long_query(&bed)
    };
    let host = TestHost::default();
    let cancel = std::sync::Arc::clone(&host.cancel);
    let canceller = thread::spawn(move || {
        thread::sleep(Duration::from_millis(500));
        cancel.store(true, Ordering::Relaxed);
    });
    let started = Instant::now();
    let error = take(&host, &bed.address(), Duration::from_secs(60)).unwrap_err();
    assert_eq!(error.kind, ErrorKind::Cancelled, "{error}");
    assert!(
        started.elapsed() < Duration::from_millis(1500),
        "{:?}",
        started.elapsed()
    );
    host.assert_all_released();
    assert_free(&bed, &[id]);
    canceller.join().unwrap();
    bed.session().kill(id).unwrap();
    query.join().unwrap();
}

fn a_failure_under_the_lock_lets_go(flavour: Flavour) {
    let bed = Bed::start(flavour);
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
    assert_free(&bed, &[]);
}
