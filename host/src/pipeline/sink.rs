//! [`BackupSink`]: takes a backup's objects from an engine's threads.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};

use backstay_engine_api::{Attributes, EngineError, Storage, Written};
use object_store::ObjectStoreExt;
use sha2::{Digest, Sha256};
use tokio::runtime::Handle;

use super::budget::lock;
use super::fault::store_error;
use super::object::Object;
use super::options::{Compression, Destination, SinkOptions};
use super::pool::Pool;
use super::shared::{Shared, Work};
use crate::repository::index::{Encoding, INDEX_FILE, IndexSummary, ZSTD_SUFFIX};
use crate::repository::names::{below, check_object_name};

/// The most objects that may be open at once; the contract's number.
pub const MAX_OPEN: usize = 64;

/// How far a backup is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counters {
    /// Bytes that the engine wrote, those of discarded objects too.
    pub plain_bytes: u64,
    /// Bytes that the store has.
    pub stored_bytes: u64,
    /// Objects that are finished and compressed.
    pub objects: u64,
}

/// Takes a backup's objects and stores them. From any thread; what is written to one object at the same time is
/// serialised.
///
/// Once a file could not be written the whole sink has failed: every call returns that error. Dropped without
/// [`close`](Self::close), it takes back what is on its way and writes no index.
#[derive(Debug)]
pub struct BackupSink {
    shared: Arc<Shared>,
    pool: Pool,
    open: Mutex<Open>,
}

#[derive(Debug, Default)]
struct Open {
    last: u64,
    finished: u64,
    objects: HashMap<u64, Arc<Object>>,
    /// The names that are taken, as half their SHA-256: 16 bytes each, for there may be millions.
    names: HashSet<u128>,
}

impl BackupSink {
    /// A sink for a backup.
    ///
    /// # Errors
    /// An option is out of its range, or threads can not be started.
    pub fn new(destination: Destination, runtime: Handle, options: SinkOptions) -> Result<Self, EngineError> {
        options.check()?;
        let shared = Shared::new(destination, runtime, options);
        Ok(Self {
            pool: Pool::start(&shared)?,
            shared,
            open: Mutex::default(),
        })
    }

    /// Starts an object: its handle.
    ///
    /// # Errors
    /// The name is not safe, is taken or does not end as its storage demands, [`MAX_OPEN`] objects are open, or the sink has failed.
    pub fn create(&self, name: &str, attributes: Attributes, storage: Storage) -> Result<u64, EngineError> {
        self.shared.check()?;
        check_object_name(name)?;
        let encoding = self.encoding(name, storage)?;
        let mut open = lock(&self.open);
        if open.objects.len() >= MAX_OPEN {
            return Err(EngineError::other(format!(
                "object {name:?} can not be started: {MAX_OPEN} objects are open, which is the most"
            ))
            .advise("this is a fault of the engine's: it must finish objects before it starts more"));
        }
        if !open.names.insert(key(name)) {
            return Err(EngineError::other(format!(
                "object {name:?} can not be started: the backup has one of that name"
            ))
            .advise("this is a fault of the engine's: names are unique in a backup"));
        }
        open.last += 1;
        let handle = open.last;
        open.objects
            .insert(handle, Object::new(name.to_owned(), attributes, encoding));
        self.shared.open.store(open.objects.len(), Ordering::Relaxed);
        Ok(handle)
    }

    fn encoding(&self, name: &str, storage: Storage) -> Result<Encoding, EngineError> {
        match storage {
            Storage::Store => Ok(Encoding::Plain),
            Storage::Compress => Ok(match self.shared.options.compression {
                Compression::Zstd => Encoding::Zstd,
                Compression::None => Encoding::Plain,
            }),
            Storage::Zstd if name.ends_with(ZSTD_SUFFIX) => Ok(Encoding::NamedZstd),
            Storage::Zstd => Err(EngineError::other(format!(
                "object {name:?} can not be started: expected a name that ends in {ZSTD_SUFFIX}, for its storage is `zstd`"
            ))
            .advise("this is a fault of the engine's")),
        }
    }

    /// Takes an object's next bytes. Waits while the store is behind.
    ///
    /// # Errors
    /// The object is not open, or the sink has failed.
    pub fn write(&self, object: u64, bytes: &[u8]) -> Result<(), EngineError> {
        self.shared.check()?;
        let found = lock(&self.open).objects.get(&object).cloned();
        found
            .ok_or_else(|| not_open(object))?
            .write(&self.shared, &self.pool, bytes)
    }

