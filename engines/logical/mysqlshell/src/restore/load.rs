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

impl Load<'_> {
    /// Loads what is still to be loaded. A transaction that the server rolls back because of a deadlock is done again: several sessions may
    /// load one table, whose keys they lock, and a cluster refuses a COMMIT in the same words.
    ///
    /// # Errors
    /// The server's; [`ErrorKind::Damaged`] if the file is not what the dump says, or if the server took a value for another.
    pub(super) fn run(&self, worker: &mut Worker) -> Result<(), EngineError> {
        let mut deadlocks = 0;
        loop {
            let error = match self.rest(worker) {
                Err(error) if self.layout.transactional() && is_deadlock(&error) && deadlocks < DEADLOCKS => error,
                done => return done,
            };
            deadlocks += 1;
            self.stop.log(format!("{error}: tried again"));
            // The server has done so already; were it not so, START TRANSACTION would commit.
            worker.session.run("ROLLBACK")?;
            thread::sleep(AFTER_DEADLOCK);
            self.stop.check()?;
        }
    }

    /// From where the file's last transaction was committed.
    fn rest(&self, worker: &mut Worker) -> Result<(), EngineError> {
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
            return Ok(());
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
            let mut rows = source.rows(TRANSACTION);
            if layout.transactional() {
                worker.session.run("START TRANSACTION")?;
            }
            let loaded = worker.session.load(&sql, &mut rows).map_err(context)?;
            let Rows { bytes, rows, .. } = rows;
            if loaded.warnings > 0 {
                complain(worker, layout, loaded.warnings).map_err(context)?;
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
        Ok(())
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

/// A warning means that a value is not what the file says, or that a row was left out.
fn complain(worker: &mut Worker, layout: &Layout, count: u16) -> Result<(), EngineError> {
    let warnings = worker.session.warnings()?;
    let (_, wrong): (Vec<_>, Vec<_>) = warnings.iter().partition(|warning| layout.expects(warning));
    // The server keeps no more than `max_error_count`; those that it has dropped may be any.
    if wrong.is_empty() && warnings.len() >= usize::from(count) && count < u16::MAX {
        return Ok(());
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
