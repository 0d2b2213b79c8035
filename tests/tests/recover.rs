//! Recovering to a point: what comes back is what a reference server has that executed exactly the transactions up to it.

use std::fs;
use std::time::{Duration, Instant};

use backstay_bed::{Flavour, TestServer, on_both};
use backstay_engine_api::position::PointInTime;
use backstay_mysql::mysql::Conn;
use backstay_tests::backstay::{Backstay, Output};
use backstay_tests::bank::{self, Load};
use backstay_tests::compare::{Contents, contents, differences, rows};
use backstay_tests::engines::run;
use backstay_tests::log::{end, logged};
use backstay_tests::reference::{binlog_position, server_at};
use backstay_tests::shop;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use serde_json::Value;

on_both!(
    equals_a_reference_at_random_points,
    of_a_position,
    a_dropped_table_is_found_and_comes_back
);

fn backstay(server: &TestServer) -> Backstay {
    Backstay::new(&server.dir().join("backstay"), &[], &server.section("main"))
}

/// How often a random thing is tried.
fn rounds(usual: usize) -> usize {
    let given = std::env::var("BACKSTAY_ROUNDS").ok();
    given.and_then(|given| given.parse().ok()).unwrap_or(usual)
}

/// A server to recover to: without transactions of its own.
fn empty(flavour: Flavour) -> TestServer {
    TestServer::start_with(flavour, &["--server-id=77", "--event-scheduler=OFF"])
}

#[track_caller]
fn same(server: &TestServer, expected: &Contents, what: &str) {
    let differ = differences(&contents(&mut server.conn(), &[]), expected);
    assert!(differ.is_empty(), "{what}: {differ:#?}");
}

fn take(backstay: &Backstay, more: &[&str]) -> Value {
    let arguments = [&["backup", "--engine", "mysqldump", "--json"], more].concat();
    backstay.run(&arguments).ok().json()
}

fn id(taken: &Value) -> String {
    taken["backup"]["id"]
        .as_str()
        .unwrap_or_else(|| panic!("{taken}"))
        .to_owned()
}

/// When a transaction was committed.
fn committed(logged: &Value) -> PointInTime {
    logged["time"].as_str().expect("a time").parse().unwrap()
}

/// The same, in whole seconds.
fn second(logged: &Value) -> i64 {
    committed(logged).unix_microseconds().div_euclid(1_000_000)
}

/// What is logged, after it has gone on into a later second.
fn up_to_a_later_second(backstay: &Backstay, conn: &mut Conn) -> Vec<Value> {
    let newest = |logged: &[Value]| second(logged.last().expect("transactions"));
    let before = newest(&logged(backstay));
    let deadline = Instant::now() + Duration::from_secs(60);
    loop {
        run(conn, &["CREATE OR REPLACE VIEW shop.later AS SELECT 1"]);
        take(backstay, &["--incremental"]);
        let logged = logged(backstay);
        if newest(&logged) > before {
            return logged;
        }
        assert!(Instant::now() < deadline, "the log does not go on");
    }
}

