//! Tables at a point, beside those that live: what is rescued is what a reference has, what differs is counted, and nothing else on the
//! server has changed.

use std::fs;
use std::path::{Path, PathBuf};

use backstay_bed::{Flavour, TestServer, installed, on_both, until};
use backstay_mysql::mysql::Conn;
use backstay_mysql::mysql::prelude::Queryable;
use backstay_tests::backstay::{Backstay, Output};
use backstay_tests::bank::{self, Load};
use backstay_tests::compare::{contents, differences, rows};
use backstay_tests::processes::kill;
use backstay_tests::reference::server_at;
use backstay_tests::shop;
use backstay_tests::volumes::{FileSystem, Volume};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

on_both!(
    a_dropped_table_comes_back_beside,
    a_damaged_backup_is_passed_over,
    an_update_without_where_is_seen,
    what_is_refused
);

/// A server with a repository, and a directory for private copies.
struct Bed {
    live: TestServer,
    backstay: Backstay,
    work: PathBuf,
    // After the server, so that it is unmounted when that is gone.
    _volume: Option<Volume>,
}

impl Bed {
    fn new(live: TestServer, volume: Option<Volume>) -> Self {
        let work = live.dir().join("work");
        fs::create_dir(&work).unwrap();
        Self {
            backstay: Backstay::new(&live.dir().join("backstay"), &[], &live.section("main")),
            live,
            work,
            _volume: volume,
        }
    }

    fn take(&self, arguments: &[&str]) -> String {
        let taken = self
            .backstay
            .run(&[&["backup", "--json"], arguments].concat())
            .ok()
            .json();
        taken["backup"]["id"].as_str().expect("an id").to_owned()
    }

    /// The GTID of the last transaction that the log has of a kind on a table, and the end of the one before it.
    fn mistake(&self, table: &str, kind: &str) -> (String, String, u64) {
        let search = ["log", "search", "--json", "--limit", "1000000"];
        let found = self.backstay.run(&search).ok().json();
        let all: Vec<&Value> = found["transactions"].as_array().expect("transactions").iter().collect();
        let is = |found: &&Value| {
            let transaction = &found["transaction"];
            transaction["kinds"]
                .as_array()
                .is_some_and(|kinds| kinds.contains(&json!(kind)))
                && transaction["tables"]
                    .as_array()
                    .is_some_and(|tables| tables.contains(&json!(table)))
        };
        let at = all.iter().rposition(is).expect("the mistake is in the log");
        let gtid = all[at]["transaction"]["gtid"].as_str().expect("a GTID");
        let end = all[at - 1]["transaction"]["end"].as_str().expect("an end");
        let (file, offset) = end.rsplit_once(':').expect("file:offset");
        (gtid.to_owned(), file.to_owned(), offset.parse().expect("an offset"))
    }

    fn arguments(&self, more: &[&str]) -> Vec<String> {
        let fixed = [
            "recover",
            "--to-server",
            &self.live.url(),
            "--work-dir",
            &self.work.display().to_string(),
            "--json",
        ]
        .map(str::to_owned);
        let more = more.iter().map(|argument| (*argument).to_owned());
        fixed.into_iter().chain(more).collect()
    }

    fn recover(&self, more: &[&str]) -> Output {
        let arguments = self.arguments(more);
        self.backstay
            .run(&arguments.iter().map(String::as_str).collect::<Vec<_>>())
    }

    /// Nothing of a private copy is there any more, nor on the server anything but the schemas that are known.
    #[track_caller]
    fn nothing_is_left(&self, schemas: &[&str]) {
        let left: Vec<PathBuf> = fs::read_dir(&self.work)
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .collect();
        assert!(left.is_empty(), "{left:?}");
        assert_eq!(programs_on(&self.work), [""; 0]);
        let found: Vec<String> = self
            .live
            .conn()
            .query(
                "SELECT schema_name FROM information_schema.schemata WHERE schema_name NOT IN \
                 ('mysql', 'information_schema', 'performance_schema', 'sys') ORDER BY 1",
            )
            .unwrap();
        assert_eq!(found, schemas);
    }
}