    /// The object is whole. It returns once the bytes are handed on; [`close`](Self::close) says whether the
    /// store has them: an engine of many small objects must not wait for each.
    ///
    /// # Errors
    /// The object is not open, or the sink has failed.
    pub fn finish(&self, object: u64) -> Result<Written, EngineError> {
        self.shared.check()?;
        let found = self.remove(&mut lock(&self.open), object)?;
        lock(&self.open).finished += 1;
        let size = found.finish(&self.shared, &self.pool)?;
        Ok(Written { size })
    }

    /// Throws the object away. Its name is free again.
    ///
    /// # Errors
    /// The object is not open.
    pub fn discard(&self, object: u64) -> Result<(), EngineError> {
        let mut open = lock(&self.open);
        let found = self.remove(&mut open, object)?;
        open.names.remove(&key(found.name()));
        drop(open);
        found.discard(&self.shared);
        Ok(())
    }

    fn remove(&self, open: &mut Open, object: u64) -> Result<Arc<Object>, EngineError> {
        let found = open.objects.remove(&object).ok_or_else(|| not_open(object))?;
        self.shared.open.store(open.objects.len(), Ordering::Relaxed);
        Ok(found)
    }

    /// So many objects will come, so that small ones may be bundled from the start.
    pub fn expect(&self, total_objects: u64) {
        lock(&self.shared.placement).expect(total_objects);
    }

    /// How far it is.
    pub fn counters(&self) -> Counters {
        Counters {
            plain_bytes: self.shared.plain_bytes.load(Ordering::Relaxed),
            stored_bytes: self.shared.stored_bytes.load(Ordering::Relaxed),
            objects: self.shared.objects.load(Ordering::Relaxed),
        }
    }

    /// Waits until everything is stored, and writes the index.
    ///
    /// # Errors
    /// Objects are open, or something could not be written: then there is no index.
    pub fn close(self) -> Result<IndexSummary, EngineError> {
        self.shared.check()?;
        let open: Vec<String> = {
            let open = lock(&self.open);
            open.objects
                .values()
                .map(|object| format!("{:?}", object.name()))
                .collect()
        };
        if let Some(first) = open.first() {
            return Err(EngineError::other(format!(
                "the backup can not be closed: {} objects are neither finished nor thrown away, one of them {first}",
                open.len()
            ))
            .advise("this is a fault of the engine's; report it to its vendor"));
        }
        let shared = &self.shared;
        shared.wait(Work::Objects)?;
        // No more objects come, so that the last bundle is whole.
        lock(&shared.placement).end_bundle(shared);
        shared.wait(Work::Uploads)?;
        let files = lock(&shared.placement).files();
        let builder = std::mem::take(&mut *lock(&shared.index));
        let finished = lock(&self.open).finished;
        // Should a thread have panicked, what it had in hand is in no index.
        if builder.len() as u64 != finished {
            return Err(EngineError::other(format!(
                "the backup can not be closed: {finished} objects were finished, and {} of them stored",
                builder.len()
            )));
        }
        let (stored, summary) = builder.finish(files)?;
        let location = below(&shared.base, INDEX_FILE)?;
        shared
            .runtime
            .block_on(shared.store.put(&location, stored.into()))
            .map_err(|error| store_error("written", &location, &error))?;
        Ok(summary)
    }

    /// What stops it from outside, also while it is being closed.
    pub fn brake(&self) -> Brake {
        Brake(Arc::clone(&self.shared))
    }

    #[cfg(test)]
    pub(super) fn most_in_flight(&self) -> usize {
        self.shared.in_flight.most()
    }
}

/// Stops a sink that another thread is using.
#[derive(Debug)]
pub struct Brake(Arc<Shared>);

impl Brake {
    /// Whoever writes gets an error from now on, and whoever waits in [`BackupSink::close`] as well. Files on their way are taken
    /// back, at the latest when the sink is dropped.
    pub fn pull(&self) {
        self.0.fail(given_up());
    }
}

impl Drop for BackupSink {
    fn drop(&mut self) {
        // After a successful close there is nothing left of all this.
        self.shared.fail(given_up());
        lock(&self.shared.placement).abandon();
        for object in lock(&self.open).objects.drain().map(|(_, object)| object) {
            object.discard(&self.shared);
        }
        // With the last frames go the last objects, and with them the last hold on a file: uploads take back what they
        // have written. A process that ended before that would leave it behind.
        self.pool.stop();
        self.shared.wait_for_all(Work::Uploads);
    }
}

fn key(name: &str) -> u128 {
    let digest = Sha256::digest(name.as_bytes());
    digest[..16].iter().fold(0, |key, byte| key << 8 | u128::from(*byte))
}

fn given_up() -> EngineError {
    EngineError::cancelled().detail("the backup was given up")
}

fn not_open(object: u64) -> EngineError {
    EngineError::other(format!("object {object} is not open")).advise("this is a fault of the engine's")
}
