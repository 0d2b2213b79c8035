//! A backup by an account that may neither take the global read lock nor block DDL, while others write.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use backstay_bed::{TestServer, on_both, run};
use backstay_engine_api::{ErrorKind, Server};
use backstay_mysql::Flavour;
use serde_json::json;

use crate::TestHost;

on_both!(
    one_point_without_the_global_lock,
    nothing_is_left_of_a_cancelled_backup,
    routines_that_are_not_seen,
    another_schema_changes_meanwhile,
);

/// Each transaction writes a row to each of two tables: a dump of one moment has as many of the one as of the other.
fn one_point_without_the_global_lock(flavour: Flavour) {
    let bed = TestServer::start(flavour);
    let replication = if flavour.is_mariadb() {
        "BINLOG MONITOR, SLAVE MONITOR"
    } else {
        "REPLICATION CLIENT"
    };
    run(
        &mut bed.session(),
        &[
            "CREATE DATABASE d",
            "CREATE TABLE d.a (id INT PRIMARY KEY AUTO_INCREMENT)",
            "CREATE TABLE d.z (id INT PRIMARY KEY AUTO_INCREMENT)",
            "CREATE USER limited@localhost",
            "GRANT SELECT, SHOW VIEW, TRIGGER, EVENT, SHOW DATABASES, LOCK TABLES ON *.* TO limited@localhost",
            &format!("GRANT {replication} ON *.* TO limited@localhost"),
        ],
    );
    let stop = Arc::new(AtomicBool::new(false));
    let writers: Vec<_> = (0..3)
        .map(|_| {
            let (stop, mut session) = (Arc::clone(&stop), bed.session());
            thread::spawn(move || {
                while !stop.load(Ordering::Relaxed) {
                    run(
                        &mut session,
                        &[
                            "BEGIN",
                            "INSERT INTO d.a () VALUES ()",
                            "INSERT INTO d.z () VALUES ()",
                            "COMMIT",
                        ],
                    );
                }
            })
        })
        .collect();
    let server = Server {
        user: Some("limited".to_owned()),
        ..bed.address()
    };
    let mut counts = Vec::new();
    for _ in 0..5 {
        let host = TestHost::new();
        let options = json!({"accounts": false, "compression": "none"});
        let usable = host
            .backup(server.clone(), options)
            .unwrap_or_else(|error| panic!("{error}"));
        let codes: Vec<&str> = usable.notices.iter().map(|notice| notice.code.as_str()).collect();
        assert!(
            codes.contains(&"no-global-lock") && codes.contains(&"ddl-not-blocked"),
            "{codes:?}"
        );
        assert_eq!(usable.positions.len(), 2);
        let rows = ["d@a@@0.tsv", "d@z@@0.tsv"].map(|name| host.text(name).lines().count());
        assert_eq!(rows[0], rows[1]);
        counts.push(rows[0]);
    }
    stop.store(true, Ordering::Relaxed);
    writers.into_iter().for_each(|writer| writer.join().unwrap());
    assert!(
        counts.is_sorted() && counts[4] > counts[0],
        "writers went on: {counts:?}"
    );
}

fn nothing_is_left_of_a_cancelled_backup(flavour: Flavour) {
    let bed = TestServer::start(flavour);
    let mut session = bed.session();
    run(
        &mut session,
        &[
            "CREATE DATABASE d",
            "CREATE TABLE d.a (id INT PRIMARY KEY, filler LONGBLOB)",
            "INSERT INTO d.a VALUES (1, REPEAT('x', 3000000)), (2, REPEAT('x', 3000000)), (3, REPEAT('x', 3000000))",
        ],
    );
    // After so many objects, in the middle of definitions or of rows.
    for objects in 1..8 {
        let host = TestHost::new();
        host.cancel_after_objects(objects);
        let error = host.backup(bed.address(), json!({"accounts": false})).unwrap_err();
        assert_eq!(error.kind, ErrorKind::Cancelled, "{error}");
        assert!(!host.left_over().contains(&"@.done.json".to_owned()));
        run(
            &mut session,
            &["SET SESSION lock_wait_timeout = 5", "ALTER TABLE d.a FORCE"],
        );
    }
}

