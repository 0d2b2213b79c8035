//! The engine `mysqlshell`: each type at its limits, and tables drawn at random, come back to the last bit.

use backstay_bed::{Flavour, TestServer};
use backstay_mysql::mysql;
use backstay_tests::backstay::Backstay;
use backstay_tests::compare::{checksums, contents, differences, rows};
use backstay_tests::{random_tables, zoo};
use mysql::prelude::Queryable;

/// Room for a value of 64 MiB, with its escapes.
const ROOM: &str = "--max-allowed-packet=256M";

/// Backs up with small chunks, so that small tables have several, and restores to an empty server.
fn through(source: &TestServer, threads: &str) -> TestServer {
    let backstay = Backstay::new(&source.dir().join("backstay"), &[], &source.section("main"));
    let backup = [
        "backup",
        "--engine",
        "mysqlshell",
        "-o",
        "bytes_per_chunk=131072",
        "--threads",
        threads,
    ];
    backstay.run(&backup).ok();
    backstay.run(&["verify"]).ok();
    let target = TestServer::start_with(source.flavour, &[ROOM]);
    let url = target.url();
    backstay
        .run(&["restore", "--to-server", &url, "--threads", threads])
        .ok();
    target
}

#[track_caller]
fn same(source: &TestServer, target: &TestServer, schema: &str) {
    let (left, right) = (&mut target.conn(), &mut source.conn());
    let differing = differences(&contents(left, &[schema]), &contents(right, &[schema]));
    assert!(
        differing.is_empty(),
        "restored against source:\n{}",
        differing.join("\n")
    );
    let differing = differences(&checksums(left, schema), &checksums(right, schema));
    assert!(differing.is_empty(), "CHECKSUM TABLE:\n{}", differing.join("\n"));
}

fn each_type(flavour: Flavour) {
    let source = TestServer::start_with(flavour, &[ROOM]);
    zoo::create(&mut source.conn(), flavour);
    zoo::add_large_values(&mut source.conn());
    let target = through(&source, "3");
    assert!(rows(&mut target.conn(), "zoo", "large").starts_with("4 rows"));
    same(&source, &target, "zoo");
}

#[test]
fn each_type_at_its_limits_on_mysql() {
    each_type(Flavour::MySql);
}

#[test]
fn each_type_at_its_limits_on_mariadb() {
    each_type(Flavour::MariaDb);
}

#[test]
fn the_history_of_rows_comes_back() {
    let source = TestServer::start(Flavour::MariaDb);
    zoo::create(&mut source.conn(), Flavour::MariaDb);
    let target = through(&source, "2");
    let history = "SELECT id, v, row_start, row_end FROM zoo.history FOR SYSTEM_TIME ALL ORDER BY 1, 3";
    let read = |server: &TestServer| -> Vec<(i32, String, String, String)> { server.conn().query(history).unwrap() };
    assert_eq!(read(&source).len(), 4, "{:?}", read(&source));
    assert_eq!(read(&target), read(&source));
}

/// What can not be carried by any text form is said, by table and column.
#[test]
fn dates_and_decimals_inside_json_are_named() {
    let source = TestServer::start(Flavour::MySql);
    let mut conn = source.conn();
    for statement in [
        "CREATE DATABASE typed",
        "CREATE TABLE typed.t (id INT PRIMARY KEY, plain INT, j JSON)",
        "INSERT INTO typed.t VALUES (1, 1, JSON_OBJECT('d', CAST('2026-11-22' AS DATE), 'n', CAST(1.10 AS DECIMAL(10,2))))",
    ] {
        conn.query_drop(statement).unwrap();
    }
    let backstay = Backstay::new(&source.dir().join("backstay"), &[], &source.section("main"));
    let taken = backstay
        .run(&["backup", "--engine", "mysqlshell", "--json"])
        .ok()
        .json();
    let notices = taken["backup"]["notices"].as_array().cloned().unwrap_or_default();
    let notice = notices.iter().find(|notice| notice["code"] == "json-scalars");
    let notice = notice.unwrap_or_else(|| panic!("{taken}"));
    assert_eq!(notice["subject"], "typed.t");
    assert!(notice["text"].as_str().unwrap().ends_with(": j"), "{notice}");
}

/// Twelve tables a seed.
fn drawn_at_random(flavour: Flavour, seeds: std::ops::Range<u64>) {
    for seed in seeds {
        eprintln!("seed {seed}");
        let source = TestServer::start_with(flavour, &[ROOM]);
        random_tables::create(&mut source.conn(), flavour, "drawn", seed, 12);
        // One thread cuts no table into ranges; of many, all but those that are small beside the others.
        let target = through(&source, if seed == 0 { "1" } else { "12" });
        same(&source, &target, "drawn");
    }
}

#[test]
fn tables_drawn_at_random_on_mysql() {
    drawn_at_random(Flavour::MySql, 0..4);
}

#[test]
fn tables_drawn_at_random_on_mariadb() {
    drawn_at_random(Flavour::MariaDb, 0..4);
}
