//! [`Kept`]: a session that holds a lock for as long as a backup lasts, which may be hours, and is idle meanwhile.

use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use backstay_engine_api::EngineError;

use super::{Guarded, may_be_idle};

/// How often the server is told that we are still there.
const PING: Duration = Duration::from_secs(60);
/// After how long without a word it ends the session, in seconds, and with it the lock: where our machine is lost without a last packet, it
/// would else wait for TCP's keepalive, which is hours.
const IDLE: u32 = 600;

/// A session that a thread of its own keeps from being idle. The thread ends before the session does.
#[derive(Debug)]
pub(super) struct Kept {
    session: Arc<Mutex<Guarded>>,
    stop: Option<Sender<()>>,
    pinging: Option<JoinHandle<()>>,
}

impl Kept {
    /// # Errors
    /// The session was lost.
    pub(super) fn new(guarded: Guarded) -> Result<Self, EngineError> {
        Self::pinged(guarded, PING, IDLE)
    }

    fn pinged(mut guarded: Guarded, ping: Duration, idle: u32) -> Result<Self, EngineError> {
        may_be_idle(&mut guarded.session, idle)?;
        let session = Arc::new(Mutex::new(guarded));
        let (stop, stopped) = mpsc::channel();
        let pinged = Arc::clone(&session);
        let pinging = thread::spawn(move || {
            while stopped.recv_timeout(ping) == Err(RecvTimeoutError::Timeout) {
                // A session that was lost is noticed where it is asked for.
                let _ = lock(&pinged).session.run("DO 0");
            }
        });
        Ok(Self {
            session,
            stop: Some(stop),
            pinging: Some(pinging),
        })
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, Guarded> {
        lock(&self.session)
    }
}

fn lock(session: &Mutex<Guarded>) -> MutexGuard<'_, Guarded> {
    session.lock().unwrap_or_else(PoisonError::into_inner)
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
    use crate::session::Session;
    use backstay_bed::{Flavour, TestServer, on_both};
    use backstay_engine_api::testing::MemoryHost;

    on_both!(only_what_is_pinged_stays);

    fn only_what_is_pinged_stays(flavour: Flavour) {
        let server = TestServer::start(flavour);
        let address = server.address();
        let host = MemoryHost::<()>::new();
        for (ping, stays) in [(Duration::from_millis(300), true), (Duration::from_secs(3600), false)] {
            let alive = host.job(|job| {
                let guarded = Guarded::open(job, Session::connect(&address).unwrap()).unwrap();
                let kept = Kept::pinged(guarded, ping, 2).unwrap();
                thread::sleep(Duration::from_secs(5));
                kept.lock().session.run("DO 0").is_ok()
            });
            assert_eq!(alive, stays, "{ping:?}");
        }
    }
}
