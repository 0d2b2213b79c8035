//! `kill -9` of worker and of supervisor at seeded random moments of a backup: never a listed backup that does not verify,
//! no lock and no session that stays, and the next backup works.

use std::fs;
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use backstay_bed::{BOTH, Flavour, TestServer, until};
use backstay_mysql::mysql;
use backstay_tests::backstay::Backstay;
use backstay_tests::bank::{self, Load};
use backstay_tests::processes::{children, kill, runs};
use backstay_tests::sessions::{none_stays, sessions};
use mysql::prelude::Queryable;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

/// How many times on each server, with each engine.
const ROUNDS: u64 = 40;

/// A file beside the locks that is so old belongs to nobody.
const OLD: Duration = Duration::from_secs(2 * 3600);

#[derive(Debug, Clone, Copy)]
enum Victim {
    Worker,
    Supervisor,
    Both,
}

fn killed_at_random_moments(flavour: Flavour, engine: &str) {
    let source = TestServer::start(flavour);
    let mut conn = source.conn();
    bank::create(&mut conn);
    conn.query_drop("CREATE TABLE bank.big (id INT AUTO_INCREMENT PRIMARY KEY, v LONGBLOB)")
        .unwrap();
    for seed in 0..40_u64 {
        let mut bytes = vec![0; 1 << 20];
        StdRng::seed_from_u64(seed).fill(&mut bytes[..]);
        conn.exec_drop("INSERT INTO bank.big (v) VALUES (?)", (bytes,)).unwrap();
    }
    let load = Load::start(&source.opts(), 2, 5);
    let own: Vec<u64> = sessions(&mut conn);
    let backstay = Backstay::new(&source.dir().join("backstay"), &[], &source.section("main"));

    // The first is slower than those that come after it.
    let once = || {
        let started = Instant::now();
        backstay.run(&["backup", "--engine", engine]).ok();
        started.elapsed()
    };
    let whole = once().min(once()).min(once());
    let mut random = StdRng::seed_from_u64(20_261_122);
    let mut hits = 0;
    for round in 0..ROUNDS {
        let victim = [Victim::Worker, Victim::Supervisor, Victim::Both][random.random_range(0..3)];
        let moment = whole.mul_f64(random.random_range(0.0..1.0));
        eprintln!("round {round}: {victim:?} after {moment:?}");
        let mut supervisor = backstay.start(&["backup", "--engine", engine, "-o", "lock_wait=20"]);
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
        // Once is enough for each.
        for id in backstay.ids("main") {
            fs::remove_dir_all(backstay.backups("main").join(id)).unwrap();
        }
        if round % 8 == 7 {
            backstay.run(&["backup", "--engine", engine]).ok();
            // A worker whose supervisor is gone may take a while to stop, and takes back what it wrote itself.
            until("the killed job's worker ends", || {
                !workers.iter().any(|worker| runs(*worker))
            });
            assert_eq!(
                unfinished(&backstay),
                [""; 0],
                "the backup after a killed one clears up"
            );
        }
        // Writers go on: no lock has stayed.
        load.wait_for(20);
        none_stays(&mut conn, &own);
    }
    // Whoever comes when all is over hits nothing: there must be enough that do.
    assert!(hits >= ROUNDS / 2, "only {hits} of {ROUNDS} hit a running worker");
    // The next one works, and clears up what is left.
    backstay.run(&["backup", "--engine", engine]).ok();
    none_stays(&mut conn, &own);
    // Beside the locks, what a kill hit while it was written may be another job's until it is old.
    for (path, _) in backstay.files() {
        if path.starts_with("clusters/main/locks") && path.to_string_lossy().contains('#') {
            let file = fs::File::options().write(true).open(backstay.repository().join(path));
            file.unwrap().set_modified(SystemTime::now() - OLD).unwrap();
        }
    }
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
fn mysqldump_killed_at_random_moments_on_mysql() {
    killed_at_random_moments(Flavour::MySql, "mysqldump");
}

#[test]
fn mysqldump_killed_at_random_moments_on_mariadb() {
    killed_at_random_moments(Flavour::MariaDb, "mysqldump");
}

#[test]
fn mysqlshell_killed_at_random_moments_on_mysql() {
    killed_at_random_moments(Flavour::MySql, "mysqlshell");
}

#[test]
fn mysqlshell_killed_at_random_moments_on_mariadb() {
    killed_at_random_moments(Flavour::MariaDb, "mysqlshell");
}

/// A server does not notice that a client is gone while it waits for a lock, and whoever comes after waits behind it.
#[test]
fn a_worker_killed_while_it_waits_for_the_lock_leaves_no_session() {
    for flavour in BOTH {
        for engine in ["mysqldump", "mysqlshell"] {
            let source = TestServer::start(flavour);
            let mut conn = source.conn();
            bank::create(&mut conn);
            let mut holder = source.conn();
            holder.query_drop("LOCK TABLES bank.account WRITE").unwrap();
            let own = sessions(&mut conn);
            let backstay = Backstay::new(&source.dir().join("backstay"), &[], &source.section("main"));
            let mut supervisor = backstay.start(&["backup", "--engine", engine, "-o", "lock_wait=120"]);
            until("a session waits for the lock", || waits_for_the_lock(&mut conn));
            children(supervisor.id()).into_iter().for_each(kill);
            assert_eq!(supervisor.wait().unwrap().code(), Some(1));
            none_stays(&mut conn, &own);
            holder.query_drop("UNLOCK TABLES").unwrap();
            backstay.run(&["backup", "--engine", engine]).ok();
        }
    }
}

/// For the global read lock; on MariaDB `mysqlshell` asks first whether another backup is under way, which waits for the same.
fn waits_for_the_lock(conn: &mut mysql::Conn) -> bool {
    let waiting: Option<u64> = conn
        .query_first(
            "SELECT COUNT(*) FROM information_schema.processlist \
             WHERE info LIKE 'FLUSH TABLES WITH%' OR info LIKE 'BACKUP STAGE START%'",
        )
        .unwrap();
    waiting > Some(0)
}

/// The directories of backups that have no manifest.
fn unfinished(backstay: &Backstay) -> Vec<String> {
    let entries = fs::read_dir(backstay.backups("main")).into_iter().flatten().flatten();
    let without = entries.filter(|entry| !entry.path().join("manifest.json").exists());
    without
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .collect()
}
