//! The engine `xtrabackup` end to end, on MariaDB with `mariadb-backup`: chains taken under a write load with DDL are what a second
//! server has that executed exactly the log up to their position; `kill -9` leaves nothing; damage is found before anything is done.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use backstay_bed::{Flavour, TestServer, until};
use backstay_mysql::PrivateServer;
use backstay_mysql::mysql;
use backstay_tests::backstay::Backstay;
use backstay_tests::bank::{self, Load};
use backstay_tests::compare::{contents, differences, rows};
use backstay_tests::on_volume::{conn, rounds};
use backstay_tests::processes::{children, kill};
use backstay_tests::reference::{binlog_position, server_at};
use backstay_tests::sessions::{none_stays, sessions};
use backstay_tests::shop;
use mysql::Conn;
use mysql::prelude::Queryable;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

/// How many times the worker or its supervisor is killed.
const KILLS: u64 = 20;

/// What the engine says of DDL that the tool does not follow.
const MISSED: &str = "which mariadb-backup does not follow: ";

fn backstay(source: &TestServer) -> Backstay {
    Backstay::new(&source.dir().join("backstay"), &[], &source.section("main"))
}

/// DDL now and then, until it is dropped: tables come, change, are renamed and go.
struct Ddl {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Ddl {
    fn start(source: &TestServer, seed: u64) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let mut conn = source.conn();
        conn.query_drop("CREATE DATABASE IF NOT EXISTS ddl").unwrap();
        let stopped = Arc::clone(&stop);
        let mut random = StdRng::seed_from_u64(seed);
        let thread = thread::spawn(move || {
            let mut number = seed * 1_000_000;
            while !stopped.load(Ordering::Relaxed) {
                number += 1;
                let engine = match random.random_range(0..100) {
                    0 => "Aria",
                    1 => "MyISAM",
                    _ => "InnoDB",
                };
                let mut statements = vec![
                    format!("CREATE TABLE ddl.t{number} (id INT PRIMARY KEY, v VARCHAR(100)) ENGINE={engine}"),
                    format!("INSERT INTO ddl.t{number} SELECT seq, REPEAT('v', seq % 100) FROM mysql.seq_1_to_500"),
                    format!("ALTER TABLE ddl.t{number} ADD COLUMN w INT NOT NULL DEFAULT {number}"),
                ];
                if engine == "InnoDB" {
                    statements.extend([
                        format!("RENAME TABLE ddl.t{number} TO ddl.r{number}"),
                        format!("TRUNCATE TABLE ddl.r{number}"),
                        format!("INSERT INTO ddl.r{number} VALUES (1, 'after', 2)"),
                        format!("DROP TABLE ddl.r{number}"),
                    ]);
                } else {
                    // The tool does not follow more of these: were there RENAME and TRUNCATE, hardly a backup would be whole.
                    statements.push(format!("DROP TABLE ddl.t{number}"));
                }
                // Some stay as they are half-way.
                let last = random.random_range(2..=statements.len());
                for statement in &statements[..last] {
                    conn.query_drop(statement)
                        .unwrap_or_else(|error| panic!("{statement}: {error}"));
                    thread::sleep(Duration::from_millis(random.random_range(0..60)));
                }
            }
        });
        Self {
            stop,
            thread: Some(thread),
        }
    }

    fn stop(mut self) {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.take().unwrap().join().expect("the thread of the DDL");
    }
}

