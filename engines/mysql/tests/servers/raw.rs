//! RawSession against real servers.

mod load;
mod login;
mod rows;
mod values;

use backstay_engine_api::EngineError;
use backstay_mysql::raw::{Part, RawColumn, RowSink};
use backstay_mysql::{RawSession, Session};

type Row = Vec<Option<Vec<u8>>>;

fn like(session: &Session) -> RawSession {
    RawSession::like(session).unwrap_or_else(|error| panic!("{error}"))
}

/// Keeps everything, and checks the order in which it comes.
#[derive(Default)]
struct Kept {
    columns: Vec<RawColumn>,
    rows: Vec<Row>,
    row: Row,
    open: Option<Vec<u8>>,
    /// The longest that was lent at once, in bytes.
    longest: usize,
    parts: usize,
}

impl RowSink for Kept {
    fn columns(&mut self, columns: &[RawColumn]) {
        assert!(self.columns.is_empty() && self.rows.is_empty());
        self.columns = columns.to_vec();
    }

    fn null(&mut self, column: usize) {
        assert_eq!(column, self.row.len());
        self.row.push(None);
    }

    fn value(&mut self, column: usize, bytes: &[u8]) {
        assert_eq!((column, &self.open), (self.row.len(), &None));
        self.longest = self.longest.max(bytes.len());
        self.row.push(Some(bytes.to_vec()));
    }

    fn part(&mut self, column: usize, bytes: &[u8], part: Part) -> Result<(), EngineError> {
        assert_eq!((column, part == Part::First), (self.row.len(), self.open.is_none()));
        self.longest = self.longest.max(bytes.len());
        self.parts += 1;
        let mut value = self.open.take().unwrap_or_default();
        value.extend_from_slice(bytes);
        if part == Part::Last {
            self.row.push(Some(value));
        } else {
            self.open = Some(value);
        }
        Ok(())
    }

    fn end_row(&mut self) -> Result<(), EngineError> {
        self.rows.push(std::mem::take(&mut self.row));
        Ok(())
    }
}

/// Calls a function after each row.
struct AfterEachRow<F>(F);

impl<F: FnMut() -> Result<(), EngineError>> RowSink for AfterEachRow<F> {
    fn null(&mut self, _: usize) {}
    fn value(&mut self, _: usize, _: &[u8]) {}
    fn part(&mut self, _: usize, _: &[u8], _: Part) -> Result<(), EngineError> {
        Ok(())
    }
    fn end_row(&mut self) -> Result<(), EngineError> {
        (self.0)()
    }
}
