//! What an archive's segments say of time and history: a point in time in a log that was archived late, and a server that was reset and
//! counts its transactions from the beginning again.

use std::fs;
use std::process::{Child, Stdio};
use std::thread;
use std::time::Duration;

use backstay_bed::{Flavour, TestServer, on_both, until};
use backstay_mysql::mysql::prelude::Queryable;
use backstay_tests::archived::{Log, covers, end, executed};
use backstay_tests::backstay::Backstay;
use backstay_tests::processes::terminate;
use backstay_tests::replicas::{caught_up, replicate};
use serde_json::Value;

on_both!(
    a_time_in_a_log_that_was_archived_late,
    an_archive_with_nothing_to_read,
    an_archive_that_follows_an_idle_server,
    of_a_backup_of_another_member,
    a_reset_while_it_follows,
    the_same_again_after_a_reset
);

struct Bed {
    backstay: Backstay,
    server: TestServer,
}

impl Bed {
    fn new(flavour: Flavour) -> Self {
        let server = TestServer::start(flavour);
        let archive = "[archive]\nspool = \"spool\"\nsegment_size = \"1MiB\"\nsegment_age = \"1s\"\n\n";
        let sections = format!("{archive}{}", server.section("main"));
        let backstay = Backstay::new(&server.dir().join("backstay"), &[], &sections);
        Self { backstay, server }
    }

    fn run(&self, statements: &[&str]) {
        let mut conn = self.server.conn();
        for statement in statements {
            conn.query_drop(*statement)
                .unwrap_or_else(|error| panic!("{statement}: {error}"));
        }
    }

    fn create(&self) {
        self.run(&[
            "CREATE DATABASE d",
            "CREATE TABLE d.t (id INT PRIMARY KEY AUTO_INCREMENT, v LONGTEXT)",
        ]);
    }

    /// So many rows, each of which is a transaction.
    fn write(&self, rows: usize) {
        self.run(&vec!["INSERT INTO d.t (v) VALUES ('a')"; rows]);
    }

    fn reset(&self) {
        self.run(&[if self.server.flavour.is_mariadb() {
            "RESET MASTER"
        } else {
            "RESET BINARY LOGS AND GTIDS"
        }]);
    }

    fn full(&self) -> String {
        let taken = self.backstay.run(&["backup", "--engine", "mysqldump", "--json"]).ok();
        taken.json()["backup"]["id"].as_str().unwrap().to_owned()
    }

    fn archive(&self) -> Child {
        let mut command = self.backstay.command(&["archive", "--cluster", "main"]);
        command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
    }

    fn until_archived(&self) {
        let committed = executed(&self.server);
        until("all of it is archived", || {
            end(&self.backstay.repository()).is_some_and(|ends| covers(self.server.flavour, &ends, &committed))
        });
    }

    /// Writes, takes another backup, writes, and archives: without that backup all of it comes back on the first one.
    fn between_backups(&self, first: &str, archive: impl FnOnce()) {
        self.write(3);
        let second = self.full();
        self.write(2);
        archive();
        assert_eq!(self.streams(), 1);
        fs::remove_dir_all(self.backstay.backups("main").join(&second)).unwrap();
        self.comes_back(first, 5);
    }

    /// To the latest point, on that backup.
    fn comes_back(&self, base: &str, rows: u64) {
        let target = TestServer::start_with(self.server.flavour, &["--server-id=77", "--event-scheduler=OFF"]);
        let arguments = ["recover", "--latest", "--to-server", &target.url(), "--json"];
        let recovered = self.backstay.run(&arguments).ok().json();
        assert_eq!(recovered["recovered"]["plan"]["chain"][0], base, "{recovered}");
        assert_eq!(
            recovered["recovered"]["plan"]["notes"],
            serde_json::json!([]),
            "{recovered}"
        );
        let found: Option<u64> = target.conn().query_first("SELECT COUNT(*) FROM d.t").unwrap();
        assert_eq!(found, Some(rows));
    }

