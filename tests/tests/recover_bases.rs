//! Recovery to a point from backups of every engine, over what is archived: also into a data directory, and killed half-way.

use std::fs;
use std::os::unix::fs::symlink;
use std::process::Stdio;
use std::thread;
use std::time::{Duration, Instant};

use backstay_bed::{Flavour, TestServer, until};
use backstay_tests::backstay::{Backstay, Output};
use backstay_tests::bank::{self, Load};
use backstay_tests::compare::{Contents, contents};
use backstay_tests::engines::{BackedUp, Engine, Target, run};
use backstay_tests::log::{end, logged};
use backstay_tests::processes::{children, kill, terminate};
use backstay_tests::reference::server_at;
use backstay_tests::shop;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use serde_json::Value;

/// What is compared: all but what a server that recovers is free to change.
const SCHEMAS: [&str; 4] = ["bank", "marks", "shop", "shop_archive"];
const SEED: u64 = 20_261_128;

/// A server with a full backup, and everything since then archived.
struct Bed {
    backed_up: BackedUp,
}

impl Bed {
    /// The backup is taken, and the log archived, while transfers go on; `transfers` is how many are in the log at least.
    fn new(flavour: Flavour, engine: Engine, transfers: u64) -> Self {
        let archive = "[archive]\nspool = \"spool\"\nsegment_age = \"1s\"\n";
        let bed = Self {
            backed_up: BackedUp::new(flavour, engine, archive),
        };
        let (backstay, source) = (bed.backstay(), bed.source());
        let mut conn = source.conn();
        shop::create(&mut conn);
        bank::create(&mut conn);
        run(
            &mut conn,
            &["CREATE DATABASE marks", "CREATE TABLE marks.mark (id INT PRIMARY KEY)"],
        );
        let load = Load::start(&source.opts(), 2, SEED);
        load.wait_for(20);
        backstay.run(&["backup", "--engine", engine.name()]).ok();
        let archive = backstay
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

    fn backstay(&self) -> &Backstay {
        &self.backed_up.backstay
    }

    fn source(&self) -> &TestServer {
        &self.backed_up.source
    }

    /// Waits until the archive has a transaction that is committed now.
    fn until_archived(&self) {
        let mut conn = self.source().conn();
        run(&mut conn, &["CREATE TABLE marks.last_one (id INT PRIMARY KEY)"]);
        until("the end of the log is archived", || {
            let found = self
                .backstay()
                .run(&["log", "search", "--table", "marks.last_one", "--json"]);
            found.code == Some(0)
                && found.json()["transactions"]
                    .as_array()
                    .is_some_and(|found| !found.is_empty())
        });
    }

    fn target(&self, name: &str) -> Target {
        self.backed_up.target(name)
    }

    fn recover(&self, target: &Target, point: &[&str]) -> Output {
        self.backed_up.onto(target, &[&["recover", "--json"], point].concat())
    }

    /// A recovery to the latest that is killed, host and worker, once the backup is restored.
    fn interrupt_the_replay(&self, url: &str) {
        let mut host = self.backstay().start(&["recover", "--latest", "--to-server", url]);
        let notes = self.backstay().repository().join("clusters/main/recoveries");
        let restored = || {
            let note = fs::read_dir(&notes).ok()?.flatten().next()?;
            let note: Value = serde_json::from_slice(&fs::read(note.path()).ok()?).ok()?;
            note["restored"].as_array().map(|_| ())
        };
        until("the backup is restored", || restored().is_some());
        let workers = children(host.id());
        kill(host.id());
        workers.into_iter().for_each(kill);
        host.wait().unwrap();
    }

    #[track_caller]
    fn assert_same(&self, target: &Target, expected: &Contents, what: &str) {
        self.backed_up.assert_same(target, &SCHEMAS, expected, what);
    }
}

/// To the log's end and to just before a mistake, over archived segments.
fn over_the_archive(flavour: Flavour, engine: Engine) {
    let bed = Bed::new(flavour, engine, 200);
    let target = bed.target("latest");
    let recovered = bed.recover(&target, &["--latest"]).ok().json();
    let logs = recovered["recovered"]["plan"]["logs"]
        .as_array()
        .expect("the logs of the plan");
    let archived = |step: &Value| step["source"]["archive"].is_object();
    assert!(!logs.is_empty() && logs.iter().all(archived), "{recovered}");
    bed.assert_same(&target, &contents(&mut bed.source().conn(), &SCHEMAS), "the latest");

    let logged = logged(bed.backstay());
    let drops = |found: &Value| {
        let statement = found["statement"].as_str().unwrap_or_default();
        statement.starts_with("DROP TABLE") && statement.contains("mark")
    };
    let mistake = logged.iter().position(drops).expect("the mistake is in the log");
    let gtid = logged[mistake]["gtid"].as_str().expect("a GTID");
    let (file, offset) = end(&logged[mistake - 1]);
    let reference = server_at(bed.source(), &file, offset);
    let expected = contents(&mut reference.conn(), &SCHEMAS);
    let target = bed.target("before");
    bed.recover(&target, &["--before-gtid", gtid]).ok();
    bed.assert_same(&target, &expected, "before the mistake");
}

/// Killed at any moment, of the host, the worker or both, the same command comes to the same.
fn killed_and_run_again(flavour: Flavour, engine: Engine) {
    let rounds: u64 = std::env::var("BACKSTAY_ROUNDS").map_or(1, |text| text.parse().expect("a number"));
    let bed = Bed::new(flavour, engine, 1500);
    let expected = contents(&mut bed.source().conn(), &SCHEMAS);
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
        let mut host = bed.backstay().start(&["recover", "--latest", option, &name]);
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
        target.discard();
    }
}

