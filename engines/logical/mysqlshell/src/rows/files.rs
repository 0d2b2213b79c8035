//! [`DataFiles`]: data files as objects of the backup, each with its index beside it.

use std::io::Write as _;

use backstay_engine_api::{Attributes, EngineError, ObjectWriter, Storage};

use super::Shared;
use super::encode::{Files, Totals};
use super::source::Source;
use crate::format::names;

/// The `kind` of objects with rows.
pub(crate) const DATA: &str = "table-data";
/// The `kind` of objects with offsets into them.
pub(crate) const INDEX: &str = "table-data-index";

/// The data file that is being written, and those that come after it.
#[derive(Debug)]
pub(crate) struct DataFiles<'s, 'a> {
    shared: &'s Shared<'a>,
    source: Source<'a>,
    number: usize,
    name: String,
    /// `None` once the file has ended.
    writer: Option<ObjectWriter>,
}

impl<'s, 'a> DataFiles<'s, 'a> {
    /// Starts file `number` of a source. The last has a name of its own kind.
    ///
    /// # Errors
    /// The object could not be made.
    pub(crate) fn start(
        shared: &'s Shared<'a>,
        source: Source<'a>,
        number: usize,
        last: bool,
    ) -> Result<Self, EngineError> {
        let compression = shared.options.compression;
        let name = names::chunk(source.base(), number as u64, last, compression.extension());
        let writer = shared
            .job
            .create(&name, attributes(DATA, source), compression.storage())?;
        Ok(Self {
            shared,
            source,
            number,
            name,
            writer: Some(writer),
        })
    }

    /// Ends the file; returns its number.
    ///
    /// # Errors
    /// It did not reach the repository.
    pub(crate) fn end(mut self, totals: &Totals) -> Result<usize, EngineError> {
        self.close(totals)?;
        Ok(self.number)
    }

    fn close(&mut self, totals: &Totals) -> Result<(), EngineError> {
        if let Some(writer) = self.writer.take() {
            writer.finish()?;
        }
        let mut index = self.shared.job.create(
            &names::index(&self.name),
            attributes(INDEX, self.source),
            Storage::Store,
        )?;
        index.write_all(&totals.index)?;
        index.finish()?;
        self.shared
            .file(self.source.table, std::mem::take(&mut self.name), totals);
        Ok(())
    }
}

impl Files for DataFiles<'_, '_> {
    fn write(&mut self, bytes: &[u8]) -> Result<(), EngineError> {
        self.shared.check()?;
        match &mut self.writer {
            Some(writer) => Ok(writer.write_all(bytes)?),
            None => Err(EngineError::other(format!("{} has ended", self.source.name()))),
        }
    }

    fn next(&mut self, totals: Totals) -> Result<(), EngineError> {
        // In this order: each worker has one open object, and there may be no more than 64 in all.
        self.close(&totals)?;
        *self = Self::start(self.shared, self.source, self.number + 1, false)?;
        Ok(())
    }
}

fn attributes(kind: &str, source: Source<'_>) -> Attributes {
    let mut attributes = Attributes::kind(kind)
        .schema(&source.table.schema)
        .table(&source.table.name);
    attributes.partition = source.partition.map(|partition| partition.name.clone());
    attributes
}