/// Random points in a run of concurrent writes with DDL.
fn equals_a_reference_at_random_points(flavour: Flavour) {
    let source = TestServer::start(flavour);
    let mut conn = source.conn();
    shop::create(&mut conn);
    bank::create(&mut conn);
    let backstay = backstay(&source);
    take(&backstay, &[]);
    let load = Load::start(&source.opts(), 2, 7);
    for step in 0..2 {
        load.wait_for(40);
        run(
            &mut conn,
            &[
                &format!("CREATE TABLE shop.under_load_{step} (id INT PRIMARY KEY)"),
                &format!("INSERT INTO shop.under_load_{step} VALUES ({step})"),
                "FLUSH BINARY LOGS",
            ],
        );
        load.wait_for(40);
        take(&backstay, &["--incremental"]);
    }
    load.stop();
    up_to_a_later_second(&backstay, &mut conn);
    let logged = up_to_a_later_second(&backstay, &mut conn);
    // How far MariaDB's last second goes is not known: it logs whole ones.
    let newest = second(logged.last().unwrap());
    let last_second = logged.iter().position(|found| second(found) == newest).unwrap();
    assert!(last_second > 160, "{last_second} of {}", logged.len());
    // And what was committed in the second of the backup may have been committed before it.
    let oldest = second(&logged[0]);
    let later = logged.iter().position(|found| second(found) > oldest).unwrap();

    let seed = 11;
    let mut random = StdRng::seed_from_u64(seed);
    for round in 0..rounds(3) {
        let first = if round % 3 == 2 { later } else { 1 };
        let at = random.random_range(first..last_second);
        let gtid = logged[at]["gtid"].as_str().expect("a GTID").to_owned();
        let time = logged[at]["time"].as_str().expect("a time").to_owned();
        let (option, point, last) = match round % 3 {
            0 => ("--to-gtid", gtid, at),
            1 => ("--before-gtid", gtid, at - 1),
            _ => {
                // The prefix ends before the first that is later.
                let later = logged
                    .iter()
                    .position(|other| committed(other) > committed(&logged[at]));
                ("--to-time", time, later.expect("a later one") - 1)
            }
        };
        eprintln!(
            "seed {seed}, round {round}: {option} {point}: {last} of {}",
            logged.len()
        );
        let (file, offset) = end(&logged[last]);
        let reference = server_at(&source, &file, offset);
        let target = empty(flavour);
        let arguments = ["recover", option, &point, "--to-server", &target.url(), "--json"];
        let recovered = backstay.run(&arguments).ok().json();
        assert_eq!(recovered["recovered"]["began"], "anew", "{recovered}");
        same(
            &target,
            &contents(&mut reference.conn(), &[]),
            &format!("{option} {point}"),
        );
    }
}

/// Incrementals of what has come since a position, of which there need be no backup.
fn of_a_position(flavour: Flavour) {
    let source = TestServer::start(flavour);
    let mut conn = source.conn();
    shop::create(&mut conn);
    let backstay = backstay(&source);
    let full = take(&backstay, &[]);
    run(
        &mut conn,
        &[
            "CREATE TABLE shop.one (id INT PRIMARY KEY)",
            "INSERT INTO shop.one VALUES (1)",
        ],
    );
    let between = take(&backstay, &["--incremental"]);
    run(
        &mut conn,
        &["FLUSH BINARY LOGS", "CREATE TABLE shop.two (id INT PRIMARY KEY)"],
    );
    let expected = contents(&mut conn, &[]);
    let since = |position: &str| take(&backstay, &["--incremental", "--parent", position]);
    let restored = |arguments: &[&str]| {
        let target = empty(flavour);
        let output = backstay.run(&[arguments, &["--to-server", &target.url(), "--json"]].concat());
        (target, output)
    };

    // By GTIDs, of the full backup's end.
    let end = full["backup"]["positions"][0]["value"].as_str().expect("a position");
    let since_full = since(end);
    assert_eq!(since_full["backup"]["parent"], Value::Null, "{since_full}");
    assert_eq!(since_full["backup"]["from"][0]["value"], end);
    let (target, output) = restored(&["restore", &id(&since_full)]);
    output.ok();
    same(&target, &expected, "since the full backup's end");
    let listed = backstay.run(&["list"]).ok().stdout;
    assert!(listed.contains(&format!("mysqldump from {end}")), "{listed}");

    // By a place in the log, whose GTIDs are found there.
    let (file, offset) = binlog_position(&between["backup"]["positions"]);
    let since_place = since(&format!("{file}:{offset}"));
    assert_eq!(
        since_place["backup"]["from"][0]["value"], between["backup"]["positions"][0]["value"],
        "{since_place}"
    );
    fs::remove_dir_all(backstay.backups("main").join(id(&since_full))).unwrap();
    let (target, output) = restored(&["recover", "--latest"]);
    let logs = output.ok().json()["recovered"]["plan"]["logs"].clone();
    let sources: Vec<&Value> = logs
        .as_array()
        .expect("logs")
        .iter()
        .map(|step| &step["source"]["backup"]["id"])
        .collect();
    assert_eq!(sources, [&between["backup"]["id"], &since_place["backup"]["id"]]);
    same(&target, &expected, "since a place");
    fs::remove_dir_all(backstay.backups("main").join(id(&between))).unwrap();
    restored(&["restore", &id(&since_place)]).1.fails_with(1);
    backstay.run(&["verify"]).ok();

    // What is no end of a transaction, is not there yet, or is of no use to an engine.
    let refused = |engine: &str, position: &str| {
        let arguments = ["backup", "--engine", engine, "--incremental", "--parent", position];
        let output = backstay.run(&arguments);
        assert_ne!(output.code, Some(0), "{output:?}");
        output.stderr
    };
    let said = refused("mysqldump", &format!("{file}:{}", offset - 1));
    assert!(said.contains("is not between two transactions"), "{said}");
    let said = refused("mysqldump", &format!("{file}:99999999"));
    assert!(said.contains("is not between two transactions"), "{said}");
    let (later, other) = match flavour {
        Flavour::MariaDb => ("0-1-99999", "3e11fa47-71ca-11e1-9e33-c80aa9429562:1-9"),
        _ => ("3e11fa47-71ca-11e1-9e33-c80aa9429562:1-9", "0-1-99999"),
    };
    let said = refused("mysqldump", later);
    assert!(said.contains("it lacks"), "{said}");
    let said = refused("mysqldump", other);
    assert!(said.contains("has no GTIDs of the kind"), "{said}");
    let said = refused("mysqldump", "0-1");
    assert!(said.contains("is no position"), "{said}");
    let said = refused("snapshot", end);
    assert!(said.contains("takes an incremental of a backup"), "{said}");
}

