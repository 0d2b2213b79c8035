//! Tables into data files, in parallel.
//!
//! Each worker has a session with a snapshot, and takes from one queue whatever is largest: a table to be cut into ranges, a
//! range, a table that is read as a whole. So the large come first, the ranges of one table are read by several
//! workers at once, and what comes last is cut smaller: all are busy to the end.

mod encode;
mod escape;
mod exact;
mod files;
mod plan;
mod queue;
mod source;
mod targets;
mod worker;

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::thread;

use backstay_engine_api::{BackupJob, EngineError};

use crate::catalogue::Table;
use crate::options::Options;
use encode::Totals;
pub(crate) use exact::as_bytes;
use queue::{Queue, Task};
use source::Source;
use targets::{Target, targets};
pub(crate) use worker::Worker;

/// What the data files came to.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(crate) struct Dumped {
    /// Each data file's bytes of text, by its name.
    pub(crate) files: BTreeMap<String, u64>,
    /// By schema and table.
    pub(crate) tables: BTreeMap<(String, String), Size>,
}

/// Of a table's rows.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Size {
    pub(crate) rows: u64,
    /// Of text.
    pub(crate) bytes: u64,
}

/// What all workers share.
#[derive(Debug)]
struct Shared<'a> {
    job: &'a BackupJob,
    options: &'a Options,
    queue: Queue<'a>,
    dumped: Mutex<Dumped>,
}

fn with_rows(tables: &[Table]) -> impl Iterator<Item = &Table> {
    tables.iter().filter(|table| table.has_rows())
}

/// How many objects these tables' data files will be, about.
pub(crate) fn objects(options: &Options, threads: usize, tables: &[Table]) -> u64 {
    let files = |(source, target): (Source<'_>, Target)| {
        let most = options.bytes_per_chunk;
        let chunks = match target {
            Target::Ranges(bytes) if plan::can_be_cut(source) => 1 + source.bytes() / bytes,
            // With a last file that is empty.
            _ if source.table.key.is_empty() || plan::is_large(source.bytes(), most) => 2 + source.bytes() / most,
            _ => 1,
        };
        2 * chunks
    };
    let all = targets(with_rows(tables), options.bytes_per_chunk, threads);
    all.into_iter().map(files).sum()
}

/// Dumps the rows of `tables`, by all `workers` at once; their snapshots end with them.
///
/// # Errors
/// The first that a worker met; then no backup exists.
pub(crate) fn dump(
    job: &BackupJob,
    options: &Options,
    tables: &[Table],
    workers: Vec<Worker>,
) -> Result<Dumped, EngineError> {
    let sources = targets(with_rows(tables), options.bytes_per_chunk, workers.len());
    let sources = sources.into_iter().map(|(source, target)| Task::Source(source, target));
    let shared = Shared {
        job,
        options,
        queue: Queue::new(sources.collect()),
        dumped: Mutex::default(),
    };
    for table in with_rows(tables) {
        shared.count(table, Size::default());
    }
    thread::scope(|scope| {
        for worker in workers {
            scope.spawn(|| worker.work(&shared));
        }
    });
    match shared.queue.failure() {
        Some(error) => Err(error),
        None => Ok(shared.dumped.into_inner().unwrap_or_else(PoisonError::into_inner)),
    }
}

impl Shared<'_> {
    /// Takes note of a file that is complete.
    fn file(&self, table: &Table, name: String, totals: &Totals) {
        let mut dumped = self.dumped.lock().unwrap_or_else(PoisonError::into_inner);
        dumped.files.insert(name, totals.bytes);
        drop(dumped);
        self.count(
            table,
            Size {
                rows: totals.rows,
                bytes: totals.bytes,
            },
        );
    }

    fn count(&self, table: &Table, size: Size) {
        let mut dumped = self.dumped.lock().unwrap_or_else(PoisonError::into_inner);
        let name = (table.schema.clone(), table.name.clone());
        let sum = dumped.tables.entry(name).or_default();
        sum.rows += size.rows;
        sum.bytes += size.bytes;
    }
}
