//! Locks in memory and on files: races, dead holders, loss.

use std::sync::Barrier;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use jiff::SignedDuration;

use super::super::testing::{each_store, job};
use super::*;

fn acquire(repository: &Repository, id: &str) -> Result<Lock> {
    Lock::acquire(repository, "orders", Purpose::Backup, job(id))
}

/// Writes an epoch as another process would have.
fn write(repository: &Repository, epoch: u64, file: &LockFile) {
    let path = object(&directory("orders", Purpose::Backup).unwrap(), epoch);
    repository
        .wait(repository.store.put(&path, file.encode(), Durability::Cached))
        .unwrap();
}

/// A lock of a process on this machine that has ended: this process's id, with another start.
fn dead(id: &str) -> LockFile {
    let mut file = LockFile::new(job(id), Vec::new(), Lock::TTL);
    file.holder.started += 1;
    file.server = Some("mysql://backup@db1".into());
    file.sessions = vec!["41".into(), "42".into()];
    file
}

/// A lock of a process on another machine.
fn remote(id: &str) -> LockFile {
    let mut file = LockFile::new(job(id), Vec::new(), Lock::TTL);
    file.holder = Holder {
        host: "db2".into(),
        pid: 4711,
        boot: "b".into(),
        pid_namespace: "p".into(),
        started: 1,
    };
    file
}

#[test]
fn one_at_a_time() {
    each_store(|repository| {
        let first = acquire(repository, "a").unwrap();
        assert_eq!(first.epoch(), 1);
        let error = acquire(repository, "b").unwrap_err();
        assert_eq!(error.kind, ErrorKind::Refused);
        assert!(error.message.contains("(job a)"), "{error}");
        assert_eq!(
            repository.locked_by("orders", Purpose::Backup).unwrap().unwrap().job.id,
            "a"
        );
        // Another purpose and another cluster are others' business.
        Lock::acquire(repository, "orders", Purpose::Archive, job("c")).unwrap();
        Lock::acquire(repository, "shop", Purpose::Backup, job("d")).unwrap();
        first.check().unwrap();
        first.release().unwrap();

        assert!(repository.locked_by("orders", Purpose::Backup).unwrap().is_none());
        let second = acquire(repository, "b").unwrap();
        assert_eq!((second.epoch(), second.dead_jobs()), (2, Vec::new()));
        drop(second);
        let third = acquire(repository, "c").unwrap();
        assert_eq!(third.epoch(), 3);
        let directory = directory("orders", Purpose::Backup).unwrap();
        assert_eq!(
            repository.wait(repository.epochs(&directory)).unwrap(),
            [2, 3],
            "older ones are removed"
        );
    });
}

#[test]
fn the_holder_is_named() {
    each_store(|repository| {
        let mut file = remote("20261122T101530Z-full-mysqldump-7f3a");
        file.acquired = "2026-11-22T10:15:30Z".parse().unwrap();
        file.expires = "2999-11-22T10:16:30Z".parse().unwrap();
        write(repository, 7, &file);
        insta::allow_duplicates! {
            insta::assert_snapshot!(acquire(repository, "b").unwrap_err(), @"the backup lock of cluster orders is held by process 4711 on db2 (job 20261122T101530Z-full-mysqldump-7f3a) since 2026-11-22T10:15:30Z, until 2999-11-22T10:16:30Z if it is not renewed; wait until that job is done, or end it: the lock of a dead process is taken over");
        }
    });
}

#[test]
fn a_dead_holder_is_followed_at_once() {
    each_store(|repository| {
        write(repository, 1, &dead("killed"));
        let lock = acquire(repository, "next").unwrap();
        let jobs = lock.dead_jobs();
        assert_eq!((lock.epoch(), jobs.len()), (2, 1));
        assert_eq!(jobs[0].job, job("killed"));
        assert_eq!(jobs[0].sessions, ["41", "42"]);
        assert_eq!(jobs[0].server.as_deref(), Some("mysql://backup@db1"));
        lock.cleaned("killed").unwrap();
        assert!(lock.dead_jobs().is_empty());
        lock.release().unwrap();
        assert!(acquire(repository, "last").unwrap().dead_jobs().is_empty());
    });
}

#[test]
fn sessions_outlive_a_lock_that_is_dropped() {
    each_store(|repository| {
        let lock = acquire(repository, "given up").unwrap();
        lock.note_sessions(&["7".into()], "db1").unwrap();
        drop(lock);
        let lock = acquire(repository, "next").unwrap();
        let dead = lock.dead_jobs();
        assert_eq!(
            (dead.len(), dead[0].job.id.as_str(), dead[0].sessions.as_slice()),
            (1, "given up", &["7".to_owned()][..])
        );
    });
}

#[test]
fn what_nobody_cleaned_is_handed_on() {
    each_store(|repository| {
        write(repository, 1, &dead("one"));
        // The next holder is killed before it has cleaned up, and the one after gives up.
        let mut second = dead("two");
        second.dead_jobs = dead("one").with_itself_dead();
        write(repository, 2, &second);
        let third = acquire(repository, "three").unwrap();
        let ids = |lock: &Lock| lock.dead_jobs().into_iter().map(|dead| dead.job.id).collect::<Vec<_>>();
        assert_eq!(ids(&third), ["one", "two"]);
        third.cleaned("one").unwrap();
        third.release().unwrap();
        assert_eq!(ids(&acquire(repository, "four").unwrap()), ["two"]);
    });
}

