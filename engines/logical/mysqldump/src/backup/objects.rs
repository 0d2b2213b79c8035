//! [`Objects`]: the splitter's sections as objects of the backup, one open at a time.

use std::io::Write as _;

use backstay_engine_api::{BackupJob, EngineError, ObjectWriter, Storage};

use crate::expected::Expected;
use crate::section::Section;
use crate::split::Sink;

/// Writes sections as objects.
#[derive(Debug)]
pub(crate) struct Objects<'a> {
    job: &'a BackupJob,
    expected: Expected,
    open: Option<ObjectWriter>,
    count: u64,
}

impl<'a> Objects<'a> {
    /// Of a dump that has `expected`.
    pub(crate) fn new(job: &'a BackupJob, expected: Expected) -> Self {
        Self {
            job,
            expected,
            open: None,
            count: 0,
        }
    }

    /// Ends the last object.
    ///
    /// # Errors
    /// It did not reach the repository, or something that the server has did not come.
    pub(crate) fn finish(mut self) -> Result<(), EngineError> {
        self.close()?;
        self.expected.ends()
    }

    fn close(&mut self) -> Result<(), EngineError> {
        self.open.take().map_or(Ok(()), |object| object.finish().map(|_| ()))
    }
}

impl Sink for Objects<'_> {
    fn begin(&mut self, section: &Section) -> Result<(), EngineError> {
        self.close()?;
        self.expected.begins(section)?;
        self.job.doing(format!("dumping {section}"));
        let attributes = section.attributes(self.count);
        self.open = Some(self.job.create(&section.object_name(), attributes, Storage::Compress)?);
        self.count += 1;
        Ok(())
    }

    fn bytes(&mut self, bytes: &[u8]) -> Result<(), EngineError> {
        match &mut self.open {
            Some(object) => Ok(object.write_all(bytes)?),
            None => Err(EngineError::other("the dump has bytes outside of all sections")),
        }
    }
}
