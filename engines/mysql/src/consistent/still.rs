//! [`stand_still`]: nobody commits while something is done outside of the server, such as a snapshot of its files.
//!
//! On MySQL under FLUSH TABLES WITH READ LOCK, on MariaDB under BACKUP STAGE BLOCK_COMMIT, which does not wait for queries. The redo
//! log is written out meanwhile: a transaction that is committed may be in memory only. That is so whatever
//! `innodb_flush_log_at_trx_commit` is: where a binary log is on, both servers may leave the commit itself in the log buffer, for recovery
//! to take it from the binary log, which is no part of what is done here.

use std::thread;
use std::time::{Duration, Instant};

use backstay_engine_api::job::JobContext;
use backstay_engine_api::{EngineError, ErrorKind, Position, Server};

use super::wait::Watch;
use super::{Guarded, ddl, patience, position, preflight, prepared};
use crate::session::Session;

/// How often it is looked whether the redo log is written.
const LOOK: Duration = Duration::from_millis(5);
/// How much longer than MariaDB says that it leaves the redo log in memory it is waited for.
const SPARE: Duration = Duration::from_secs(10);

/// MariaDB's stages; see `ddl.rs`.
const STAGES: [&str; 4] = [
    "BACKUP STAGE START",
    "BACKUP STAGE FLUSH",
    "BACKUP STAGE BLOCK_DDL",
    "BACKUP STAGE BLOCK_COMMIT",
];

/// What was done while nobody committed.
#[derive(Debug)]
pub struct Stood<T> {
    /// What came of it.
    pub value: T,
    /// Where the server stood, as [`ConsistentPoint::positions`](super::ConsistentPoint::positions) has it.
    pub positions: Vec<Position>,
    /// How long nobody could commit.
    pub lock_held: Duration,
}

/// Keeps everybody from committing while `body` runs, with every commit written to the files. `lock_wait` is how long to try for the
/// lock, and for prepared transactions to be gone, together.
///
/// # Errors
/// As [`ConsistentPoint::take`](super::ConsistentPoint::take). In each case no lock and no session is left.
pub fn stand_still<T>(
    job: &JobContext,
    server: &Server,
    lock_wait: Duration,
    body: impl FnOnce() -> Result<T, EngineError>,
) -> Result<Stood<T>, EngineError> {
    let deadline = Instant::now() + lock_wait;
    let mut watcher = Session::connect(server)?;
    preflight::still(&mut watcher)?;
    let mut holder = Guarded::open(job, watcher.another()?, lock_wait)?;
    let session = &mut holder.session;
    let stages = session.flavour().is_mariadb() && ddl::can_block(session);
    let unlock = if stages { "BACKUP STAGE END" } else { "UNLOCK TABLES" };
    let mut watch = Watch {
        job,
        watcher: &mut watcher,
        deadline,
        lock_wait,
    };
    let locked_at = loop {
        if stages {
            for stage in STAGES {
                watch.lock(session, stage, |_| Ok(()))?;
            }
        } else {
            watch.lock(session, "FLUSH TABLES WITH READ LOCK", patience::wait)?;
        }
        let locked_at = Instant::now();
        let found = prepared::list(session)?;
        if found.is_empty() {
            break locked_at;
        }
        session.run(unlock)?;
        if !watch.pause()? {
            return Err(prepared::in_the_way(&found, lock_wait));
        }
    };
    session.run("FLUSH NO_WRITE_TO_BINLOG ENGINE LOGS")?;
    until_written(&watch, session)?;
    let positions = position::read(session)?;
    let value = body()?;
    // It fails if the session was lost meanwhile, and the lock with it.
    session.run(unlock).map_err(|error| {
        let mut lost = EngineError::new(
            ErrorKind::Connection,
            "the session that kept others from committing was lost meanwhile",
        );
        lost.causes.push(error.message);
        lost.causes.extend(error.causes);
        lost.advise("take the backup again; look into the server's error log for why the session ended")
    })?;
    Ok(Stood {
        value,
        positions,
        lock_held: locked_at.elapsed(),
    })
}

/// Waits until MariaDB has written its redo log where it writes it once a second only: with `innodb_flush_log_at_trx_commit` 0,
/// FLUSH ENGINE LOGS does nothing there (seen on 10.11).
fn until_written(watch: &Watch<'_>, session: &mut Session) -> Result<(), EngineError> {
    let at_commit = session.variable("innodb_flush_log_at_trx_commit")?;
    if !session.flavour().is_mariadb() || at_commit.as_deref() != Some("0") {
        return Ok(());
    }
    let seconds = session.variable("innodb_flush_log_at_timeout")?;
    let seconds = seconds.and_then(|seconds| seconds.parse().ok()).unwrap_or(1);
    let deadline = Instant::now() + Duration::from_secs(seconds) + SPARE;
    let wanted = lsn(session, "Innodb_lsn_current")?;
    while lsn(session, "Innodb_lsn_flushed")? < wanted {
        watch.job.check_cancelled()?;
        if Instant::now() >= deadline {
            let message = format!("the server has not written its redo log up to LSN {wanted}");
            return Err(EngineError::new(ErrorKind::Busy, message)
                .advise("run: SET GLOBAL innodb_flush_log_at_trx_commit = 2, and take the backup again"));
        }
        thread::sleep(LOOK);
    }
    Ok(())
}

fn lsn(session: &mut Session, name: &str) -> Result<u64, EngineError> {
    let sql = format!("SHOW GLOBAL STATUS WHERE Variable_name = '{name}'");
    let found = session.query_first::<(String, String)>(sql)?;
    let value = found.and_then(|(_, value)| value.parse().ok());
    value.ok_or_else(|| EngineError::other(format!("the server does not say how far its redo log is ({name})")))
}
