//! The JSON that crosses the boundary: calls from host to engine, requests from engine to host.
//!
//! Engine authors never see it: the jobs wrap it. It is public for hosts. Both sides ignore keys that they do not know
//! and answer a message that they do not know with [`ErrorKind::Unsupported`](crate::ErrorKind::Unsupported), so
//! that either may be the newer one.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::comparison::TablePair;
use crate::error::EngineError;
use crate::job::{ArchiveSpec, ArchiveStatus, Level, Segment};
use crate::objects::{Attributes, ObjectInfo, Storage};
use crate::position::{Position, RecoveryPoint};
use crate::record::BackupRecord;
use crate::selection::Selection;
use crate::server::{Server, ServerFacts};

/// What the host asks of an engine.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "call")]
#[non_exhaustive]
pub enum Call {
    /// [`probe`](crate::Engine::probe)
    Probe {
        /// The job.
        job: JobSpec,
        /// The server to look at.
        server: Server,
    },
    /// [`full_backup`](crate::Engine::full_backup)
    FullBackup {
        /// The job.
        job: JobSpec,
        /// The server to back up.
        server: Server,
    },
    /// [`incremental_backup`](crate::Engine::incremental_backup)
    IncrementalBackup {
        /// The job.
        job: JobSpec,
        /// The server to back up.
        server: Server,
        /// What it stands on.
        parent: Box<BackupRecord>,
    },
    /// [`restore`](crate::Engine::restore)
    Restore {
        /// The job.
        job: JobSpec,
        /// Where to.
        target: Target,
        /// Whether what is there may be replaced.
        overwrite: bool,
        /// Which tables.
        selection: Selection,
        /// Full backup first, then its incrementals.
        chain: Vec<BackupRecord>,
    },
    /// [`recover`](crate::Engine::recover)
    Recover {
        /// The job.
        job: JobSpec,
        /// Where to.
        target: Target,
        /// Where the target stands.
        from: Vec<Position>,
        /// How far to go.
        point: RecoveryPoint,
        /// The logs, in the order in which they were written.
        logs: Vec<Segment>,
        /// The server whose backup the target was restored from, as far as it is known.
        #[serde(default)]
        source: ServerFacts,
    },
    /// [`archive_log`](crate::Engine::archive_log)
    ArchiveLog {
        /// The job.
        job: JobSpec,
        /// The server whose log it is.
        server: Server,
        /// From where, and in which pieces.
        #[serde(flatten)]
        archive: ArchiveSpec,
    },
    /// [`check`](crate::Engine::check)
    Check {
        /// The job.
        job: JobSpec,
        /// What was restored.
        target: Target,
        /// From what.
        chain: Vec<BackupRecord>,
    },
    /// [`clean`](crate::Engine::clean)
    Clean {
        /// The job.
        job: JobSpec,
        /// The server that the killed job worked on.
        server: Option<Server>,
        /// The killed job's id.
        killed: String,
        /// The sessions that it had guarded.
        sessions: Vec<String>,
    },
    /// [`remove`](crate::Engine::remove)
    Remove {
        /// The job.
        job: JobSpec,
        /// The backup that is being deleted.
        record: Box<BackupRecord>,
    },
    /// [`serve`](crate::Engine::serve)
    Serve {
        /// The job.
        job: JobSpec,
        /// The data directory; made if it is not there or empty.
        data_dir: PathBuf,
        /// Directories to look for the database's programs in, before PATH.
        programs: Vec<PathBuf>,
        /// The server whose data it is or will be.
        source: ServerFacts,
    },
    /// [`compare`](crate::Engine::compare)
    Compare {
        /// The job.
        job: JobSpec,
        /// The server that has the tables.
        server: Server,
        /// Which.
        tables: Vec<TablePair>,
        /// Whether rows are compared too.
        rows: bool,
    },
}

/// What every job has.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct JobSpec {
    /// The job's id: for a backup, the id that it will have.
    pub id: String,
    /// The cluster.
    pub cluster: String,
    /// The engine's options, checked against its schema.
    #[serde(default)]
    pub options: Value,
    /// An empty directory of the job's own, removed afterwards.
    pub scratch: PathBuf,
    /// How many threads the engine may keep busy.
    pub threads: usize,
}

