//! [`Problem`]: what is wrong with a stored file or object.

use std::fmt;

use backstay_engine_api::{EngineError, ErrorKind};
use serde::{Deserialize, Serialize};

/// What sort of damage it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ProblemKind {
    /// The file is not there.
    Missing,
    /// The file ends too early.
    Short,
    /// The file goes on after its last object.
    Long,
    /// The bytes are others than were written.
    Digest,
    /// The bytes are what was written, and yet do not decompress to the object.
    Content,
    /// This version can not undo what was done to the bytes.
    Transform,
    /// The store failed.
    Unreadable,
    /// The file belongs to no object.
    Leftover,
}

/// Something wrong with a backup.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Problem {
    /// What sort it is.
    pub kind: ProblemKind,
    /// The object that can not be restored, if one is hurt.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub object: Option<String>,
    /// The file, relative to the backup's directory.
    pub file: String,
    /// What was expected.
    pub expected: String,
    /// What was found.
    pub found: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.object, self.kind) {
            (Some(object), ProblemKind::Unreadable) => write!(f, "object {object:?} can not be read")?,
            (Some(object), ProblemKind::Transform) => write!(f, "object {object:?} can not be decoded")?,
            (Some(object), _) => write!(f, "object {object:?} is damaged")?,
            (None, ProblemKind::Leftover) => write!(f, "a file belongs to no object")?,
            (None, _) => write!(f, "a file is damaged")?,
        }
        write!(f, " ({}): expected {}, found {}", self.file, self.expected, self.found)
    }
}

impl std::error::Error for Problem {}

impl From<Problem> for EngineError {
    fn from(problem: Problem) -> Self {
        let (kind, advice) = match problem.kind {
            ProblemKind::Unreadable => (ErrorKind::Io, "see whether the repository can be read"),
            ProblemKind::Transform => (
                ErrorKind::Refused,
                "use the version of backstay that made the backup, or a later one",
            ),
            _ => (
                ErrorKind::Damaged,
                "use another backup; `backstay verify` lists everything that is damaged in this one",
            ),
        };
        EngineError::new(kind, problem.to_string()).advise(advice)
    }
}
