//! [`Budget`]: memory that is handed out, waited for and given back.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

/// A lock whose holder can not leave half-done state behind: a panic elsewhere must not turn into more of them.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// So many bytes and no more.
#[derive(Debug)]
pub(super) struct Budget {
    limit: usize,
    state: Mutex<State>,
    freed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    used: usize,
    most: usize,
    closed: bool,
}

/// Bytes of a [`Budget`]; they are given back when it is dropped.
#[derive(Debug)]
pub(super) struct Reservation {
    budget: Arc<Budget>,
    bytes: usize,
}

impl Budget {
    pub(super) fn new(limit: usize) -> Arc<Self> {
        Arc::new(Self {
            limit,
            state: Mutex::default(),
            freed: Condvar::new(),
        })
    }

    /// Waits until there is room. What is larger than the budget gets all of it. `None` once the budget is closed.
    pub(super) fn reserve(self: &Arc<Self>, bytes: usize) -> Option<Reservation> {
        let bytes = bytes.min(self.limit);
        let mut state = lock(&self.state);
        while !state.closed && state.used + bytes > self.limit && state.used > 0 {
            state = self.freed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        if state.closed {
            return None;
        }
        Some(self.take(state, bytes))
    }

    /// Takes what can not wait: bytes that were counted elsewhere before.
    pub(super) fn reserve_now(self: &Arc<Self>, bytes: usize) -> Reservation {
        self.take(lock(&self.state), bytes)
    }

    fn take(self: &Arc<Self>, mut state: MutexGuard<'_, State>, bytes: usize) -> Reservation {
        state.used += bytes;
        state.most = state.most.max(state.used);
        Reservation {
            budget: Arc::clone(self),
            bytes,
        }
    }

    /// Lets nobody wait any more.
    pub(super) fn close(&self) {
        lock(&self.state).closed = true;
        self.freed.notify_all();
    }

    /// The most that was out at once.
    #[cfg(test)]
    pub(super) fn most(&self) -> usize {
        lock(&self.state).most
    }

    fn give_back(&self, bytes: usize) {
        lock(&self.state).used -= bytes;
        self.freed.notify_all();
    }
}

impl Reservation {
    /// Gives back what is over `bytes`.
    pub(super) fn shrink(&mut self, bytes: usize) {
        if bytes < self.bytes {
            self.budget.give_back(self.bytes - bytes);
            self.bytes = bytes;
        }
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        self.budget.give_back(self.bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_waiter_goes_on_when_bytes_come_back() {
        let budget = Budget::new(10);
        let mut first = budget.reserve(8).unwrap();
        let waiter = std::thread::spawn({
            let budget = Arc::clone(&budget);
            move || budget.reserve(5).map(|reservation| reservation.bytes)
        });
        first.shrink(5);
        assert_eq!(waiter.join().unwrap(), Some(5));
        assert_eq!(budget.most(), 10);
        drop(first);
        assert_eq!(budget.reserve(1000).unwrap().bytes, 10);
    }

    #[test]
    fn nobody_waits_for_a_closed_one() {
        let budget = Budget::new(10);
        let _all = budget.reserve(10);
        let waiter = std::thread::spawn({
            let budget = Arc::clone(&budget);
            move || budget.reserve(1).is_none()
        });
        budget.close();
        assert!(waiter.join().unwrap());
    }
}
