//! What every job has.

use std::path::Path;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::SessionGuard;
use crate::error::{EngineError, ErrorKind};
use crate::host::Host;
use crate::wire::{JobSpec, Request};

/// How important a line of the log is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Level {
    /// For whoever looks for a fault.
    Debug,
    /// Worth knowing.
    Info,
    /// The operator should look at it.
    Warn,
}

/// What every job has; each job dereferences to it. It may be cloned and used from any thread until the call returns.
#[derive(Debug, Clone)]
pub struct JobContext {
    pub(crate) spec: Arc<JobSpec>,
    pub(crate) host: Arc<Host>,
}

impl JobContext {
    pub(crate) fn new(spec: JobSpec, host: &Arc<Host>) -> Self {
        Self {
            spec: Arc::new(spec),
            host: Arc::clone(host),
        }
    }

    /// The job's id; for a backup, the id that it will have.
    pub fn id(&self) -> &str {
        &self.spec.id
    }

    /// The cluster that it is about.
    pub fn cluster(&self) -> &str {
        &self.spec.cluster
    }

    /// An empty directory of the job's own; it is removed afterwards.
    pub fn scratch(&self) -> &Path {
        &self.spec.scratch
    }

    /// How many threads the engine may keep busy; at least 1.
    pub fn threads(&self) -> usize {
        self.spec.threads.max(1)
    }

    /// The engine's options as the workflow gives them. They fit the manifest's schema.
    ///
    /// # Errors
    /// [`ErrorKind::Usage`] if they do not fit `T`.
    pub fn options<T: for<'de> Deserialize<'de>>(&self) -> Result<T, EngineError> {
        let options = match &self.spec.options {
            serde_json::Value::Null => serde_json::json!({}),
            given => given.clone(),
        };
        serde_json::from_value(options).map_err(|error| {
            EngineError::new(ErrorKind::Usage, format!("the engine's options are wrong: {error}"))
                .advise("see `backstay engines inspect` for the options that it has")
        })
    }

    /// Whether the engine should stop at the next good moment.
    pub fn cancelled(&self) -> bool {
        self.host.cancelled()
    }

    /// [`EngineError::cancelled`] once the job is to stop; for use with `?` in loops.
    ///
    /// # Errors
    /// The job is cancelled.
    pub fn check_cancelled(&self) -> Result<(), EngineError> {
        if self.cancelled() {
            Err(EngineError::cancelled())
        } else {
            Ok(())
        }
    }

    /// Writes a line to the host's log.
    pub fn log(&self, level: Level, text: impl Into<String>) {
        // The log is no reason to fail a job.
        let _ = self.host.ask::<()>(&Request::Log {
            level,
            text: text.into(),
        });
    }

    /// Says what the job is doing, for people: "reading shop.orders".
    pub fn doing(&self, what: impl Into<String>) {
        self.progress(Some(what.into()), None, None);
    }

    /// Says how much there is to write or read in all, so that the host can show the time left. Estimates are fine; with
    /// many objects announced, the host bundles small ones from the start.
    pub fn expect(&self, total_bytes: Option<u64>, total_objects: Option<u64>) {
        self.progress(None, total_bytes, total_objects);
    }

    fn progress(&self, doing: Option<String>, total_bytes: Option<u64>, total_objects: Option<u64>) {
        // As for the log.
        let _ = self.host.ask::<()>(&Request::Progress {
            doing,
            total_bytes,
            total_objects,
        });
    }

    /// Tells the host of a session on the server that takes or waits for locks. Should this process die, the host has
    /// [`clean`](crate::Engine::clean) end the session: a lock would otherwise outlive it, for a server does not notice that a
    /// client is gone while it waits. Call it *before* the first lock. The guard ends when it is dropped: keep it until the
    /// session is over on the server, also when the job is cancelled.
    ///
    /// `session` is whatever this engine's `clean` finds the session by: the server's id of it, or a name that it was given.
    ///
    /// # Errors
    /// The host could not take note of it; then take no lock.
    pub fn guard(&self, session: impl ToString) -> Result<SessionGuard, EngineError> {
        SessionGuard::new(&self.host, session.to_string())
    }
}
