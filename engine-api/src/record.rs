//! [`BackupRecord`]: what is known of a backup, as its manifest says it.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::job::Segment;
use crate::outcome::Notice;
use crate::position::Position;
use crate::server::ServerFacts;

/// Full, or the changes since a parent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum BackupKind {
    /// Restores by itself.
    Full,
    /// Restores on top of its parent.
    Incremental,
}

/// Which engine made a backup.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct EngineRef {
    /// The engine's name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// Who ships it.
    pub vendor: String,
    /// SHA-256 of the library file, in hex.
    pub digest: String,
}

/// A backup that is complete. Keys that this version does not know are kept in `other`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct BackupRecord {
    /// Sorts by time and says what it is: `20261122T101530Z-full-mysqldump-7f3a`.
    pub id: String,
    /// The cluster it is of.
    pub cluster: String,
    /// The workflow that asked for it, if one did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub workflow: Option<String>,
    /// The engine that made it.
    pub engine: EngineRef,
    /// Full or incremental.
    pub kind: BackupKind,
    /// The id of the backup that an incremental stands on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent: Option<String>,
    /// The server it was taken from.
    pub server: ServerFacts,
    /// The one point that it shows, in each way that the server can say it; the first is the one that chains are checked
    /// by. Empty if the backup has no place in the server's log: there is no log, or the backup shows several points
    /// (a database each).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub positions: Vec<Position>,
    /// For an incremental: where it starts, in the same ways.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub from: Vec<Position>,
    /// When the job began (RFC 3339, UTC).
    pub started: String,
    /// When it was complete (RFC 3339, UTC).
    pub finished: String,
    /// How many objects it has.
    pub objects: u64,
    /// Their size as the engine wrote them, in bytes.
    pub bytes: u64,
    /// Their size in the repository, in bytes.
    pub stored_bytes: u64,
    /// Whether it leaves out some of the server's schemas, tables or rows, because it was asked to. It is restored as any other; but
    /// the server's log has all of them, so that no recovery begins from it, and no incremental stands on it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub partial: bool,
    /// What is not as it was on the server, or may not be.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notices: Vec<Notice>,
    /// For an incremental that is made of log events: what it covers. Such a backup is replayed, not restored.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub log: Option<Segment>,
    /// The engine's own; handed back with the record.
    #[serde(default, skip_serializing_if = "Value::is_null")]
    pub state: Value,
    /// What a later version wrote.
    #[serde(flatten)]
    pub other: Map<String, Value>,
}

impl BackupRecord {
    /// What an incremental of a position stands on, of which there is no backup: it has no id.
    ///
    /// `server` is the one that the incremental is taken from, as it was probed.
    pub fn of_position(cluster: impl Into<String>, position: Position, server: ServerFacts) -> Self {
        Self {
            id: String::new(),
            cluster: cluster.into(),
            workflow: None,
            engine: EngineRef::default(),
            kind: BackupKind::Incremental,
            parent: None,
            server,
            positions: vec![position],
            from: Vec::new(),
            started: String::new(),
            finished: String::new(),
            objects: 0,
            bytes: 0,
            stored_bytes: 0,
            partial: false,
            notices: Vec::new(),
            log: None,
            state: Value::Null,
            other: Map::new(),
        }
    }

    /// Whether it is no backup but a position alone ([`of_position`](Self::of_position)).
    pub fn is_position(&self) -> bool {
        self.id.is_empty()
    }

    /// For people: `backup 2026…`, or `position 0-1-7`.
    pub fn name(&self) -> String {
        match self.positions.first() {
            Some(position) if self.is_position() => format!("position {}", position.value),
            _ => format!("backup {}", self.id),
        }
    }
}
