//! [`MemoryHost`]: a host for tests of engines. It needs the feature `testing`.
//!
//! It keeps backups in memory and calls an engine through the binary contract, so that what a test sees is what a host would.
//! It is stricter than a host: an object that is left open or a session that is left guarded at the end of a call is a panic.

mod port;

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::marker::PhantomData;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use abi_stable::sabi_trait::TD_Opaque;
use abi_stable::std_types::RSlice;
use serde::Deserialize;
use serde_json::{Map, Value};
use tempfile::TempDir;

use self::port::Open;
use crate::abi::v1::{HostApi_TO, HostPort, serve};
use crate::engine::Engine;
use crate::error::EngineError;
use crate::host::Host;
use crate::job::{JobContext, Target};
use crate::objects::Attributes;
use crate::outcome::{CheckReport, Outcome, Restored, Usable};
use crate::record::{BackupKind, BackupRecord, EngineRef};
use crate::selection::Selection;
use crate::server::Server;
use crate::wire::{Answer, Call, JobSpec};

/// How many threads its jobs may keep busy.
const THREADS: usize = 3;

/// A backup that was finished.
#[derive(Debug, Clone)]
pub struct Backup {
    /// What is known of it.
    pub record: BackupRecord,
    /// Its objects by their names.
    pub objects: BTreeMap<String, Object>,
}

/// An object that was finished.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Object {
    /// What is known of it.
    pub attributes: Attributes,
    /// Its bytes.
    pub bytes: Vec<u8>,
}

/// A host in memory, with one chain of backups of an engine `E`. A clone is the same host.
///
/// Most of what it offers panics where a test has to fail; only what the engine answers is a `Result`.
pub struct MemoryHost<E> {
    state: Arc<State>,
    engine: PhantomData<fn() -> E>,
}

/// What clones share.
struct State {
    backups: Mutex<Vec<Backup>>,
    /// The objects of the backup that is being taken, or that failed last.
    written: Mutex<BTreeMap<String, Object>>,
    open: Mutex<HashMap<u64, Open>>,
    next: AtomicU64,
    /// How many more objects, and how many more reads, until the job is cancelled.
    objects_left: AtomicUsize,
    reads_left: AtomicUsize,
    /// The most bytes that one read gives.
    piece: AtomicUsize,
    guarded: Mutex<Vec<String>>,
    still_guarded: Mutex<Vec<String>>,
    opened: Mutex<Vec<String>>,
    most_open: AtomicUsize,
    log: Mutex<Vec<String>>,
}

/// A count that does not run out.
const NEVER: usize = usize::MAX;

impl<E> Clone for MemoryHost<E> {
    fn clone(&self) -> Self {
        Self {
            state: Arc::clone(&self.state),
            engine: PhantomData,
        }
    }
}

impl<E> fmt::Debug for MemoryHost<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MemoryHost")
    }
}

impl<E> Default for MemoryHost<E> {
    fn default() -> Self {
        Self::new()
    }
}

impl<E> MemoryHost<E> {
    /// A host without a backup.
    pub fn new() -> Self {
        let state = State {
            backups: Mutex::default(),
            written: Mutex::default(),
            open: Mutex::default(),
            next: AtomicU64::new(1),
            objects_left: AtomicUsize::new(NEVER),
            reads_left: AtomicUsize::new(NEVER),
            // An odd one, as a pipeline gives it.
            piece: AtomicUsize::new(100_003),
            guarded: Mutex::default(),
            still_guarded: Mutex::default(),
            opened: Mutex::default(),
            most_open: AtomicUsize::new(0),
            log: Mutex::default(),
        };
        Self {
            state: Arc::new(state),
            engine: PhantomData,
        }
    }

    /// Runs a part of an engine with a job of its own, such as a function of a library that engines share.
    pub fn job<T>(&self, body: impl FnOnce(&JobContext) -> T) -> T {
        let (spec, _scratch) = self.spec(Value::Null);
        body(&JobContext::new(spec, &Arc::new(Host::new(self.port()))))
    }

