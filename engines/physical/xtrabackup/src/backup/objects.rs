//! The backup's objects as the place of a stream's files.

use backstay_engine_api::{BackupJob, EngineError, ObjectWriter, Storage};

use backstay_physical::{Names, file_attributes};

use crate::files::Store;

/// Makes an object of each file.
#[derive(Debug)]
pub(super) struct Objects<'a> {
    job: &'a BackupJob,
    names: Names,
}

impl<'a> Objects<'a> {
    pub(super) fn new(job: &'a BackupJob, names: Names) -> Self {
        Self { job, names }
    }

    /// Whose the files are.
    pub(super) fn names(&mut self) -> &mut Names {
        &mut self.names
    }
}

impl Store for Objects<'_> {
    type Object = ObjectWriter;

    fn create(&mut self, name: &str, path: &str) -> Result<ObjectWriter, EngineError> {
        let table = self.names.table(path)?;
        self.job.doing(format!("reading {path}"));
        self.job
            .create(name, file_attributes(path, table.as_ref()), Storage::Compress)
    }

    fn finish(&mut self, object: ObjectWriter) -> Result<(), EngineError> {
        object.finish().map(|_| ())
    }

    fn pause(&mut self) -> Result<(), EngineError> {
        self.job.check_cancelled()
    }
}
