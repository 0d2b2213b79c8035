//! What a job reads: backups, of which each object is verified as a whole before the engine sees its first byte; and
//! directories that no Backstay made, whose digests nobody knows.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use backstay_engine_api::wire::ObjectPage;
use backstay_engine_api::{EngineError, ErrorKind, Selection};

use crate::directory::{Directory, FileStream};
use crate::pipeline::{self, BackupSource, ObjectStream, Problem, VerifyOptions};
use crate::repository::index::IndexEntry;

/// How many damaged places an error names.
const NAMED: usize = 10;

/// The sources of a call, in its order, and what is open of them.
#[derive(Default)]
pub(super) struct Sources {
    sources: Vec<Source>,
    readers: Mutex<HashMap<u64, Arc<Mutex<Reader>>>>,
}

/// Where objects are read from.
pub(super) enum Source {
    Backup(OpenBackup),
    Directory(Directory),
}

/// An object that is being read.
enum Reader {
    Object(Box<ObjectStream>),
    File(FileStream),
}

/// A backup, or a segment of a log, whose index is read.
pub(super) struct OpenBackup {
    /// What it is, for messages: `backup 2026…`.
    what: String,
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
    /// Whether it is enough that they are looked at while they are read.
    while_read: bool,
}

impl OpenBackup {
    pub(super) fn new(what: String, source: BackupSource) -> Self {
        Self {
            what,
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
        pipeline::verify(&self.source, Some(select), options, progress)
            .map_err(|problems| damaged(&self.what, &problems))
    }

    /// Opens an object that is sound.
    fn open(&self, name: &str) -> Result<ObjectStream, EngineError> {
        let entry = self
            .source
            .entry(name)
            .ok_or_else(|| EngineError::other(format!("{} has no object {name:?}", self.what)))?;
        if !self.is_verified(&entry) {
            self.verify(&|other| other.name == name, 1, &|_| {})?;
            locked(&self.verified).names.insert(name.to_owned());
        }
        self.source.open_entry(entry)
    }

    fn is_verified(&self, entry: &IndexEntry) -> bool {
        let verified = locked(&self.verified);
        verified.while_read
            || verified
                .selection
                .as_ref()
                .is_some_and(|selection| may_need(selection, entry))
            || verified.names.contains(&entry.name)
    }
}

impl Sources {
    pub(super) fn new(sources: Vec<Source>) -> Self {
        Self {
            sources,
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
        for source in &self.sources {
            let Source::Backup(backup) = source else { continue };
            backup.verify(&|entry| may_need(selection, entry), threads, progress)?;
            locked(&backup.verified).selection = Some(selection.clone());
        }
        Ok(())
    }

    /// Leaves it at what every reader does: it compares digests, and gives out what it gives out last of an object only if they are right.
    pub(super) fn verify_while_read(&self) {
        for source in &self.sources {
            if let Source::Backup(backup) = source {
                locked(&backup.verified).while_read = true;
            }
        }
    }

    pub(super) fn page(&self, source: usize, after: Option<&str>, limit: usize) -> Result<ObjectPage, EngineError> {
        let limit = limit.max(1);
        Ok(match self.source(source)? {
            Source::Backup(backup) => backup.source.objects_page(after, limit),
            Source::Directory(directory) => directory.objects_page(after, limit),
        })
    }

    pub(super) fn open(&self, handle: u64, source: usize, name: &str) -> Result<(), EngineError> {
        let reader = match self.source(source)? {
            Source::Backup(backup) => Reader::Object(Box::new(backup.open(name)?)),
            Source::Directory(directory) => Reader::File(directory.open_object(name)?),
        };
        locked(&self.readers).insert(handle, Arc::new(Mutex::new(reader)));
        Ok(())
    }

    pub(super) fn read(&self, handle: u64, buffer: &mut [u8]) -> Result<usize, EngineError> {
        // The table of readers is not kept locked while one of them reads.
        let reader = locked(&self.readers).get(&handle).cloned();
        match reader {
            Some(reader) => match &mut *locked(&reader) {
                Reader::Object(stream) => stream.fill(buffer),
                Reader::File(stream) => stream.fill(buffer),
            },
            None => Err(EngineError::other("there is no such object open")),
        }
    }

    pub(super) fn close(&self, handle: u64) {
        locked(&self.readers).remove(&handle);
    }

    fn source(&self, source: usize) -> Result<&Source, EngineError> {
        self.sources.get(source).ok_or_else(|| {
            EngineError::other(format!(
                "there is no source {source}: the job has {} of them",
                self.sources.len()
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
fn damaged(what: &str, problems: &[Problem]) -> EngineError {
    // The last word is the name of what `verify` takes.
    let id = what.rsplit(' ').next().unwrap_or(what);
    let mut error = EngineError::new(
        ErrorKind::Damaged,
        format!(
            "{what} is damaged in {} place(s); nothing of it was restored",
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
