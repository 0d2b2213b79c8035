//! Putting things in order after a job that was killed, with its engine's own `clean`.

use std::time::Duration;

use backstay_engine_api::wire::Call;
use backstay_engine_api::{Operation, Server};
use serde_json::Value;

use super::{Workers, job_spec, plugin_file, scratch};
use crate::error::Result;
use crate::plugin::Inspected;
use crate::worker::protocol::Assignment;
use crate::worker::supervisor::{self, Limits, NoWatcher};

/// How long it may take: it ends sessions and removes snapshots.
const DEADLINE: Duration = Duration::from_secs(60);

/// What a killed job may have left.
pub(super) struct Killed<'a> {
    /// The job's id.
    pub(super) id: &'a str,
    /// Its cluster.
    pub(super) cluster: &'a str,
    /// The server that it worked on.
    pub(super) server: Option<&'a Server>,
    /// The sessions that it had guarded.
    pub(super) sessions: Vec<String>,
    /// The options that it had.
    pub(super) options: Value,
}

/// Whether what a job left is gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Cleaned {
    /// It is, or the operator was told that nobody else can do it.
    Yes,
    /// The next job should try again.
    NotYet,
}

impl Workers {
    /// Cleans up, or says what is left to be cleaned by hand. Answers whether there is any use in trying again later. Never
    /// fails: it runs after a failure that counts more.
    pub(super) fn clean_up(&self, plugin: &Inspected, killed: Killed<'_>) -> Cleaned {
        let sessions = killed.sessions.join(", ");
        let server = killed
            .server
            .map_or_else(|| "the server".to_owned(), |server| server.name.clone());
        let id = killed.id.to_owned();
        if !plugin.manifest.has(Operation::Clean) {
            if !sessions.is_empty() {
                tracing::warn!(
                    "job {id} was killed with locks in sessions {sessions} on {server}, and engine `{}` can not end \
                     them: look for them there, and kill them",
                    plugin.manifest.name
                );
            }
            return Cleaned::Yes;
        }
        match self.run_clean(plugin, killed) {
            Ok(()) => {
                tracing::info!("cleaned up after job {id}");
                return Cleaned::Yes;
            }
            Err(error) if sessions.is_empty() => {
                tracing::warn!("can not clean up after job {id} on {server}: {error}");
            }
            Err(error) => tracing::warn!(
                "can not clean up after job {id}: {error}; sessions {sessions} on {server} may still hold locks: kill them \
                 there, or leave it to the next backup, which tries again"
            ),
        }
        Cleaned::NotYet
    }

    fn run_clean(&self, plugin: &Inspected, killed: Killed<'_>) -> Result<()> {
        let scratch = scratch(killed.id)?;
        let job = job_spec(
            &format!("{}-clean", killed.id),
            killed.cluster,
            killed.options,
            scratch.path(),
            1,
        );
        let assignment = Assignment {
            plugin: plugin_file(plugin)?,
            call: Call::Clean {
                job,
                server: killed.server.cloned(),
                killed: killed.id.to_owned(),
                sessions: killed.sessions,
            },
            repository: None,
            sink: None,
            pieces: None,
            sources: Vec::new(),
            threads: 1,
        };
        // The operator's interrupt has stopped the job; it must not stop this.
        let (_never, interrupt) = tokio::sync::watch::channel(0);
        let limits = Limits {
            deadline: Some(DEADLINE),
            interrupt,
            grace: supervisor::GRACE,
        };
        let ended = self
            .runtime
            .block_on(crate::worker::supervisor::run(assignment, limits, &mut NoWatcher))?;
        ended.result.map(|_| ())
    }
}