    fn streams(&self) -> usize {
        Log::read(&self.backstay.repository()).streams
    }

    /// The backup with which a plan begins, and how many pieces of log it has.
    fn planned(&self, point: &[&str]) -> (String, usize) {
        let to = ["--to-server", "mysql://root@127.0.0.1:1", "--dry-run", "--json"];
        let planned = self.backstay.run(&[&["recover"], point, &to].concat()).ok().json();
        let plan = &planned["plan"];
        let base = plan["chain"][0].as_str().unwrap_or_else(|| panic!("{planned}"));
        (base.to_owned(), plan["logs"].as_array().map_or(0, Vec::len))
    }
}

/// The archive did not run while transactions were committed; later it writes several segments at once.
fn a_time_in_a_log_that_was_archived_late(flavour: Flavour) {
    let bed = Bed::new(flavour);
    bed.create();
    bed.full();
    let mut between = Vec::new();
    for row in 1..=4 {
        // MariaDB's commit times are whole seconds. Each is larger than a segment is to be.
        thread::sleep(Duration::from_millis(2100));
        let mut conn = bed.server.conn();
        conn.query_drop(format!(
            "INSERT INTO d.t VALUES ({row}, REPEAT('0123456789abcdef', 130000 + {row}))"
        ))
        .unwrap();
        thread::sleep(Duration::from_millis(1100));
        let now: Option<String> = conn
            .query_first("SELECT DATE_FORMAT(UTC_TIMESTAMP(6), '%Y-%m-%dT%H:%i:%s.%fZ')")
            .unwrap();
        between.push(now.unwrap());
    }
    thread::sleep(Duration::from_millis(1100));
    bed.backstay.run(&["archive", "--once"]).ok();
    assert!(Log::read(&bed.backstay.repository()).pieces.len() >= 4);
    // After the first, between two of them, and after the last one: there the server stood when all was archived.
    for (rows, time) in [(1, &between[0]), (3, &between[2]), (4, &between[3])] {
        let target = TestServer::start_with(flavour, &["--server-id=77", "--event-scheduler=OFF"]);
        bed.backstay
            .run(&["recover", "--to-time", time, "--to-server", &target.url()])
            .ok();
        let found: Vec<u32> = target.conn().query("SELECT id FROM d.t ORDER BY id").unwrap();
        assert_eq!(found, (1..=rows).collect::<Vec<_>>(), "at {time}");
    }
}

/// The new log is shorter than the old one was, so that the server has nothing to send for long.
fn a_reset_while_it_follows(flavour: Flavour) {
    let bed = Bed::new(flavour);
    bed.create();
    bed.write(10);
    let old = bed.full();
    let archive = bed.archive();
    bed.write(5);
    bed.until_archived();
    assert_eq!(bed.planned(&["--latest"]).0, old);

    bed.reset();
    bed.write(1);
    until("the reset is noticed", || bed.streams() == 2);
    bed.until_archived();
    let status = |code: i32| {
        let output = bed.backstay.run(&["archive", "--status", "--cluster", "main"]);
        output.fails_with(code).stdout
    };
    let told = status(1);
    assert!(told.contains("a full backup has to be taken"), "{told}");
    // More than the old backup has by their names: it is no backup to go on from.
    bed.write(30);
    bed.until_archived();
    status(1);
    assert_eq!(bed.planned(&["--latest"]).0, old);
    let new = bed.full();
    bed.write(1);
    bed.until_archived();
    status(0);
    let (base, logs) = bed.planned(&["--latest"]);
    assert!(base == new && logs > 0, "{base} and {logs} pieces; the backup is {new}");
    terminate(archive.id());
    let ended = archive.wait_with_output().unwrap().status;
    assert_eq!(ended.code(), Some(1), "it has told of a gap");

    let target = TestServer::start_with(flavour, &["--server-id=77", "--event-scheduler=OFF"]);
    bed.backstay
        .run(&["recover", "--latest", "--to-server", &target.url()])
        .ok();
    let rows = |server: &TestServer| -> Vec<u32> { server.conn().query("SELECT id FROM d.t ORDER BY id").unwrap() };
    assert_eq!(rows(&target), rows(&bed.server));
    bed.backstay.run(&["verify"]).ok();
}

