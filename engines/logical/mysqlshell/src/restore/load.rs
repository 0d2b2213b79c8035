//! A data file into its table: LOAD DATA LOCAL, straight from the object's reader.
//!
//! Where a table has columns of bytes, which the file has in base64, they are decoded here and the statement reads the file as
//! bytes: the server's FROM_BASE64 gives NULL for what does not fit into `max_allowed_packet`, and costs the server time.

mod columns;
mod decode;
mod source;

use std::io::Read;
use std::thread;

use backstay_engine_api::job::ChainLink;
use backstay_engine_api::{EngineError, ErrorKind};
use backstay_mysql::session::is_deadlock;
use flate2::read::MultiGzDecoder;

use super::control::{AFTER_DEADLOCK, Control, DEADLOCKS};
use super::dump::{Chunk, Table};
use super::pool::Worker;
pub(super) use columns::{Layout, check, columns_of};
pub(super) use source::Stop;
use source::{Rows, Source};

/// How much of a file is loaded in one transaction, about, in bytes before compression. More makes a rollback dear, and costs more
/// after an interruption; less makes commits dear.
const TRANSACTION: u64 = 96 << 20;

/// Where a transaction's rows give more warnings than the server counts and keeps, this many times fewer are loaded at once, but
/// not fewer than [`LEAST`], so that each warning can be looked at.
const FEWER: u64 = 16;
const LEAST: u64 = TRANSACTION / (FEWER * FEWER * FEWER);

/// How many warnings an error shows.
const SHOWN: usize = 3;

/// A data file, where it goes, and what says how far it is.
pub(super) struct Load<'a> {
    pub(super) link: &'a ChainLink,
    pub(super) control: &'a Control,
    pub(super) table: &'a Table,
    pub(super) layout: &'a Layout,
    pub(super) chunk: &'a Chunk,
    pub(super) stop: &'a Stop<'a>,
}

/// How far a file came.
enum Came {
    ToItsEnd,
    /// To rows with more warnings than can be seen.
    ToManyWarnings,
}

impl Load<'_> {
    /// Loads what is still to be loaded. A transaction that the server rolls back because of a deadlock is done again: several sessions may
    /// load one table, whose keys they lock, and a cluster refuses a COMMIT in the same words.
    ///
    /// # Errors
    /// The server's; [`ErrorKind::Damaged`] if the file is not what the dump says, or if the server took a value for another.
    pub(super) fn run(&self, worker: &mut Worker) -> Result<(), EngineError> {
        let mut deadlocks = 0;
        let mut at_once = TRANSACTION;
        loop {
            let error = match self.rest(worker, at_once) {
                Ok(Came::ToItsEnd) => return Ok(()),
                Ok(Came::ToManyWarnings) => {
                    at_once /= FEWER;
                    continue;
                }
                Err(error) if self.layout.transactional() && is_deadlock(&error) && deadlocks < DEADLOCKS => error,
                Err(error) => return Err(error),
            };
            deadlocks += 1;
            self.stop.log(format!("{error}: tried again"));
            // The server has done so already; were it not so, START TRANSACTION would commit.
            worker.session.run("ROLLBACK")?;
            thread::sleep(AFTER_DEADLOCK);
            self.stop.check()?;
        }
    }

    /// From where the file's last transaction was committed; about so many bytes in each.
    fn rest(&self, worker: &mut Worker, at_once: u64) -> Result<Came, EngineError> {
        let Self {
            link,
            control,
            table,
            layout,
            chunk,
            stop,
        } = *self;
        let item = item(&chunk.file);
        let mut progress = control.progress(&item);
        if progress.done {
            return Ok(Came::ToItsEnd);
        }
        let context = |mut error: EngineError| {
            if error.kind != ErrorKind::Cancelled {
                error.message = format!("{} from `{}`: {}", table.shown(), chunk.file, error.message);
            }
            error
        };
        let object = link.open(&chunk.file).map_err(context)?;
        let reader: Box<dyn Read + Send> = if chunk.file.ends_with(".gz") {
            Box::new(MultiGzDecoder::new(object))
        } else {
            Box::new(object)
        };
        let mut source = Source::new(reader, layout.decodings(), stop);
        source.skip(progress.bytes).map_err(context)?;
        let sql = layout.statement(&table.quoted(), &chunk.file);
        worker.session.run(layout.setting())?;
        while source.has_more().map_err(context)? {
            let mut rows = source.rows(at_once);
            if layout.transactional() {
                worker.session.run("START TRANSACTION")?;
            }
            let loaded = worker.session.load(&sql, &mut rows).map_err(context)?;
            let Rows { bytes, rows, .. } = rows;
            if loaded.warnings > 0 {
                let can_be_fewer = layout.transactional() && at_once > LEAST;
                if !complain(worker, layout, loaded.warnings, can_be_fewer).map_err(context)? {
                    worker.session.run("ROLLBACK")?;
                    return Ok(Came::ToManyWarnings);
                }
            }
            if loaded.rows != rows {
                let message = format!("{rows} rows were sent, and the server took {}", loaded.rows);
                return Err(context(EngineError::new(ErrorKind::Damaged, message).advise(
                    "look for rows that are there twice: the table was not empty, or the dump was changed",
                )));
            }
            progress.bytes += bytes;
            progress.rows += rows;
            progress.done = !source.has_more().map_err(context)?;
            if progress.done {
                complete(chunk, progress.bytes).map_err(context)?;
            }
            if layout.transactional() {
                control.write(&mut worker.session, &item, progress).map_err(context)?;
                worker.session.run("COMMIT").map_err(context)?;
                control.remember(&item, progress);
            } else {
                control.note(&mut worker.session, &item, progress).map_err(context)?;
            }
        }
        if !progress.done {
            complete(chunk, progress.bytes).map_err(context)?;
            progress.done = true;
            control.note(&mut worker.session, &item, progress)?;
        }
        Ok(Came::ToItsEnd)
    }
}

/// What the control table calls a data file.
pub(super) fn item(file: &str) -> String {
    format!("file {file}")
}

fn complete(chunk: &Chunk, bytes: u64) -> Result<(), EngineError> {
    match chunk.bytes {
        Some(expected) if expected != bytes => Err(EngineError::new(
            ErrorKind::Damaged,
            format!("the file has {bytes} bytes, and `@.done.json` says {expected} (chunkFileBytes)"),
        )
        .advise("take the file from wherever the dump was copied from, or restore another dump")),
        _ => Ok(()),
    }
}

/// A warning means that a value is not what the file says, or that a row was left out. `false`: those that could be seen do not, there are
/// more, and there would be fewer of fewer rows.
fn complain(worker: &mut Worker, layout: &Layout, count: u16, can_be_fewer: bool) -> Result<bool, EngineError> {
    let warnings = worker.session.warnings()?;
    let (_, wrong): (Vec<_>, Vec<_>) = warnings.iter().partition(|warning| layout.expects(warning));
    // The server keeps no more than `max_error_count`; those that it has dropped may be any.
    let all = warnings.len() >= usize::from(count) && count < u16::MAX;
    if wrong.is_empty() && (all || can_be_fewer) {
        return Ok(all);
    }
    let mut error = EngineError::new(
        ErrorKind::Damaged,
        "the server did not take every value as it is in the file",
    )
    .advise("make the table with a column that takes them, such as VARBINARY for text, and restore its rows alone (content = \"data\")");
    for warning in wrong.into_iter().chain(&warnings).take(SHOWN) {
        error = error.detail(warning.clone());
    }
    Err(error)
}
