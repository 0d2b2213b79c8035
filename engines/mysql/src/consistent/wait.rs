//! Waiting for a lock without leaving anyone waiting behind, and without holding others up for long.
//!
//! A lock is asked for in short attempts. A request that waits goes before all that come after it, so that whoever it
//! waits for may in turn wait for it: a statement waits for a row, the transaction that has the row wants to write once
//! more, and that waits behind our request. No server sees this as a deadlock; it would end when the row's waiter fails
//! after 50 s (`innodb_lock_wait_timeout`). Between two attempts everyone gets on.

use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use backstay_engine_api::job::JobContext;
use backstay_engine_api::{EngineError, ErrorKind};

use super::blockers;
use crate::session::Session;

/// How often cancellation is looked at.
const TICK: Duration = Duration::from_millis(50);
/// How long to wait, without a lock, between two looks at what is in the way.
const PAUSE: Duration = Duration::from_millis(250);

/// How long one attempt at a lock lasts, in seconds: the session's `lock_wait_timeout`. It is also how long a session waits
/// at most whose process was killed.
pub(super) const ATTEMPT_SECONDS: u32 = 2;

/// Who looks on while a session waits, and how long.
pub(super) struct Watch<'a> {
    pub(super) job: &'a JobContext,
    pub(super) watcher: &'a mut Session,
    pub(super) deadline: Instant,
    pub(super) lock_wait: Duration,
}

/// Why a wait was broken off.
enum Stop {
    Cancelled,
    TimeUp(EngineError),
}

impl Watch<'_> {
    /// Gets a lock, in as many attempts as there is time for. `before` runs before each, without the lock.
    ///
    /// When the job is cancelled or time is up, the waiting session is killed: its locks and its place in the queue go
    /// with it, and it must not be used again.
    pub(super) fn lock(
        &mut self,
        session: &mut Session,
        sql: &str,
        before: impl Fn(&mut Self) -> Result<(), EngineError>,
    ) -> Result<(), EngineError> {
        loop {
            before(self)?;
            if self.attempt(session, sql)? {
                return Ok(());
            }
            if !self.pause()? {
                return Err(blockers::in_the_way(
                    self.watcher,
                    session.connection_id(),
                    sql,
                    self.lock_wait,
                ));
            }
        }
    }

    /// Gets a lock in one attempt, for while another lock is held everybody waits.
    pub(super) fn lock_once(&mut self, session: &mut Session, sql: &str) -> Result<(), EngineError> {
        if self.attempt(session, sql)? {
            return Ok(());
        }
        let waited = Duration::from_secs(ATTEMPT_SECONDS.into());
        Err(blockers::in_the_way(self.watcher, session.connection_id(), sql, waited))
    }

    /// One attempt; `false` if the lock was not to be had in [`ATTEMPT_SECONDS`].
    fn attempt(&mut self, session: &mut Session, sql: &str) -> Result<bool, EngineError> {
        self.job.check_cancelled()?;
        let id = session.connection_id();
        let (sender, receiver) = mpsc::channel();
        let (result, stop) = thread::scope(|scope| {
            let waiting = scope.spawn(move || {
                let result = session.run(sql);
                // Wakes the watcher at once, so that no time passes under the lock.
                let _ = sender.send(());
                result
            });
            let mut stop = None;
            while receiver.recv_timeout(TICK) == Err(RecvTimeoutError::Timeout) {
                let why = if self.job.cancelled() {
                    Stop::Cancelled
                } else if Instant::now() >= self.deadline {
                    Stop::TimeUp(blockers::in_the_way(self.watcher, id, sql, self.lock_wait))
                } else {
                    continue;
                };
                // If it can not be killed, its lock_wait_timeout ends it a little later.
                let _ = self.watcher.kill(id);
                stop = Some(why);
                break;
            }
            let result = waiting.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
            (result, stop)
        });
        match (stop, result) {
            (Some(Stop::Cancelled), _) => Err(EngineError::cancelled()),
            (Some(Stop::TimeUp(error)), _) => Err(error),
            (None, Err(error)) if error.kind == ErrorKind::Busy => Ok(false),
            (None, result) => result.map(|()| true),
        }
    }

    /// A pause between two attempts; `false` if there is no time left for another.
    pub(super) fn pause(&self) -> Result<bool, EngineError> {
        let until = Instant::now() + PAUSE;
        if until >= self.deadline {
            return Ok(false);
        }
        while Instant::now() < until {
            self.job.check_cancelled()?;
            thread::sleep(TICK);
        }
        Ok(true)
    }
}
