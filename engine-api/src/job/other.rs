//! The small jobs: probe, check, clean, remove.

use std::ops::Deref;

use super::{ChainLink, JobContext, Target};
use crate::record::BackupRecord;
use crate::server::Server;

macro_rules! context {
    ($job:ty) => {
        impl Deref for $job {
            type Target = JobContext;

            fn deref(&self) -> &JobContext {
                &self.context
            }
        }
    };
}

/// A server to be looked at.
#[derive(Debug, Clone)]
pub struct ProbeJob {
    pub(super) context: JobContext,
    pub(super) server: Server,
}

impl ProbeJob {
    /// The server.
    pub fn server(&self) -> &Server {
        &self.server
    }
}

/// Something restored that is to be checked.
#[derive(Debug, Clone)]
pub struct CheckJob {
    pub(super) context: JobContext,
    pub(super) target: Target,
    pub(super) chain: Vec<ChainLink>,
}

impl CheckJob {
    /// Where it is.
    pub fn target(&self) -> &Target {
        &self.target
    }

    /// What it was restored from.
    pub fn chain(&self) -> &[ChainLink] {
        &self.chain
    }
}

/// The leavings of a killed job.
#[derive(Debug, Clone)]
pub struct CleanJob {
    pub(super) context: JobContext,
    pub(super) server: Option<Server>,
    pub(super) killed: String,
    pub(super) sessions: Vec<String>,
}

impl CleanJob {
    /// The server that the killed job worked on.
    pub fn server(&self) -> Option<&Server> {
        self.server.as_ref()
    }

    /// The killed job's id: what it left carries it in its name.
    pub fn killed(&self) -> &str {
        &self.killed
    }

    /// The sessions that it had guarded, by the server's ids of them.
    pub fn sessions(&self) -> &[String] {
        &self.sessions
    }
}

/// A backup that is being deleted.
#[derive(Debug, Clone)]
pub struct RemoveJob {
    pub(super) context: JobContext,
    pub(super) record: BackupRecord,
}

impl RemoveJob {
    /// What is known of it.
    pub fn record(&self) -> &BackupRecord {
        &self.record
    }
}

context!(ProbeJob);
context!(CheckJob);
context!(CleanJob);
context!(RemoveJob);
