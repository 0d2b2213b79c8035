//! [`RecoverJob`].

use std::ops::Deref;

use super::{JobContext, Objects, Segment, Target};
use crate::error::EngineError;
use crate::objects::ObjectReader;
use crate::position::{Position, RecoveryPoint};
use crate::server::ServerFacts;

/// Logs to be replayed onto a restored server, up to a point.
#[derive(Debug, Clone)]
pub struct RecoverJob {
    context: JobContext,
    target: Target,
    from: Vec<Position>,
    point: RecoveryPoint,
    logs: Vec<Segment>,
    source: ServerFacts,
}

impl RecoverJob {
    pub(super) fn new(
        context: JobContext,
        target: Target,
        from: Vec<Position>,
        point: RecoveryPoint,
        logs: Vec<Segment>,
        source: ServerFacts,
    ) -> Self {
        Self {
            context,
            target,
            from,
            point,
            logs,
            source,
        }
    }

    /// What to replay onto.
    pub fn target(&self) -> &Target {
        &self.target
    }

    /// Where the target stands, in each way that is known.
    pub fn from(&self) -> &[Position] {
        &self.from
    }

    /// How far to go.
    pub fn point(&self) -> &RecoveryPoint {
        &self.point
    }

    /// The logs that lead there, in the order in which they were written. None where the target is there already, and has only to be kept
    /// from going on: it was restored from a replica's files.
    pub fn logs(&self) -> &[Segment] {
        &self.logs
    }

    /// The server whose backup the target was restored from, as far as it is known: what a private server on a data directory must be
    /// like.
    pub fn source(&self) -> &ServerFacts {
        &self.source
    }

    /// The objects of the log at an index of [`logs`](Self::logs).
    pub fn objects(&self, log: usize) -> Objects {
        Objects::new(&self.context.host, log)
    }

    /// Opens an object of the log at an index of [`logs`](Self::logs).
    ///
    /// # Errors
    /// There is none of that name, or the repository failed.
    pub fn open(&self, log: usize, name: &str) -> Result<ObjectReader, EngineError> {
        ObjectReader::open(&self.context.host, log, name)
    }
}

impl Deref for RecoverJob {
    type Target = JobContext;

    fn deref(&self) -> &JobContext {
        &self.context
    }
}