/// The mistake is found in the log, and the printed command undoes it.
fn a_dropped_table_is_found_and_comes_back(flavour: Flavour) {
    let source = TestServer::start(flavour);
    let mut conn = source.conn();
    shop::create(&mut conn);
    let backstay = backstay(&source);
    take(&backstay, &[]);
    run(&mut conn, &["UPDATE shop.order_lines SET quantity = quantity + 1"]);
    let lines = rows(&mut conn, "shop", "order_lines");
    let before = contents(&mut conn, &[]);
    run(
        &mut conn,
        &[
            "DROP TABLE shop.order_lines",
            "UPDATE shop.customers SET city = 'gone on'",
        ],
    );
    take(&backstay, &["--incremental"]);

    let search = |more: &[&str]| {
        let found = backstay.run(&[&["log", "search", "--json"], more].concat()).ok().json();
        found["transactions"].as_array().expect("transactions").clone()
    };
    let found = search(&["--table", "shop.order_lines", "--kind", "ddl"]);
    assert_eq!(found.len(), 1, "{found:#?}");
    let statement = found[0]["transaction"]["statement"].as_str().expect("the statement");
    assert!(statement.starts_with("DROP TABLE"), "{statement}");
    assert_eq!(search(&["--schema", "shop"]).len(), 3);
    assert_eq!(search(&["--kind", "update", "--min-rows", "1"]).len(), 2);
    assert_eq!(search(&["--schema", "another"]).len(), 0);
    let printed = backstay.run(&["log", "search", "--kind", "ddl"]).ok().stdout;
    let command = found[0]["undo"].as_str().expect("what undoes it");
    assert!(printed.contains(command), "{printed}");

    let target = empty(flavour);
    let arguments: Vec<&str> = command.split(' ').skip(1).collect();
    let url = target.url();
    let recover = |more: &[&str]| -> Output { backstay.run(&[&arguments[..], &["--to-server", &url], more].concat()) };
    // Nothing is done by a dry run, and its plan is said.
    let planned = recover(&["--dry-run"]).ok().stdout;
    assert!(planned.contains("restore") && planned.contains("replay"), "{planned}");
    recover(&[]).ok();
    same(&target, &before, "just before the mistake");
    assert_eq!(rows(&mut target.conn(), "shop", "order_lines"), lines);
    // What is there is not replaced without being told.
    recover(&[]).fails_with(3);
    recover(&["--overwrite"]).ok();
    same(&target, &before, "once more");
}