/// Programs that name something below a directory on their command line.
fn programs_on(directory: &Path) -> Vec<String> {
    let directory = directory.display().to_string();
    let lines = fs::read_dir("/proc")
        .unwrap()
        .flatten()
        .filter_map(|entry| fs::read(entry.path().join("cmdline")).ok());
    lines
        .map(|line| String::from_utf8_lossy(&line).replace('\0', " "))
        .filter(|line| line.contains("--datadir=") && line.contains(&directory))
        .collect()
}

fn run(conn: &mut Conn, statements: &[&str]) {
    for statement in statements {
        conn.query_drop(*statement)
            .unwrap_or_else(|error| panic!("{statement}: {error}"));
    }
}

fn two_orders(conn: &mut Conn) {
    run(
        conn,
        &[
            "CREATE DATABASE shop",
            "CREATE TABLE shop.orders (id INT PRIMARY KEY)",
            "INSERT INTO shop.orders VALUES (1), (2)",
        ],
    );
}

fn number(conn: &mut Conn, query: &str) -> u64 {
    conn.query_first(query).unwrap().expect("a number")
}

/// DROP TABLE under load, from a dump and increments.
fn a_dropped_table_comes_back_beside(flavour: Flavour) {
    let bed = Bed::new(TestServer::start(flavour), None);
    let mut conn = bed.live.conn();
    shop::create(&mut conn);
    bank::create(&mut conn);
    bed.take(&["--engine", "mysqldump"]);
    let load = Load::start(&bed.live.opts(), 2, 7);
    load.wait_for(60);
    run(&mut conn, &["UPDATE shop.order_lines SET quantity = quantity + 1"]);
    load.wait_for(60);
    let half = "'half'";
    run(
        &mut conn,
        &[
            // At the point it is prepared, and not committed: no part of it.
            &format!("XA START {half}"),
            "INSERT INTO shop.log VALUES ('2026-11-28', 'half')",
            &format!("XA END {half}"),
            &format!("XA PREPARE {half}"),
        ],
    );
    run(&mut bed.live.conn(), &["DROP TABLE bank.transfer"]);
    run(&mut conn, &[&format!("XA COMMIT {half}")]);
    // What is left of a transfer fails from now on.
    run(&mut conn, &["UPDATE shop.customers SET city = 'gone on'"]);
    load.stop();
    bed.take(&["--engine", "mysqldump", "--incremental"]);
    let (gtid, file, offset) = bed.mistake("bank.transfer", "ddl");
    let reference = server_at(&bed.live, &file, offset);
    let before = contents(&mut conn, &["bank", "shop", "shop_archive"]);

    let chosen = [
        "--before-gtid",
        &gtid,
        "--tables",
        "bank.transfer,shop.order_lines,shop.customers,shop.log",
        "--as-schema",
        "rescue",
    ];
    let rescued = bed.recover(&chosen).ok().json();
    let mut expected = reference.conn();
    for (schema, table) in [
        ("bank", "transfer"),
        ("shop", "order_lines"),
        ("shop", "customers"),
        ("shop", "log"),
    ] {
        assert_eq!(
            rows(&mut conn, "rescue", table),
            rows(&mut expected, schema, table),
            "{table}: {rescued}"
        );
    }
    let tables = &rescued["rescued"]["tables"];
    let transfers = number(&mut expected, "SELECT COUNT(*) FROM bank.transfer");
    assert!(transfers >= 120, "{transfers}");
    assert_eq!(tables[0]["live_exists"], false, "{tables}");
    assert_eq!(tables[0]["rows"]["only_rescued"], transfers, "{tables}");
    let summary = |table: &Value| {
        let rows = &table["rows"];
        ["same", "different", "only_rescued", "only_live"].map(|name| rows[name].as_u64().expect("a count"))
    };
    assert_eq!(tables[1]["live"]["table"], "customers", "{tables}");
    assert_eq!(summary(&tables[1]), [0, 3, 0, 0], "{tables}");
    // Of the log, the shop's three orders are in both.
    assert_eq!(summary(&tables[2]), [3, 0, 0, 1], "{tables}");
    assert_eq!(summary(&tables[3]), [4, 0, 0, 0], "{tables}");
    assert_eq!(tables[3]["definitions"], json!([]), "{tables}");
    // Nothing of the living tables has changed, and nothing refers to them.
    let differ = differences(&contents(&mut conn, &["bank", "shop", "shop_archive"]), &before);
    assert!(differ.is_empty(), "{differ:#?}");
    let references =
        "SELECT COUNT(*) FROM information_schema.referential_constraints WHERE constraint_schema = 'rescue'";
    assert_eq!(number(&mut conn, references), 0);
    let codes = rescued["rescued"]["notices"].to_string();
    assert!(codes.contains("foreign-keys-left-out"), "{codes}");
    bed.nothing_is_left(&["bank", "rescue", "shop", "shop_archive"]);
}

