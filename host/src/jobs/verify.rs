//! Verifying backups: every byte read, every digest compared.

use std::sync::{Arc, Mutex};

use backstay_engine_api::BackupKind;

use super::{Host, Observer};
use crate::error::Result;
use crate::pipeline::{self, BackupSource, ProblemKind, VerifyOptions};
use crate::repository::index::Index;
use crate::repository::{Manifest, Unfinished};
use crate::worker::protocol::Progress;

/// What was found of one backup.
#[derive(Debug)]
pub struct Verdict {
    /// The backup's id.
    pub id: String,
    /// Full or incremental, where the manifest can be read.
    pub kind: Option<BackupKind>,
    /// How many objects were read.
    pub objects: u64,
    /// How many stored bytes were read.
    pub bytes: u64,
    /// What is wrong; empty if the backup is sound.
    pub problems: Vec<String>,
    /// What lies in its directory and belongs to nothing.
    pub leftovers: Vec<String>,
}

/// What was found of a cluster.
#[derive(Debug, Default)]
pub struct Report {
    /// Each backup.
    pub backups: Vec<Verdict>,
    /// What killed jobs left.
    pub unfinished: Vec<Unfinished>,
}

impl Report {
    /// Whether every backup is sound.
    pub fn is_sound(&self) -> bool {
        self.backups.iter().all(|verdict| verdict.problems.is_empty())
    }
}

impl Host {
    /// Verifies one backup, or all of a cluster.
    ///
    /// # Errors
    /// The repository can not be read, or there is no such backup. Damage is no error here: it is in the report.
    pub fn verify(&self, cluster: &str, backup: Option<&str>, observer: &mut dyn Observer) -> Result<Report> {
        let listing = self.repository.list(cluster)?;
        let mut report = Report::default();
        let wanted = |id: &str| backup.is_none_or(|backup| id.starts_with(backup));
        let only = match backup {
            Some("latest") => Some(self.repository.find(cluster, "latest")?.record.id),
            Some(name) if !listing.damaged.iter().any(|(id, _)| id.starts_with(name)) => {
                Some(self.repository.find(cluster, name)?.record.id)
            }
            _ => None,
        };
        for (id, error) in &listing.damaged {
            if only.is_none() && wanted(id) {
                let problems = vec![error.to_string()];
                report.backups.push(Verdict {
                    id: id.clone(),
                    kind: None,
                    objects: 0,
                    bytes: 0,
                    problems,
                    leftovers: vec![],
                });
            }
        }
        for manifest in &listing.backups {
            let id = &manifest.record.id;
            if only.as_ref().map_or_else(|| wanted(id), |only| only == id) {
                observer.stage(&format!("verifying {id}"));
                report.backups.push(self.verify_one(cluster, manifest, observer)?);
            }
        }
        report.backups.sort_by(|a, b| a.id.cmp(&b.id));
        if backup.is_none() {
            report.unfinished = listing.unfinished;
        }
        Ok(report)
    }

    fn verify_one(&self, cluster: &str, manifest: &Manifest, observer: &mut dyn Observer) -> Result<Verdict> {
        let record = &manifest.record;
        let mut verdict = Verdict {
            id: record.id.clone(),
            kind: Some(record.kind),
            objects: 0,
            bytes: 0,
            problems: Vec::new(),
            leftovers: Vec::new(),
        };
        if let Err(error) = self.repository.chain(cluster, &record.id) {
            verdict.problems.push(error.to_string());
        }
        let index = match self.repository.read_index(manifest) {
            Ok(index) => index,
            Err(error) => {
                verdict.problems.push(error.to_string());
                return Ok(verdict);
            }
        };
        let source = self.source(cluster, &record.id, index)?;
        verdict.objects = source.index().len() as u64;
        verdict.bytes = record.stored_bytes;
        let progress = Progress {
            total_bytes: Some(record.stored_bytes),
            ..Progress::default()
        };
        let observer = Mutex::new((observer, progress));
        let options = VerifyOptions {
            threads: self.threads(None),
            deep: true,
        };
        let checked = pipeline::verify(&source, None, options, &|bytes| {
            if let Ok(mut guard) = observer.lock() {
                let (observer, progress) = &mut *guard;
                progress.bytes += bytes;
                observer.progress(progress);
            }
        });
        for problem in checked.err().unwrap_or_default() {
            // A file too many harms nothing.
            match problem.kind {
                ProblemKind::Leftover => verdict.leftovers.push(problem.file),
                _ => verdict.problems.push(problem.to_string()),
            }
        }
        Ok(verdict)
    }

    /// A backup's objects, to read.
    pub(super) fn source(&self, cluster: &str, id: &str, index: Index) -> Result<BackupSource> {
        let base = self.repository.paths(cluster, id)?.directory;
        let store = self.repository.object_store().clone();
        Ok(BackupSource::open(
            store,
            base,
            self.runtime.handle().clone(),
            Arc::new(index),
        ))
    }

    /// Deletes what killed jobs left in a cluster's directory.
    ///
    /// # Errors
    /// It could not be deleted.
    pub fn clear_leftovers(&self, cluster: &str) -> Result<Vec<String>> {
        let cleared = self.repository.clear_leftovers(cluster)?;
        Ok(cleared.unfinished.into_iter().map(|unfinished| unfinished.id).collect())
    }
}
