//! Recovery to a point from backups of every engine, over what is archived: also into a data directory, and killed half-way.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::thread;
use std::time::{Duration, Instant};

use backstay_bed::{Flavour, TestServer, until};
use backstay_mysql::PrivateServer;
use backstay_mysql::mysql::prelude::Queryable;
use backstay_mysql::mysql::{Conn, OptsBuilder};
use backstay_tests::backstay::{Backstay, Output};
use backstay_tests::bank::{self, Load};
use backstay_tests::compare::{Contents, contents, differences};
use backstay_tests::log::{end, logged};
use backstay_tests::processes::{children, kill, terminate};
use backstay_tests::reference::server_at;
use backstay_tests::shop;
use backstay_tests::volumes::{FileSystem, Volume};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use serde_json::Value;

/// What is compared: all but what a server that recovers is free to change.
const SCHEMAS: [&str; 4] = ["bank", "marks", "shop", "shop_archive"];
const SEED: u64 = 20_261_128;

/// What the backup below the log is made by, and where it is recovered to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Base {
    /// Into a running server.
    Shell,
    /// Into a data directory.
    Xtrabackup,
    /// Into a data directory, by copies of the files that share their blocks.
    Snapshot,
}

impl Base {
    fn engine(self) -> &'static str {
        match self {
            Self::Shell => "mysqlshell",
            Self::Xtrabackup => "xtrabackup",
            Self::Snapshot => "snapshot",
        }
    }
}

/// A server with a full backup, and everything since then archived.
struct Bed {
    base: Base,
    backstay: Backstay,
    source: TestServer,
    dir: PathBuf,
    // Last, so that the server is gone when it is unmounted.
    _volume: Option<Volume>,
}

impl Bed {
    /// The backup is taken, and the log archived, while transfers go on; `transfers` is how many are in the log at least.
    fn new(flavour: Flavour, base: Base, transfers: u64) -> Self {
        let volume = (base == Base::Snapshot).then(|| Volume::new(FileSystem::Xfs, 1500));
        let source = match &volume {
            Some(volume) => TestServer::start_in(flavour, &volume.point(), &[""; 0]),
            None => TestServer::start(flavour),
        };
        let dir = match &volume {
            Some(volume) => volume.point(),
            None => source.dir().to_owned(),
        };
        let sections = format!(
            "[archive]\nspool = \"spool\"\nsegment_age = \"1s\"\n\n{}",
            source.section("main")
        );
        let backstay = Backstay::new(&dir.join("backstay"), &[], &sections);
        let mut conn = source.conn();
        shop::create(&mut conn);
        bank::create(&mut conn);
        run(
            &mut conn,
            &["CREATE DATABASE marks", "CREATE TABLE marks.mark (id INT PRIMARY KEY)"],
        );
        let bed = Self {
            base,
            backstay,
            source,
            dir,
            _volume: volume,
        };
        let load = Load::start(&bed.source.opts(), 2, SEED);
        load.wait_for(20);
        bed.backstay.run(&["backup", "--engine", base.engine()]).ok();
        let archive = bed
            .backstay
            .command(&["archive"])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        load.wait_for(transfers / 2);
        run(
            &mut conn,
            &[
                "INSERT INTO marks.mark VALUES (1)",
                "CREATE TABLE shop.under_load (id INT PRIMARY KEY, v VARCHAR(20))",
                "INSERT INTO shop.under_load VALUES (1, 'a'), (2, 'b')",
                "DROP TABLE marks.mark",
                "FLUSH BINARY LOGS",
            ],
        );
        load.wait_for(transfers / 2);
        load.stop();
        bed.until_archived();
        terminate(archive.id());
        let ended = archive.wait_with_output().unwrap();
        assert!(ended.status.success(), "{ended:?}");
        bed
    }

