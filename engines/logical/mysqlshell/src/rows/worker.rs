//! [`Worker`]: a session with a snapshot, and what it does with it.

use std::thread;

use backstay_engine_api::job::{JobContext, SessionGuard};
use backstay_engine_api::{EngineError, ErrorKind};
use backstay_mysql::raw::PIECE;
use backstay_mysql::{RawSession, Session, TableName, consistent};

use super::Shared;
use super::encode::{Encoder, Totals};
use super::files::DataFiles;
use super::plan::{self, Chunk};
use super::queue::Task;
use super::source::{Floats, Source};
use super::targets::Target;

/// A session that reads rows. The host knows of it: it would outlive us in a query that waits.
#[derive(Debug)]
pub(crate) struct Worker {
    // Dropped in this order: the session ends before its guard does.
    session: RawSession,
    _guard: SessionGuard,
}

impl Worker {
    /// Connects, before any lock: that takes its time.
    ///
    /// # Errors
    /// As [`RawSession::like`].
    pub(crate) fn open(job: &JobContext, session: &Session) -> Result<Self, EngineError> {
        let mut raw = RawSession::like(session)?;
        let guard = job.guard(session.guard_name(raw.connection_id()))?;
        // TIMESTAMP values are written in UTC; they would change with the server's time zone.
        raw.run("SET SESSION time_zone = '+00:00'")?;
        raw.run("SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ")?;
        raw.widen(PIECE)?;
        Ok(Self {
            session: raw,
            _guard: guard,
        })
    }

    /// Opens all snapshots; to be called while nobody can commit. `held` are tables that nothing else keeps from being
    /// altered: all workers take hold of them, at once.
    ///
    /// # Errors
    /// A session was lost.
    pub(crate) fn open_snapshots(workers: &mut [Self], held: &[TableName]) -> Result<(), EngineError> {
        for worker in &mut *workers {
            worker.session.run("START TRANSACTION WITH CONSISTENT SNAPSHOT")?;
        }
        if held.is_empty() {
            return Ok(());
        }
        thread::scope(|scope| {
            let hold =
                |worker: &mut Self| consistent::hold(held).try_for_each(|sql| worker.session.texts(sql).map(drop));
            let threads: Vec<_> = workers
                .iter_mut()
                .map(|worker| scope.spawn(move || hold(worker)))
                .collect();
            threads
                .into_iter()
                .try_for_each(|thread| thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
        })
    }

    /// The rows of a small result, from the snapshot.
    ///
    /// # Errors
    /// As [`RawSession::texts`].
    pub(super) fn texts(&mut self, sql: &str) -> Result<Vec<Vec<Option<String>>>, EngineError> {
        self.session.texts(sql)
    }

    /// Cuts a source into chunks.
    ///
    /// # Errors
    /// As [`plan::plan`].
    pub(super) fn plan(
        &mut self,
        job: &JobContext,
        source: Source<'_>,
        target: u64,
    ) -> Result<Vec<Chunk>, EngineError> {
        plan::plan(job, &mut self.session, source, target)
    }

    /// Works until there is nothing left, or somebody fails.
    pub(super) fn work(mut self, shared: &Shared<'_>) {
        let mut buffer = Vec::new();
        while let Some(task) = shared.queue.next() {
            if let Err(error) = self.perform(shared, task, &mut buffer) {
                shared.queue.fail(error);
            }
        }
    }

    fn perform<'a>(&mut self, shared: &Shared<'a>, task: Task<'a>, buffer: &mut Vec<u8>) -> Result<(), EngineError> {
        shared.check()?;
        match task {
            Task::Source(source, target) => self.source(shared, source, target, buffer),
            Task::Chunk {
                source,
                chunk,
                number,
                last,
            } => self.chunk(shared, source, &chunk, (number, last), buffer),
        }
    }

