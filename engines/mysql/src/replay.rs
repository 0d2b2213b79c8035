//! Replaying logs onto a restored server, as replication.
//!
//! A restored server has a parallel applier of events already: its own replica threads. So [`recover`] is a source for them: it
//! listens on loopback as a MySQL or MariaDB server (`source`), serves exactly the transactions of the plan (`plan`), and points a
//! channel of its own at itself (`target`). The stream ends at the point, and the replay is over when the server says that it
//! has applied what was planned (`replicate`), not when the connection is quiet.
//!
//! What makes events vanish without an error is seen to: the target's `server_id` is one that no event carries, our channel has no
//! filter and no error is passed over, and the target's GTID state is the backup's. What is changed on the server for that is noted on the
//! server and always put back, by the next replay or by [`clean`] if this one is killed.
//!
//! Where an account may not change replication, the vendor's own programs do it: `mysqlbinlog | mysql` (`client`).

mod client;
mod failures;
mod plan;
mod private;
mod replicate;
mod source;
mod target;

use backstay_engine_api::job::{CleanJob, RecoverJob, Target};
use backstay_engine_api::{EngineError, ErrorKind, Recovered};
use serde::Deserialize;

use crate::session::Session;
use plan::Plan;

/// How transactions are replayed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Method {
    /// By the target's own replica threads.
    #[default]
    Replication,
    /// By `mysqlbinlog | mysql`.
    Client,
}

/// How a replay is made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReplayOptions {
    /// How.
    pub method: Method,
    /// How many appliers run in parallel; by default twice as many as the job has threads, and at least 4.
    pub workers: Option<usize>,
    /// How large relay logs may grow, in bytes, before the source waits for the applier.
    pub relay_log_limit: u64,
    /// For a data directory: what its server needs to be told, such as `--innodb-page-size=8192`.
    pub server_args: Vec<String>,
}

impl Default for ReplayOptions {
    fn default() -> Self {
        Self {
            method: Method::default(),
            workers: None,
            relay_log_limit: 1 << 30,
            server_args: Vec::new(),
        }
    }
}

impl ReplayOptions {
    fn workers(&self, threads: usize) -> usize {
        self.workers.unwrap_or_else(|| (2 * threads).clamp(4, 64))
    }
}

/// Replays a job's logs up to its point.
///
/// A running server is writable afterwards, replicates from nowhere and has its own ids and settings; on a data directory, a private
/// server is started and stopped. All but the settings holds as well where there is nothing to replay, or no log at all. Interrupted at any
/// moment, on either side, the same job goes on where it was.
///
/// # Errors
/// The logs do not lead to the point, the target is not where they begin, or the server refuses an event.
pub fn recover(job: &RecoverJob, options: &ReplayOptions) -> Result<Recovered, EngineError> {
    if job.logs().is_empty() {
        return nothing(job, None, options);
    }
    let plan = Plan::of(job)?;
    if plan.transactions.is_empty() {
        return nothing(job, Some(&plan), options);
    }
    match (job.target(), options.method) {
        (Target::Server(server), Method::Replication) => {
            replicate::replay(job, plan, options, &mut Session::connect(server)?)
        }
        (Target::Server(server), Method::Client) => client::replay(job, &plan, server),
        (Target::DataDir { path, programs }, Method::Replication) => {
            private::replay(job, plan, options, path, programs)
        }
        (Target::DataDir { .. }, Method::Client) => Err(EngineError::new(
            ErrorKind::Usage,
            "replay = \"client\" is for a running server, and the target is a data directory",
        )
        .advise("leave the option out: of a private server, the account may change replication")),
    }
}

/// The target stands at the point already. What is left of its old source goes all the same, which would lead it past the point.
fn nothing(job: &RecoverJob, plan: Option<&Plan>, options: &ReplayOptions) -> Result<Recovered, EngineError> {
    let mut notices = match (job.target(), options.method) {
        (Target::Server(server), Method::Replication) => target::forget_sources(&mut Session::connect(server)?)?,
        // Its account may not change replication.
        (Target::Server(_), Method::Client) => Vec::new(),
        // Of a server that was no replica there is no source to forget.
        (Target::DataDir { .. }, _) if !job.source().flavour.is_empty() && job.source().replication.is_empty() => {
            Vec::new()
        }
        (Target::DataDir { path, programs }, _) => private::forget_sources(job, plan, options, path, programs)?,
    };
    notices.extend(plan.iter().flat_map(|plan| plan.notices.iter().cloned()));
    Ok(Recovered {
        positions: job.from().to_vec(),
        transactions: 0,
        notices,
    })
}

/// Puts back what a killed replay has changed on its server.
///
/// # Errors
/// The server can not be reached, or refuses.
pub fn clean(job: &CleanJob) -> Result<(), EngineError> {
    match job.server() {
        Some(server) => target::put_back(&mut Session::connect(server)?, target::Left::Interrupted),
        None => Ok(()),
    }
}
