//! What goes wrong in practice: one clear error each, the right exit code, and nothing left behind.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use backstay_bed::{BOTH, TestServer};
use backstay_mysql::mysql;
use backstay_tests::backstay::{Backstay, Output};
use backstay_tests::bank;
use backstay_tests::plugins;
use mysql::prelude::Queryable;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

fn backstay(server: &TestServer) -> Backstay {
    Backstay::new(&server.dir().join("backstay"), &[], &server.section("main"))
}

const BACKUP: [&str; 3] = ["backup", "--engine", "mysqldump"];

/// It failed with that code and these words, said in one block with one thing to do; and no backup is listed.
#[track_caller]
fn failed(backstay: &Backstay, output: Output, code: i32, words: &[&str]) {
    let output = output.fails_with(code);
    for word in words {
        assert!(output.stderr.contains(word), "`{word}` is not said:\n{}", output.stderr);
    }
    // Lines, for what a driver or a program says below the message may well have `error: ` in it.
    let lines = |start: &str| output.stderr.lines().filter(|line| line.starts_with(start)).count();
    assert_eq!((lines("error: "), lines("what to do: ")), (1, 1), "{}", output.stderr);
    assert_eq!(backstay.ids("main"), [""; 0]);
}

#[test]
fn a_wrong_password() {
    for flavour in BOTH {
        let server = TestServer::start(flavour);
        server
            .conn()
            .query_drop("CREATE USER backup@'127.0.0.1' IDENTIFIED BY 'right'")
            .unwrap();
        let section = server.section_as("main", &server.tcp_url("backup"));
        let dir = server.dir().join("backstay");
        let backstay = Backstay::new(&dir, &[], &format!("{section}password_env = \"PASSWORD\"\n"));
        let backstay = backstay.env("PASSWORD", "hunter2-wrong");
        let output = backstay.run(&BACKUP);
        assert!(
            !output.stderr.contains("hunter2"),
            "the password is printed: {}",
            output.stderr
        );
        failed(&backstay, output, 1, &["denied", "backup", "password"]);
    }
}

/// Verifying a large backup takes long: a target that lets nobody in is said before.
#[test]
fn a_wrong_password_of_a_target_is_said_before_the_backup_is_verified() {
    for flavour in BOTH {
        let server = TestServer::start(flavour);
        let mut conn = server.conn();
        bank::create(&mut conn);
        conn.query_drop("CREATE USER loader@'127.0.0.1' IDENTIFIED BY 'right'")
            .unwrap();
        for engine in ["mysqldump", "mysqlshell"] {
            let backstay = Backstay::new(&server.dir().join(engine), &[], &server.section("main"));
            backstay.run(&["backup", "--engine", engine]).ok();
            let id = backstay.ids("main").remove(0);
            let stored = backstay.backups("main").join(id).join("data");
            let of_backup = |(file, bytes)| {
                Some(backstay.repository().join(file)).filter(|file| bytes > 0 && file.starts_with(&stored))
            };
            for file in backstay.files().into_iter().filter_map(of_backup) {
                let bytes: Vec<u8> = std::fs::read(&file).unwrap().iter().map(|byte| !byte).collect();
                std::fs::write(&file, bytes).unwrap();
            }
            let restore = ["restore", "--to-server", &server.tcp_url("loader"), "--overwrite"];
            let backstay = backstay.env("BACKSTAY_PASSWORD", "wrong");
            let said = backstay.run(&restore).fails_with(1).stderr;
            assert!(said.contains("denied") && !said.contains("damaged"), "{engine}: {said}");
            let backstay = backstay.env("BACKSTAY_PASSWORD", "right");
            let said = backstay.run(&restore).fails_with(1).stderr;
            assert!(said.contains("damaged"), "{engine}: {said}");
        }
        let (sum, undisturbed) = bank::sums(&mut conn, "bank");
        assert_eq!(sum, undisturbed);
    }
}

