//! What the host answers when something went wrong: the error of the contract, and the exit code that it means.
//!
//! The host has no error type of its own, because most of its errors come from an engine or are told to one, and all of
//! them need the same: what happened, what lies beneath, and what the operator can do.

pub use backstay_engine_api::{EngineError as Error, ErrorKind};

use crate::config::{ConfigError, ServerError};
use crate::plugin::PluginError;

/// A result with the host's error.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What the process tells its caller. The numbers are part of the command line's interface.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum ExitCode {
    /// It is done.
    Done = 0,
    /// It was tried and failed.
    Failed = 1,
    /// The command line or the configuration is wrong; nothing was done.
    Usage = 2,
    /// Going on would have been unsafe (trust, a lock, compatibility); nothing was done.
    Refused = 3,
    /// It was interrupted, by a signal or by a key.
    Interrupted = 130,
}

impl ExitCode {
    /// What an error means.
    pub fn of(error: &Error) -> Self {
        match error.kind {
            // To ask an engine for what it has not is a mistake in the workflow.
            ErrorKind::Usage | ErrorKind::Unsupported => Self::Usage,
            ErrorKind::Refused => Self::Refused,
            ErrorKind::Cancelled => Self::Interrupted,
            _ => Self::Failed,
        }
    }
}

impl From<ConfigError> for Error {
    fn from(error: ConfigError) -> Self {
        Self::new(ErrorKind::Usage, error.to_string())
    }
}

impl From<ServerError> for Error {
    fn from(error: ServerError) -> Self {
        let shown = Self::new(ErrorKind::Usage, error.to_string());
        match error {
            ServerError::Url(url) if url.password() => {
                shown.advise("leave it out, and add `?password_file=FILE` or set BACKSTAY_PASSWORD")
            }
            _ => shown,
        }
    }
}

impl From<PluginError> for Error {
    fn from(error: PluginError) -> Self {
        let kind = if error.refused() {
            ErrorKind::Refused
        } else {
            ErrorKind::Usage
        };
        Self::new(kind, error.to_string())
    }
}

impl From<ExitCode> for std::process::ExitCode {
    fn from(code: ExitCode) -> Self {
        Self::from(code as u8)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_have_their_exit_codes() {
        for (kind, code) in [
            (ErrorKind::Usage, 2),
            (ErrorKind::Unsupported, 2),
            (ErrorKind::Refused, 3),
            (ErrorKind::Cancelled, 130),
            (ErrorKind::Io, 1),
            (ErrorKind::Damaged, 1),
            (ErrorKind::Panic, 1),
            (ErrorKind::Other, 1),
        ] {
            assert_eq!(ExitCode::of(&Error::new(kind, "m")) as u8, code, "{kind:?}");
        }
    }
}
