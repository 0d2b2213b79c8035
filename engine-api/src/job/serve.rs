//! [`ServeJob`].

use std::ops::Deref;
use std::path::{Path, PathBuf};

use super::JobContext;
use crate::error::EngineError;
use crate::server::{Server, ServerFacts};
use crate::wire::Request;

/// A data directory on which a private server is to run until the job is cancelled.
#[derive(Debug, Clone)]
pub struct ServeJob {
    pub(super) context: JobContext,
    pub(super) data_dir: PathBuf,
    pub(super) programs: Vec<PathBuf>,
    pub(super) source: ServerFacts,
}

impl ServeJob {
    /// The directory, which nobody else uses. One that is not there or empty is to be made.
    pub fn data_dir(&self) -> &Path {
        &self.data_dir
    }

    /// Directories to look for the database's programs in, before PATH.
    pub fn programs(&self) -> &[PathBuf] {
        &self.programs
    }

    /// The server whose data it is or will be: what the private one must be like.
    pub fn source(&self) -> &ServerFacts {
        &self.source
    }

    /// Says that the server answers, and where. Until then, nobody uses it.
    ///
    /// # Errors
    /// The host is gone.
    pub fn serving(&self, server: Server) -> Result<(), EngineError> {
        self.context.host.ask(&Request::Serving {
            server: Box::new(server),
        })
    }
}

impl Deref for ServeJob {
    type Target = JobContext;

    fn deref(&self) -> &JobContext {
        &self.context
    }
}