/// Damage is found while the private server waits for the rows, and the next backup gets a new one.
fn a_damaged_backup_is_passed_over(flavour: Flavour) {
    let bed = Bed::new(TestServer::start(flavour), None);
    let mut conn = bed.live.conn();
    two_orders(&mut conn);
    run(
        &mut conn,
        &[
            "CREATE USER clerk@localhost IDENTIFIED BY 'a secret of his'",
            "GRANT SELECT ON shop.* TO clerk@localhost",
        ],
    );
    let older = bed.take(&["--engine", "mysqlshell"]);
    run(&mut conn, &["INSERT INTO shop.orders VALUES (4)"]);
    bed.take(&["--engine", "mysqlshell", "--incremental"]);
    let newer = bed.take(&["--engine", "mysqlshell"]);
    run(&mut conn, &["INSERT INTO shop.orders VALUES (8)"]);
    bed.take(&["--engine", "mysqlshell", "--incremental"]);
    let data = bed.backstay.backups("main").join(&newer).join("data");
    let rows = fs::read_dir(&data)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .find(|path| path.to_string_lossy().contains("shop@orders@@0.tsv.zst"))
        .expect("a data file");
    let mut bytes = fs::read(&rows).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    fs::write(&rows, bytes).unwrap();
    let chosen = ["--latest", "--tables", "shop.orders", "--as-schema", "rescue"];
    let rescued = bed.recover(&chosen).ok();
    assert!(rescued.stderr.contains(&newer), "{}", rescued.stderr);
    let plan = &rescued.json()["rescued"]["plan"];
    assert_eq!(plan["chain"][0], older, "{plan}");
    assert_eq!(number(&mut conn, "SELECT SUM(id) FROM rescue.orders"), 15);
    bed.nothing_is_left(&["rescue", "shop"]);
}

/// Nothing is said to stay on a server that is gone.
#[test]
fn a_private_server_that_can_not_take_the_backup() {
    let plugins = installed(Flavour::MariaDb).plugins;
    let plugins = plugins.expect("MariaDB's plug-ins; install them with: cargo xtask setup");
    let plugins = format!("--plugin-dir={}", plugins.display());
    let bed = Bed::new(TestServer::start_with(Flavour::MariaDb, &[&plugins]), None);
    let mut conn = bed.live.conn();
    run(
        &mut conn,
        &[
            "CREATE DATABASE shop",
            "CREATE TABLE shop.orders (id INT PRIMARY KEY)",
            // The private server has no such plug-in.
            "INSTALL SONAME 'auth_ed25519'",
            "CREATE USER clerk@localhost IDENTIFIED VIA ed25519 USING PASSWORD('a secret of his')",
        ],
    );
    bed.take(&["--engine", "mysqlshell"]);
    let failed = bed.recover(&["--latest", "--tables", "shop.orders", "--as-schema", "rescue"]);
    let error = &failed.json()["error"];
    assert_eq!(
        error["message"], "the server refused `creating 'clerk'@'localhost'`",
        "{failed:?}"
    );
    let causes = error["causes"].to_string();
    assert!(
        causes.contains("all that was on a private server, which is gone; the target is as it was"),
        "{failed:?}"
    );
    for unsaid in ["stays", "goes on where it was"] {
        assert!(!failed.stdout.contains(unsaid), "{failed:?}");
    }
    bed.nothing_is_left(&["shop"]);
}

/// What a server on its files must be told.
const PAGES: &str = "--innodb-page-size=8192";

/// A server whose physical backups are taken by the engine that there is for it.
fn physical(flavour: Flavour) -> (Bed, &'static str) {
    match flavour {
        Flavour::MySql => {
            let volume = Volume::new(FileSystem::Xfs, 1500);
            let live = TestServer::start_in(flavour, &volume.point(), &[PAGES]);
            (Bed::new(live, Some(volume)), "snapshot")
        }
        _ => (Bed::new(TestServer::start_with(flavour, &[PAGES]), None), "xtrabackup"),
    }
}