impl Drop for Ddl {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

/// A server on a restored directory.
fn server_on(source: &TestServer, data: &Path) -> PrivateServer {
    PrivateServer::builder(source.server.running().clone(), data)
        .start()
        .unwrap_or_else(|error| panic!("{error}"))
}

/// What is compared: all but what a server that recovers is free to change.
fn schemas(conn: &mut Conn) -> backstay_tests::compare::Contents {
    contents(conn, &["bank", "shop", "shop_archive", "ddl"])
}

/// Takes a backup, again where the engine says that DDL was in the way.
fn whole(backstay: &Backstay, arguments: &[&str]) {
    for _ in 0..20 {
        let output = backstay.run(arguments);
        if output.code == Some(0) {
            return;
        }
        // DDL is in the way of the tool, and that is said; anything else is a failure.
        assert!(output.stderr.contains("take the backup again"), "{}", output.stderr);
        eprintln!("again: {}", output.stderr);
    }
    panic!("20 backups, and none is whole");
}

/// A full backup and three incrementals under load; each is restored and compared.
fn equals_a_reference(flush: u64, seed: u64) {
    let flush = format!("--innodb-flush-log-at-trx-commit={flush}");
    let source = TestServer::start_with(Flavour::MariaDb, &[&flush]);
    shop::create(&mut source.conn());
    bank::create(&mut source.conn());
    let backstay = backstay(&source);
    let load = Load::start(&source.opts(), 1, seed);
    let ddl = Ddl::start(&source, seed);
    load.wait_for(100);
    whole(&backstay, &["backup", "--engine", "xtrabackup"]);
    for _ in 0..3 {
        load.wait_for(100);
        whole(&backstay, &["backup", "--engine", "xtrabackup", "--incremental"]);
    }
    load.wait_for(50);
    ddl.stop();
    load.stop();
    let ids = backstay.ids("main");
    assert_eq!(ids.len(), 4, "{ids:?}");
    backstay.run(&["verify"]).ok();
    for id in [&ids[0], &ids[3]] {
        let data = source.dir().join(format!("restored-{id}"));
        let target = data.to_string_lossy().into_owned();
        let restored = backstay.run(&["restore", id, "--to-datadir", &target, "--json"]).ok();
        let shown = backstay.run(&["show", id, "--json"]).ok().json();
        let (file, offset) = binlog_position(&shown["backup"]["positions"]);
        assert!(
            restored.stdout.contains(&format!("{file}:{offset}")),
            "{}",
            restored.stdout
        );
        let reference = server_at(&source, &file, offset);
        let server = server_on(&source, &data);
        eprintln!("{id} at {file}:{offset}");
        let (left, right) = (schemas(&mut conn(&server)), schemas(&mut reference.conn()));
        let differ = differences(&left, &right);
        assert!(differ.is_empty(), "{id} at {file}:{offset}: {differ:#?}");
        assert!(left.contains_key("`bank`.`transfer` rows"), "{:?}", left.keys());
        let (sum, expected) = bank::sums(&mut conn(&server), "bank");
        assert_eq!(sum, expected);
        server.stop().unwrap();
    }
}

#[test]
fn chains_under_load_equal_a_reference() {
    for seed in 1..=rounds(3) {
        let flush = (seed - 1) % 3;
        eprintln!("seed {seed}, innodb_flush_log_at_trx_commit={flush}");
        equals_a_reference(flush, seed);
    }
}

/// A table whose first page is not in its file yet is copied whole, under the name that it has then. When it is renamed before the next
/// backup and still not written, that one brings it whole again: `--prepare` finds the same tablespace under both names.
#[test]
fn a_table_that_is_renamed_before_it_is_written() {
    let arguments = [
        "--innodb-max-dirty-pages-pct=99",
        "--innodb-adaptive-flushing=0",
        "--innodb-log-file-size=256M",
    ];
    let source = TestServer::start_with(Flavour::MariaDb, &arguments);
    // A server that has nothing to do writes its pages.
    bank::create(&mut source.conn());
    let load = Load::start(&source.opts(), 1, 7);
    let backstay = backstay(&source);
    let mut own = source.conn();
    let mut holder = source.conn();
    own.query_drop("CREATE TABLE bank.held (id INT) ENGINE=MyISAM").unwrap();
    own.query_drop("CREATE DATABASE young").unwrap();
    let each = |own: &mut Conn, statement: &str| {
        for number in 0..20 {
            let statement = statement.replace('#', &number.to_string());
            own.query_drop(&statement)
                .unwrap_or_else(|error| panic!("{statement}: {error}"));
        }
    };
    each(&mut own, "CREATE TABLE young.t# (id INT PRIMARY KEY, v INT)");
    each(&mut own, "INSERT INTO young.t# SELECT seq, # FROM mysql.seq_1_to_500");
    backstay.run(&["backup", "--engine", "xtrabackup"]).ok();
    each(&mut own, "RENAME TABLE young.t# TO young.r#");
    each(&mut own, "UPDATE young.r# SET v = v + 1 WHERE id <= 100");
    // The number of the tablespace is in the first page.
    let files = source.server.data_dir().join("young");
    let written = || {
        let written = |number: &i64| fs::read(files.join(format!("r{number}.ibd"))).unwrap()[34..38] != [0; 4];
        (0..20).filter(written).count()
    };
    assert_eq!(written(), 0, "the server has written the tables already");
    // The tool has looked at the files when it asks for this lock, and copies what is new when it has it.
    holder.query_drop("LOCK TABLES bank.held WRITE").unwrap();
    let mut supervisor = backstay.start(&["backup", "--engine", "xtrabackup", "--incremental"]);
    let waits = "SELECT COUNT(*) FROM information_schema.processlist \
                 WHERE info LIKE 'BACKUP STAGE%' AND state LIKE 'Waiting%'";
    until("the tool waits for the lock", || {
        own.query_first::<u32, _>(waits).unwrap() == Some(1)
    });
    own.query_drop("SET GLOBAL innodb_max_dirty_pages_pct = 0").unwrap();
    until("the tables are written", || written() == 20);
    holder.query_drop("UNLOCK TABLES").unwrap();
    assert!(supervisor.wait().unwrap().success());
    load.stop();
    let data = source.dir().join("restored");
    backstay
        .run(&["restore", "latest", "--to-datadir", &data.to_string_lossy()])
        .ok();
    let server = server_on(&source, &data);
    let mut restored = conn(&server);
    for number in 0..20 {
        let sums = "SELECT COUNT(*), CAST(SUM(v) AS SIGNED) FROM";
        let found: Option<(u64, i64)> = restored.query_first(format!("{sums} young.r{number}")).unwrap();
        assert_eq!(found, Some((500, 500 * number + 100)), "young.r{number}");
    }
    let tables: Vec<String> = restored.query("SHOW TABLES FROM young LIKE 't%'").unwrap();
    assert!(tables.is_empty(), "{tables:?}");
    server.stop().unwrap();
}

/// The server's log of DDL has no TRUNCATE of these engines, so that the tool keeps the rows; nobody would know.
#[test]
fn a_table_truncated_while_it_is_copied() {
    for engine in ["Aria", "MyISAM"] {
        let source = TestServer::start(Flavour::MariaDb);
        let mut own = source.conn();
        own.query_drop("CREATE DATABASE d").unwrap();
        own.query_drop(format!(
            "CREATE TABLE d.t (id INT PRIMARY KEY, KEY (id)) ENGINE={engine}"
        ))
        .unwrap();
        let stop = AtomicBool::new(false);
        let backstay = backstay(&source);
        thread::scope(|scope| {
            scope.spawn(|| {
                while !stop.load(Ordering::Relaxed) {
                    own.query_drop("TRUNCATE TABLE d.t").unwrap();
                    own.query_drop("INSERT INTO d.t VALUES (1), (2)").unwrap();
                }
            });
            let output = backstay.run(&["backup", "--engine", "xtrabackup"]);
            stop.store(true, Ordering::Relaxed);
            let failed = output.fails_with(1);
            assert!(failed.stderr.contains(&format!("{MISSED}d.t")), "{}", failed.stderr);
        });
        assert!(backstay.ids("main").is_empty());
        backstay.run(&["backup", "--engine", "xtrabackup"]).ok();
    }
}

#[test]
fn a_table_that_was_dropped_comes_back() {
    let source = TestServer::start(Flavour::MariaDb);
    shop::create(&mut source.conn());
    let backstay = backstay(&source);
    backstay.run(&["backup", "--engine", "xtrabackup"]).ok();
    let mut conn = source.conn();
    let before = rows(&mut conn, "shop", "orders");
    conn.query_drop("SET foreign_key_checks = 0").unwrap();
    conn.query_drop("DROP TABLE shop.orders").unwrap();
    let url = source.url();
    let restored = backstay
        .run(&["restore", "--tables", "shop.orders", "--to-server", &url, "--json"])
        .ok();
    assert!(restored.stdout.contains("not-in-the-binary-log"), "{}", restored.stdout);
    assert_eq!(rows(&mut conn, "shop", "orders"), before);
    backstay
        .run(&[
            "restore",
            "--tables",
            "shop.orders",
            "--as-schema",
            "rescue",
            "--to-server",
            &url,
        ])
        .ok();
    assert_eq!(rows(&mut conn, "rescue", "orders"), before);
    // All of it does not go into a server, and a table not into a directory.
    backstay.run(&["restore", "--to-server", &url]).fails_with(2);
}

/// A byte that is wrong anywhere is found before the target is touched.
#[test]
fn damage_is_found_before_anything_is_done() {
    let source = TestServer::start(Flavour::MariaDb);
    shop::create(&mut source.conn());
    let backstay = backstay(&source);
    backstay.run(&["backup", "--engine", "xtrabackup"]).ok();
    let largest = backstay
        .files()
        .into_iter()
        .filter(|(path, _)| path.to_string_lossy().contains("/data/"))
        .max_by_key(|(_, size)| *size)
        .expect("a file of data");
    let file = backstay.repository().join(&largest.0);
    let whole = fs::read(&file).unwrap();
    let mut damaged = whole.clone();
    let middle = damaged.len() / 2;
    damaged[middle] ^= 1;
    fs::write(&file, damaged).unwrap();
    let target = source.dir().join("restored");
    fs::create_dir(&target).unwrap();
    let arguments = ["restore", "--to-datadir", &target.to_string_lossy()].map(str::to_owned);
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let failed = backstay.run(&arguments).fails_with(1);
    assert!(failed.stderr.contains("damaged"), "{}", failed.stderr);
    assert_eq!(fs::read_dir(&target).unwrap().count(), 0);
    let leavings = || {
        let names = fs::read_dir(source.dir()).unwrap();
        let names = names.map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned());
        names.filter(|name| name.starts_with(".restored")).collect::<Vec<_>>()
    };
    assert_eq!(leavings(), Vec::<String>::new());
    // What would be replaced is not read over before all is known to be sound.
    let precious = target.join("precious");
    fs::write(&precious, "x").unwrap();
    let failed = backstay.run(&[&arguments[..], &["--overwrite"]].concat()).fails_with(1);
    assert!(
        failed.stderr.contains("nothing of it was restored"),
        "{}",
        failed.stderr
    );
    assert_eq!(fs::read_to_string(&precious).unwrap(), "x");
    fs::remove_file(&precious).unwrap();
    fs::write(&file, whole).unwrap();
    backstay.run(&arguments).ok();
    assert_eq!(leavings(), Vec::<String>::new());
    let again = backstay.run(&arguments).fails_with(3);
    assert!(again.stderr.contains("is not empty"), "{}", again.stderr);
}

