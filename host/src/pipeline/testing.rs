//! A backup's directory in memory or in a file system, for tests.

use std::path::PathBuf;
use std::sync::Arc;

use backstay_engine_api::{Attributes, EngineError, Storage};
use object_store::local::LocalFileSystem;
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt};
use tempfile::TempDir;
use tokio::runtime::Runtime;

use super::{BackupSink, BackupSource, Destination, Problem, SinkOptions, VerifyOptions, verify};
use crate::repository::index::{INDEX_FILE, Index, IndexSummary};

pub(super) struct Bed {
    pub(super) runtime: Runtime,
    pub(super) store: Arc<dyn ObjectStore>,
    pub(super) base: Path,
    directory: Option<TempDir>,
}

impl Bed {
    pub(super) fn memory() -> Self {
        Self::with(Arc::new(InMemory::new()), None)
    }

    pub(super) fn local() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let store = LocalFileSystem::new_with_prefix(directory.path()).unwrap();
        Self::with(Arc::new(store), Some(directory))
    }

    /// One of each kind: bytes take another way to files of this machine's than to other stores.
    pub(super) fn each() -> [Self; 2] {
        [Self::memory(), Self::local()]
    }

    pub(super) fn with(store: Arc<dyn ObjectStore>, directory: Option<TempDir>) -> Self {
        Self {
            runtime: tokio::runtime::Builder::new_multi_thread()
                .worker_threads(2)
                .enable_all()
                .build()
                .unwrap(),
            store,
            base: Path::parse("clusters/c/backups/b").unwrap(),
            directory,
        }
    }

    pub(super) fn sink(&self, options: SinkOptions) -> BackupSink {
        BackupSink::new(self.destination(), self.runtime.handle().clone(), options).unwrap()
    }

    pub(super) fn destination(&self) -> Destination {
        Destination {
            store: Arc::clone(&self.store),
            base: self.base.clone(),
            root: self.directory.as_ref().map(|directory| directory.path().to_owned()),
        }
    }

    /// A backup of these objects.
    pub(super) fn backup(&self, options: SinkOptions, objects: &[(&str, &[u8])]) -> IndexSummary {
        let sink = self.sink(options);
        for (name, bytes) in objects {
            write(&sink, name, bytes, Storage::Compress);
        }
        sink.close().unwrap()
    }

    pub(super) fn source(&self) -> BackupSource {
        let stored = self.get(INDEX_FILE);
        let index = Index::read(&stored[..]).unwrap();
        BackupSource::open(
            Arc::clone(&self.store),
            self.base.clone(),
            self.runtime.handle().clone(),
            Arc::new(index),
        )
    }

    fn location(&self, file: &str) -> Path {
        Path::parse(format!("{}/{file}", self.base)).unwrap()
    }

    pub(super) fn get(&self, file: &str) -> Vec<u8> {
        self.runtime.block_on(async {
            let result = self.store.get(&self.location(file)).await.unwrap();
            result.bytes().await.unwrap().to_vec()
        })
    }

    pub(super) fn put(&self, file: &str, bytes: &[u8]) {
        let payload = bytes.to_vec().into();
        self.runtime
            .block_on(self.store.put(&self.location(file), payload))
            .unwrap();
    }

    pub(super) fn delete(&self, file: &str) {
        self.runtime.block_on(self.store.delete(&self.location(file))).unwrap();
    }

    /// Every file of the backup, as the file system has it.
    pub(super) fn on_disk(&self) -> Vec<String> {
        let root = self.path("");
        let mut found = Vec::new();
        let mut directories = vec![root.clone()];
        while let Some(directory) = directories.pop() {
            let Ok(entries) = std::fs::read_dir(directory) else {
                continue;
            };
            for entry in entries {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    directories.push(path);
                } else {
                    found.push(path.strip_prefix(&root).unwrap().to_str().unwrap().to_owned());
                }
            }
        }
        found.sort();
        found
    }

    /// A file of the backup in the file system.
    pub(super) fn path(&self, file: &str) -> PathBuf {
        self.directory
            .as_ref()
            .unwrap()
            .path()
            .join(self.base.as_ref())
            .join(file)
    }

    pub(super) fn verify(&self, deep: bool) -> Result<(), Vec<Problem>> {
        verify(&self.source(), None, VerifyOptions { threads: 3, deep }, &|_| {})
    }
}

pub(super) fn write(sink: &BackupSink, name: &str, bytes: &[u8], storage: Storage) {
    let object = sink.create(name, Attributes::kind("test"), storage).unwrap();
    sink.write(object, bytes).unwrap();
    assert_eq!(sink.finish(object).unwrap().size, bytes.len() as u64);
}

pub(super) fn read(source: &BackupSource, name: &str) -> Result<Vec<u8>, EngineError> {
    let mut stream = source.open_object(name)?;
    let mut bytes = Vec::new();
    let mut buffer = vec![0; 10_000];
    loop {
        match stream.fill(&mut buffer)? {
            0 => return Ok(bytes),
            length => bytes.extend_from_slice(&buffer[..length]),
        }
    }
}

/// Bytes that compress to three fourths; the same for the same seed.
pub(super) fn sample(seed: u64, length: usize) -> Vec<u8> {
    const LETTERS: &[u8; 64] = b"0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ-_";
    let mut bytes = Vec::with_capacity(length + 8);
    let mut state = seed;
    while bytes.len() < length {
        // splitmix64
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        bytes.extend(
            (mixed ^ (mixed >> 31))
                .to_le_bytes()
                .map(|byte| LETTERS[usize::from(byte & 63)]),
        );
    }
    bytes.truncate(length);
    bytes
}
