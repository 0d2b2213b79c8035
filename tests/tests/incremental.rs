//! Incremental backups that are pieces of the binary log: a full backup and what the servers' own tools replay of them is the source;
//! a gap is said and mended; another member of the cluster goes on where the last one stopped.

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

use backstay_bed::{Flavour, TestServer, on_both};
use backstay_mysql::mysql::Conn;
use backstay_mysql::mysql::prelude::Queryable;
use backstay_tests::backstay::{Backstay, Output};
use backstay_tests::bank::{self, Load};
use backstay_tests::compare::{contents, differences};
use backstay_tests::log::purge_all_but_the_last;
use backstay_tests::replicas::{caught_up, pause, promote, replicate, resume};
use backstay_tests::{shop, zoo};
use serde_json::{Value, json};

fn backstay(server: &TestServer) -> Backstay {
    Backstay::new(&server.dir().join("backstay"), &[], &server.section("main"))
}

/// A full backup and its increments.
struct Chain<'a> {
    backstay: &'a Backstay,
    engine: &'a str,
    full: String,
    increments: Vec<Value>,
}

impl<'a> Chain<'a> {
    fn full(backstay: &'a Backstay, engine: &'a str) -> Self {
        let taken = backstay.run(&["backup", "--engine", engine, "--json"]).ok().json();
        Self {
            backstay,
            engine,
            full: id(&taken["backup"]),
            increments: Vec::new(),
        }
    }

    /// The last one. By its id, for of two within one second neither is the latest.
    fn last(&self) -> String {
        self.increments.last().map_or_else(|| self.full.clone(), id)
    }

    /// What `backup --incremental` on the last one says.
    fn ask(&self) -> Output {
        self.ask_on(&self.last())
    }

    fn ask_on(&self, parent: &str) -> Output {
        let arguments = [
            "backup",
            "--engine",
            self.engine,
            "--incremental",
            "--parent",
            parent,
            "--json",
        ];
        self.backstay.run(&arguments)
    }

    fn nothing_new(&self) {
        let taken = self.ask().ok().json();
        assert_eq!(taken["empty"]["parent"], self.last().as_str(), "{taken}");
    }

    fn increment(&mut self) {
        let record = taken(self.ask());
        assert_eq!(record["parent"], self.last().as_str());
        assert_eq!(record["log"]["name"], record["id"]);
        self.increments.push(record);
    }
}

/// The record of an increment that was taken.
fn taken(output: Output) -> Value {
    let taken = output.ok().json();
    let record = taken["backup"].clone();
    assert_eq!(record["kind"], "incremental", "{taken}");
    record
}

fn id(record: &Value) -> String {
    record["id"].as_str().expect("an id").to_owned()
}

fn run(conn: &mut Conn, statements: &[&str]) {
    for statement in statements {
        conn.query_drop(*statement)
            .unwrap_or_else(|error| panic!("{statement}: {error}"));
    }
}

/// Restores a full backup to a new server, and replays increments by the server's own tools.
fn rebuilt(source: &TestServer, chain: &Chain<'_>) -> TestServer {
    let Chain {
        backstay,
        full,
        increments,
        ..
    } = chain;
    // The tool's statements come with the source's GTIDs, which are before those of the restore.
    let own: &[&str] = if source.flavour.is_mariadb() {
        &["--server-id=9", "--gtid-strict-mode=OFF"]
    } else {
        &["--server-id=9"]
    };
    let target = TestServer::start_with(source.flavour, &[own, &["--event-scheduler=OFF"]].concat());
    backstay.run(&["restore", full, "--to-server", &target.url()]).ok();
    for record in increments {
        let id = id(record);
        let dir = target.dir().join(&id);
        backstay.run(&["export", &id, &dir.to_string_lossy()]).ok();
        let objects = record["log"]["objects"].as_array().expect("objects of the log");
        let mut names: Vec<&str> = objects.iter().filter_map(Value::as_str).collect();
        assert_eq!(names.pop(), Some("transactions.jsonl"));
        replay(&target, &names.iter().map(|name| dir.join(name)).collect::<Vec<_>>());
        check_index(record, &fs::read_to_string(dir.join("transactions.jsonl")).unwrap());
    }
    target
}

fn replay(target: &TestServer, files: &[PathBuf]) {
    let mut read = Command::new(target.program("mysqlbinlog", "mariadb-binlog"))
        .args(["--no-defaults", "--verify-binlog-checksum"])
        .args(files)
        .stdout(Stdio::piped())
        .spawn()
        .expect("mysqlbinlog can be started");
    let events = read.stdout.take().expect("its output");
    let replay = Command::new(target.program("mysql", "mariadb"))
        .args([
            "--no-defaults",
            "--binary-mode",
            "--comments",
            "--user=root",
            "--max-allowed-packet=256M",
        ])
        .arg(format!("--socket={}", target.server.socket().display()))
        .stdin(events)
        .output()
        .expect("mysql can be started");
    assert!(replay.status.success(), "{}", String::from_utf8_lossy(&replay.stderr));
    assert!(read.wait().expect("mysqlbinlog's end").success());
}