/// Worker or supervisor is killed at a random moment of a backup or a restore: no tool, no session, no lock stays, nothing
/// half-made looks restored, and the next one works.
#[test]
fn killed_at_random_moments() {
    let source = TestServer::start(Flavour::MariaDb);
    let mut own = source.conn();
    bank::create(&mut own);
    own.query_drop("CREATE TABLE bank.big (id INT AUTO_INCREMENT PRIMARY KEY, v LONGBLOB)")
        .unwrap();
    for seed in 0..8_u64 {
        let mut bytes = vec![0; 1 << 20];
        StdRng::seed_from_u64(seed).fill(&mut bytes[..]);
        own.exec_drop("INSERT INTO bank.big (v) VALUES (?)", (bytes,)).unwrap();
    }
    let backstay = backstay(&source);
    let started = Instant::now();
    backstay.run(&["backup", "--engine", "xtrabackup"]).ok();
    let backup = started.elapsed();
    let place = source.dir().join("place");
    fs::create_dir(&place).unwrap();
    let target = place.join("data").to_string_lossy().into_owned();
    let restore = ["restore", "--to-datadir", target.as_str()];
    let started = Instant::now();
    backstay.run(&restore).ok();
    let restored = started.elapsed();
    fs::remove_dir_all(&target).unwrap();

    let load = Load::start(&source.opts(), 2, 5);
    let before = sessions(&mut own);
    let mut random = StdRng::seed_from_u64(20_261_122);
    for round in 0..KILLS {
        let (arguments, whole): (&[&str], Duration) = if round % 2 == 0 {
            (&["backup", "--engine", "xtrabackup"], backup)
        } else {
            (&restore, restored)
        };
        let moment = whole.mul_f64(random.random_range(0.0..1.1));
        let both = random.random_bool(0.5);
        eprintln!("round {round}: {arguments:?} after {moment:?}, the supervisor too: {both}");
        let mut supervisor = backstay.start(arguments);
        thread::sleep(moment);
        let workers = children(supervisor.id());
        if both {
            kill(supervisor.id());
        }
        workers.into_iter().for_each(kill);
        supervisor.wait().unwrap();
        until("no tool stays", || tools_below(source.dir()).is_empty());
        load.wait_for(20);
        none_stays(&mut own, &before);
        if Path::new(&target).exists() {
            // It was put into place whole.
            server_on(&source, Path::new(&target)).stop().unwrap();
            fs::remove_dir_all(&target).unwrap();
        }
    }
    backstay.run(&["backup", "--engine", "xtrabackup"]).ok();
    backstay.run(&restore).ok();
    load.stop();
    let left: Vec<PathBuf> = fs::read_dir(&place)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    assert_eq!(
        left,
        [place.join("data")],
        "the next restore clears up what a killed one has left"
    );
    server_on(&source, Path::new(&target)).stop().unwrap();
    backstay.run(&["verify"]).ok();
}

/// The tools that run and were started on something below the test's directory.
fn tools_below(dir: &Path) -> Vec<String> {
    fs::read_dir("/proc")
        .unwrap()
        .flatten()
        .filter_map(|entry| fs::read(entry.path().join("cmdline")).ok())
        .map(|line| String::from_utf8_lossy(&line).replace('\0', " "))
        .filter(|line| line.contains("mariadb-backup") && line.contains(&*dir.to_string_lossy()))
        .collect()
}
