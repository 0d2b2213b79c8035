//! Work on several threads, and the sessions that the threads have.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;

use backstay_engine_api::job::{JobContext, SessionGuard};
use backstay_engine_api::{EngineError, ErrorKind};
use backstay_mysql::{RawSession, Session, quote_identifier};

/// Does `work` for each item on some threads, and gives back what came of it in the items' order. After an error nothing more
/// is begun.
///
/// # Errors
/// The first error.
pub(super) fn each<I: Sync, T: Send>(
    threads: usize,
    items: &[I],
    work: impl Fn(&I) -> Result<T, EngineError> + Sync,
) -> Result<Vec<T>, EngineError> {
    let mut places = vec![(); threads.max(1)];
    with_each(&mut places, items, |(), item| work(item))
}

/// The same, with something for each thread of its own, such as a session.
///
/// # Errors
/// The first error.
pub(super) fn with_each<W: Send, I: Sync, T: Send>(
    workers: &mut [W],
    items: &[I],
    work: impl Fn(&mut W, &I) -> Result<T, EngineError> + Sync,
) -> Result<Vec<T>, EngineError> {
    let next = AtomicUsize::new(0);
    let failed = AtomicBool::new(false);
    let results: Mutex<Vec<(usize, Result<T, EngineError>)>> = Mutex::new(Vec::with_capacity(items.len()));
    thread::scope(|scope| {
        for worker in workers {
            scope.spawn(|| {
                let worker = worker;
                while !failed.load(Ordering::Relaxed) {
                    let at = next.fetch_add(1, Ordering::Relaxed);
                    let Some(item) = items.get(at) else { break };
                    let result = work(worker, item);
                    if result.is_err() {
                        failed.store(true, Ordering::Relaxed);
                    }
                    if let Ok(mut results) = results.lock() {
                        results.push((at, result));
                    }
                }
            });
        }
    });
    let mut results = results.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
    results.sort_by_key(|(at, _)| *at);
    let mut done = Vec::with_capacity(results.len());
    let mut first = None;
    for (_, result) in results {
        match result {
            Ok(value) => done.push(value),
            Err(error) => first = worse(first, error),
        }
    }
    first.map_or(Ok(done), Err)
}

/// Of two errors the one that says why: that a job was cancelled may only be what followed from the other.
pub(super) fn worse(one: Option<EngineError>, other: EngineError) -> Option<EngineError> {
    match one {
        Some(one) if one.kind != ErrorKind::Cancelled => Some(one),
        _ => Some(other),
    }
}

/// A thread's session.
#[derive(Debug)]
pub(super) struct Worker {
    // Dropped before its guard: until it is over, the host has to know of it.
    pub(super) session: RawSession,
    _guard: SessionGuard,
    schema: Option<String>,
}

impl Worker {
    /// Opens a session like `session`, and has it run `settings`.
    ///
    /// # Errors
    /// The server can not be reached, or refuses a setting.
    pub(super) fn open(job: &JobContext, session: &Session, settings: &[String]) -> Result<Self, EngineError> {
        let raw = RawSession::like(session)?;
        let guard = job.guard(session.guard_name(raw.connection_id()))?;
        let mut worker = Self {
            session: raw,
            _guard: guard,
            schema: None,
        };
        for setting in settings {
            worker.session.run(setting)?;
        }
        Ok(worker)
    }

    /// Makes a schema the current one.
    ///
    /// # Errors
    /// There is none of that name.
    pub(super) fn in_schema(&mut self, schema: &str) -> Result<(), EngineError> {
        if self.schema.as_deref() != Some(schema) {
            self.session.run(format!("USE {}", quote_identifier(schema)))?;
            self.schema = Some(schema.to_owned());
        }
        Ok(())
    }
}
