//! [`BackupJob`].

use std::ops::Deref;

use super::JobContext;
use crate::error::EngineError;
use crate::objects::{Attributes, ObjectWriter, Storage};
use crate::server::Server;
use crate::wire::Request;

/// A backup to be taken.
#[derive(Debug, Clone)]
pub struct BackupJob {
    context: JobContext,
    server: Server,
}

impl BackupJob {
    pub(super) fn new(context: JobContext, server: Server) -> Self {
        Self { context, server }
    }

    /// The server to back up.
    pub fn server(&self) -> &Server {
        &self.server
    }

    /// Starts a new object. At most 64 are open at once, counting those of all threads.
    ///
    /// A name is a relative path: 1 to 1,000 bytes of UTF-8, parts joined by `/`, none of them `.` or `..`, no control
    /// characters, and unique in the backup.
    ///
    /// # Errors
    /// The name is not of that form or is taken, too many are open, or the repository failed.
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
}

impl Deref for BackupJob {
    type Target = JobContext;

    fn deref(&self) -> &JobContext {
        &self.context
    }
}
