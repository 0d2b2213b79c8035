//! Not asking for the global read lock while a long query would hold it up.
//!
//! On MySQL the lock first stops all writers and then waits for every running query that has a table open. If we give up
//! while it waits, the tables of those queries stay closed to everybody, readers too, until the queries end: the server
//! has marked them as flushed. So we look first, and wait without a lock: for half the time in any case, and to the end
//! where a query has already run for longer than what is left. MariaDB neither waits for readers nor leaves that behind.

use std::time::{Duration, Instant};

use backstay_engine_api::EngineError;

use super::blockers;
use super::wait::Watch;
use crate::session::Session;

/// Queries younger than this, in seconds, are no reason to wait.
const YOUNG: u64 = 2;

/// Waits until no long query has a table open, or it is worth trying all the same.
pub(super) fn wait(watch: &mut Watch<'_>) -> Result<(), EngineError> {
    if watch.watcher.flavour().is_mariadb() {
        return Ok(());
    }
    loop {
        let left = watch.deadline.saturating_duration_since(Instant::now());
        let Some(oldest) = oldest_query(watch.watcher).filter(|seconds| *seconds >= YOUNG) else {
            return Ok(());
        };
        let half_over = left < watch.lock_wait / 2;
        if half_over && Duration::from_secs(oldest) <= left {
            return Ok(());
        }
        if !watch.pause()? {
            return Err(blockers::long_queries(watch.watcher, watch.lock_wait));
        }
    }
}

/// How long the oldest query has run that has a table open, in seconds. Where performance_schema does not answer, none is
/// known, and the lock is tried.
fn oldest_query(watcher: &mut Session) -> Option<u64> {
    const OLDEST: &str = "SELECT MAX(t.PROCESSLIST_TIME) FROM performance_schema.metadata_locks m JOIN \
        performance_schema.threads t ON t.THREAD_ID = m.OWNER_THREAD_ID WHERE m.OBJECT_TYPE = 'TABLE' AND \
        m.LOCK_STATUS = 'GRANTED' AND t.PROCESSLIST_COMMAND IN ('Query', 'Execute') AND \
        t.PROCESSLIST_ID <> CONNECTION_ID()";
    watcher.query_first::<Option<u64>>(OLDEST).ok().flatten().flatten()
}
