//! The consistent point of an account that may not lock everything.

use std::thread;
use std::time::{Duration, Instant};

use backstay_bed::{TestServer, on_both, refusing, run, until_runs, until_waits};
use backstay_engine_api::{EngineError, ErrorKind, Server};
use backstay_mysql::{ConsistentPoint, Flavour, LockOptions, Session, TableName, consistent};

use crate::TestHost;
use crate::consistent::{ACCOUNTS, Load, shop, transactions};

on_both!(
    locked_tables_are_one_point,
    tables_stay_as_they_are,
    changed_definitions_are_an_error,
    other_schemas_may_change,
    whoever_writes_is_named,
    the_global_lock_without_blocking_ddl,
    the_global_lock_refused_all_the_same,
);

/// What everybody needs who reads; LOCK TABLES, and seeing the position.
fn limited(bed: &TestServer, privileges: &str) -> Server {
    run(
        &mut bed.session(),
        &[
            "CREATE USER limited@localhost",
            "GRANT SELECT, SHOW VIEW, TRIGGER, EVENT, PROCESS ON *.* TO limited@localhost",
            &format!("GRANT {privileges} ON *.* TO limited@localhost"),
        ],
    );
    Server {
        user: Some("limited".to_owned()),
        ..bed.address()
    }
}

fn position_privilege(flavour: Flavour) -> &'static str {
    if flavour.is_mariadb() {
        "BINLOG MONITOR"
    } else {
        "REPLICATION CLIENT"
    }
}

fn tables() -> Vec<TableName> {
    ["account", "log"]
        .map(|name| TableName {
            schema: "shop".to_owned(),
            name: name.to_owned(),
        })
        .into()
}

fn take(host: &TestHost, server: &Server, lock_wait: Duration) -> Result<(ConsistentPoint, Vec<Session>), EngineError> {
    let server = server.clone();
    host.job(move |job| {
        let options = LockOptions {
            lock_wait,
            tables: Some(&|_| Ok(tables())),
        };
        ConsistentPoint::take(job, &server, options, |locking| {
            let mut snapshots = crate::consistent::open_snapshots(locking)?;
            for snapshot in &mut snapshots {
                consistent::hold(&tables()).try_for_each(|sql| snapshot.query_named(sql).map(drop))?;
            }
            Ok(snapshots)
        })
    })
}

fn codes(point: &ConsistentPoint) -> Vec<&str> {
    point.notices().iter().map(|notice| notice.code.as_str()).collect()
}

fn locked_tables_are_one_point(flavour: Flavour) {
    let bed = TestServer::start(flavour);
    shop(&bed);
    run(&mut bed.session(), &["CREATE TABLE shop.other (id INT PRIMARY KEY)"]);
    let server = limited(&bed, &format!("LOCK TABLES, {}", position_privilege(flavour)));
    let host = TestHost::default();
    let (before, _) = take(&host, &server, Duration::from_secs(60)).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(codes(&before), ["no-global-lock", "ddl-not-blocked"]);
    let base = transactions(&before.positions()[0]);
    before.release().unwrap();

    let load = Load::start(&bed.address(), 4);
    for _ in 0..20 {
        thread::sleep(Duration::from_millis(30));
        let (mut point, snapshots) = take(&host, &server, Duration::from_secs(60)).unwrap();
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
    }
    assert!(load.stop() > 100);
    host.assert_all_released();
}

fn tables_stay_as_they_are(flavour: Flavour) {
    let bed = TestServer::start(flavour);
    shop(&bed);
    let server = limited(&bed, "LOCK TABLES");
    let host = TestHost::default();
    let (point, snapshots) = take(&host, &server, Duration::from_secs(60)).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(codes(&point), ["no-global-lock", "ddl-not-blocked", "no-position"]);
    let grant = format!("GRANT {} ON *.* TO 'limited'@'localhost'", position_privilege(flavour));
    assert!(point.notices()[2].text.contains(&grant), "{:?}", point.notices());
    assert!(point.positions().is_empty());
    let mut session = bed.session();
    run(
        &mut session,
        &[
            "SET SESSION lock_wait_timeout = 1",
            "UPDATE shop.account SET balance = balance + 0 WHERE id = 1",
            "INSERT INTO shop.log () VALUES ()",
        ],
    );
    for ddl in [
        "ALTER TABLE shop.log ADD COLUMN c INT, FORCE",
        "DROP TABLE shop.account",
        "TRUNCATE shop.log",
    ] {
        let error = session.run(ddl).unwrap_err();
        assert_eq!(error.kind, ErrorKind::Busy, "{error}");
    }
    // Also with somebody who waits for it, those who took hold of a table read it.
    let mut waiting = bed.session();
    let waiter = thread::spawn(move || waiting.run("ALTER TABLE shop.log ADD COLUMN d INT, FORCE"));
    until_waits(&mut session, "ALTER TABLE shop.log");
    for mut snapshot in snapshots {
        let rows: Option<u64> = snapshot.query_first("SELECT COUNT(*) FROM shop.log").unwrap();
        assert_eq!(rows, Some(0));
    }
    point.release().unwrap();
    waiter.join().unwrap().unwrap();
    host.assert_all_released();
}

