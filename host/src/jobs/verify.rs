//! Verifying backups: every byte read, every digest compared.

use std::sync::{Arc, Mutex};

use backstay_engine_api::BackupKind;
use object_store::path::Path;

use super::{Host, Observer};
use crate::error::Result;
use crate::pipeline::{self, BackupSource, Problem, ProblemKind, VerifyOptions};
use crate::repository::index::Index;
use crate::repository::logs::follows;
use crate::repository::{Manifest, Unfinished, layout};
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
    /// Each archived log.
    pub logs: Vec<LogVerdict>,
    /// What killed jobs left.
    pub unfinished: Vec<Unfinished>,
}

/// What was found of an archived log.
#[derive(Debug, Default)]
pub struct LogVerdict {
    /// The log's id.
    pub id: String,
    /// How many segments were read.
    pub segments: u64,
    /// How many stored bytes were read.
    pub bytes: u64,
    /// What is wrong, by segment; empty if the log is sound.
    pub problems: Vec<String>,
}

impl Report {
    /// Whether every backup is sound.
    pub fn is_sound(&self) -> bool {
        self.backups.iter().all(|verdict| verdict.problems.is_empty())
            && self.logs.iter().all(|verdict| verdict.problems.is_empty())
    }
}

impl Host {
    /// Verifies one backup, one archived log, or all of a cluster.
    ///
    /// # Errors
    /// The repository can not be read, or there is no such backup. Damage is no error here: it is in the report.
    pub fn verify(&self, cluster: &str, backup: Option<&str>, observer: &mut dyn Observer) -> Result<Report> {
        let mut report = Report::default();
        for id in self.repository.stream_ids(cluster)? {
            if backup.is_none_or(|name| name == id) {
                observer.stage(&format!("verifying {id}"));
                report.logs.push(self.verify_log(cluster, &id, observer)?);
            }
        }
        if backup.is_some() && !report.logs.is_empty() {
            return Ok(report);
        }
        let listing = self.repository.list(cluster)?;
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
            report.unfinished.extend(self.repository.unfinished_segments(cluster)?);
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
        if record.log.is_none()
            && let Err(error) = self.repository.chain(cluster, &record.id)
        {
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
        for problem in self.read_all(&source, progress, observer) {
            // A file too many harms nothing.
            match problem.kind {
                ProblemKind::Leftover => verdict.leftovers.push(problem.file),
                _ => verdict.problems.push(problem.to_string()),
            }
        }
        Ok(verdict)
    }

    /// Reads a backup or a segment to the last byte, for what is wrong with it.
    fn read_all(&self, source: &BackupSource, progress: Progress, observer: &mut dyn Observer) -> Vec<Problem> {
        let observer = Mutex::new((observer, progress));
        let options = VerifyOptions {
            threads: self.workers.threads(None),
            deep: true,
        };
        let checked = pipeline::verify(source, None, options, &|bytes| {
            if let Ok(mut guard) = observer.lock() {
                let (observer, progress) = &mut *guard;
                progress.bytes += bytes;
                observer.progress(progress);
            }
        });
        checked.err().unwrap_or_default()
    }

    fn verify_log(&self, cluster: &str, id: &str, observer: &mut dyn Observer) -> Result<LogVerdict> {
        let mut verdict = LogVerdict {
            id: id.to_owned(),
            ..LogVerdict::default()
        };
        let stream = self.repository.stream_record(cluster, id);
        let mut end = match stream {
            Ok(stream) => stream.map(|stream| stream.from),
            Err(error) => {
                verdict.problems.push(error.to_string());
                None
            }
        };
        for (name, record) in self.repository.segment_records(cluster, id)? {
            let checked = record.and_then(|record| {
                let index = self.repository.segment_index(&record)?;
                Ok((record, index))
            });
            let (record, index) = match checked {
                Ok(checked) => checked,
                Err(error) => {
                    verdict.problems.push(error.to_string());
                    end = None;
                    continue;
                }
            };
            if let Some(Err(error)) = end.map(|end| follows(&end, &record.segment.from)) {
                verdict.problems.push(format!("segment {name}: {error}"));
            }
            let base = layout::segment(cluster, id, &name)?;
            let source = self.source_below(base, index);
            verdict.segments += 1;
            verdict.bytes += record.index.data_bytes;
            let progress = Progress {
                bytes: verdict.bytes - record.index.data_bytes,
                ..Progress::default()
            };
            for problem in self.read_all(&source, progress, observer) {
                verdict.problems.push(format!("segment {name}: {problem}"));
            }
            end = Some(record.segment.to);
        }
        Ok(verdict)
    }

    /// A backup's objects, to read.
    pub(super) fn source(&self, cluster: &str, id: &str, index: Index) -> Result<BackupSource> {
        Ok(self.source_below(self.repository.paths(cluster, id)?.directory, index))
    }

    fn source_below(&self, base: Path, index: Index) -> BackupSource {
        let store = self.repository.object_store().clone();
        let runtime = self.workers.runtime.handle().clone();
        BackupSource::open(store, base, runtime, Arc::new(index))
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
