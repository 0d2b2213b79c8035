//! What the tests of the repository share: a store of each sort, and small backups in it.

use std::sync::LazyLock;

use backstay_engine_api::{BackupKind, BackupRecord, Position};
use serde_json::{Map, json};
use tempfile::TempDir;
use tokio::runtime::{Handle, Runtime};

use super::locks::Purpose;
use super::manifest::hex;
use super::store::Durability;
use super::{IndexRef, JobRef, Lock, Manifest, Repository, layout};
use crate::Result;

/// The runtime of all tests.
pub(super) fn runtime() -> &'static Handle {
    static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| Runtime::new().unwrap());
    RUNTIME.handle()
}

/// A directory with a repository in it, gone when the test is over.
pub(super) struct Directory(TempDir);

impl Directory {
    pub(super) fn new() -> Self {
        Self(TempDir::new().unwrap())
    }

    pub(super) fn url(&self) -> String {
        format!("file://{}", self.0.path().display())
    }

    pub(super) fn repository(&self) -> Repository {
        Repository::init(&self.url(), runtime()).unwrap()
    }
}

/// Runs a test in memory and on files.
pub(super) fn each_store(test: impl Fn(&Repository)) {
    test(&Repository::in_memory(runtime()));
    test(&Directory::new().repository());
}

pub(super) fn job(id: &str) -> JobRef {
    JobRef {
        id: id.to_owned(),
        engine: "mysqldump".to_owned(),
        workflow: None,
    }
}

pub(super) fn position(kind: &str, value: &str) -> Position {
    serde_json::from_value(json!({"kind": kind, "value": value})).unwrap()
}

/// A backup of cluster `orders`; a child starts where a parent ends.
pub(super) fn record(id: &str, parent: Option<&str>) -> BackupRecord {
    let end = position("mysql-gtid", "3e11fa47-71ca-11e1-9e33-c80aa9429562:1-5");
    BackupRecord {
        id: id.to_owned(),
        cluster: "orders".to_owned(),
        workflow: None,
        engine: Default::default(),
        kind: if parent.is_some() {
            BackupKind::Incremental
        } else {
            BackupKind::Full
        },
        parent: parent.map(str::to_owned),
        server: Default::default(),
        from: parent.map(|_| end.clone()).into_iter().collect(),
        positions: vec![end],
        started: "2026-11-22T10:15:30Z".to_owned(),
        finished: "2026-11-22T10:15:31Z".to_owned(),
        objects: 2,
        bytes: 30,
        stored_bytes: 30,
        partial: false,
        notices: Vec::new(),
        log: None,
        state: json!({"lsn": 7}),
        other: Map::new(),
    }
}

/// What a job writes before its commit: two files of data and an index.
pub(super) fn write_data(repository: &Repository, id: &str) {
    let paths = repository.paths("orders", id).unwrap();
    for (path, bytes) in [
        (paths.data.clone().join("a"), &b"0123456789"[..]),
        (paths.data.clone().join("deeper").join("b"), b"01234567890123456789"),
        (paths.index, b"the index"),
    ] {
        repository
            .wait(repository.store.put(&path, bytes.to_vec(), Durability::Cached))
            .unwrap();
    }
}

/// What the manifest says of it.
pub(super) fn index_of(repository: &Repository, id: &str) -> IndexRef {
    let paths = repository.paths("orders", id).unwrap();
    let index = repository.wait(repository.store.read(&paths.index)).unwrap().unwrap();
    let data = repository.wait(repository.store.list(&paths.data)).unwrap();
    IndexRef {
        file: layout::INDEX.to_owned(),
        sha256: hex(&index),
        length: index.len() as u64,
        data_files: data.len() as u64,
        data_bytes: data.iter().map(|file| file.size).sum(),
        other: Map::new(),
    }
}

/// A whole backup, taken under the lock.
pub(super) fn commit(repository: &Repository, record: BackupRecord) -> Result<Manifest> {
    let lock = Lock::acquire(repository, "orders", Purpose::Backup, job(&record.id))?;
    write_data(repository, &record.id);
    let index = index_of(repository, &record.id);
    let manifest = Manifest::new(record, index);
    repository.commit(&manifest, &lock)?;
    lock.release()?;
    Ok(manifest)
}