    /// Waits until the archive has a transaction that is committed now.
    fn until_archived(&self) {
        let mut conn = self.source.conn();
        run(&mut conn, &["CREATE TABLE marks.last_one (id INT PRIMARY KEY)"]);
        until("the end of the log is archived", || {
            let found = self
                .backstay
                .run(&["log", "search", "--table", "marks.last_one", "--json"]);
            found.code == Some(0)
                && found.json()["transactions"]
                    .as_array()
                    .is_some_and(|found| !found.is_empty())
        });
    }

    fn target(&self, name: &str) -> Target {
        match self.base {
            Base::Shell => Target::Server(Box::new(TestServer::start_with(
                self.source.flavour,
                &["--server-id=77", "--event-scheduler=OFF"],
            ))),
            _ => Target::Directory(self.dir.join(name)),
        }
    }

    fn recover(&self, target: &Target, point: &[&str]) -> Output {
        let (option, target) = target.arguments();
        self.backstay
            .run(&[&["recover", "--json"], point, &[option, &target]].concat())
    }

    /// What is on a target that was recovered to.
    fn contents(&self, target: &Target) -> Contents {
        match target {
            Target::Server(server) => contents(&mut server.conn(), &SCHEMAS),
            Target::Directory(path) => {
                let server = server_on(&self.source, path);
                let found = contents(&mut conn(&server), &SCHEMAS);
                server.stop().unwrap();
                found
            }
        }
    }

    #[track_caller]
    fn assert_same(&self, target: &Target, expected: &Contents, what: &str) {
        let differ = differences(&self.contents(target), expected);
        assert!(differ.is_empty(), "{what}: {differ:#?}");
    }
}

enum Target {
    Server(Box<TestServer>),
    Directory(PathBuf),
}

impl Target {
    fn arguments(&self) -> (&'static str, String) {
        match self {
            Self::Server(server) => ("--to-server", server.url()),
            Self::Directory(path) => ("--to-datadir", path.to_string_lossy().into_owned()),
        }
    }
}

fn run(conn: &mut Conn, statements: &[&str]) {
    for statement in statements {
        conn.query_drop(*statement)
            .unwrap_or_else(|error| panic!("{statement}: {error}"));
    }
}

/// A server on a directory that was recovered to.
fn server_on(source: &TestServer, data: &Path) -> PrivateServer {
    let gtids: &[&str] = match source.flavour {
        Flavour::MySql => &["--gtid-mode=ON", "--enforce-gtid-consistency=ON"],
        _ => &[],
    };
    PrivateServer::builder(source.server.running().clone(), data)
        .args(gtids.iter().copied())
        .start()
        .unwrap_or_else(|error| panic!("{error}"))
}

fn conn(server: &PrivateServer) -> Conn {
    let opts = OptsBuilder::new()
        .socket(Some(server.socket().to_string_lossy()))
        .user(Some("root"))
        .prefer_socket(true);
    Conn::new(opts).expect("a connection to the recovered server")
}

/// To the log's end and to just before a mistake, over archived segments.
fn over_the_archive(flavour: Flavour, base: Base) {
    let bed = Bed::new(flavour, base, 200);
    let target = bed.target("latest");
    let recovered = bed.recover(&target, &["--latest"]).ok().json();
    let logs = recovered["recovered"]["plan"]["logs"]
        .as_array()
        .expect("the logs of the plan");
    let archived = |step: &Value| step["source"]["archive"].is_object();
    assert!(!logs.is_empty() && logs.iter().all(archived), "{recovered}");
    bed.assert_same(&target, &contents(&mut bed.source.conn(), &SCHEMAS), "the latest");

    let logged = logged(&bed.backstay);
    let drops = |found: &Value| {
        let statement = found["statement"].as_str().unwrap_or_default();
        statement.starts_with("DROP TABLE") && statement.contains("mark")
    };
    let mistake = logged.iter().position(drops).expect("the mistake is in the log");
    let gtid = logged[mistake]["gtid"].as_str().expect("a GTID");
    let (file, offset) = end(&logged[mistake - 1]);
    let reference = server_at(&bed.source, &file, offset);
    let expected = contents(&mut reference.conn(), &SCHEMAS);
    let target = bed.target("before");
    bed.recover(&target, &["--before-gtid", gtid]).ok();
    bed.assert_same(&target, &expected, "before the mistake");
}

