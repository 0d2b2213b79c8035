//! What supervisor and worker say to each other. Both are the same binary, so that it needs no versions.

use std::path::PathBuf;

use backstay_engine_api::job::{ArchiveStatus, Level, Segment};
use backstay_engine_api::wire::{Answer, Call};
use backstay_engine_api::{Position, Server};
use serde::{Deserialize, Serialize};

use crate::pipeline::SinkOptions;
use crate::repository::index::IndexSummary;

/// The argument that makes the binary a worker.
pub const WORKER_ARGUMENT: &str = "__worker";

/// A job for a worker. It carries secrets, and so travels by the socket alone.
#[derive(Debug, Serialize, Deserialize)]
pub struct Assignment {
    /// The engine's library.
    pub plugin: PluginFile,
    /// What to do.
    pub call: Call,
    /// The repository's URL, where objects are written or read there.
    pub repository: Option<String>,
    /// Where new objects go.
    pub sink: Option<SinkSpec>,
    /// Where the segments of a log go that is archived.
    pub pieces: Option<PiecesSpec>,
    /// What the call reads, in the call's order.
    pub sources: Vec<SourceSpec>,
    /// How many threads the worker may keep busy.
    pub threads: usize,
}

/// A library file, as it was inspected.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PluginFile {
    /// Its absolute path.
    pub path: PathBuf,
    /// SHA-256 of its bytes, in hex. Another file is not loaded.
    pub digest: String,
    /// The engine's name.
    pub name: String,
}

/// Where a backup's objects go.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct SinkSpec {
    /// The cluster.
    pub cluster: String,
    /// The backup's id.
    pub id: String,
    /// Compression, bundling, throttle.
    pub options: SinkOptions,
}

/// Where the segments of an archived log go, each into a directory of its own.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct PiecesSpec {
    /// The directory of these, which is there.
    pub directory: PathBuf,
    /// Compression, bundling, throttle.
    pub options: SinkOptions,
}

/// A segment as it was written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Piece {
    /// The name of its directory.
    pub number: u64,
    /// The index of its objects.
    pub index: IndexSummary,
}

/// What is read from.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SourceSpec {
    /// A backup in the repository.
    Backup {
        /// The cluster.
        cluster: String,
        /// The backup's id.
        id: String,
    },
    /// A segment of an archived log in the repository.
    Segment {
        /// The cluster.
        cluster: String,
        /// The log's id.
        stream: String,
        /// The segment's name.
        name: String,
    },
    /// A directory of plain files that no Backstay wrote.
    Directory {
        /// The directory, absolute.
        path: PathBuf,
    },
}

/// From supervisor to worker.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Order {
    /// The first message.
    Assign(Box<Assignment>),
    /// Stop at the next good moment.
    Cancel,
    /// What the supervisor says to a [`Report::Ask`].
    Reply {
        /// The number of the question.
        question: u64,
        /// The answer.
        answer: Answer,
    },
}

/// From worker to supervisor.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Report {
    /// The engine is loaded and the call begins.
    Started,
    /// Something that must be on record before the engine goes on.
    Ask {
        /// The question's number.
        question: u64,
        /// What it is.
        what: Question,
    },
    /// A line for the log.
    Log {
        /// How important it is.
        level: Level,
        /// The line.
        text: String,
    },
    /// How far the job is.
    Progress(Progress),
    /// How an archive stands.
    Status(ArchiveStatus),
    /// The call is over; nothing follows.
    Done {
        /// What the engine answered.
        answer: Answer,
        /// The index of the objects it wrote.
        index: Option<IndexSummary>,
    },
}

/// What a worker waits for the supervisor to note.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Question {
    /// A session that has to be ended should the worker die.
    Guard {
        /// The server's id of it.
        session: String,
    },
    /// The session is over.
    Unguard {
        /// The server's id of it.
        session: String,
    },
    /// A log that begins.
    Begin {
        /// Where.
        from: Vec<Position>,
        /// What is missing before it.
        missing: Option<String>,
    },
    /// A log segment to be published.
    Publish {
        /// What it covers.
        segment: Box<Segment>,
        /// Where it is.
        piece: Piece,
    },
    /// A private server that answers.
    Serving {
        /// How to reach it.
        server: Box<Server>,
    },
}

/// How far a job is.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Progress {
    /// What it is doing.
    pub doing: Option<String>,
    /// Bytes written or read so far, as the engine sees them.
    pub bytes: u64,
    /// Bytes in all, where the engine knows.
    pub total_bytes: Option<u64>,
    /// Objects finished so far.
    pub objects: u64,
    /// Objects in all, where the engine knows.
    pub total_objects: Option<u64>,
}