/// The index says of each transaction where it is and what it did, and of rows how many.
fn check_index(record: &Value, index: &str) {
    let lines: Vec<Value> = index.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(Some(lines.len() as u64), record["log"]["transactions"].as_u64());
    for line in &lines {
        assert!(line["gtid"].is_string() && line["time"].is_string(), "{line}");
        let kinds = line["kinds"].as_array().unwrap();
        let rows = kinds
            .iter()
            .any(|kind| ["insert", "update", "delete"].contains(&kind.as_str().unwrap()));
        assert!(!rows || line["rows"].is_object(), "rows that were not counted: {line}");
    }
}

#[track_caller]
fn assert_same(left: &TestServer, right: &TestServer) {
    let differing = differences(&contents(&mut left.conn(), &[]), &contents(&mut right.conn(), &[]));
    assert!(
        differing.is_empty(),
        "source against rebuilt:\n{}",
        differing.join("\n")
    );
}

/// A full backup, increments under load with empty ones in between, and all of it again on another server.
fn equals_the_source(flavour: Flavour, engine: &str) {
    let source = TestServer::start(flavour);
    let mut conn = source.conn();
    shop::create(&mut conn);
    bank::create(&mut conn);
    let backstay = backstay(&source);
    let mut chain = Chain::full(&backstay, engine);
    chain.nothing_new();
    run(&mut conn, &["FLUSH BINARY LOGS"]);
    let latest = backstay.run(&["backup", "--engine", engine, "--incremental"]).ok();
    assert!(latest.stdout.contains("nothing is new since"), "{}", latest.stdout);

    let load = Load::start(&source.opts(), 2, 1);
    for round in 0..3 {
        load.wait_for(40);
        run(
            &mut conn,
            &[
                &format!("CREATE TABLE bank.made_{round} (id INT PRIMARY KEY, v VARCHAR(100))"),
                "FLUSH BINARY LOGS",
                &format!("INSERT INTO bank.made_{round} SELECT id, CONCAT('row ', id) FROM bank.account"),
                &format!("ALTER TABLE bank.made_{round} ADD COLUMN w INT DEFAULT {round}"),
                "DROP TABLE IF EXISTS bank.made_0",
            ],
        );
        chain.increment();
    }
    load.wait_for(20);
    load.stop();
    // Every type that there is, as rows of the log.
    zoo::create(&mut conn, flavour);
    chain.increment();
    chain.nothing_new();
    backstay.run(&["verify"]).ok();
    assert_same(&source, &rebuilt(&source, &chain));
}

fn mysqldump_chains(flavour: Flavour) {
    equals_the_source(flavour, "mysqldump");
}

fn mysqlshell_chains(flavour: Flavour) {
    equals_the_source(flavour, "mysqlshell");
}

/// What is missing is named; a full backup mends it. A parent may be named.
fn gaps_are_mended(flavour: Flavour) {
    let source = TestServer::start(flavour);
    let mut conn = source.conn();
    bank::create(&mut conn);
    let backstay = backstay(&source);
    let mut chain = Chain::full(&backstay, "mysqldump");
    run(
        &mut conn,
        &[
            "CREATE TABLE bank.a (id INT PRIMARY KEY)",
            "INSERT INTO bank.a VALUES (1)",
        ],
    );
    chain.increment();
    run(&mut conn, &["INSERT INTO bank.a VALUES (2)"]);
    // From another parent: what is in the first increment too, and what came since.
    let longer = taken(chain.ask_on(&chain.full));
    let count = |record: &Value| record["log"]["transactions"].as_u64();
    assert_eq!(count(&longer), count(&chain.increments[0]).map(|count| count + 1));
    chain.increments = vec![longer];
    assert_same(&source, &rebuilt(&source, &chain));

    // A dump of some schemas has not what the log has.
    let options = [
        "backup",
        "--engine",
        "mysqldump",
        "--option",
        "include_schemas=[\"bank\"]",
        "--json",
    ];
    let some = id(&backstay.run(&options).ok().json()["backup"]);
    let refused = chain.ask_on(&some).fails_with(3);
    assert!(
        refused.stderr.contains("has only some of the server's schemas"),
        "{}",
        refused.stderr
    );

    run(&mut conn, &["INSERT INTO bank.a VALUES (3)", "FLUSH BINARY LOGS"]);
    purge_all_but_the_last(&mut conn);
    run(&mut conn, &["INSERT INTO bank.a VALUES (4)"]);
    let before = backstay.ids("main").len();
    let gap = chain.ask().fails_with(3);
    assert!(
        gap.stderr.contains("take a full backup: it mends this"),
        "{}",
        gap.stderr
    );
    assert_eq!(backstay.ids("main").len(), before);
    let mut salvage = Chain::full(&backstay, "mysqldump");
    run(&mut conn, &["INSERT INTO bank.a VALUES (5)"]);
    salvage.increment();
    assert_same(&source, &rebuilt(&source, &salvage));

    // Another server under the same cluster's name.
    let other = TestServer::start_with(flavour, &["--server-id=5"]);
    run(&mut other.conn(), &["CREATE DATABASE other"]);
    backstay.configure(&backstay.repository(), &[], &other.section("main"));
    let refused = salvage.ask().fails_with(3);
    assert!(refused.stderr.contains("it lacks "), "{}", refused.stderr);
}

