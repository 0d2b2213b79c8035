//! `kill -9` of worker and of supervisor at seeded random moments of a backup: never a listed backup that does not verify,
//! no lock and no session that stays, and the next backup works.

use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use backstay_mysql::mysql;
use backstay_tests::backstay::Backstay;
use backstay_tests::bank::{self, Load};
use backstay_tests::servers::{Kind, TestServer};
use mysql::prelude::Queryable;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use rustix::process::{Pid, Signal, kill_process};

/// How many times on each server.
const ROUNDS: u64 = 40;

#[derive(Debug, Clone, Copy)]
enum Victim {
    Worker,
    Supervisor,
    Both,
}

fn killed_at_random_moments(kind: Kind) {
    let source = TestServer::start(kind);
    let mut conn = source.conn();
    bank::create(&mut conn);
    conn.query_drop("CREATE TABLE bank.big (id INT AUTO_INCREMENT PRIMARY KEY, v LONGBLOB)")
        .unwrap();
    for seed in 0..8_u64 {
        let mut bytes = vec![0; 1 << 20];
        StdRng::seed_from_u64(seed).fill(&mut bytes[..]);
        conn.exec_drop("INSERT INTO bank.big (v) VALUES (?)", (bytes,)).unwrap();
    }
    let load = Load::start(&source.opts(), 2, 5);
    let own: Vec<u64> = sessions(&mut conn);
    let backstay = Backstay::new(&source.dir().join("backstay"), &[], &source.section("main"));

    let started = Instant::now();
    backstay.run(&["backup", "--engine", "mysqldump"]).ok();
    let whole = started.elapsed();
    let mut random = StdRng::seed_from_u64(20_261_122);
    let mut hits = 0;
    for round in 0..ROUNDS {
        let victim = [Victim::Worker, Victim::Supervisor, Victim::Both][random.random_range(0..3)];
        let moment = whole.mul_f64(random.random_range(0.0..1.1));
        eprintln!("round {round}: {victim:?} after {moment:?}");
        let mut supervisor = backstay.start(&["backup", "--engine", "mysqldump", "-o", "lock_wait=20"]);
        thread::sleep(moment);
        let workers = children(supervisor.id());
        hits += u64::from(!workers.is_empty());
        match victim {
            Victim::Worker => workers.iter().for_each(|worker| kill(*worker)),
            Victim::Supervisor => kill(supervisor.id()),
            Victim::Both => {
                kill(supervisor.id());
                workers.iter().for_each(|worker| kill(*worker));
            }
        }
        let status = supervisor.wait().unwrap();
        if matches!(victim, Victim::Worker) {
            assert!(
                matches!(status.code(), Some(0 | 1)),
                "the supervisor of a killed worker ended with {status}"
            );
        }
        // What is listed is sound, whatever was killed when, and what is left is named.
        let verified = backstay.run(&["verify"]).ok();
        for leftover in unfinished(&backstay) {
            assert!(
                verified.stdout.contains(&leftover),
                "{leftover} is not named:\n{}",
                verified.stdout
            );
        }
        if round % 8 == 7 {
            backstay.run(&["backup", "--engine", "mysqldump"]).ok();
            assert_eq!(
                unfinished(&backstay),
                [""; 0],
                "the backup after a killed one clears up"
            );
        }
        // Writers go on: no lock has stayed.
        load.wait_for(20);
        if !matches!(victim, Victim::Both) {
            no_session_stays(&mut conn, &own);
        }
    }
    // Whoever comes when all is over hits nothing: there must be enough that do.
    assert!(hits >= ROUNDS / 2, "only {hits} of {ROUNDS} hit a running worker");
    // The next one works, and clears up what is left.
    backstay.run(&["backup", "--engine", "mysqldump"]).ok();
    no_session_stays(&mut conn, &own);
    let verified = backstay.run(&["verify", "--clear-leftovers", "--json"]).ok().json();
    assert_eq!(
        verified["unfinished"],
        serde_json::json!([]),
        "the backup after them has cleared up"
    );
    load.stop();
    for file in backstay.files() {
        assert!(!file.0.to_string_lossy().contains('#'), "{} is left", file.0.display());
    }
}

#[test]
fn killed_at_random_moments_on_mysql() {
    killed_at_random_moments(Kind::MySql);
}

#[test]
fn killed_at_random_moments_on_mariadb() {
    killed_at_random_moments(Kind::MariaDb);
}

/// The directories of backups that have no manifest.
fn unfinished(backstay: &Backstay) -> Vec<String> {
    let entries = std::fs::read_dir(backstay.backups("main"))
        .into_iter()
        .flatten()
        .flatten();
    let without = entries.filter(|entry| !entry.path().join("manifest.json").exists());
    without
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .collect()
}

/// The sessions of clients.
fn sessions(conn: &mut mysql::Conn) -> Vec<u64> {
    conn.query(
        "SELECT id FROM information_schema.processlist \
         WHERE command NOT IN ('Daemon', 'Binlog Dump', 'Binlog Dump GTID') AND user NOT IN ('event_scheduler', 'system user')",
    )
    .unwrap()
}

/// Waits until there are no sessions but those that were there before.
fn no_session_stays(conn: &mut mysql::Conn, own: &[u64]) {
    let patience = Instant::now() + Duration::from_secs(20);
    loop {
        let stay: Vec<u64> = sessions(conn).into_iter().filter(|id| !own.contains(id)).collect();
        if stay.is_empty() {
            return;
        }
        if Instant::now() > patience {
            let shown: Vec<mysql::Row> = conn.query("SHOW FULL PROCESSLIST").unwrap();
            panic!("sessions {stay:?} stay: {shown:?}");
        }
        thread::sleep(Duration::from_millis(50));
    }
}

/// The processes that a process has started.
fn children(of: u32) -> Vec<u32> {
    let output = Command::new("pgrep")
        .args(["-P", &of.to_string()])
        .output()
        .expect("pgrep can be started");
    String::from_utf8_lossy(&output.stdout)
        .lines()
        .filter_map(|line| line.parse().ok())
        .collect()
}

fn kill(process: u32) {
    if let Some(pid) = i32::try_from(process).ok().and_then(Pid::from_raw) {
        // It may have ended by itself.
        let _ = kill_process(pid, Signal::KILL);
    }
}