#[test]
fn a_missing_privilege_is_named_with_its_grant() {
    for flavour in BOTH {
        let server = TestServer::start(flavour);
        let mut conn = server.conn();
        bank::create(&mut conn);
        conn.query_drop("CREATE USER backup@'127.0.0.1' IDENTIFIED BY 'right'")
            .unwrap();
        conn.query_drop("GRANT SELECT, SHOW VIEW, TRIGGER, EVENT, PROCESS, LOCK TABLES ON *.* TO backup@'127.0.0.1'")
            .unwrap();
        let section = server.section_as("main", &server.tcp_url("backup"));
        let dir = server.dir().join("backstay");
        let backstay = Backstay::new(&dir, &[], &format!("{section}password_env = \"PASSWORD\"\n"));
        let backstay = backstay.env("PASSWORD", "right");
        // Each error names a GRANT; following them one by one leads to a backup.
        for step in 0.. {
            let output = backstay.run(&BACKUP);
            if output.code == Some(0) {
                assert!(step > 0, "nothing was missing");
                break;
            }
            let stated = output.stderr.find("GRANT ").map(|at| &output.stderr[at..]);
            let grant = stated.and_then(|text| text.lines().next()).map(str::to_owned);
            let grant = grant.unwrap_or_else(|| panic!("no GRANT is named:\n{}", output.stderr));
            failed(&backstay, output, 1, &[]);
            conn.query_drop(&grant)
                .unwrap_or_else(|error| panic!("{grant}: {error}"));
            assert!(step < 12, "there is no end to it: {grant}");
        }
        backstay.run(&["verify"]).ok();
    }
}

#[test]
fn a_prepared_xa_transaction() {
    for flavour in BOTH {
        let server = TestServer::start(flavour);
        let mut conn = server.conn();
        bank::create(&mut conn);
        let mut other = server.conn();
        for statement in [
            "XA START 'left,over'",
            "UPDATE bank.account SET balance = balance + 1 WHERE id = 1",
            "XA END 'left,over'",
            "XA PREPARE 'left,over'",
        ] {
            other.query_drop(statement).unwrap();
        }
        drop(other);
        let backstay = backstay(&server);
        let output = backstay.run(&["backup", "--engine", "mysqldump", "-o", "lock_wait=2"]);
        // The XID in hex, as XA ROLLBACK takes it.
        let output = Output {
            stderr: output.stderr.to_lowercase(),
            ..output
        };
        failed(&backstay, output, 1, &["xa rollback x'6c6566742c6f766572'"]);
        conn.query_drop("XA ROLLBACK 'left,over'").unwrap();
        backstay.run(&BACKUP).ok();
    }
}

#[test]
fn a_query_in_the_way_is_named() {
    for flavour in BOTH {
        let server = TestServer::start(flavour);
        bank::create(&mut server.conn());
        let mut other = server.conn();
        let id = other.connection_id();
        let query = std::thread::spawn(move || {
            other.query_drop("UPDATE bank.account SET balance = balance + SLEEP(600) WHERE id = 1")
        });
        std::thread::sleep(Duration::from_millis(500));
        let backstay = backstay(&server);
        let output = backstay.run(&["backup", "--engine", "mysqldump", "-o", "lock_wait=2"]);
        failed(&backstay, output, 1, &["SLEEP(600)", &id.to_string()]);
        server.conn().query_drop(format!("KILL {id}")).unwrap();
        let _ = query.join();
    }
}

#[test]
fn a_target_that_is_not_empty() {
    for flavour in BOTH {
        let server = TestServer::start(flavour);
        let mut conn = server.conn();
        bank::create(&mut conn);
        let backstay = backstay(&server);
        backstay.run(&BACKUP).ok();
        conn.query_drop("UPDATE bank.account SET balance = 7").unwrap();
        let url = server.url();
        let refused = backstay.run(&["restore", "--to-server", &url]).fails_with(3);
        assert!(
            refused.stderr.contains("bank") && refused.stderr.contains("--overwrite"),
            "{}",
            refused.stderr
        );
        assert_eq!(
            bank::sums(&mut conn, "bank").0,
            7 * i64::from(bank::ACCOUNTS),
            "it was touched all the same"
        );
        backstay.run(&["restore", "--to-server", &url, "--overwrite"]).ok();
        let (sum, expected) = bank::sums(&mut conn, "bank");
        assert_eq!(sum, expected);
    }
}

