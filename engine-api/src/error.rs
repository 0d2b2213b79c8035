//! [`EngineError`]: what went wrong, in the operator's words, and what to do about it.

use std::fmt;
use std::io;

use serde::{Deserialize, Serialize};

/// What sort of failure it is. The host picks its exit code by it; a kind that a host does not know counts as
/// [`ErrorKind::Other`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum ErrorKind {
    /// The engine has no such operation.
    Unsupported,
    /// An option or a setting is wrong; nothing was done.
    Usage,
    /// Going on would be unsafe (target not empty, versions that do not fit, another's lock); nothing was done.
    Refused,
    /// The server could not be reached, or the session was lost.
    Connection,
    /// The account lacks a privilege; the advice names the GRANT.
    Privilege,
    /// A lock or a point without prepared transactions was not to be had in time.
    Busy,
    /// Bytes read are not what they should be.
    Damaged,
    /// A file, the repository or another resource failed (no space, not writable).
    Io,
    /// A program that the engine runs failed or is missing.
    Program,
    /// The job was cancelled.
    Cancelled,
    /// The engine panicked; a fault of the engine's.
    Panic,
    /// Anything else.
    #[serde(other)]
    Other,
}

/// An engine's error: what happened, what can be done, and what caused it.
///
/// The message names the thing, what was expected and what was found; the advice says what the operator can do.
/// Secrets must be in neither.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EngineError {
    /// What sort of failure it is.
    pub kind: ErrorKind,
    /// One line: the thing, what was expected, what was found.
    pub message: String,
    /// What the operator can do, as a sentence or as a command.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub advice: Option<String>,
    /// What lies beneath, outermost first: messages of sources, a program's last lines.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub causes: Vec<String>,
}

impl EngineError {
    /// An error of that kind.
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self {
            kind,
            message: message.into(),
            advice: None,
            causes: Vec::new(),
        }
    }

    /// [`ErrorKind::Unsupported`], for an operation.
    pub fn unsupported(what: impl fmt::Display) -> Self {
        Self::new(ErrorKind::Unsupported, format!("this engine does not support {what}"))
    }

    /// [`ErrorKind::Refused`].
    pub fn refused(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Refused, message)
    }

    /// [`ErrorKind::Other`].
    pub fn other(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Other, message)
    }

    /// [`ErrorKind::Cancelled`].
    pub fn cancelled() -> Self {
        Self::new(ErrorKind::Cancelled, "the job was cancelled")
    }

    /// Adds what the operator can do.
    #[must_use]
    pub fn advise(mut self, advice: impl Into<String>) -> Self {
        self.advice = Some(advice.into());
        self
    }

    /// Adds an error and its sources as causes.
    #[must_use]
    pub fn because(mut self, source: &(dyn std::error::Error + 'static)) -> Self {
        let mut next = Some(source);
        while let Some(error) = next {
            self.causes.push(error.to_string());
            next = error.source();
        }
        self
    }

    /// Adds a line of detail, such as the last line a program printed.
    #[must_use]
    pub fn detail(mut self, line: impl Into<String>) -> Self {
        self.causes.push(line.into());
        self
    }
}

impl fmt::Display for EngineError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)?;
        for cause in &self.causes {
            write!(f, ": {cause}")?;
        }
        if let Some(advice) = &self.advice {
            write!(f, "; {advice}")?;
        }
        Ok(())
    }
}

impl std::error::Error for EngineError {}

/// An [`EngineError`] that travelled inside an [`io::Error`] (from an object's reader or writer) comes out as it was.
impl From<io::Error> for EngineError {
    fn from(error: io::Error) -> Self {
        match error.downcast::<EngineError>() {
            Ok(inner) => inner,
            Err(error) => EngineError::new(ErrorKind::Io, error.to_string()),
        }
    }
}

impl From<EngineError> for io::Error {
    fn from(error: EngineError) -> Self {
        io::Error::other(error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn survives_a_trip_through_io_error() {
        let error = EngineError::new(ErrorKind::Damaged, "object a is damaged").advise("restore another backup");
        assert_eq!(EngineError::from(io::Error::from(error.clone())), error);
    }

    #[test]
    fn an_unknown_kind_is_other() {
        let error: EngineError = serde_json::from_str(r#"{"kind":"from-the-future","message":"m"}"#).unwrap();
        assert_eq!(error.kind, ErrorKind::Other);
    }
}
