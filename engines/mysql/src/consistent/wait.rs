//! Waiting for a lock without leaving anyone waiting behind.

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
    /// Runs a statement that waits for a lock. When the job is cancelled or time is up, the waiting session is killed: its
    /// locks and its place in the queue go with it, and it must not be used again.
    pub(super) fn run(&mut self, session: &mut Session, sql: &str) -> Result<(), EngineError> {
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
                // If it can not be killed, the server's lock_wait_timeout ends it a little later.
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
            // The server's own time-out came first.
            (None, Err(error)) if error.kind == ErrorKind::Busy => {
                Err(blockers::in_the_way(self.watcher, id, sql, self.lock_wait))
            }
            (None, result) => result,
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