#[test]
fn a_server_that_goes_away_half_way() {
    for flavour in BOTH {
        let server = TestServer::start(flavour);
        let mut conn = server.conn();
        fill(&mut conn, 40);
        let backstay = backstay(&server);
        let child = backstay.start(&BACKUP);
        wait_for_data(&backstay);
        let pid = i32::try_from(server.server.pid())
            .ok()
            .and_then(rustix::process::Pid::from_raw)
            .unwrap();
        rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
        let output = child.wait_with_output().unwrap();
        let output = Output {
            code: output.status.code(),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        };
        failed(&backstay, output, 1, &[]);
    }
}

#[test]
fn a_disk_that_is_full() {
    for flavour in BOTH {
        let server = TestServer::start(flavour);
        fill(&mut server.conn(), 40);
        let mount = Mount::tmpfs(&server.dir().join("small"), "size=4m");
        let backstay = Backstay::new(&mount.0, &[], &server.section("main"));
        let output = backstay.run(&BACKUP);
        failed(&backstay, output, 1, &["No space left on device", "room"]);
        // What there was no room for is gone again.
        assert!(
            backstay
                .files()
                .iter()
                .all(|(path, _)| !path.starts_with("clusters/main/backups")),
            "{:?}",
            backstay.files()
        );
    }
}

#[test]
fn a_repository_that_can_not_be_written() {
    for flavour in BOTH {
        let server = TestServer::start(flavour);
        let mount = Mount::tmpfs(&server.dir().join("small"), "size=4m");
        let backstay = Backstay::new(&mount.0, &[], &server.section("main"));
        mount.read_only();
        let output = backstay.run(&BACKUP);
        failed(&backstay, output, 1, &["Read-only file system"]);
    }
}

#[test]
fn a_lock_that_another_holds() {
    let dir = tempfile::tempdir().unwrap();
    let folder = plugins::only(dir.path(), &["libmisbehave.so"]);
    let backstay = Backstay::new(
        dir.path(),
        &[folder],
        "[cluster.main]\nserver = \"mysql://backup@127.0.0.1:1\"\n",
    );
    let mut first = backstay.start(&["backup", "--engine", "misbehave", "-o", "deed=sleep"]);
    backstay.wait_for_lock("main");
    let output = backstay.run(&["backup", "--engine", "misbehave"]);
    failed(&backstay, output, 3, &["lock", "held", &first.id().to_string()]);
    rustix::process::kill_process(rustix::process::Pid::from_child(&first), rustix::process::Signal::TERM).unwrap();
    assert_eq!(first.wait().unwrap().code(), Some(130));
    backstay.run(&["backup", "--engine", "misbehave"]).ok();
}

/// Rows of text that hardly compresses, so many megabytes.
fn fill(conn: &mut mysql::Conn, megabytes: u32) {
    bank::create(conn);
    conn.query_drop("CREATE TABLE bank.big (id INT AUTO_INCREMENT PRIMARY KEY, v MEDIUMTEXT)")
        .unwrap();
    let mut random = StdRng::seed_from_u64(1);
    for _ in 0..megabytes {
        let text: String = (0..1 << 20)
            .map(|_| char::from(random.random_range(b'0'..=b'z')))
            .collect();
        conn.exec_drop("INSERT INTO bank.big (v) VALUES (?)", (text,)).unwrap();
    }
}

/// Waits until a backup has begun to store data.
fn wait_for_data(backstay: &Backstay) {
    for _ in 0..1000 {
        if backstay
            .files()
            .iter()
            .any(|(path, size)| path.to_string_lossy().contains("/data/") && *size > 0)
        {
            return;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    panic!("the backup does not begin");
}

/// A small file system of the test's own, unmounted when it is dropped.
struct Mount(std::path::PathBuf);

impl Mount {
    fn tmpfs(at: &Path, options: &str) -> Self {
        std::fs::create_dir_all(at).unwrap();
        mount(&["-t", "tmpfs", "-o", options, "tmpfs"], at);
        Self(at.to_owned())
    }

    fn read_only(&self) {
        mount(&["-o", "remount,ro"], &self.0);
    }
}

fn mount(arguments: &[&str], at: &Path) {
    let output = Command::new("mount").args(arguments).arg(at).output().unwrap();
    assert!(
        output.status.success(),
        "mounting needs root: {}",
        String::from_utf8_lossy(&output.stderr)
    );
}

impl Drop for Mount {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("--lazy").arg(&self.0).status();
    }
}
