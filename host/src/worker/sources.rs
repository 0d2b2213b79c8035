//! The backups that a job reads: each object is verified as a whole before the engine sees its first byte.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use backstay_engine_api::wire::ObjectPage;
use backstay_engine_api::{EngineError, ErrorKind, Selection};

use crate::pipeline::{self, BackupSource, ObjectStream, Problem, VerifyOptions};
use crate::repository::index::IndexEntry;

/// How many damaged places an error names.
const NAMED: usize = 10;

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
    verified: Mutex<Verified>,
}

/// Which objects are known to be sound.
#[derive(Default)]
struct Verified {
    /// All that this selection may need.
    selection: Option<Selection>,
    /// And these.
    names: HashSet<String>,
}

impl OpenBackup {
    pub(super) fn new(id: String, source: BackupSource) -> Self {
        Self {
            id,
            source,
            verified: Mutex::default(),
        }
    }

    fn verify(
        &self,
        select: &dyn Fn(&IndexEntry) -> bool,
        threads: usize,
        progress: &(dyn Fn(u64) + Sync),
    ) -> Result<(), EngineError> {
        let options = VerifyOptions { threads, deep: false };
        pipeline::verify(&self.source, Some(select), options, progress).map_err(|problems| damaged(&self.id, &problems))
    }

    fn is_verified(&self, entry: &IndexEntry) -> bool {
        let verified = locked(&self.verified);
        verified
            .selection
            .as_ref()
            .is_some_and(|selection| may_need(selection, entry))
            || verified.names.contains(&entry.name)
    }
}

impl Sources {
    pub(super) fn new(backups: Vec<OpenBackup>) -> Self {
        Self {
            backups,
            readers: Mutex::default(),
        }
    }

    /// Verifies every object that a selection may need: the tables that it selects, and all that belongs to no table.
    /// `progress` is told of stored bytes as they are read.
    pub(super) fn verify(
        &self,
        selection: &Selection,
        threads: usize,
        progress: &(dyn Fn(u64) + Sync),
    ) -> Result<(), EngineError> {
        for backup in &self.backups {
            backup.verify(&|entry| may_need(selection, entry), threads, progress)?;
            locked(&backup.verified).selection = Some(selection.clone());
        }
        Ok(())
    }

    pub(super) fn page(&self, source: usize, after: Option<&str>, limit: usize) -> Result<ObjectPage, EngineError> {
        Ok(self.backup(source)?.source.objects_page(after, limit.max(1)))
    }

    pub(super) fn open(&self, handle: u64, source: usize, name: &str) -> Result<(), EngineError> {
        let backup = self.backup(source)?;
        let entry = backup
            .source
            .entry(name)
            .ok_or_else(|| EngineError::other(format!("backup {} has no object {name:?}", backup.id)))?;
        if !backup.is_verified(&entry) {
            backup.verify(&|other| other.name == name, 1, &|_| {})?;
            locked(&backup.verified).names.insert(name.to_owned());
        }
        let stream = backup.source.open_entry(entry)?;
        locked(&self.readers).insert(handle, Arc::new(Mutex::new(stream)));
        Ok(())
    }

    pub(super) fn read(&self, handle: u64, buffer: &mut [u8]) -> Result<usize, EngineError> {
        // The table of readers is not kept locked while one of them reads.
        let reader = locked(&self.readers).get(&handle).cloned();
        match reader {
            Some(reader) => locked(&reader).fill(buffer),
            None => Err(EngineError::other("there is no such object open")),
        }
    }

    pub(super) fn close(&self, handle: u64) {
        locked(&self.readers).remove(&handle);
    }

    fn backup(&self, source: usize) -> Result<&OpenBackup, EngineError> {
        self.backups.get(source).ok_or_else(|| {
            EngineError::other(format!(
                "there is no source {source}: the job has {} of them",
                self.backups.len()
            ))
        })
    }
}

/// Whether a restore of that selection may read an object.
fn may_need(selection: &Selection, entry: &IndexEntry) -> bool {
    match (&entry.attributes.schema, &entry.attributes.table) {
        (Some(schema), Some(table)) => selection.selects(schema, table),
        _ => true,
    }
}

/// The error of a backup that must not be restored.
fn damaged(id: &str, problems: &[Problem]) -> EngineError {
    let mut error = EngineError::new(
        ErrorKind::Damaged,
        format!(
            "backup {id} is damaged in {} place(s); nothing of it was restored",
            problems.len()
        ),
    )
    .advise(format!(
        "restore another backup; `backstay verify {id}` lists all that is wrong with this one"
    ));
    for problem in problems.iter().take(NAMED) {
        error = error.detail(problem.to_string());
    }
    if problems.len() > NAMED {
        error = error.detail(format!("and {} more", problems.len() - NAMED));
    }
    error
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