    /// Cuts a source into chunks for all workers, or dumps it.
    fn source<'a>(
        &mut self,
        shared: &Shared<'a>,
        source: Source<'a>,
        target: Target,
        buffer: &mut Vec<u8>,
    ) -> Result<(), EngineError> {
        let mut chunks = match target {
            Target::Ranges(bytes) if plan::is_large(source.bytes(), bytes) && plan::can_be_cut(source) => {
                shared.job.doing(format!("planning {}", source.name()));
                plan::plan(shared.job, &mut self.session, source, bytes)?
            }
            _ => Vec::new(),
        };
        if chunks.len() < 2 {
            shared.queue.cut([]);
            if plan::is_large(source.bytes(), shared.options.bytes_per_chunk) || source.table.key.is_empty() {
                return self.whole(shared, source, buffer);
            }
            let chunk = chunks.pop().unwrap_or_default();
            return self.chunk(shared, source, &chunk, (0, true), buffer);
        }
        let last = chunks.len() - 1;
        shared
            .queue
            .cut(chunks.into_iter().enumerate().map(|(number, chunk)| Task::Chunk {
                source,
                chunk,
                number,
                last: number == last,
            }));
        Ok(())
    }

    /// One file with the rows of a chunk.
    fn chunk<'a>(
        &mut self,
        shared: &Shared<'a>,
        source: Source<'a>,
        chunk: &Chunk,
        (number, last): (usize, bool),
        buffer: &mut Vec<u8>,
    ) -> Result<(), EngineError> {
        let files = DataFiles::start(shared, source, number, last)?;
        let hint = match chunk.condition {
            Some(_) => source.hint(),
            None => hint_for_all(source),
        };
        let encoder = Encoder::new(&source.table.columns, files, None, buffer);
        let (files, totals) = self.rows(shared, source, &hint, chunk.condition.as_deref(), encoder)?;
        files.end(&totals)?;
        Ok(())
    }

    /// All rows by one query, in files of about the size of a chunk. Which is the last is not known before it is written, so that
    /// an empty one follows.
    fn whole<'a>(&mut self, shared: &Shared<'a>, source: Source<'a>, buffer: &mut Vec<u8>) -> Result<(), EngineError> {
        let files = DataFiles::start(shared, source, 0, false)?;
        let encoder = Encoder::new(
            &source.table.columns,
            files,
            Some(shared.options.bytes_per_chunk),
            buffer,
        );
        let (files, totals) = self.rows(shared, source, &hint_for_all(source), None, encoder)?;
        let number = files.end(&totals)?;
        let empty = DataFiles::start(shared, source, number + 1, true)?;
        let encoder = Encoder::new(&[], empty, None, buffer);
        let (empty, totals) = encoder.finish()?;
        empty.end(&totals)?;
        Ok(())
    }

    fn rows<'s, 'a>(
        &mut self,
        shared: &'s Shared<'a>,
        source: Source<'a>,
        hint: &str,
        condition: Option<&str>,
        mut encoder: Encoder<'_, DataFiles<'s, 'a>>,
    ) -> Result<(DataFiles<'s, 'a>, Totals), EngineError> {
        let name = source.name();
        shared.job.doing(format!("reading {name}"));
        let rest = format!(" FROM {}{hint}{}", source.from(), source.only(condition));
        let of_table = |error: EngineError| {
            if error.kind == ErrorKind::Cancelled {
                return error;
            }
            EngineError {
                message: format!("reading {name}: {}", error.message),
                ..error
            }
        };
        let query = |columns: String| format!("SELECT {columns}{rest}");
        let values = query(source.columns(Floats::Values));
        let sent = match self.session.prepare(&values).map_err(of_table)? {
            Some(prepared) => self.session.rows_of(prepared, &mut encoder).map_err(of_table)?,
            None => None,
        };
        if sent.is_none() {
            let text = query(source.columns(Floats::Text));
            self.session.rows(&text, &mut encoder).map_err(of_table)?;
        }
        encoder.finish()
    }
}

/// The hint for a query of all rows. Through an index that is not the rows' own order, each row would be looked up by itself.
fn hint_for_all(source: Source<'_>) -> String {
    if source.table.clustered {
        source.hint()
    } else {
        String::new()
    }
}

impl Shared<'_> {
    /// Whether to go on.
    ///
    /// # Errors
    /// The job was cancelled, or another worker failed.
    pub(super) fn check(&self) -> Result<(), EngineError> {
        self.job.check_cancelled()?;
        if self.queue.failed() {
            return Err(EngineError::cancelled());
        }
        Ok(())
    }
}
