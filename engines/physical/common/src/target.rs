//! [`where_to`]: what a physical backup can be restored into.

use std::path::{Path, PathBuf};

use backstay_engine_api::job::Target;
use backstay_engine_api::{EngineError, ErrorKind, RestoreJob, Server};

/// Where a restore goes.
#[derive(Debug)]
pub enum Into<'a> {
    /// All of a backup, into a data directory; and where servers' programs are.
    Directory(&'a Path, &'a [PathBuf]),
    /// Single tables, into a running server.
    Server(&'a Server),
}

/// Where a job goes.
///
/// # Errors
/// [`ErrorKind::Unsupported`] for single tables into a directory, and for all of a backup into a server.
pub fn where_to(job: &RestoreJob) -> Result<Into<'_>, EngineError> {
    match (job.target(), job.selection().is_everything()) {
        (Target::DataDir { path, programs }, true) => Ok(Into::Directory(path, programs)),
        (Target::Server(server), false) => Ok(Into::Server(server)),
        (Target::DataDir { .. }, false) => Err(EngineError::new(
            ErrorKind::Unsupported,
            "single tables of a physical backup go into a running server, not into a data directory",
        )
        .advise("use --to-server with the URL of a server of the same series on this machine")),
        (Target::Server(_), true) => Err(EngineError::new(
            ErrorKind::Unsupported,
            "a physical backup as a whole goes into a data directory, not into a running server",
        )
        .advise("use --to-datadir DIR, and start the server on it; or name tables with --tables")),
    }
}
