//! Recovering to a point: what comes back is what a reference server has that executed exactly the transactions up to it.

use std::fs;
use std::time::{Duration, Instant};

use backstay_bed::{Flavour, TestServer, on_both};
use backstay_engine_api::position::PointInTime;
use backstay_mysql::mysql::Conn;
use backstay_mysql::mysql::prelude::Queryable;
use backstay_tests::backstay::{Backstay, Output};
use backstay_tests::bank::{self, Load};
use backstay_tests::compare::{Contents, contents, differences, rows};
use backstay_tests::log::{end, logged};
use backstay_tests::reference::{binlog_position, server_at};
use backstay_tests::shop;
use rand::rngs::StdRng;
use rand::seq::SliceRandom;
use rand::{Rng, SeedableRng};
use serde_json::Value;

on_both!(
    restores_in_any_order,
    equals_a_reference_at_random_points,
    around_damage_and_gaps,
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

fn run(conn: &mut Conn, statements: &[&str]) {
    for statement in statements {
        conn.query_drop(*statement)
            .unwrap_or_else(|error| panic!("{statement}: {error}"));
    }
}

/// Full backups and incrementals on them, some of which cover the same; each is restored alone, in random order, and again when those
/// that are redundant are gone.
fn restores_in_any_order(flavour: Flavour) {
    let source = TestServer::start(flavour);
    let mut conn = source.conn();
    shop::create(&mut conn);
    let backstay = backstay(&source);
    let mut taken: Vec<(String, Contents)> = Vec::new();
    let mut number = 0;
    let mut write = |conn: &mut Conn| {
        number += 1;
        run(
            conn,
            &[
                &format!("CREATE TABLE shop.step_{number} (id INT PRIMARY KEY, v VARCHAR(20))"),
                &format!("INSERT INTO shop.step_{number} VALUES (1, 'a'), (2, 'b')"),
                &format!("UPDATE shop.customers SET city = 'step {number}'"),
                &format!("DELETE FROM shop.step_{number} WHERE id = 1"),
            ],
        );
    };
    let first = id(&take(&backstay, &[]));
    taken.push((first.clone(), contents(&mut conn, &[])));
    let empty_one = take(&backstay, &["--incremental"]);
    assert_eq!(empty_one["empty"]["parent"], first.as_str(), "{empty_one}");
    for parent in ["auto", "auto", first.as_str(), "full", "auto", first.as_str()] {
        write(&mut conn);
        let more = ["--incremental", "--parent", parent];
        let new = take(&backstay, if parent == "full" { &[] } else { &more });
        taken.push((id(&new), contents(&mut conn, &[])));
    }
    assert_eq!(backstay.ids("main").len(), taken.len());
    let drawn = backstay.run(&["list"]).ok().stdout;
    assert!(
        drawn.contains("recoverable") && drawn.contains("incremental"),
        "{drawn}"
    );

    let mut random = StdRng::seed_from_u64(20_261_128);
    let mut order = taken.clone();
    order.shuffle(&mut random);
    order.truncate(rounds(4));
    for (id, expected) in &order {
        let target = empty(flavour);
        backstay.run(&["restore", id, "--to-server", &target.url()]).ok();
        same(&target, expected, id);
    }
    // The first two incrementals are covered by the third.
    for (id, _) in &taken[1..3] {
        fs::remove_dir_all(backstay.backups("main").join(id)).unwrap();
    }
    for (id, expected) in [&taken[3], &taken[6]] {
        let target = empty(flavour);
        backstay.run(&["restore", id, "--to-server", &target.url()]).ok();
        same(&target, expected, id);
    }
    backstay.run(&["verify"]).ok();
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

/// A damaged full backup is passed over, and a gap in the log is named and mended by a new full backup.
fn around_damage_and_gaps(flavour: Flavour) {
    let source = TestServer::start(flavour);
    let mut conn = source.conn();
    shop::create(&mut conn);
    let backstay = backstay(&source);
    let old = id(&take(&backstay, &[]));
    run(&mut conn, &["CREATE TABLE shop.one (id INT PRIMARY KEY)"]);
    let incremental = id(&take(&backstay, &["--incremental"]));
    let newest = id(&take(&backstay, &[]));
    let expected = contents(&mut conn, &[]);

    let plan = |more: &[&str]| {
        let target = ["--to-server", "mysql://root@127.0.0.1:1", "--dry-run", "--json"];
        backstay.run(&[&["recover"], more, &target].concat())
    };
    let planned = plan(&["--latest"]).ok().json();
    assert_eq!(planned["plan"]["chain"][0], newest.as_str(), "{planned}");
    let data = backstay.backups("main").join(&newest).join("data");
    let file = largest(&data);
    let mut bytes = fs::read(&file).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&file, bytes).unwrap();

    let target = empty(flavour);
    let recovered = backstay
        .run(&["recover", "--latest", "--to-server", &target.url(), "--json"])
        .ok();
    assert!(
        recovered.stderr.contains(&format!("{newest} is damaged and left out")),
        "{recovered:?}"
    );
    let json = recovered.json();
    assert_eq!(json["recovered"]["plan"]["chain"][0], old.as_str());
    assert_eq!(
        json["recovered"]["plan"]["logs"][0]["source"]["backup"]["id"],
        incremental.as_str()
    );
    assert_eq!(json["recovered"]["notices"][0]["code"], "around-damage", "{json}");
    same(&target, &expected, "around the damage");

    // The log that the next incremental needs is gone.
    run(
        &mut conn,
        &["CREATE TABLE shop.two (id INT PRIMARY KEY)", "FLUSH BINARY LOGS"],
    );
    run(
        &mut conn,
        &["CREATE TABLE shop.three (id INT PRIMARY KEY)", "FLUSH BINARY LOGS"],
    );
    let logs: Vec<String> = conn
        .query_map("SHOW BINARY LOGS", |row: backstay_mysql::mysql::Row| {
            row.get::<String, _>(0).unwrap_or_default()
        })
        .unwrap();
    conn.query_drop(format!("PURGE BINARY LOGS TO '{}'", logs.last().expect("a log")))
        .unwrap();
    let failed = backstay.run(&[
        "backup",
        "--engine",
        "mysqldump",
        "--incremental",
        "--parent",
        &incremental,
    ]);
    assert_ne!(failed.code, Some(0), "{failed:?}");
    let mended = id(&take(&backstay, &[]));
    run(&mut conn, &["CREATE TABLE shop.four (id INT PRIMARY KEY)"]);
    take(&backstay, &["--incremental"]);
    let target = empty(flavour);
    let recovered = backstay
        .run(&["recover", "--latest", "--to-server", &target.url(), "--json"])
        .ok()
        .json();
    assert_eq!(recovered["recovered"]["plan"]["chain"][0], mended.as_str());
    same(&target, &contents(&mut conn, &[]), "after the gap");
    // Into the gap nothing leads.
    let coverage = &backstay.run(&["list", "--json"]).ok().json()["clusters"]["main"]["coverage"];
    let gap = &coverage["gaps"].as_array().expect("gaps")[0];
    let begins: PointInTime = gap["from"].as_str().expect("its beginning").parse().unwrap();
    let inside = PointInTime::from_unix_microseconds(begins.unix_microseconds() + 1).expect("a time");
    let none = plan(&["--to-time", &inside.to_string()]).fails_with(1);
    assert!(none.stderr.contains("there is no way to"), "{}", none.stderr);
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

fn largest(dir: &std::path::Path) -> std::path::PathBuf {
    let mut files = Vec::new();
    let mut directories = vec![dir.to_owned()];
    while let Some(directory) = directories.pop() {
        for entry in fs::read_dir(directory).unwrap().flatten() {
            let metadata = entry.metadata().unwrap();
            match metadata.is_dir() {
                true => directories.push(entry.path()),
                false => files.push((metadata.len(), entry.path())),
            }
        }
    }
    files.into_iter().max().expect("a file").1
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