    /// The chain of backups, the full one first; a test may change them as damage or time would.
    pub fn backups(&self) -> MutexGuard<'_, Vec<Backup>> {
        locked(&self.state.backups)
    }

    /// The text of an object of the last backup.
    ///
    /// # Panics
    /// There is none of that name.
    pub fn text(&self, name: &str) -> String {
        let backups = self.backups();
        let object = backups.last().and_then(|backup| backup.objects.get(name));
        let object = object.unwrap_or_else(|| panic!("no object {name}"));
        String::from_utf8_lossy(&object.bytes).into_owned()
    }

    /// The names of the last backup's objects.
    pub fn names(&self) -> Vec<String> {
        let backups = self.backups();
        backups
            .last()
            .map(|backup| backup.objects.keys().cloned().collect())
            .unwrap_or_default()
    }

    /// The names of the objects that a failed backup had finished.
    pub fn left_over(&self) -> Vec<String> {
        locked(&self.state.written).keys().cloned().collect()
    }

    /// The most objects that were open at once in the last call, written or read.
    pub fn most_open(&self) -> usize {
        self.state.most_open.load(Ordering::Relaxed)
    }

    /// The names of the objects that the last call opened, in order.
    pub fn opened(&self) -> Vec<String> {
        locked(&self.state.opened).clone()
    }

    /// What the last call logged.
    pub fn logged(&self) -> Vec<String> {
        locked(&self.state.log).clone()
    }

    /// Every session that was ever guarded, in order.
    pub fn guarded(&self) -> Vec<String> {
        locked(&self.state.guarded).clone()
    }

    /// The sessions that are guarded now.
    pub fn still_guarded(&self) -> Vec<String> {
        locked(&self.state.still_guarded).clone()
    }

    /// That sessions were guarded, and none is any more.
    ///
    /// # Panics
    /// It is not so.
    #[track_caller]
    pub fn assert_all_released(&self) {
        assert!(!self.guarded().is_empty(), "no session was guarded");
        assert_eq!(self.still_guarded(), [""; 0], "sessions are left guarded");
    }

    /// Gives at most so many bytes by one read.
    pub fn read_pieces_of(&self, bytes: usize) {
        self.state.piece.store(bytes, Ordering::Relaxed);
    }

    /// Cancels the call that runs, or else the next one.
    pub fn cancel(&self) {
        self.cancel_after_objects(0);
    }

    /// Cancels the call that runs, or else the next one, when it has finished so many objects.
    pub fn cancel_after_objects(&self, count: usize) {
        self.state.objects_left.store(count, Ordering::Relaxed);
    }

    /// Cancels the call that runs, or else the next one, when it has read so many times from objects.
    pub fn cancel_after_reads(&self, count: usize) {
        self.state.reads_left.store(count, Ordering::Relaxed);
    }

    fn port(&self) -> HostPort {
        HostApi_TO::from_value(port::Port(Arc::clone(&self.state)), TD_Opaque)
    }

    /// A job, and its scratch directory for as long as it lasts.
    fn spec(&self, options: Value) -> (JobSpec, TempDir) {
        let scratch = tempfile::Builder::new().prefix("backstay-scratch-").tempdir();
        let scratch = scratch.expect("a scratch directory");
        let number = self.state.next.fetch_add(1, Ordering::Relaxed);
        let spec = JobSpec {
            id: format!("20261122T101530Z-test-{number}"),
            cluster: "test".to_owned(),
            options,
            scratch: scratch.path().to_owned(),
            threads: THREADS,
        };
        (spec, scratch)
    }
}

impl<E: Engine> MemoryHost<E> {
    /// A host with a full backup that holds these bytes by their objects' names.
    pub fn holding(objects: BTreeMap<String, Vec<u8>>) -> Self {
        let host = Self::new();
        let objects = objects
            .into_iter()
            .map(|(name, bytes)| {
                let attributes = Attributes::default();
                (name, Object { attributes, bytes })
            })
            .collect();
        let record = record::<E>("given".to_owned(), None, Usable::default());
        host.backups().push(Backup { record, objects });
        host
    }