/// UPDATE without WHERE, from a physical backup and an increment of the log.
fn an_update_without_where_is_seen(flavour: Flavour) {
    let (bed, engine) = physical(flavour);
    let mut conn = bed.live.conn();
    run(
        &mut conn,
        &[
            "CREATE DATABASE shop",
            "CREATE TABLE shop.prices (id INT PRIMARY KEY, name VARCHAR(50) NOT NULL, price DECIMAL(10,2), note TEXT)",
            "INSERT INTO shop.prices VALUES (1, 'tea', 2.50, NULL), (2, 'coffee', 3.50, ''), (3, 'cake', 4, 'a'), (4, 'water', 0, 'b')",
            "CREATE TABLE shop.visits (who VARCHAR(20), at DATETIME)",
            "INSERT INTO shop.visits VALUES ('a', '2026-01-01'), ('a', '2026-01-01'), ('b', '2026-01-02'), (NULL, NULL)",
        ],
    );
    let full = bed.take(&["--engine", engine]);
    run(
        &mut conn,
        &["INSERT INTO shop.prices VALUES (5, 'juice', 3, 'c'), (6, 'milk', 2, 'd')"],
    );
    let (prices, visits) = (rows(&mut conn, "shop", "prices"), rows(&mut conn, "shop", "visits"));
    run(
        &mut conn,
        &[
            // One that changes nothing is no mistake: of 6 rows 5 are different.
            "UPDATE shop.prices SET name = IF(id = 2, name, UPPER(name))",
            "DELETE FROM shop.prices WHERE id = 6",
            "INSERT INTO shop.prices VALUES (7, 'wine', 9, NULL)",
            "ALTER TABLE shop.prices ADD COLUMN stock INT",
            "UPDATE shop.visits SET who = 'B' WHERE who = 'b'",
            "INSERT INTO shop.visits VALUES ('a', '2026-01-01')",
        ],
    );
    bed.take(&["--engine", "mysqldump", "--incremental", "--parent", &full]);
    let (gtid, ..) = bed.mistake("shop.prices", "update");
    let rescued = bed
        .recover(&["--before-gtid", &gtid, "--tables", "shop.*", "--as-schema", "rescue"])
        .ok()
        .json();
    assert_eq!(rows(&mut conn, "rescue", "prices"), prices);
    assert_eq!(rows(&mut conn, "rescue", "visits"), visits);
    let tables = &rescued["rescued"]["tables"];
    assert_eq!(
        tables[0]["rows"],
        json!({ "key": ["id"], "same": 1, "different": 4, "only_rescued": 1, "only_live": 1 }),
        "{tables}"
    );
    assert_eq!(
        tables[0]["definitions"],
        json!(["rescue.prices has no column stock"]),
        "{tables}"
    );
    assert_eq!(
        tables[1]["rows"],
        json!({ "key": [], "same": 3, "different": 0, "only_rescued": 1, "only_live": 2 }),
        "{tables}"
    );
    bed.nothing_is_left(&["rescue", "shop"]);
}