/// Another server is started at the address of the one that an interrupted recovery was to: it is recovered from the beginning.
fn interrupted_to_another_server(flavour: Flavour) {
    let bed = Bed::new(flavour, Engine::Mysqldump, 1500);
    let expected = contents(&mut bed.source().conn(), &SCHEMAS);
    let servers = ["first", "second"].map(|name| bed.target(name));
    let socket = bed.source().dir().join("target.sock");
    let url = format!("{}://root@localhost/?socket={}", flavour.as_str(), socket.display());
    let link = |target: &Target| {
        let Target::Server(server) = target else {
            panic!("a server")
        };
        let _ = fs::remove_file(&socket);
        symlink(server.server.socket(), &socket).unwrap();
    };
    link(&servers[0]);
    bed.interrupt_the_replay(&url);
    link(&servers[1]);
    let arguments = ["recover", "--latest", "--to-server", &url, "--json"];
    let again = bed.backstay().run(&arguments).ok();
    assert_eq!(again.json()["recovered"]["began"], "anew", "{again:?}");
    assert!(
        again.stderr.contains("to another server at this address"),
        "{}",
        again.stderr
    );
    bed.assert_same(&servers[1], &expected, "another server at the address");
}

/// What the restore had to say is said at the end of a recovery that was interrupted after it.
fn a_notice_outlives_an_interruption(flavour: Flavour) {
    let bed = Bed::new(flavour, Engine::Mysqlshell, 1500);
    let target = bed.target("interrupted");
    let Target::Server(server) = &target else {
        panic!("a server")
    };
    run(&mut server.conn(), &["SET GLOBAL event_scheduler = ON"]);
    bed.interrupt_the_replay(&server.url());
    let again = bed.recover(&target, &["--latest"]).ok().json();
    assert_eq!(again["recovered"]["began"], "resumed", "{again}");
    let notices = again["recovered"]["notices"].as_array().expect("notices");
    assert!(
        notices.iter().any(|notice| notice["code"] == "event-scheduler-off"),
        "{again}"
    );
    bed.assert_same(&target, &contents(&mut bed.source().conn(), &SCHEMAS), "resumed");
}

mod mysql {
    use super::*;

    #[test]
    fn what_the_restore_said() {
        a_notice_outlives_an_interruption(Flavour::MySql);
    }

    #[test]
    fn interrupted_onto_another_server() {
        interrupted_to_another_server(Flavour::MySql);
    }

    #[test]
    fn a_dump_over_the_archive() {
        over_the_archive(Flavour::MySql, Engine::Mysqlshell);
    }

    #[test]
    fn a_snapshot_over_the_archive() {
        over_the_archive(Flavour::MySql, Engine::Snapshot);
    }

    #[test]
    fn killed_onto_a_server() {
        killed_and_run_again(Flavour::MySql, Engine::Mysqlshell);
    }

    #[test]
    fn killed_onto_a_server_by_its_own_client() {
        killed_and_run_again(Flavour::MySql, Engine::Mysqldump);
    }

    #[test]
    fn killed_into_a_directory() {
        killed_and_run_again(Flavour::MySql, Engine::Snapshot);
    }
}

mod mariadb {
    use super::*;

    #[test]
    fn what_the_restore_said() {
        a_notice_outlives_an_interruption(Flavour::MariaDb);
    }

    #[test]
    fn interrupted_onto_another_server() {
        interrupted_to_another_server(Flavour::MariaDb);
    }

    #[test]
    fn a_dump_over_the_archive() {
        over_the_archive(Flavour::MariaDb, Engine::Mysqlshell);
    }

    #[test]
    fn a_copy_of_files_over_the_archive() {
        over_the_archive(Flavour::MariaDb, Engine::Xtrabackup);
    }

    #[test]
    fn killed_onto_a_server() {
        killed_and_run_again(Flavour::MariaDb, Engine::Mysqlshell);
    }

    #[test]
    fn killed_onto_a_server_by_its_own_client() {
        killed_and_run_again(Flavour::MariaDb, Engine::Mysqldump);
    }

    #[test]
    fn killed_into_a_directory() {
        killed_and_run_again(Flavour::MariaDb, Engine::Xtrabackup);
    }
}