/// Increments from two members in turn, before and after one of them is promoted.
fn another_member_goes_on(flavour: Flavour) {
    let own: &[&str] = if flavour.is_mariadb() {
        &["--log-slave-updates=1"]
    } else {
        &[]
    };
    let source = TestServer::start_with(flavour, own);
    let replica = TestServer::start_with(flavour, &[own, &["--server-id=2"]].concat());
    replicate(&replica, &source);
    let mut conn = source.conn();
    let mut other = replica.conn();
    bank::create(&mut conn);
    caught_up(&replica, &source);

    let backstay = backstay(&replica);
    let use_member = |server: &TestServer| backstay.configure(&backstay.repository(), &[], &server.section("main"));
    use_member(&source);
    let mut chain = Chain::full(&backstay, "mysqldump");
    run(
        &mut conn,
        &[
            "CREATE TABLE bank.a (id INT PRIMARY KEY, v TEXT)",
            "INSERT INTO bank.a VALUES (1, 'source')",
        ],
    );
    chain.increment();
    caught_up(&replica, &source);
    use_member(&replica);
    chain.nothing_new();
    run(
        &mut conn,
        &["INSERT INTO bank.a VALUES (2, 'source, taken from the replica')"],
    );
    caught_up(&replica, &source);
    chain.increment();
    use_member(&source);
    chain.nothing_new();
    run(&mut conn, &["INSERT INTO bank.a VALUES (3, 'source')"]);
    chain.increment();

    // A replica that is behind what was backed up is no member to go on from.
    caught_up(&replica, &source);
    pause(&replica);
    run(&mut conn, &["INSERT INTO bank.a VALUES (4, 'source')"]);
    chain.increment();
    use_member(&replica);
    let behind = chain.ask().fails_with(3);
    assert!(
        behind.stderr.contains("if it is a replica that is behind, wait"),
        "{}",
        behind.stderr
    );
    resume(&replica);
    caught_up(&replica, &source);

    // The source is gone.
    drop(conn);
    drop(source);
    promote(&replica);
    run(
        &mut other,
        &[
            "INSERT INTO bank.a VALUES (5, 'promoted')",
            "FLUSH BINARY LOGS",
            "UPDATE bank.a SET v = CONCAT(v, '!')",
        ],
    );
    chain.increment();
    assert_eq!(chain.increments.len(), 5);
    assert_same(&replica, &rebuilt(&replica, &chain));
}

/// Neither an increment nor a recovery begins from a backup of a part, though it is the newest and has the fewest bytes.
fn a_part_is_passed_over(flavour: Flavour) {
    let source = TestServer::start(flavour);
    let mut conn = source.conn();
    run(
        &mut conn,
        &[
            "CREATE DATABASE d",
            "CREATE TABLE d.t (id INT PRIMARY KEY)",
            "INSERT INTO d.t VALUES (1)",
        ],
    );
    let backstay = backstay(&source);
    let chain = Chain::full(&backstay, "mysqlshell");
    // So that the next one is newer by its id.
    thread::sleep(Duration::from_millis(1100));
    let arguments = [
        "backup",
        "--engine",
        "mysqlshell",
        "--option",
        "content=\"definitions\"",
        "--json",
    ];
    let part = backstay.run(&arguments).ok().json();
    assert_eq!(part["backup"]["partial"], true, "{part}");
    assert!(backstay.run(&["list"]).ok().stdout.contains("mysqlshell, a part"));
    run(&mut conn, &["INSERT INTO d.t VALUES (2)"]);
    let increment = taken(chain.ask_on("auto"));
    assert_eq!(increment["parent"], chain.full.as_str(), "{increment}");

    let target = TestServer::start_with(flavour, &["--server-id=9", "--event-scheduler=OFF"]);
    let recovered = backstay
        .run(&["recover", "--latest", "--to-server", &target.url(), "--json"])
        .ok()
        .json();
    assert_eq!(
        recovered["recovered"]["plan"]["chain"],
        json!([chain.full]),
        "{recovered}"
    );
    assert_same(&source, &target);
}

on_both!(
    a_part_is_passed_over,
    mysqldump_chains,
    mysqlshell_chains,
    gaps_are_mended,
    another_member_goes_on
);