fn changed_definitions_are_an_error(flavour: Flavour) {
    let bed = TestServer::start(flavour);
    shop(&bed);
    let mut session = bed.session();
    run(
        &mut session,
        &[
            "CREATE VIEW shop.v AS SELECT id FROM shop.log",
            "CREATE PROCEDURE shop.p() SELECT 1",
            "CREATE EVENT shop.e ON SCHEDULE EVERY 1 DAY DO SELECT 1",
        ],
    );
    let server = limited(&bed, "LOCK TABLES");
    for (change, name) in [
        ("ALTER VIEW shop.v AS SELECT id + 1 FROM shop.log", "view shop.v"),
        ("DROP PROCEDURE shop.p", "routine shop.p PROCEDURE"),
        ("ALTER EVENT shop.e DO SELECT 2", "event shop.e"),
        ("CREATE TABLE shop.later (id INT)", "table shop.later"),
    ] {
        let (mut point, _) = take(&TestHost::default(), &server, Duration::from_secs(60)).unwrap();
        point.check_alive().unwrap();
        run(&mut session, &[change]);
        let error = point.release().unwrap_err();
        assert!(error.message.ends_with(&format!(": {name}")), "{error}");
    }
}

/// What is made and dropped in a schema that is not in the backup is none of its concern.
fn other_schemas_may_change(flavour: Flavour) {
    let bed = TestServer::start(flavour);
    shop(&bed);
    let mut session = bed.session();
    run(
        &mut session,
        &["CREATE DATABASE etl", "CREATE TABLE etl.tmp_1 (id INT)"],
    );
    let server = limited(&bed, "LOCK TABLES");
    let (mut point, _) = take(&TestHost::default(), &server, Duration::from_secs(60)).unwrap();
    // A schema that is made meanwhile would be in the backup.
    point.compare_only(|schema| schema != "etl");
    run(
        &mut session,
        &[
            "DROP TABLE etl.tmp_1",
            "CREATE TABLE etl.tmp_2 (id INT)",
            "CREATE VIEW etl.v AS SELECT 1 AS a",
        ],
    );
    point.check_alive().unwrap();
    run(
        &mut session,
        &["CREATE DATABASE later", "CREATE TABLE later.t (id INT)"],
    );
    let error = point.check_alive().unwrap_err();
    assert_eq!(error.kind, ErrorKind::Busy, "{error}");
    assert!(error.message.ends_with(": table later.t"), "{error}");
    run(&mut session, &["DROP DATABASE later"]);
    point.release().unwrap();
}

fn whoever_writes_is_named(flavour: Flavour) {
    let bed = TestServer::start(flavour);
    shop(&bed);
    let server = limited(&bed, "LOCK TABLES");
    let mut writer = bed.session();
    run(&mut writer, &["BEGIN", "INSERT INTO shop.log () VALUES ()"]);
    let host = TestHost::default();
    let begin = Instant::now();
    let error = take(&host, &server, Duration::from_secs(3)).map(|_| ()).unwrap_err();
    assert!(begin.elapsed() < Duration::from_secs(20), "{:?}", begin.elapsed());
    assert_eq!(error.kind, ErrorKind::Busy, "{error}");
    assert!(
        error.message.starts_with("`LOCK TABLES `shop`.`account` READ"),
        "{error}"
    );
    if !flavour.is_mariadb() {
        let session = format!("session {} of root@localhost", writer.connection_id());
        assert!(error.causes.iter().any(|cause| cause.starts_with(&session)), "{error}");
    }
    // Nobody is left waiting.
    host.assert_all_released();
    run(&mut writer, &["INSERT INTO shop.log () VALUES ()", "COMMIT"]);
    take(&host, &server, Duration::from_secs(60))
        .unwrap()
        .0
        .release()
        .unwrap();

    run(
        &mut bed.session(),
        &["REVOKE LOCK TABLES ON *.* FROM limited@localhost"],
    );
    let error = take(&host, &server, Duration::from_secs(60)).map(|_| ()).unwrap_err();
    assert_eq!(error.kind, ErrorKind::Privilege, "{error}");
    let advice = error.advice.unwrap_or_default();
    assert!(
        advice.contains("LOCK TABLES") && advice.contains("GRANT RELOAD ON *.*"),
        "{advice}"
    );
}

