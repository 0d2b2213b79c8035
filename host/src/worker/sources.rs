//! The backups that a job reads: each object is verified as a whole before the engine sees its first byte.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};

use backstay_engine_api::wire::ObjectPage;
use backstay_engine_api::{EngineError, ErrorKind, ObjectInfo, Selection};

use crate::pipeline::{BackupSource, ObjectStream, Problem};
use crate::repository::index::IndexEntry;

/// The backups of a call, in its order, and what is open of them.
#[derive(Default)]
pub(super) struct Sources {
    backups: Vec<OpenBackup>,
    readers: Mutex<HashMap<u64, Arc<Mutex<ObjectStream>>>>,
}

/// A backup whose index is read.
pub(super) struct OpenBackup {
    id: String,
    source: BackupSource,
    verified: Mutex<HashSet<String>>,
}

impl OpenBackup {
    pub(super) fn new(id: String, source: BackupSource) -> Self {
        Self { id, source, verified: Mutex::default() }
    }
}

impl Sources {
    pub(super) fn new(backups: Vec<OpenBackup>) -> Self {
        Self { backups, readers: Mutex::default() }
    }

    /// Verifies every object that a selection may need: the tables that it selects, and all that belongs to no table.
    /// `progress` is told of bytes as they are read.
    pub(super) fn verify(
        &self,
        selection: &Selection,
        threads: usize,
        progress: &(dyn Fn(u64) + Sync),
    ) -> Result<(), EngineError> {
        for backup in &self.backups {
            let needed: Vec<&IndexEntry> =
                backup.source.entries().iter().filter(|entry| may_need(selection, entry)).collect();
            backup.source.verify(&needed, threads, progress).map_err(|problems| damaged(&backup.id, &problems))?;
            locked(&backup.verified).extend(needed.into_iter().map(|entry| entry.name.clone()));
        }
        Ok(())
    }

    pub(super) fn page(&self, source: usize, after: Option<&str>, limit: usize) -> Result<ObjectPage, EngineError> {
        let entries = self.backup(source)?.source.entries();
        let from = after.map_or(0, |after| entries.partition_point(|entry| entry.name.as_bytes() <= after.as_bytes()));
        let page: Vec<ObjectInfo> = entries[from..].iter().take(limit.max(1)).map(IndexEntry::info).collect();
        Ok(ObjectPage { more: from + page.len() < entries.len(), objects: page })
    }

    pub(super) fn open(&self, handle: u64, source: usize, name: &str) -> Result<(), EngineError> {
        let backup = self.backup(source)?;
        let entry = backup.source.entry(name).ok_or_else(|| {
            EngineError::other(format!("backup {} has no object `{name}`", backup.id))
        })?;
        if !locked(&backup.verified).contains(name) {
            backup.source.verify(&[entry], 1, &|_| {}).map_err(|problems| damaged(&backup.id, &problems))?;
            locked(&backup.verified).insert(name.to_owned());
        }
        let stream = backup.source.open(name)?;
        locked(&self.readers).insert(handle, Arc::new(Mutex::new(stream)));
        Ok(())
    }

    pub(super) fn read(&self, handle: u64, buffer: &mut [u8]) -> Result<usize, EngineError> {
        // The table of readers is not kept locked while one of them reads.
        let reader = locked(&self.readers).get(&handle).cloned();
        match reader {
            Some(reader) => locked(&reader).read(buffer),
            None => Err(EngineError::other("there is no such object open")),
        }
    }

    pub(super) fn close(&self, handle: u64) {
        locked(&self.readers).remove(&handle);
    }

    fn backup(&self, source: usize) -> Result<&OpenBackup, EngineError> {
        self.backups.get(source).ok_or_else(|| {
            EngineError::other(format!("there is no source {source}: the job has {} of them", self.backups.len()))
        })
    }
}

/// Whether a restore of that selection may read an object.
pub fn may_need(selection: &Selection, entry: &IndexEntry) -> bool {
    match (&entry.attributes.schema, &entry.attributes.table) {
        (Some(schema), Some(table)) => selection.selects(schema, table),
        _ => true,
    }
}

/// The error of a backup that must not be restored.
fn damaged(id: &str, problems: &[Problem]) -> EngineError {
    const NAMED: usize = 10;
    let mut error = EngineError::new(
        ErrorKind::Damaged,
        format!("backup {id} is damaged in {} place(s); nothing of it was restored", problems.len()),
    )
    .advise(format!("restore another backup; `backstay verify {id}` lists all that is wrong with this one"));
    for problem in problems.iter().take(NAMED) {
        error = error.detail(problem.to_string());
    }
    if problems.len() > NAMED {
        error = error.detail(format!("and {} more", problems.len() - NAMED));
    }
    error
}

fn locked<T: ?Sized>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
