//! `kill -9` at random moments of jobs that take one backup after the other.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use super::super::testing::{Directory, index_of, job, record, runtime, write_data};
use super::super::{Lock, Manifest, Purpose, Repository};

const URL: &str = "BACKSTAY_TEST_REPOSITORY";
const ROUND: &str = "BACKSTAY_TEST_ROUND";
const KILLS: usize = 40;

/// The child: backups until it is killed. Without its parent it does nothing.
#[test]
fn child_that_is_killed() {
    let (Ok(url), Ok(round)) = (std::env::var(URL), std::env::var(ROUND)) else {
        return;
    };
    let repository = Repository::open(&url, runtime()).unwrap();
    for number in 0.. {
        let id = format!("20261122T101530Z-full-mysqldump-{round}-{number:06}");
        let lock = Lock::acquire(&repository, "orders", Purpose::Backup, job(&id)).unwrap();
        lock.note_sessions(&[number.to_string()], "db1").unwrap();
        println!("working");
        write_data(&repository, &id);
        let manifest = Manifest::new(record(&id, None), index_of(&repository, &id));
        repository.commit(&manifest, &lock).unwrap();
        lock.release().unwrap();
    }
}

fn start(url: &str, round: usize) -> Child {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args([
            "--exact",
            "repository::tests::killed::child_that_is_killed",
            "--nocapture",
        ])
        .env(URL, url)
        .env(ROUND, format!("{round:02}"))
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stdout.as_mut().unwrap()).lines();
    let working = lines.map_while(Result::ok).any(|line| line.contains("working"));
    assert!(working, "the child of round {round} has ended: {:?}", child.wait());
    child
}

#[test]
fn leaves_no_backup_that_is_not_whole() {
    let directory = Directory::new();
    let repository = directory.repository();
    let mut random = StdRng::seed_from_u64(7);
    let (mut killed_in_job, mut left) = (0, 0);
    for round in 0..KILLS {
        let mut child = start(&directory.url(), round);
        std::thread::sleep(Duration::from_micros(random.random_range(0..20_000)));
        child.kill().unwrap();
        child.wait().unwrap();

        let listing = repository.list("orders").unwrap();
        assert!(listing.damaged.is_empty(), "round {round}: {listing:?}");
        for manifest in &listing.backups {
            assert_eq!(
                index_of(&repository, &manifest.record.id),
                manifest.index,
                "round {round}"
            );
        }
        // The next job gets the lock at once, and learns of the dead one what it has to clean up.
        let (lock, dead) = repository.lock("orders", Purpose::Backup, job("next")).unwrap();
        for dead in dead {
            killed_in_job += 1;
            let number: u64 = dead.job.id.rsplit_once('-').unwrap().1.parse().unwrap();
            // Killed before it had noted its session, it has none; after that, it is this one.
            assert!(
                dead.sessions.is_empty() || dead.sessions == [number.to_string()],
                "{dead:?}"
            );
            repository.clear_unfinished("orders", &dead.job.id).unwrap();
            lock.cleaned(&dead.job.id).unwrap();
        }
        lock.release().unwrap();
        left += repository.clear_leftovers("orders").unwrap().unfinished.len();
        assert!(repository.leftovers("orders").unwrap().is_empty());
        assert!(repository.list("orders").unwrap().unfinished.is_empty());
    }
    eprintln!("{killed_in_job} of {KILLS} kills hit a job");
    assert!(killed_in_job > 0, "no kill hit a job");
    assert_eq!(
        left, 0,
        "a directory without a manifest is of a job that its lock names"
    );
}
