//! What an engine answers when an operation went well.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::job::Segment;
use crate::position::Position;
use crate::server::ServerFacts;

/// Something an operator must know of a success: a loss of the tool's, a table that was left out, a lock's duration.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Notice {
    /// A name for programs, in kebab-case: `float-precision`, `json-scalars`, `account-kept`.
    pub code: String,
    /// What it is about: `shop.prices`, an account, a file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<String>,
    /// One sentence for people.
    pub text: String,
}

impl Notice {
    /// A notice about the whole job.
    pub fn new(code: impl Into<String>, text: impl Into<String>) -> Self {
        Self {
            code: code.into(),
            subject: None,
            text: text.into(),
        }
    }

    /// The same, about one thing.
    #[must_use]
    pub fn about(mut self, subject: impl Into<String>) -> Self {
        self.subject = Some(subject.into());
        self
    }
}

/// How a backup went. An error means that no backup exists.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[allow(
    clippy::large_enum_variant,
    reason = "there is one for each job, and authors need not box it"
)]
pub enum Outcome {
    /// A backup that restores.
    Usable(Usable),
    /// An incremental with nothing new since its parent: success, and no backup. The positions are where the server
    /// stands.
    Empty {
        /// The server's position, which the parent covers.
        positions: Vec<Position>,
    },
}

/// What the engine knows of the backup that it has just written.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Usable {
    /// The server it was taken from.
    pub server: ServerFacts,
    /// The one point that it shows; see [`BackupRecord::positions`](crate::BackupRecord::positions).
    #[serde(default)]
    pub positions: Vec<Position>,
    /// For an incremental: where it starts.
    #[serde(default)]
    pub from: Vec<Position>,
    /// Whether it leaves out some of the server's schemas, tables or rows, because it was asked to; see
    /// [`BackupRecord::partial`](crate::BackupRecord::partial).
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub partial: bool,
    /// What is not as it was on the server, or may not be.
    #[serde(default)]
    pub notices: Vec<Notice>,
    /// For an incremental that is made of log events: what it covers. The host never hands such a backup to
    /// [`restore`](crate::Engine::restore): it restores the chain below it, and replays this with
    /// [`recover`](crate::Engine::recover) of an engine for logs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub log: Option<Segment>,
    /// The engine's own; handed back with the record.
    #[serde(default)]
    pub state: Value,
}

/// How a restore went.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Restored {
    /// Where replay can go on from; empty if it can not (a single table, a server without logs).
    #[serde(default)]
    pub positions: Vec<Position>,
    /// What is not as it was, or was left alone.
    #[serde(default)]
    pub notices: Vec<Notice>,
}

/// How a replay of logs went.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Recovered {
    /// What the server has applied now.
    #[serde(default)]
    pub positions: Vec<Position>,
    /// How many transactions were replayed.
    #[serde(default)]
    pub transactions: u64,
    /// What the operator must know, such as transactions that a clock stepping back left out.
    #[serde(default)]
    pub notices: Vec<Notice>,
}

/// What a check found.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct CheckReport {
    /// Whether what was restored is sound.
    pub sound: bool,
    /// How many things (tables, pages, files: the engine's choice) were looked at.
    #[serde(default)]
    pub checked: u64,
    /// What is wrong, or worth knowing.
    #[serde(default)]
    pub findings: Vec<Notice>,
}
