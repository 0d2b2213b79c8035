//! [`Shared`]: what a sink's threads and tasks have in common.

use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, OnceLock, PoisonError};

use backstay_engine_api::EngineError;
use object_store::ObjectStore;
use object_store::path::Path;
use tokio::runtime::Handle;

use super::budget::{Budget, lock};
use super::compress::Choices;
use super::digest::Desk;
use super::options::{Destination, SinkOptions};
use super::place::Placement;
use super::upload::Throttle;
use crate::repository::index::IndexBuilder;

#[derive(Debug)]
pub(super) struct Shared {
    pub(super) options: SinkOptions,
    pub(super) store: Arc<dyn ObjectStore>,
    pub(super) base: Path,
    /// The store's directory, where its files are this machine's.
    pub(super) root: Option<PathBuf>,
    pub(super) runtime: Handle,
    pub(super) throttle: Option<Throttle>,
    /// Frames between a writer and the store.
    pub(super) in_flight: Arc<Budget>,
    /// Plain bytes in frames that are being filled.
    pub(super) filling: AtomicUsize,
    /// Stored bytes of small objects that are not placed yet.
    pub(super) undecided: AtomicUsize,
    /// Objects that are open.
    pub(super) open: AtomicUsize,
    pub(super) plain_bytes: AtomicU64,
    pub(super) stored_bytes: AtomicU64,
    pub(super) objects: AtomicU64,
    pub(super) placement: Mutex<Placement>,
    pub(super) index: Mutex<IndexBuilder>,
    /// Where objects' bytes wait to be digested in twos.
    pub(super) desk: Desk,
    /// What objects are compressed with.
    pub(super) choices: Choices,
    /// Frames' buffers that are kept for the next frames: a fresh one costs a page fault for every 4 KiB.
    spare: Mutex<Vec<Vec<u8>>>,
    failure: OnceLock<EngineError>,
    pending: Mutex<[usize; 2]>,
    settled: Condvar,
}

impl Shared {
    pub(super) fn new(destination: Destination, runtime: Handle, options: SinkOptions) -> Arc<Self> {
        let Destination { store, base, root } = destination;
        Arc::new(Self {
            store,
            base,
            root,
            runtime,
            throttle: options.throttle.map(Throttle::new),
            in_flight: Budget::new(options.in_flight_bytes()),
            filling: AtomicUsize::new(0),
            undecided: AtomicUsize::new(0),
            open: AtomicUsize::new(0),
            plain_bytes: AtomicU64::new(0),
            stored_bytes: AtomicU64::new(0),
            objects: AtomicU64::new(0),
            placement: Mutex::new(Placement::new(options.bundling)),
            index: Mutex::default(),
            desk: Desk::default(),
            choices: Choices::default(),
            spare: Mutex::default(),
            failure: OnceLock::new(),
            pending: Mutex::default(),
            settled: Condvar::new(),
            options,
        })
    }

    /// How large the frames of an object may be now.
    pub(super) fn frame_bytes(&self) -> usize {
        const SMALLEST: usize = 256 << 10;
        let open = self.open.load(Ordering::Relaxed).max(1);
        let share = self.options.filling_bytes() / open;
        share.clamp(SMALLEST.min(self.options.frame_bytes), self.options.frame_bytes)
    }

    /// The sink fails: whatever waits goes on, and whatever comes gets the error. The first one counts.
    pub(super) fn fail(&self, error: EngineError) {
        let _ = self.failure.set(error);
        self.in_flight.close();
        // Under the lock, so that nobody is between looking and waiting.
        drop(lock(&self.pending));
        self.settled.notify_all();
    }

    pub(super) fn failed(&self) -> bool {
        self.failure.get().is_some()
    }

    pub(super) fn check(&self) -> Result<(), EngineError> {
        match self.failure.get() {
            None => Ok(()),
            Some(error) => Err(error.clone()),
        }
    }

    /// Something that is under way, until it is dropped.
    pub(super) fn pending(self: &Arc<Self>, what: Work) -> Pending {
        lock(&self.pending)[what as usize] += 1;
        Pending(Arc::clone(self), what)
    }

    /// Waits until no such work is under way, or the sink has failed.
    pub(super) fn wait(&self, what: Work) -> Result<(), EngineError> {
        self.wait_while(what, || !self.failed());
        self.check()
    }

    /// Waits until no such work is under way, even if the sink has failed.
    pub(super) fn wait_for_all(&self, what: Work) {
        self.wait_while(what, || true);
    }

    fn wait_while(&self, what: Work, patient: impl Fn() -> bool) {
        let mut pending = lock(&self.pending);
        while pending[what as usize] > 0 && patient() {
            pending = self.settled.wait(pending).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// An empty buffer for a frame.
    pub(super) fn buffer(&self) -> Vec<u8> {
        lock(&self.spare).pop().unwrap_or_default()
    }

    /// A buffer that is not needed any more.
    pub(super) fn recycle(&self, mut buffer: Vec<u8>) {
        // Small ones cost nothing to make.
        if buffer.capacity() < 256 << 10 {
            return;
        }
        let mut spare = lock(&self.spare);
        let kept: usize = spare.iter().map(Vec::capacity).sum();
        if kept + buffer.capacity() <= self.options.memory_bytes / 4 {
            buffer.clear();
            spare.push(buffer);
        }
    }
}

/// What is waited for at the end.
#[derive(Debug, Clone, Copy)]
pub(super) enum Work {
    /// Objects that are finished but not placed.
    Objects,
    /// Files that are being written or taken back.
    Uploads,
}

/// Keeps [`Shared::wait`] waiting.
#[derive(Debug)]
pub(super) struct Pending(Arc<Shared>, Work);

impl Drop for Pending {
    fn drop(&mut self) {
        let mut pending = lock(&self.0.pending);
        pending[self.1 as usize] -= 1;
        if pending[self.1 as usize] == 0 {
            self.0.settled.notify_all();
        }
    }
}
