//! [`ArchiveJob`], and the segments of a log.

use std::ops::Deref;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::JobContext;
use crate::error::EngineError;
use crate::objects::{Attributes, ObjectWriter, Storage};
use crate::position::Position;
use crate::server::Server;
use crate::wire::Request;

/// A piece of a server's log, complete: one of an archive's, or an incremental backup made of log events.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Segment {
    /// Its name; segments of a stream sort by it. For an incremental backup, the backup's id.
    pub name: String,
    /// The objects that it is made of, in order.
    #[serde(default)]
    pub objects: Vec<String>,
    /// Where it starts: what a server must have applied before, in each way that is known.
    pub from: Vec<Position>,
    /// Where it ends: what a server has then.
    pub to: Vec<Position>,
    /// The commit time of its first transaction (RFC 3339); `None` if it has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first_time: Option<String>,
    /// The commit time of its last transaction (RFC 3339); `None` if it has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_time: Option<String>,
    /// How many transactions it has.
    #[serde(default)]
    pub transactions: u64,
    /// The engine's own.
    #[serde(default, skip_serializing_if = "Value::is_null")]
    pub state: Value,
}

/// How an archive stands.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct ArchiveStatus {
    /// What the archive has, in each way that is known.
    pub archived: Vec<Position>,
    /// How far that is behind the server, in seconds, where it is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lag: Option<f64>,
}

/// A log to be archived until the job is cancelled.
#[derive(Debug, Clone)]
pub struct ArchiveJob {
    context: JobContext,
    server: Server,
    after: Vec<Position>,
    segment_bytes: u64,
    segment_seconds: u64,
}

impl ArchiveJob {
    pub(super) fn new(
        context: JobContext,
        server: Server,
        after: Vec<Position>,
        segment_bytes: u64,
        segment_seconds: u64,
    ) -> Self {
        Self {
            context,
            server,
            after,
            segment_bytes,
            segment_seconds,
        }
    }

    /// The server whose log it is.
    pub fn server(&self) -> &Server {
        &self.server
    }

    /// Where the archive ends; empty to start a new one where the server stands.
    pub fn after(&self) -> &[Position] {
        &self.after
    }

    /// Close a segment at this size, in bytes.
    pub fn segment_bytes(&self) -> u64 {
        self.segment_bytes
    }

    /// Close a segment at this age, in seconds.
    pub fn segment_seconds(&self) -> u64 {
        self.segment_seconds
    }

    /// Starts an object of the segment that is being written; as [`BackupJob::create`](crate::BackupJob::create).
    ///
    /// # Errors
    /// As there.
    pub fn create(&self, name: &str, attributes: Attributes, storage: Storage) -> Result<ObjectWriter, EngineError> {
        ObjectWriter::create(
            &self.context.host,
            &Request::Create {
                name: name.to_owned(),
                attributes,
                storage,
            },
        )
    }

    /// Publishes a segment whose objects are finished. When it returns, the segment is part of the archive.
    ///
    /// # Errors
    /// It does not follow on the one before, or the repository failed.
    pub fn publish(&self, segment: Segment) -> Result<(), EngineError> {
        self.context.host.ask(&Request::Publish {
            segment: Box::new(segment),
        })
    }

    /// Says how the archive stands.
    pub fn status(&self, status: ArchiveStatus) {
        // As for the log: no reason to fail.
        let _ = self.context.host.ask::<()>(&Request::Status { status });
    }
}

impl Deref for ArchiveJob {
    type Target = JobContext;

    fn deref(&self) -> &JobContext {
        &self.context
    }
}
