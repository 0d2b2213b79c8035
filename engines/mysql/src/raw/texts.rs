//! A small result as text, kept in memory.

use backstay_engine_api::{EngineError, ErrorKind};

use super::{Part, RawColumn, RowSink};

/// How much a result may have, in bytes.
const LIMIT: usize = 256 * 1024 * 1024;

/// Keeps all rows as text.
#[derive(Default)]
pub(super) struct Texts {
    columns: Vec<String>,
    rows: Vec<Vec<Option<String>>>,
    row: Vec<Option<String>>,
    large: Vec<u8>,
    size: usize,
    not_utf8: Option<String>,
}

impl Texts {
    /// # Errors
    /// A value is not UTF-8.
    pub(super) fn finish(self) -> Result<Vec<Vec<Option<String>>>, EngineError> {
        match self.not_utf8 {
            None => Ok(self.rows),
            Some(column) => Err(EngineError::other(format!(
                "expected text in the column `{column}` of the server's answer, found bytes that are not UTF-8"
            ))),
        }
    }

    fn add(&mut self, column: usize, bytes: Vec<u8>) {
        self.size += bytes.len();
        // The rest is read all the same, so that the session stays usable.
        self.row.push(String::from_utf8(bytes).map_or_else(
            |_| {
                self.not_utf8
                    .get_or_insert_with(|| self.columns.get(column).cloned().unwrap_or_default());
                None
            },
            Some,
        ));
    }
}

impl RowSink for Texts {
    fn columns(&mut self, columns: &[RawColumn]) {
        self.columns = columns.iter().map(|column| column.name.clone()).collect();
    }

    fn null(&mut self, _: usize) {
        self.row.push(None);
    }

    fn value(&mut self, column: usize, bytes: &[u8]) {
        self.add(column, bytes.to_vec());
    }

    fn part(&mut self, column: usize, bytes: &[u8], part: Part) -> Result<(), EngineError> {
        within_limit(self.size + self.large.len() + bytes.len())?;
        self.large.extend_from_slice(bytes);
        if part == Part::Last {
            let large = std::mem::take(&mut self.large);
            self.add(column, large);
        }
        Ok(())
    }

    fn end_row(&mut self) -> Result<(), EngineError> {
        self.rows.push(std::mem::take(&mut self.row));
        within_limit(self.size)
    }
}

fn within_limit(size: usize) -> Result<(), EngineError> {
    if size <= LIMIT {
        return Ok(());
    }
    let message = format!(
        "expected a small answer from the server, found more than {} MiB",
        LIMIT >> 20
    );
    Err(EngineError::new(ErrorKind::Other, message))
}
