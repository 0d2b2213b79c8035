//! [`Layout`]: what the objects of a backup do not say by themselves.

use std::io::{Read as _, Write as _};

use backstay_engine_api::job::ChainLink;
use backstay_engine_api::{Attributes, BackupJob, EngineError, ErrorKind, Storage};
use serde::{Deserialize, Serialize};

/// The `kind` of the object, and its name. No server has a file of that name at the top of its data directory.
const KIND: &str = "layout";
const NAME: &str = "#layout.json";
/// The largest layout that is read, in bytes.
const MAX: u64 = 256 << 20;

/// The directories: a server misses a schema's even where no table is in it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Layout {
    pub(crate) directories: Vec<String>,
}

impl Layout {
    /// Writes it into a backup.
    ///
    /// # Errors
    /// The repository failed.
    pub(crate) fn write(&self, job: &BackupJob) -> Result<(), EngineError> {
        let text = serde_json::to_vec_pretty(self)
            .map_err(|error| EngineError::other("the layout is no JSON").because(&error))?;
        let mut object = job.create(NAME, Attributes::kind(KIND), Storage::Compress)?;
        object.write_all(&text)?;
        object.finish().map(drop)
    }

    /// Reads a backup's.
    ///
    /// # Errors
    /// [`ErrorKind::Damaged`] if it is none.
    pub(crate) fn read(link: &ChainLink) -> Result<Self, EngineError> {
        let mut text = Vec::new();
        link.open(NAME)?.take(MAX).read_to_end(&mut text)?;
        serde_json::from_slice(&text).map_err(|error| {
            let message = format!("the layout of backup {} can not be read", link.record().id);
            EngineError::new(ErrorKind::Damaged, message).because(&error)
        })
    }
}