/// The names of all that is archived come again, by the same statements.
fn the_same_again_after_a_reset(flavour: Flavour) {
    let bed = Bed::new(flavour);
    bed.create();
    bed.full();
    bed.write(5);
    let once = ["archive", "--once"];
    bed.backstay.run(&once).ok();
    bed.backstay.run(&once).ok();
    assert_eq!(bed.streams(), 1);
    let before = executed(&bed.server);
    bed.run(&["DROP DATABASE d"]);
    // MariaDB's log knows seconds: what is done again within the same one is the same log, byte for byte, and no other.
    thread::sleep(Duration::from_millis(1100));
    bed.reset();
    bed.create();
    bed.write(5);
    let committed = executed(&bed.server);
    assert_eq!(committed, before, "the same names");
    let said = bed.backstay.run(&once).fails_with(1);
    assert!(said.stdout.contains("GAP after"), "{}", said.stdout);
    assert!(said.stdout.contains("was reset"), "{}", said.stdout);
    assert_eq!(bed.streams(), 2);
    bed.full();
    bed.write(1);
    let output: Value = bed.backstay.run(&["archive", "--once", "--json"]).ok().json();
    assert!(output.is_object(), "{output}");
    bed.backstay.run(&["archive", "--status"]).ok();
}

/// What is committed between two backups is archived, also if there was nothing to archive between the first one and that.
fn an_archive_with_nothing_to_read(flavour: Flavour) {
    let bed = Bed::new(flavour);
    bed.create();
    let first = bed.full();
    bed.backstay.run(&["archive", "--once"]).ok();
    assert_eq!(bed.streams(), 1, "the log begins, and has nothing yet");
    bed.backstay.run(&["archive", "--once"]).ok();
    bed.between_backups(&first, || {
        bed.backstay.run(&["archive", "--once"]).ok();
    });
}

/// The same with an archive that runs.
fn an_archive_that_follows_an_idle_server(flavour: Flavour) {
    let bed = Bed::new(flavour);
    bed.create();
    let first = bed.full();
    let archive = bed.archive();
    until("the log begins", || bed.streams() == 1);
    terminate(archive.id());
    assert_eq!(archive.wait_with_output().unwrap().status.code(), Some(0));
    let mut archive = None;
    bed.between_backups(&first, || {
        archive = Some(bed.archive());
        bed.until_archived();
    });
    let archive = archive.expect("it was started");
    terminate(archive.id());
    assert_eq!(archive.wait_with_output().unwrap().status.code(), Some(0));
}

/// The backup is of a member whose log has other files than the log of the one that is archived.
fn of_a_backup_of_another_member(flavour: Flavour) {
    let own: &[&str] = if flavour.is_mariadb() {
        &["--log-slave-updates=1"]
    } else {
        &[]
    };
    let bed = Bed::new(flavour);
    let replica = TestServer::start_with(flavour, &[own, &["--server-id=2"]].concat());
    replicate(&replica, &bed.server);
    bed.create();
    // The name of the file that the backup names is one that the replica comes to later, or never.
    bed.run(&["FLUSH BINARY LOGS"; 5]);
    let first = bed.full();
    caught_up(&replica, &bed.server);
    let sections = format!("[archive]\nspool = \"spool\"\n\n{}", replica.section("main"));
    bed.backstay.configure(&bed.backstay.repository(), &[], &sections);
    let archive = || {
        bed.backstay.run(&["archive", "--once"]).ok();
    };
    archive();
    assert_eq!(bed.streams(), 1);
    bed.write(3);
    caught_up(&replica, &bed.server);
    archive();
    bed.write(2);
    caught_up(&replica, &bed.server);
    archive();
    assert_eq!(bed.streams(), 1, "there is no gap");
    bed.comes_back(&first, 5);
}