    /// Takes a backup: a full one first, then incremental ones. One that fails is not added to the chain.
    ///
    /// # Errors
    /// The engine's.
    ///
    /// # Panics
    /// The engine says that there is nothing new.
    pub fn backup(&self, server: Server, options: Value) -> Result<Usable, EngineError> {
        let (job, _scratch) = self.spec(options);
        let id = job.id.clone();
        let parent = self.backups().last().map(|backup| backup.record.clone());
        let parent_id = parent.as_ref().map(|parent| parent.id.clone());
        let call = match parent {
            None => Call::FullBackup { job, server },
            Some(parent) => Call::IncrementalBackup {
                job,
                server,
                parent: Box::new(parent),
            },
        };
        let outcome: Outcome = self.call(&call)?;
        let Outcome::Usable(usable) = outcome else {
            panic!("{outcome:?}")
        };
        let objects = std::mem::take(&mut *locked(&self.state.written));
        let record = record::<E>(id, parent_id, usable.clone());
        self.backups().push(Backup { record, objects });
        Ok(usable)
    }

    /// Restores the chain.
    ///
    /// # Errors
    /// The engine's.
    pub fn restore(
        &self,
        target: impl Into<Target>,
        overwrite: bool,
        selection: Selection,
        options: Value,
    ) -> Result<Restored, EngineError> {
        let (job, _scratch) = self.spec(options);
        self.call(&Call::Restore {
            job,
            target: target.into(),
            overwrite,
            selection,
            chain: self.records(),
        })
    }

    /// Restores all of it to where nothing is yet.
    ///
    /// # Errors
    /// The engine's.
    pub fn restore_all(&self, target: impl Into<Target>, options: Value) -> Result<Restored, EngineError> {
        self.restore(target, false, Selection::default(), options)
    }

    /// Has what was restored checked.
    ///
    /// # Errors
    /// The engine's.
    pub fn check(&self, target: impl Into<Target>) -> Result<CheckReport, EngineError> {
        let (job, _scratch) = self.spec(Value::Null);
        self.call(&Call::Check {
            job,
            target: target.into(),
            chain: self.records(),
        })
    }

    /// Makes any call. The directory that its job names as scratch is the caller's to make.
    ///
    /// # Errors
    /// The engine's.
    ///
    /// # Panics
    /// The engine left an object open or a session guarded.
    pub fn call<T: for<'de> Deserialize<'de>>(&self, call: &Call) -> Result<T, EngineError> {
        locked(&self.state.written).clear();
        locked(&self.state.opened).clear();
        self.state.most_open.store(0, Ordering::Relaxed);
        locked(&self.state.log).clear();
        let call = serde_json::to_vec(call).expect("a call is JSON");
        let answer = serve::<E>(RSlice::from_slice(&call), self.port());
        self.cancel_after_objects(NEVER);
        self.cancel_after_reads(NEVER);
        let open = std::mem::take(&mut *locked(&self.state.open));
        assert!(open.is_empty(), "left open: {open:?}");
        assert_eq!(self.still_guarded(), [""; 0], "sessions are left guarded");
        let answer: Answer = serde_json::from_slice(&answer).expect("an answer is JSON");
        answer.into_result()
    }

    fn records(&self) -> Vec<BackupRecord> {
        self.backups().iter().map(|backup| backup.record.clone()).collect()
    }
}

/// A backup's record, as a host makes it.
fn record<E: Engine>(id: String, parent: Option<String>, usable: Usable) -> BackupRecord {
    BackupRecord {
        id,
        cluster: "test".to_owned(),
        workflow: None,
        engine: EngineRef {
            name: E::MANIFEST.name.to_owned(),
            ..EngineRef::default()
        },
        kind: if parent.is_some() {
            BackupKind::Incremental
        } else {
            BackupKind::Full
        },
        parent,
        server: usable.server,
        positions: usable.positions,
        from: usable.from,
        started: "2026-11-22T10:15:30Z".to_owned(),
        finished: "2026-11-22T10:15:31Z".to_owned(),
        objects: 0,
        bytes: 0,
        stored_bytes: 0,
        partial: usable.partial,
        notices: usable.notices,
        log: usable.log,
        state: usable.state,
        other: Map::new(),
    }
}

/// A data directory without a server, as what to restore to.
pub fn data_dir(path: impl Into<PathBuf>) -> Target {
    Target::DataDir {
        path: path.into(),
        programs: Vec::new(),
    }
}

/// After a panic of another thread, what it left is shown all the same.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
