//! Where the worker of an archive writes: a sink for each segment, in a directory of this machine's. The supervisor takes a
//! segment from there once it is whole; so the worker goes on while the repository is away.

use std::path::PathBuf;
use std::sync::Arc;

use backstay_engine_api::{EngineError, ErrorKind};
use object_store::local::LocalFileSystem;
use object_store::path::Path;
use tokio::runtime::Handle;

use super::protocol::PiecesSpec;
use crate::pipeline::{BackupSink, Destination, SinkOptions};

/// Makes the sinks.
pub(super) struct Pieces {
    directory: PathBuf,
    options: SinkOptions,
    runtime: Handle,
    /// How many were made.
    made: u64,
}

impl Pieces {
    pub(super) fn new(spec: PiecesSpec, runtime: Handle) -> Self {
        Self {
            directory: spec.directory,
            options: spec.options,
            runtime,
            made: 0,
        }
    }

    /// A sink for the next segment.
    pub(super) fn next(&mut self) -> Result<BackupSink, EngineError> {
        let number = self.made + 1;
        let directory = self.directory.join(number.to_string());
        let failed = |error: &(dyn std::error::Error + 'static)| {
            EngineError::new(ErrorKind::Io, format!("can not write to {}", directory.display())).because(error)
        };
        std::fs::create_dir(&directory).map_err(|error| failed(&error))?;
        let store = LocalFileSystem::new_with_prefix(&self.directory).map_err(|error| failed(&error))?;
        let destination = Destination {
            store: Arc::new(store),
            base: Path::from(number.to_string()),
            root: Some(self.directory.clone()),
        };
        let sink = BackupSink::new(destination, self.runtime.clone(), self.options.clone())?;
        self.made = number;
        Ok(sink)
    }

    /// The number of the last sink, which is the name of its directory.
    pub(super) fn last(&self) -> u64 {
        self.made
    }
}