/// Killed at any moment, of the host, the worker or both, the same command comes to the same.
fn killed_and_run_again(flavour: Flavour, base: Base) {
    let rounds: u64 = std::env::var("BACKSTAY_ROUNDS").map_or(1, |text| text.parse().expect("a number"));
    let bed = Bed::new(flavour, base, 1500);
    let expected = contents(&mut bed.source.conn(), &SCHEMAS);
    let began = Instant::now();
    let target = bed.target("undisturbed");
    bed.recover(&target, &["--latest"]).ok();
    let takes = began.elapsed();
    bed.assert_same(&target, &expected, "undisturbed");
    drop(target);

    let mut random = StdRng::seed_from_u64(SEED);
    for round in 0..rounds {
        let target = bed.target(&format!("killed-{round}"));
        let (option, name) = target.arguments();
        let moment = Duration::from_millis(random.random_range(50..takes.as_millis().max(100) as u64));
        let whom = random.random_range(0..3);
        let mut host = bed.backstay.start(&["recover", "--latest", option, &name]);
        thread::sleep(moment);
        let ended = host.try_wait().unwrap();
        if ended.is_none() {
            let workers = children(host.id());
            if whom != 0 {
                kill(host.id());
            }
            if whom != 1 {
                workers.into_iter().for_each(kill);
            }
        }
        let said = host.wait_with_output().unwrap();
        let mut again = bed.recover(&target, &["--latest"]);
        if again.code == Some(3) {
            // What a restore has left half-way is replaced only if that is said.
            assert!(again.stderr.contains("--overwrite"), "{again:?}");
            again = bed.recover(&target, &["--latest", "--overwrite"]);
        }
        let what = format!(
            "seed {SEED}, round {round}: {} after {moment:?} of {takes:?}{}",
            ["the worker", "the host", "both"][whom],
            if ended.is_some() { ", when it was over" } else { "" }
        );
        assert_eq!(
            again.code,
            Some(0),
            "{what}: {}\n{}",
            again.stderr,
            String::from_utf8_lossy(&said.stderr)
        );
        eprintln!("{what}: {}", again.json()["recovered"]["began"]);
        bed.assert_same(&target, &expected, &what);
        if let Target::Directory(path) = &target {
            fs::remove_dir_all(path).unwrap();
        }
    }
}

mod mysql {
    use super::*;

    #[test]
    fn a_dump_over_the_archive() {
        over_the_archive(Flavour::MySql, Base::Shell);
    }

    #[test]
    fn a_snapshot_over_the_archive() {
        over_the_archive(Flavour::MySql, Base::Snapshot);
    }

    #[test]
    fn killed_onto_a_server() {
        killed_and_run_again(Flavour::MySql, Base::Shell);
    }

    #[test]
    fn killed_into_a_directory() {
        killed_and_run_again(Flavour::MySql, Base::Snapshot);
    }
}

mod mariadb {
    use super::*;

    #[test]
    fn a_dump_over_the_archive() {
        over_the_archive(Flavour::MariaDb, Base::Shell);
    }

    #[test]
    fn a_copy_of_files_over_the_archive() {
        over_the_archive(Flavour::MariaDb, Base::Xtrabackup);
    }

    #[test]
    fn killed_onto_a_server() {
        killed_and_run_again(Flavour::MariaDb, Base::Shell);
    }

    #[test]
    fn killed_into_a_directory() {
        killed_and_run_again(Flavour::MariaDb, Base::Xtrabackup);
    }
}
