//! The engine `mysqlshell`: tables are altered, made and dropped while a backup is taken, and it shows one point all the same.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use backstay_bed::{Flavour, TestServer};
use backstay_mysql::mysql;
use backstay_tests::backstay::Backstay;
use backstay_tests::bank::{self, Load};
use backstay_tests::compare::{contents, differences};
use backstay_tests::reference::{binlog_position, server_at};
use mysql::Conn;
use mysql::prelude::Queryable;

/// How many backups are taken on each server.
const ROUNDS: u32 = 2;

/// Changes definitions without end; what a backup keeps out is tried again.
fn alter(mut conn: Conn, stop: &AtomicBool, done: &AtomicU64) {
    conn.query_drop("SET SESSION lock_wait_timeout = 1").unwrap();
    for round in 0.. {
        for statement in [
            format!(
                "CREATE TABLE IF NOT EXISTS bank.passing{} (id INT PRIMARY KEY, v INT)",
                round % 5
            ),
            format!("INSERT IGNORE INTO bank.passing{} VALUES ({round}, 1)", round % 5),
            format!("ALTER TABLE bank.steady ADD COLUMN c{round} INT DEFAULT {round}"),
            format!("INSERT INTO bank.steady (id, c{round}) VALUES ({round}, 7)"),
            format!("ALTER TABLE bank.steady DROP COLUMN c{round}"),
            format!("DROP TABLE IF EXISTS bank.passing{}", (round + 3) % 5),
            "ALTER TABLE bank.transfer ENGINE = InnoDB".to_owned(),
        ] {
            if stop.load(Ordering::Relaxed) {
                return;
            }
            if conn.query_drop(statement).is_ok() {
                done.fetch_add(1, Ordering::Relaxed);
            }
            // The reference replays all of it, one after the other.
            thread::sleep(Duration::from_millis(200));
        }
    }
}

fn one_point_under_ddl(flavour: Flavour) {
    let source = TestServer::start(flavour);
    let mut conn = source.conn();
    bank::create(&mut conn);
    conn.query_drop("CREATE TABLE bank.steady (id INT PRIMARY KEY, v INT)")
        .unwrap();
    let load = Load::start(&source.opts(), 1, 9);
    let (stop, done) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
    let altering = {
        let (conn, stop, done) = (source.conn(), Arc::clone(&stop), Arc::clone(&done));
        thread::spawn(move || alter(conn, &stop, &done))
    };
    load.wait_for(50);
    let backstay = Backstay::new(&source.dir().join("backstay"), &[], &source.section("main"));
    for _ in 0..ROUNDS {
        let before = done.load(Ordering::Relaxed);
        let backup = [
            "backup",
            "--engine",
            "mysqlshell",
            "--json",
            "-o",
            "bytes_per_chunk=131072",
        ];
        let taken = backstay.run(&backup).ok().json();
        load.wait_for(20);
        let target = TestServer::start(flavour);
        backstay.run(&["restore", "--to-server", &target.url()]).ok();
        let (file, offset) = binlog_position(&taken["backup"]["positions"]);
        let reference = server_at(&source, &file, offset);
        let differing = differences(
            &contents(&mut target.conn(), &[]),
            &contents(&mut reference.conn(), &[]),
        );
        assert!(
            differing.is_empty(),
            "restored against reference:\n{}",
            differing.join("\n")
        );
        let (sum, expected) = bank::sums(&mut target.conn(), "bank");
        assert_eq!(sum, expected);
        assert!(
            done.load(Ordering::Relaxed) > before,
            "no definition was changed meanwhile"
        );
    }
    stop.store(true, Ordering::Relaxed);
    altering.join().unwrap();
    load.stop();
}

#[test]
fn one_point_while_tables_are_altered_on_mysql() {
    one_point_under_ddl(Flavour::MySql);
}

#[test]
fn one_point_while_tables_are_altered_on_mariadb() {
    one_point_under_ddl(Flavour::MariaDb);
}
