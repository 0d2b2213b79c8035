//! [`Kept`]: a session that holds a lock for as long as a backup lasts, which may be hours, and is idle meanwhile.

use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use backstay_engine_api::EngineError;

use super::Guarded;
use crate::session::Session;

/// How often the server is told that we are still there.
const PING: Duration = Duration::from_secs(60);
/// After how long without a word it ends the session, in seconds, and with it the lock: where our machine is lost without a last packet, it
/// would else wait for TCP's keepalive, which is hours.
const IDLE: u32 = 600;

/// A session that a thread of its own keeps from being idle. The thread ends before the session does.
#[derive(Debug)]
pub(super) struct Kept {
    held: Arc<Mutex<Held>>,
    stop: Option<Sender<()>>,
    pinging: Option<JoinHandle<()>>,
}

#[derive(Debug)]
struct Held {
    guarded: Guarded,
    /// What the server said when it was noticed that the session is gone.
    lost: Option<EngineError>,
}

impl Held {
    fn ping(&mut self) -> Result<(), EngineError> {
        if self.lost.is_none() {
            self.lost = self.guarded.session.run("DO 0").err();
        }
        self.lost.clone().map_or(Ok(()), Err)
    }
}

impl Kept {
    /// # Errors
    /// The session was lost.
    pub(super) fn new(guarded: Guarded) -> Result<Self, EngineError> {
        Self::pinged(guarded, PING, IDLE)
    }

    fn pinged(mut guarded: Guarded, ping: Duration, idle: u32) -> Result<Self, EngineError> {
        guarded.session.run(format!("SET SESSION wait_timeout = {idle}"))?;
        let held = Arc::new(Mutex::new(Held { guarded, lost: None }));
        let (stop, stopped) = mpsc::channel();
        let pinged = Arc::clone(&held);
        let pinging = thread::spawn(move || {
            while stopped.recv_timeout(ping) == Err(RecvTimeoutError::Timeout) {
                // What it says is asked for at the end.
                let _ = lock(&pinged).ping();
            }
        });
        Ok(Self {
            held,
            stop: Some(stop),
            pinging: Some(pinging),
        })
    }

    /// Whether the session, and what it holds, is still there.
    ///
    /// # Errors
    /// What was said when it was lost.
    pub(super) fn check_alive(&self) -> Result<(), EngineError> {
        lock(&self.held).ping()
    }

    /// Another session like it.
    ///
    /// # Errors
    /// As [`Session::connect`].
    pub(super) fn another(&self) -> Result<Session, EngineError> {
        lock(&self.held).guarded.session.another()
    }

    pub(super) fn connection_id(&self) -> u64 {
        lock(&self.held).guarded.session.connection_id()
    }

    /// # Errors
    /// As [`Session::run`].
    pub(super) fn run(&self, sql: &str) -> Result<(), EngineError> {
        lock(&self.held).guarded.session.run(sql)
    }
}

fn lock(held: &Mutex<Held>) -> MutexGuard<'_, Held> {
    held.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Drop for Kept {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(pinging) = self.pinging.take() {
            let _ = pinging.join();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use backstay_bed::{Flavour, TestServer, on_both};
    use backstay_engine_api::testing::MemoryHost;

    on_both!(only_what_is_pinged_stays);

    fn only_what_is_pinged_stays(flavour: Flavour) {
        let server = TestServer::start(flavour);
        let address = server.address();
        let host = MemoryHost::<()>::new();
        for (ping, stays) in [(Duration::from_millis(300), true), (Duration::from_secs(3600), false)] {
            let alive = host.job(|job| {
                let guarded = Guarded::open(job, Session::connect(&address).unwrap(), Duration::ZERO).unwrap();
                let kept = Kept::pinged(guarded, ping, 2).unwrap();
                thread::sleep(Duration::from_secs(5));
                kept.check_alive().is_ok()
            });
            assert_eq!(alive, stays, "{ping:?}");
        }
    }
}