/// While a point is held.
fn rows_may_come_and_columns_not(bed: &TestServer) {
    let mut session = bed.session();
    run(
        &mut session,
        &["SET SESSION lock_wait_timeout = 1", "INSERT INTO shop.log () VALUES ()"],
    );
    let error = session.run("ALTER TABLE shop.log ADD COLUMN c INT, FORCE").unwrap_err();
    assert_eq!(error.kind, ErrorKind::Busy, "{error}");
}

/// MySQL has privileges of their own for the two; MariaDB's RELOAD is enough for both.
fn the_global_lock_without_blocking_ddl(flavour: Flavour) {
    let bed = TestServer::start(flavour);
    shop(&bed);
    let privileges = format!("RELOAD, {}", position_privilege(flavour));
    let server = limited(&bed, &privileges);
    let (point, _) =
        take(&TestHost::default(), &server, Duration::from_secs(60)).unwrap_or_else(|error| panic!("{error}"));
    let expected: &[&str] = if flavour.is_mariadb() {
        &[]
    } else {
        &["ddl-not-blocked", "prepared-not-seen"]
    };
    assert_eq!(codes(&point), expected);
    assert_eq!(point.positions().len(), 2);
    rows_may_come_and_columns_not(&bed);
    point.release().unwrap();
}

/// As managed services do, to an account that has every privilege.
fn the_global_lock_refused_all_the_same(flavour: Flavour) {
    let bed = TestServer::start(flavour);
    shop(&bed);
    run(&mut bed.session(), &["CREATE PROCEDURE mysql.rds_kill(id INT) KILL id"]);
    // Nobody waits for it, as they would before a global read lock on MySQL.
    let mut reader = bed.session();
    let reading = reader.connection_id();
    let reads = thread::spawn(move || reader.run("SELECT SLEEP(300) FROM shop.account"));
    until_runs(&mut bed.session(), "SELECT SLEEP(300)");
    thread::sleep(Duration::from_secs(3));

    let server = refusing(&bed, &["FLUSH TABLES WITH READ LOCK", "BACKUP STAGE"]);
    let host = TestHost::default();
    let begin = Instant::now();
    let (point, snapshots) = take(&host, &server, Duration::from_secs(60)).unwrap_or_else(|error| panic!("{error}"));
    assert!(begin.elapsed() < Duration::from_secs(20), "{:?}", begin.elapsed());
    run(&mut bed.session(), &[&format!("KILL {reading}")]);
    assert!(reads.join().unwrap().is_err());
    assert_eq!(codes(&point), ["no-global-lock"]);
    let text = &point.notices()[0].text;
    assert!(
        text.contains("as managed services do") && !text.contains("GRANT"),
        "{text}"
    );
    assert_eq!(point.positions().len(), 2);
    assert_eq!(snapshots.len(), 3);
    rows_may_come_and_columns_not(&bed);
    point.release().unwrap();
    host.assert_all_released();

    // Whoever can not say which tables it will read is told what to do.
    let server = refusing(&bed, &["FLUSH TABLES WITH READ LOCK"]);
    let error = host
        .job(move |job| ConsistentPoint::take(job, &server, LockOptions::default(), |_| Ok(())))
        .map(|_| ())
        .unwrap_err();
    assert_eq!(error.kind, ErrorKind::Privilege, "{error}");
    assert!(error.advice.unwrap_or_default().contains("the engine `mysqlshell`"));
    host.assert_all_released();
}