/// Where a restore goes to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[allow(
    clippy::large_enum_variant,
    reason = "there is one for each job, and authors need not box it"
)]
pub enum Target {
    /// A running server.
    Server(Server),
    /// A data directory without a server.
    DataDir {
        /// The directory.
        path: PathBuf,
        /// Directories to look for the database's programs in, before PATH.
        #[serde(default)]
        programs: Vec<PathBuf>,
    },
}

impl Target {
    /// Whether it is a server of which nothing stays if the job fails.
    pub fn is_private(&self) -> bool {
        matches!(self, Self::Server(server) if server.private)
    }
}

impl From<Server> for Target {
    fn from(server: Server) -> Self {
        Self::Server(server)
    }
}

/// What an engine asks of the host.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "request")]
#[non_exhaustive]
pub enum Request {
    /// A new object to write; answers [`Handle`].
    Create {
        /// Its name.
        name: String,
        /// What is known of it.
        attributes: Attributes,
        /// Whether it is worth compressing.
        storage: Storage,
    },
    /// The object is whole; answers [`Written`](crate::Written).
    Finish {
        /// Its handle.
        object: u64,
    },
    /// The object, written or read, is not needed any more.
    Drop {
        /// Its handle.
        object: u64,
    },
    /// Why a write or a read of the object failed; answers an error.
    Failure {
        /// Its handle.
        object: u64,
    },
    /// Objects of a source, by name; answers [`ObjectPage`].
    Objects {
        /// Index of the record in the call's chain, or of the segment in its logs.
        source: usize,
        /// Goes on after this name.
        after: Option<String>,
        /// How many at most.
        limit: usize,
    },
    /// An object to read; answers [`Handle`].
    Open {
        /// Index of the record in the call's chain, or of the segment in its logs.
        source: usize,
        /// Its name.
        name: String,
    },
    /// A session on the server that holds or waits for locks.
    Guard {
        /// The server's id of it.
        session: String,
    },
    /// The session is over.
    Unguard {
        /// The server's id of it.
        session: String,
    },
    /// A line for the log.
    Log {
        /// How important it is.
        level: Level,
        /// The line.
        text: String,
    },
    /// What the job is doing and how much there is to do.
    Progress {
        /// What it is doing, for people.
        doing: Option<String>,
        /// How many bytes it expects to write or read in all.
        total_bytes: Option<u64>,
        /// How many objects it expects to write in all.
        total_objects: Option<u64>,
    },
    /// The log begins here.
    Begin {
        /// What its first segment follows on.
        from: Vec<Position>,
        /// What is missing before it, if there is an archive.
        missing: Option<String>,
    },
    /// A segment of the log that is whole.
    Publish {
        /// What it covers.
        segment: Box<Segment>,
    },
    /// How the archive stands.
    Status {
        /// How it stands.
        status: ArchiveStatus,
    },
    /// The private server answers.
    Serving {
        /// How to reach it.
        server: Box<Server>,
    },
}

/// An object that is open.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub struct Handle {
    /// What `write`, `read` and further requests name it by.
    pub object: u64,
}

/// Some of a source's objects.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ObjectPage {
    /// In the order of their names.
    pub objects: Vec<ObjectInfo>,
    /// Whether there are more.
    pub more: bool,
}

/// A call's or a request's answer.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Answer {
    /// What was asked for; `null` where nothing was.
    Ok(Value),
    /// Why not.
    Error(EngineError),
}

impl Answer {
    /// From a result whose value can be written as JSON.
    pub fn from_result<T: Serialize>(result: Result<T, EngineError>) -> Self {
        let value = result.and_then(|value| {
            serde_json::to_value(value).map_err(|error| EngineError::other("the answer is no JSON").because(&error))
        });
        match value {
            Ok(value) => Self::Ok(value),
            Err(error) => Self::Error(error),
        }
    }

    /// Back into a result.
    ///
    /// # Errors
    /// The error that was answered, or an answer of another shape than `T`.
    pub fn into_result<T: for<'de> Deserialize<'de>>(self) -> Result<T, EngineError> {
        match self {
            Self::Ok(value) => serde_json::from_value(value)
                .map_err(|error| EngineError::other("the answer has an unexpected shape").because(&error)),
            Self::Error(error) => Err(error),
        }
    }
}
