//! [`Queue`]: what there is to do, the largest first.

use std::cmp::Ordering;
use std::collections::BinaryHeap;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use backstay_engine_api::EngineError;

use super::plan::Chunk;
use super::source::Source;
use super::targets::Target;

/// Something to do.
#[derive(Debug, Clone)]
pub(crate) enum Task<'a> {
    /// A table or partition: to be cut into chunks, or dumped as a whole.
    Source(Source<'a>, Target),
    /// One of the chunks that it was cut into.
    Chunk {
        source: Source<'a>,
        chunk: Chunk,
        number: usize,
        last: bool,
    },
}

impl Task<'_> {
    fn bytes(&self) -> u64 {
        match self {
            Self::Source(source, _) => source.bytes(),
            Self::Chunk { chunk, .. } => chunk.bytes,
        }
    }
}

/// A task in the queue; of those of one size, the first comes first.
#[derive(Debug)]
struct Queued<'a> {
    task: Task<'a>,
    order: u64,
}

impl Ord for Queued<'_> {
    fn cmp(&self, other: &Self) -> Ordering {
        let by_size = self.task.bytes().cmp(&other.task.bytes());
        by_size.then_with(|| other.order.cmp(&self.order))
    }
}

impl PartialOrd for Queued<'_> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Queued<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Queued<'_> {}

#[derive(Debug, Default)]
struct State<'a> {
    tasks: BinaryHeap<Queued<'a>>,
    added: u64,
    /// Sources taken that may yet become chunks.
    open: usize,
    failed: bool,
    error: Option<EngineError>,
}

impl<'a> State<'a> {
    fn add(&mut self, task: Task<'a>) {
        let order = self.added;
        self.added += 1;
        self.tasks.push(Queued { task, order });
    }
}

/// Shared by all workers.
#[derive(Debug)]
pub(crate) struct Queue<'a> {
    state: Mutex<State<'a>>,
    changed: Condvar,
}

impl<'a> Queue<'a> {
    pub(crate) fn new(tasks: Vec<Task<'a>>) -> Self {
        let mut state = State::default();
        tasks.into_iter().for_each(|task| state.add(task));
        Self {
            state: Mutex::new(state),
            changed: Condvar::new(),
        }
    }

    /// The next task; waits while there may be one. `None` when all is done, or a worker failed. After a
    /// [`Task::Source`], [`cut`](Self::cut) has to be called.
    pub(crate) fn next(&self) -> Option<Task<'a>> {
        let mut state = self.lock();
        loop {
            if state.failed {
                return None;
            }
            match state.tasks.pop() {
                Some(Queued { task, .. }) => {
                    state.open += usize::from(matches!(task, Task::Source(..)));
                    return Some(task);
                }
                None if state.open == 0 => return None,
                None => state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner),
            }
        }
    }

    /// A source that was taken became these chunks; none if it is dumped as a whole.
    pub(crate) fn cut(&self, chunks: impl IntoIterator<Item = Task<'a>>) {
        let mut state = self.lock();
        chunks.into_iter().for_each(|task| state.add(task));
        state.open -= 1;
        drop(state);
        self.changed.notify_all();
    }

    /// Nothing more is to be done. The first error is kept.
    pub(crate) fn fail(&self, error: EngineError) {
        let mut state = self.lock();
        state.failed = true;
        state.error.get_or_insert(error);
        drop(state);
        self.changed.notify_all();
    }

    /// Whether a worker failed.
    pub(crate) fn failed(&self) -> bool {
        self.lock().failed
    }

    /// The first error.
    pub(crate) fn failure(&self) -> Option<EngineError> {
        self.lock().error.take()
    }

    fn lock(&self) -> MutexGuard<'_, State<'a>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
