//! A backup under a running write load shows exactly its position.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use backstay_bed::{on_both, run};
use backstay_engine_api::position::TypedPosition;
use backstay_mysql::{Flavour, Session};
use serde_json::json;

use crate::{TestHost, target};

on_both!(the_dump_is_the_position);

/// Every transaction writes one row to each of three tables that are dumped far apart, and is one GTID: the rows in each
/// must be as many as the GTIDs in the position since the load began.
fn the_dump_is_the_position(flavour: Flavour) {
    let source = target(flavour);
    let mut session = source.session();
    run(
        &mut session,
        &[
            "CREATE DATABASE d",
            "CREATE TABLE d.a (id INT PRIMARY KEY AUTO_INCREMENT) ENGINE = InnoDB",
            "CREATE TABLE d.m (id INT PRIMARY KEY AUTO_INCREMENT, filler VARCHAR(1000)) ENGINE = InnoDB",
            "CREATE TABLE d.z (id INT PRIMARY KEY AUTO_INCREMENT) ENGINE = InnoDB",
            "CREATE TABLE d.pause (id INT PRIMARY KEY AUTO_INCREMENT, filler VARCHAR(4000)) ENGINE = InnoDB",
            "INSERT INTO d.pause (filler) VALUES (REPEAT('x', 4000))",
        ],
    );
    for _ in 0..12 {
        run(
            &mut session,
            &["INSERT INTO d.pause (filler) SELECT filler FROM d.pause"],
        );
    }
    for round in 0..4 {
        let before = transactions(&mut session);
        let stop = Arc::new(AtomicBool::new(false));
        let threads: Vec<_> = (0..3)
            .map(|_| {
                let (stop, mut session) = (Arc::clone(&stop), source.session());
                thread::spawn(move || {
                    while !stop.load(Ordering::Relaxed) {
                        run(
                            &mut session,
                            &[
                                "BEGIN",
                                "INSERT INTO d.a () VALUES ()",
                                "INSERT INTO d.m (filler) VALUES (REPEAT('y', 500))",
                                "INSERT INTO d.z () VALUES ()",
                                "COMMIT",
                            ],
                        );
                    }
                })
            })
            .collect();
        thread::sleep(Duration::from_millis(200));
        let host = TestHost::new();
        let usable = host.backup(source.address(), json!({})).unwrap();
        let at_end = transactions(&mut source.session());
        stop.store(true, Ordering::Relaxed);
        threads.into_iter().for_each(|thread| thread.join().unwrap());
        assert!(
            host.guarded().len() >= 2,
            "the lock's session and the dump's are guarded"
        );

        let target = target(flavour);
        host.restore_all(target.address(), json!({})).unwrap();
        let at = count(&usable.positions[0].typed().unwrap());
        let rows: Vec<u64> = ["a", "m", "z"]
            .map(|table| {
                target
                    .session()
                    .query_first(format!("SELECT COUNT(*) FROM d.{table}"))
                    .unwrap()
                    .unwrap()
            })
            .into();
        assert_eq!(
            rows,
            [at - before; 3],
            "round {round}: GTIDs before the load {before}, in the position {at}, at the end {at_end}"
        );
        assert!(at_end > at, "writers went on during the dump");
        run(&mut session, &["TRUNCATE d.a", "TRUNCATE d.m", "TRUNCATE d.z"]);
    }
}

fn transactions(session: &mut Session) -> u64 {
    let sql = if session.flavour().is_mariadb() {
        "SELECT @@gtid_binlog_pos"
    } else {
        "SELECT @@gtid_executed"
    };
    let text: String = session.query_first(sql).unwrap().unwrap();
    let last = text.rsplit(['-', ':']).next().unwrap();
    last.trim().parse().unwrap()
}

fn count(position: &TypedPosition) -> u64 {
    let text = match position {
        TypedPosition::MysqlGtid(set) => set.to_string(),
        TypedPosition::MariadbGtid(position) => position.to_string(),
        other => panic!("{other:?}"),
    };
    text.rsplit(['-', ':']).next().unwrap().parse().unwrap()
}
