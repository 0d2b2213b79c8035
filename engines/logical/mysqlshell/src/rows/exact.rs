//! Text that has no exact form in Unicode.
//!
//! The dump's text is UTF-8. What a server has no Unicode for, such as user-defined characters of `sjis` or bytes without a meaning in
//! `cp1250`, it sends as `?` without a warning, and where two codes have one character (`cp932`), it does not say which of them it was. So
//! columns in such character sets are looked through first, in the workers' snapshots, and one that has such a value is dumped as
//! bytes, in base64. All others are text, as in any dump of the format.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;

use backstay_engine_api::{BackupJob, EngineError, Notice};
use backstay_mysql::quote_identifier;

use super::plan::{self, Chunk};
use super::source::Source;
use super::worker::Worker;
use crate::catalogue::{Column, Encoding, Table, named_columns};

/// About how many bytes of rows one query looks through.
const PIECE: u64 = 512_000_000;

/// Makes columns whose text would not come back be dumped as bytes; says which.
///
/// # Errors
/// The first that a worker met; the job is cancelled.
pub(crate) fn as_bytes(
    job: &BackupJob,
    tables: &mut [Table],
    workers: &mut [Worker],
) -> Result<Vec<Notice>, EngineError> {
    let Some(first) = workers.first_mut() else {
        // No rows are dumped.
        return Ok(Vec::new());
    };
    let mut pieces = Vec::new();
    for (at, table) in tables.iter_mut().enumerate() {
        if !table.has_rows() || in_doubt(table).next().is_none() {
            continue;
        }
        if plan::has_snapshots(table) {
            let chunks = first.plan(job, Source { table, partition: None }, PIECE)?;
            pieces.extend(chunks.into_iter().map(|chunk| (at, chunk)));
        } else {
            // Its rows may change after a look.
            mark(table, |_| true);
        }
    }
    let looker = Looker {
        job,
        tables,
        next: AtomicUsize::new(0),
        found: Mutex::new(vec![Vec::new(); tables.len()]),
        pieces,
    };
    looker.look(workers)?;
    let found = looker.found.into_inner().unwrap_or_else(PoisonError::into_inner);
    for (table, found) in tables.iter_mut().zip(&found) {
        mark(table, |column| found.contains(&column.name));
    }
    Ok(tables.iter().filter_map(notice).collect())
}

fn in_doubt(table: &Table) -> impl Iterator<Item = &Column> {
    table.columns.iter().filter(|column| column.inexact.is_some())
}

fn mark(table: &mut Table, lossy: impl Fn(&Column) -> bool) {
    for column in &mut table.columns {
        if column.inexact.is_some() && lossy(column) {
            column.encoding = Encoding::TextBase64;
        }
    }
}

fn notice(table: &Table) -> Option<Notice> {
    let as_bytes: Vec<&str> = in_doubt(table)
        .filter(|column| column.encoding == Encoding::TextBase64)
        .map(|column| column.name.as_str())
        .collect();
    let text = format!(
        "columns whose text may have no exact form in Unicode are dumped as bytes, and restore into columns of the same character set: {}",
        named_columns(&as_bytes)
    );
    let about = format!("{}.{}", table.schema, table.name);
    (!as_bytes.is_empty()).then(|| Notice::new("text-as-bytes", text).about(about))
}

struct Looker<'a> {
    job: &'a BackupJob,
    tables: &'a [Table],
    /// Parts of tables, these by their place.
    pieces: Vec<(usize, Chunk)>,
    next: AtomicUsize,
    /// Of each table, the columns that have text which would not come back.
    found: Mutex<Vec<Vec<String>>>,
}

impl Looker<'_> {
    fn look(&self, workers: &mut [Worker]) -> Result<(), EngineError> {
        thread::scope(|scope| {
            let threads: Vec<_> = workers
                .iter_mut()
                .take(self.pieces.len())
                .map(|worker| scope.spawn(|| self.work(worker)))
                .collect();
            let mut results = threads
                .into_iter()
                .map(|thread| thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)));
            results.try_for_each(|result| result)
        })
    }

    fn work(&self, worker: &mut Worker) -> Result<(), EngineError> {
        while let Some((at, chunk)) = self.pieces.get(self.next.fetch_add(1, Ordering::Relaxed)) {
            let looked = self.job.check_cancelled().and_then(|()| self.piece(worker, *at, chunk));
            // The others have nothing left to take.
            looked.inspect_err(|_| self.next.store(self.pieces.len(), Ordering::Relaxed))?;
        }
        Ok(())
    }

    fn piece(&self, worker: &mut Worker, at: usize, chunk: &Chunk) -> Result<(), EngineError> {
        let table = &self.tables[at];
        let known = self.found()[at].clone();
        let columns: Vec<&Column> = in_doubt(table).filter(|column| !known.contains(&column.name)).collect();
        if columns.is_empty() {
            return Ok(());
        }
        let source = Source { table, partition: None };
        self.job
            .doing(format!("looking for text without Unicode in {}", source.name()));
        let lossy = |column: &&Column| {
            let name = quote_identifier(&column.name);
            let character_set = column.inexact.as_deref().unwrap_or_default();
            let there = format!("CONVERT({name} USING utf8mb4)");
            format!("MAX(NOT CAST({name} AS BINARY) <=> CAST(CONVERT({there} USING {character_set}) AS BINARY))")
        };
        let expressions: Vec<String> = columns.iter().map(lossy).collect();
        let mut sql = format!("SELECT {} FROM {}", expressions.join(", "), source.from());
        if chunk.condition.is_some() {
            sql += &source.hint();
        }
        sql += &source.only(chunk.condition.as_deref());
        let rows = worker.texts(&sql)?;
        // NULL where there are no rows.
        let cells = rows.into_iter().next().unwrap_or_default();
        let lossy = columns
            .iter()
            .zip(&cells)
            .filter(|(_, cell)| cell.as_deref() == Some("1"));
        let names: Vec<String> = lossy.map(|(column, _)| column.name.clone()).collect();
        self.found()[at].extend(names);
        Ok(())
    }

    fn found(&self) -> MutexGuard<'_, Vec<Vec<String>>> {
        self.found.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
