//! [`Board`]: which thread does what next while rows are loaded and indexes made.
//!
//! Each thread has a table of its own as long as there are enough, and loads its files in the order of its key: pages then fill one
//! after the other, and no two sessions wait for the same page or lock. The biggest table comes first. A table whose rows are there
//! gets its indexes at once, while its pages are in memory. When no table is left to begin, threads help with
//! the biggest that may be shared.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

/// What is to be done: with the table of that place, and its file of that place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Task {
    Load { table: usize, chunk: usize },
    Indexes { table: usize },
}

/// A table's rows.
#[derive(Debug, Clone)]
pub(super) struct Work {
    /// Sizes of its files.
    pub(super) chunks: Vec<u64>,
    /// Whether two sessions may load it at once; not before its engine is known.
    shared: bool,
    next: usize,
    running: usize,
    left: u64,
    indexes: bool,
}

impl Work {
    pub(super) fn new(chunks: Vec<u64>) -> Self {
        Self {
            // A file has at least a statement's cost.
            left: chunks.iter().map(|bytes| bytes + 1).sum(),
            chunks,
            shared: false,
            next: 0,
            running: 0,
            indexes: true,
        }
    }
}

/// Shared by the threads.
#[derive(Debug)]
pub(super) struct Board {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug)]
struct State {
    tables: Vec<Work>,
    running: usize,
    stopped: bool,
}

impl Board {
    pub(super) fn new(tables: Vec<Work>) -> Self {
        Self {
            state: Mutex::new(State {
                tables,
                running: 0,
                stopped: false,
            }),
            changed: Condvar::new(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The next task for a thread whose last one is `last`; waits while others may still make work. `None` when all is done.
    pub(super) fn take(&self, last: Option<Task>) -> Option<Task> {
        let mut state = self.lock();
        if let Some(last) = last {
            state.finished(last);
            self.changed.notify_all();
        }
        loop {
            if state.stopped {
                return None;
            }
            if let Some(task) = state.next(last) {
                state.begin(task);
                return Some(task);
            }
            if state.running == 0 {
                return None;
            }
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Several threads may load this table at once.
    pub(super) fn share(&self, table: usize) {
        self.lock().tables[table].shared = true;
        self.changed.notify_all();
    }

    /// Hands out nothing more.
    pub(super) fn stop(&self) {
        self.lock().stopped = true;
        self.changed.notify_all();
    }
}

impl State {
    fn next(&self, last: Option<Task>) -> Option<Task> {
        let loaded = |work: &Work| work.next == work.chunks.len() && work.running == 0 && work.indexes;
        if let Some(table) = self.tables.iter().position(loaded) {
            return Some(Task::Indexes { table });
        }
        let open = |work: &Work| work.next < work.chunks.len();
        let load = |table: usize| Task::Load {
            table,
            chunk: self.tables[table].next,
        };
        if let Some(Task::Load { table, .. }) = last
            && open(&self.tables[table])
            && self.tables[table].running == 0
        {
            return Some(load(table));
        }
        let candidates = self.tables.iter().enumerate().filter(|(_, work)| open(work));
        candidates
            .filter(|(_, work)| work.running == 0 || work.shared)
            .max_by_key(|(at, work)| {
                let alone = work.running == 0;
                (alone, work.left / (work.running as u64 + 1), std::cmp::Reverse(*at))
            })
            .map(|(at, _)| load(at))
    }

    fn begin(&mut self, task: Task) {
        self.running += 1;
        match task {
            Task::Load { table, chunk } => {
                let work = &mut self.tables[table];
                work.next += 1;
                work.running += 1;
                work.left -= work.chunks[chunk] + 1;
            }
            Task::Indexes { table } => self.tables[table].indexes = false,
        }
    }

    fn finished(&mut self, task: Task) {
        self.running -= 1;
        if let Task::Load { table, .. } = task {
            self.tables[table].running -= 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load(table: usize, chunk: usize) -> Option<Task> {
        Some(Task::Load { table, chunk })
    }

    #[test]
    fn a_table_that_is_shared_is_given_to_those_who_wait() {
        let board = Board::new(vec![Work::new(vec![10, 10, 10])]);
        let one = board.take(None);
        assert_eq!(one, load(0, 0));
        std::thread::scope(|scope| {
            let other = scope.spawn(|| board.take(None));
            board.share(0);
            assert_eq!(other.join().unwrap(), load(0, 1));
        });
        assert_eq!(board.take(one), load(0, 2));
    }

    #[test]
    fn a_table_each_then_help_with_the_biggest() {
        let board = Board::new(vec![
            Work::new(vec![10, 10]),
            Work::new(vec![50, 50, 50]),
            Work::new(vec![90, 90]),
            Work::new(vec![]),
        ]);
        // The empty table has its indexes to be made, and nothing else.
        let one = board.take(None);
        assert_eq!(one, Some(Task::Indexes { table: 3 }));
        let one = board.take(one);
        assert_eq!(one, load(2, 0));
        let two = board.take(None);
        assert_eq!(two, load(1, 0));
        let three = board.take(None);
        assert_eq!(three, load(0, 0));
        board.share(0);
        board.share(1);
        // Nobody may help with table 2, and table 1 has more left than table 0.
        let four = board.take(None);
        assert_eq!(four, load(1, 1));
        let one = board.take(one);
        assert_eq!(one, load(2, 1));
        let one = board.take(one);
        assert_eq!(one, Some(Task::Indexes { table: 2 }));
        let three = board.take(three);
        assert_eq!(three, load(0, 1));
        let two = board.take(two);
        assert_eq!(two, load(1, 2));
        let three = board.take(three);
        assert_eq!(three, Some(Task::Indexes { table: 0 }));
        board.stop();
        for last in [one, two, three, four] {
            assert_eq!(board.take(last), None);
        }
    }
}