/// What can be known before the long way begins is refused before it.
fn what_is_refused(flavour: Flavour) {
    let bed = Bed::new(TestServer::start(flavour), None);
    let mut conn = bed.live.conn();
    two_orders(&mut conn);
    bed.take(&["--engine", "mysqlshell"]);
    run(
        &mut conn,
        &["CREATE TABLE shop.late (id INT)", "DROP TABLE shop.orders"],
    );
    bed.take(&["--engine", "mysqlshell", "--incremental"]);
    let (gtid, ..) = bed.mistake("shop.orders", "ddl");
    run(&mut conn, &["CREATE TABLE shop.orders (id INT PRIMARY KEY, v INT)"]);
    let before = ["--before-gtid", gtid.as_str()];
    let recover = |more: &[&str]| bed.recover(&[&before[..], more].concat());

    // Under its own name it would replace the living one, also where that may be replaced.
    for more in [
        &["--tables", "shop.orders"][..],
        &["--tables", "shop.orders", "--as-schema", "shop", "--overwrite"],
    ] {
        let refused = recover(more).fails_with(3);
        assert!(refused.stderr.contains("shop.orders lives on"), "{}", refused.stderr);
    }
    let orders = ["--tables", "shop.orders", "--as-schema", "rescue"];
    let planned = recover(&[&orders[..], &["--dry-run"]].concat()).ok().json();
    assert_eq!(planned["plan"]["engine"], "mysqlshell", "{planned}");
    assert_eq!(planned["private_copy"]["work_dir"], bed.work.display().to_string());
    bed.nothing_is_left(&["shop"]);
    recover(&orders).ok();
    assert_eq!(number(&mut conn, "SELECT SUM(id) FROM rescue.orders"), 3);

    // What is there already is replaced when that is said.
    run(&mut conn, &["INSERT INTO rescue.orders VALUES (9)"]);
    let refused = recover(&orders).fails_with(3);
    assert!(
        refused.stderr.contains("has rescue.orders already"),
        "{}",
        refused.stderr
    );

    // A table that is not there then: a name that is like it, and what the log knows.
    let gone = bed.recover(&["--latest", "--tables", "shop.orders,shop.latte", "--as-schema", "other"]);
    let stderr = gone.fails_with(2).stderr;
    assert!(stderr.contains("it has shop.late"), "{stderr}");
    assert!(stderr.contains("shop.orders was dropped at"), "{stderr}");
    assert!(stderr.contains(&format!("--before-gtid {gtid}")), "{stderr}");

    // A point that nothing leads to, and a copy that there is no room for.
    let early = bed.recover(&[
        "--to-time",
        "2020-01-01T00:00:00Z",
        "--tables",
        "shop.orders",
        "--as-schema",
        "other",
    ]);
    assert!(early.fails_with(1).stderr.contains("there is no way to"));
    enlarge(&bed.backstay.backups("main"));
    let refused = recover(&["--tables", "shop.orders", "--as-schema", "other"]).fails_with(3);
    assert!(
        refused.stderr.contains("a private copy needs at least"),
        "{}",
        refused.stderr
    );
    bed.nothing_is_left(&["rescue", "shop"]);
    recover(&["--exclude-tables", "shop.orders"]).fails_with(2);
}

/// The manifests say that the backups are larger than any disk.
fn enlarge(backups: &Path) {
    for entry in fs::read_dir(backups).unwrap().flatten() {
        let path = entry.path().join("manifest.json");
        let mut manifest: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
        manifest["bytes"] = json!(1_u64 << 60);
        let text = serde_json::to_vec_pretty(&manifest).unwrap();
        let digest: String = Sha256::digest(&text).iter().map(|byte| format!("{byte:02x}")).collect();
        fs::write(&path, text).unwrap();
        fs::write(
            entry.path().join("manifest.json.sha256"),
            format!("{digest}  manifest.json\n"),
        )
        .unwrap();
    }
}

/// `kill -9` of the program while the private server runs: that goes by itself, and its directory with the next run.
#[test]
fn a_killed_rescue_leaves_nothing_for_long() {
    let bed = Bed::new(TestServer::start(Flavour::MariaDb), None);
    two_orders(&mut bed.live.conn());
    run(
        &mut bed.live.conn(),
        &["CREATE DATABASE rescue", "CREATE TABLE rescue.orders (v INT)"],
    );
    bed.take(&["--engine", "mysqlshell"]);
    let arguments = bed.arguments(&[
        "--latest",
        "--tables",
        "shop.orders",
        "--as-schema",
        "rescue",
        "--overwrite",
    ]);
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let mut killed = bed.backstay.start(&arguments);
    until("a private server runs", || {
        let over = killed.try_wait().unwrap();
        assert!(over.is_none(), "{over:?}");
        !programs_on(&bed.work).is_empty()
    });
    kill(killed.id());
    killed.wait().unwrap();
    until("the private server is gone", || programs_on(&bed.work).is_empty());
    assert!(
        fs::read_dir(&bed.work).unwrap().next().is_some(),
        "nothing was left to be cleared"
    );
    // The worker lets go of the directory when it has ended, too.
    until("the next run clears it", || {
        bed.backstay.run(&arguments).ok();
        fs::read_dir(&bed.work).unwrap().next().is_none()
    });
    assert_eq!(number(&mut bed.live.conn(), "SELECT SUM(id) FROM rescue.orders"), 3);
    bed.nothing_is_left(&["rescue", "shop"]);
}
