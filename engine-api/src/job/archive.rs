//! [`ArchiveJob`], and the segments of a log.

use std::ops::Deref;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::JobContext;
use crate::error::EngineError;
use crate::objects::{Attributes, ObjectWriter, Storage};
use crate::position::Position;
use crate::server::{Server, ServerFacts};
use crate::wire::Request;

/// A piece of a server's log, complete: one of an archive's, or an incremental backup made of log events.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Segment {
    /// Its name; segments of a stream sort by it. The host names an archive's segments, whatever the engine writes here.
    /// For an incremental backup, the backup's id.
    #[serde(default)]
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
    /// The size of its objects as they were written, in bytes; of an archive's segments the host counts it.
    #[serde(default)]
    pub bytes: u64,
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

/// A log to be archived until the job is cancelled. A cancelled job publishes what it has, and is done without an error.
#[derive(Debug, Clone)]
pub struct ArchiveJob {
    context: JobContext,
    server: Server,
    archive: ArchiveSpec,
}

/// What is asked of an archive.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct ArchiveSpec {
    /// Where the archive ends, in each way that is known; empty to start a new one where the server stands.
    pub after: Vec<Position>,
    /// The server that it was read from up to there, as far as it is known: flavour, version and identity.
    #[serde(default)]
    pub source: ServerFacts,
    /// The engine's own, of the archive's last segment.
    #[serde(default, skip_serializing_if = "Value::is_null")]
    pub state: Value,
    /// Close a segment at this size, in bytes.
    pub segment_bytes: u64,
    /// Close a segment at this age, in seconds.
    pub segment_seconds: u64,
    /// Stop once the archive has what the server's log has now.
    #[serde(default)]
    pub once: bool,
}

impl ArchiveJob {
    pub(super) fn new(context: JobContext, server: Server, archive: ArchiveSpec) -> Self {
        Self {
            context,
            server,
            archive,
        }
    }

    /// The server whose log it is.
    pub fn server(&self) -> &Server {
        &self.server
    }

    /// Where the archive ends; empty to start a new one where the server stands.
    pub fn after(&self) -> &[Position] {
        &self.archive.after
    }

    /// The server that the archive was read from last, as far as it is known: flavour, version and identity.
    pub fn source(&self) -> &ServerFacts {
        &self.archive.source
    }

    /// What [`Segment::state`] of the archive's last segment was; null if there is none.
    pub fn state(&self) -> &Value {
        &self.archive.state
    }

    /// Close a segment at this size, in bytes.
    pub fn segment_bytes(&self) -> u64 {
        self.archive.segment_bytes
    }

    /// Close a segment at this age, in seconds.
    pub fn segment_seconds(&self) -> u64 {
        self.archive.segment_seconds
    }

    /// Whether to stop once the archive has what the server's log had when the job began.
    pub fn once(&self) -> bool {
        self.archive.once
    }

    /// Says that the log begins here: because there is no archive yet, or because it can not go on from
    /// [`after`](Self::after). Then `missing` says what is missing between the two, or why they are two histories; the
    /// host keeps it with the new stream and tells the operator. Segments follow on `from` from now on.
    ///
    /// # Errors
    /// There is a segment that is written and not published, or the host could not make the stream.
    pub fn begin(&self, from: Vec<Position>, missing: Option<String>) -> Result<(), EngineError> {
        self.context.host.ask(&Request::Begin { from, missing })
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

    /// Publishes a segment: all objects that were finished since the last one. When it returns, the segment is part of
    /// the archive, and outlives this machine's next crash: it is in the repository or, while that is away, in a
    /// directory of the host's from where it gets there. It may wait long where that directory is full.
    ///
    /// # Errors
    /// It does not follow on the one before, an object is open, or the job is cancelled while it waits. What the
    /// segment had is not archived then.
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