/// Tables come and go in a schema that is not in the backup, which this account can not block.
fn another_schema_changes_meanwhile(flavour: Flavour) {
    let bed = TestServer::start(flavour);
    let replication = match flavour.is_mariadb() {
        true => "BINLOG MONITOR, SLAVE MONITOR",
        false => "REPLICATION CLIENT",
    };
    run(
        &mut bed.session(),
        &[
            "CREATE DATABASE etl",
            "CREATE DATABASE shop",
            "CREATE TABLE shop.t (id INT PRIMARY KEY)",
            "INSERT INTO shop.t VALUES (1)",
            "CREATE USER limited@localhost",
            "GRANT SELECT, SHOW VIEW, TRIGGER, EVENT, SHOW DATABASES, LOCK TABLES ON *.* TO limited@localhost",
            &format!("GRANT {replication} ON *.* TO limited@localhost"),
        ],
    );
    let stop = Arc::new(AtomicBool::new(false));
    let changing = {
        let (stop, mut session) = (Arc::clone(&stop), bed.session());
        thread::spawn(move || {
            // There is always one, and soon another.
            for number in 1.. {
                let make = format!("CREATE TABLE etl.tmp_{number} (id INT)");
                let drop = format!("DROP TABLE IF EXISTS etl.tmp_{}", number - 1);
                run(&mut session, &[&make, &drop]);
                if stop.load(Ordering::Relaxed) {
                    break;
                }
            }
        })
    };
    let server = Server {
        user: Some("limited".to_owned()),
        ..bed.address()
    };
    let host = TestHost::new();
    let options = json!({"accounts": false, "include_schemas": ["shop"], "compression": "none"});
    let taken = host.backup(server, options);
    stop.store(true, Ordering::Relaxed);
    changing.join().unwrap();
    let usable = taken.unwrap_or_else(|error| panic!("{error}"));
    assert!(usable.notices.iter().any(|notice| notice.code == "ddl-not-blocked"));
    assert_eq!(host.text("shop@t@@0.tsv"), "1\n");
}

/// Who sees a schema's tables need not see its routines: MySQL shows another's to those who may read everything, MariaDB to those
/// who may read its catalogue.
fn routines_that_are_not_seen(flavour: Flavour) {
    let bed = TestServer::start(flavour);
    let mut session = bed.session();
    let admin = match flavour.is_mariadb() {
        true => "RELOAD, SHOW DATABASES, BINLOG MONITOR, SLAVE MONITOR, CONNECTION ADMIN",
        false => "RELOAD, SHOW DATABASES, REPLICATION CLIENT, BACKUP_ADMIN, XA_RECOVER_ADMIN",
    };
    run(
        &mut session,
        &[
            "CREATE DATABASE shop",
            "CREATE PROCEDURE shop.p() SELECT 1",
            "CREATE USER limited@localhost",
            &format!("GRANT {admin} ON *.* TO limited@localhost"),
            "GRANT SELECT, SHOW VIEW, TRIGGER, EVENT, LOCK TABLES ON shop.* TO limited@localhost",
        ],
    );
    let server = Server {
        user: Some("limited".to_owned()),
        ..bed.address()
    };
    let backup = |accounts: bool| {
        let host = TestHost::new();
        let options = json!({"accounts": accounts, "include_schemas": ["shop"], "compression": "none"});
        host.backup(server.clone(), options).map(|_| host.text("shop.sql"))
    };
    let grants = match flavour.is_mariadb() {
        true => vec![("SELECT", "GRANT SELECT ON mysql.* TO limited@localhost")],
        false => vec![
            ("SELECT", "GRANT SELECT ON mysql.* TO limited@localhost"),
            ("SHOW_ROUTINE", "GRANT SHOW_ROUTINE ON *.* TO limited@localhost"),
        ],
    };
    for (privilege, grant) in grants {
        let error = backup(true).unwrap_err();
        assert_eq!(error.kind, ErrorKind::Privilege, "{error}");
        let advice = error.advice.unwrap();
        assert!(advice.contains(&format!("GRANT {privilege} ON")), "{advice}");
        run(&mut session, &[grant]);
    }
    let text = backup(true).unwrap_or_else(|error| panic!("{error}"));
    assert!(text.contains("PROCEDURE `p`"), "{text}");
}