#[test]
fn a_remote_holder_is_followed_when_its_time_is_over() {
    each_store(|repository| {
        let mut file = remote("remote");
        write(repository, 1, &file);
        assert!(acquire(repository, "b").is_err());
        file.expires = layout::now() - SignedDuration::from_millis(1);
        write(repository, 1, &file);
        assert_eq!(acquire(repository, "b").unwrap().dead_jobs()[0].job.id, "remote");
    });
}

#[test]
fn a_holder_that_lives_here_keeps_its_lock() {
    each_store(|repository| {
        let mut file = LockFile::new(job("stopped"), Vec::new(), std::time::Duration::ZERO);
        file.expires = "2026-01-01T00:00:00Z".parse().unwrap();
        write(repository, 1, &file);
        let error = acquire(repository, "b").unwrap_err();
        assert!(error.message.contains("(job stopped)"), "{error}");
    });
}

#[test]
fn an_object_that_can_not_be_read_is_a_lock() {
    each_store(|repository| {
        let path = object(&directory("orders", Purpose::Backup).unwrap(), 1);
        repository
            .wait(repository.store.put(&path, Vec::new(), Durability::Cached))
            .unwrap();
        let error = acquire(repository, "b").unwrap_err();
        assert!(
            error
                .message
                .contains("held by an unknown process (its object can not be read) since"),
            "{error}"
        );
    });
    let file = LockFile::decode(b"", 1000);
    assert_eq!(file.standing("1970-01-01T00:17:39Z".parse().unwrap()), Standing::Held);
    assert!(matches!(
        file.standing("1970-01-01T00:17:40Z".parse().unwrap()),
        Standing::Dead(_)
    ));
    assert!(file.with_itself_dead().is_empty());
}

#[test]
fn sessions_and_time_are_written() {
    each_store(|repository| {
        let ttl = Duration::from_millis(300);
        let lock = Lock::acquire_for(repository, "orders", Purpose::Backup, job("a"), ttl).unwrap();
        lock.note_sessions(&["7".into(), "9".into()], "mysql://backup@db1")
            .unwrap();
        let read = || repository.locked_by("orders", Purpose::Backup).unwrap().unwrap();
        let first = read();
        assert_eq!(
            (first.sessions, first.server.as_deref()),
            (vec!["7".to_owned(), "9".to_owned()], Some("mysql://backup@db1"))
        );
        let since = Instant::now();
        while read().expires == first.expires {
            assert!(since.elapsed() < Duration::from_secs(10), "nobody renews the lock");
            thread::sleep(Duration::from_millis(10));
        }
        assert_eq!(read().sessions, ["7", "9"]);
        lock.check().unwrap();
    });
}

#[test]
fn a_lock_that_was_lost_is_noticed() {
    each_store(|repository| {
        let lock = acquire(repository, "a").unwrap();
        write(repository, 2, &remote("b"));
        insta::allow_duplicates! {
            insta::assert_snapshot!(lock.check().unwrap_err(), @"the backup lock of cluster orders was lost: epoch 2 has followed its epoch 1; another job may be running; start this one again when it is done");
        }
        assert!(lock.renew().is_err() && lock.note_sessions(&[], "x").is_err() && lock.release().is_err());
        assert_eq!(
            repository.locked_by("orders", Purpose::Backup).unwrap().unwrap().job.id,
            "b"
        );

        let lock = Lock::acquire(repository, "shop", Purpose::Backup, job("a")).unwrap();
        let path = object(&directory("shop", Purpose::Backup).unwrap(), 1);
        repository.wait(repository.store.remove(&path)).unwrap();
        insta::allow_duplicates! {
            insta::assert_snapshot!(lock.check().unwrap_err(), @"the backup lock of cluster shop was lost: its object was removed; another job may be running; start this one again when it is done");
        }
    });
}

#[test]
fn an_expired_lock_does_not_hold() {
    each_store(|repository| {
        let lock = acquire(repository, "a").unwrap();
        lock.held.file().expires = "2026-01-01T00:00:00Z".parse().unwrap();
        insta::allow_duplicates! {
            insta::assert_snapshot!(lock.check().unwrap_err(), @"the backup lock of cluster orders was lost: it expired at 2026-01-01T00:00:00Z and could not be renewed; another job may be running; start this one again when it is done");
        }
    });
}

/// Threads that take the lock and give it back as fast as they can: never two at once, and nobody gets stuck.
#[test]
fn a_race_has_one_winner() {
    each_store(|repository| {
        let (barrier, inside, taken) = (Barrier::new(8), AtomicUsize::new(0), AtomicUsize::new(0));
        let run = || {
            barrier.wait();
            for _ in 0..40 {
                match acquire(repository, "a") {
                    Ok(lock) => {
                        assert_eq!(inside.fetch_add(1, Ordering::SeqCst), 0, "two hold it");
                        lock.check().unwrap();
                        taken.fetch_add(1, Ordering::SeqCst);
                        inside.fetch_sub(1, Ordering::SeqCst);
                        lock.release().unwrap();
                    }
                    Err(error) => assert_eq!(error.kind, ErrorKind::Refused, "{error}"),
                }
            }
        };
        thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(run);
            }
        });
        let last = acquire(repository, "z").unwrap();
        assert!(taken.into_inner() > 0 && last.dead_jobs().is_empty());
    });
}
