//! What there is to recover with, read from the repository.

use std::collections::BTreeMap;
use std::sync::Arc;

use backstay_engine_api::Operation;

use super::super::restore::{Terms, check_target};
use super::super::{Host, Observer};
use crate::error::{Error, ErrorKind, Result};
use crate::pipeline::{self, BackupSource, VerifyOptions};
use crate::recovery::{Archived, ArchivedSegment, Holdings, LogSource, Plan, Unusable, origin_of};
use crate::repository::index::Index;
use crate::repository::{Listing, layout};
use crate::worker::protocol::Progress;

impl Host {
    /// All that the repository has of a cluster, for the planner.
    ///
    /// # Errors
    /// The repository can not be read. What is damaged is among what is unusable.
    pub fn holdings(&self, cluster: &str) -> Result<Holdings> {
        self.holdings_of(cluster, &self.repository.list(cluster)?)
    }

    /// The same, of a listing of the backups.
    ///
    /// # Errors
    /// As [`holdings`](Self::holdings).
    pub fn holdings_of(&self, cluster: &str, listing: &Listing) -> Result<Holdings> {
        let mut unusable = BTreeMap::new();
        for (id, error) in &listing.damaged {
            unusable.insert(id.clone(), Unusable::Damaged(error.message.clone()));
        }
        let mut archives = Vec::new();
        for stream in self.repository.stream_ids(cluster)? {
            let mut segments = Vec::new();
            for (name, record) in self.repository.segment_records(cluster, &stream)? {
                match record {
                    Ok(record) => segments.push(ArchivedSegment {
                        origin: origin_of(&record.source.identity),
                        segment: record.into_segment(),
                    }),
                    Err(error) => {
                        let stream = stream.clone();
                        let name = LogSource::Archive { stream, segment: name }.name();
                        unusable.insert(name, Unusable::Damaged(error.message));
                    }
                }
            }
            // A record that can not be read is told of by `verify`.
            let record = self.repository.stream_record(cluster, &stream).ok().flatten();
            archives.push(Archived {
                anew: record.is_some_and(|record| record.is_anew()),
                stream,
                segments,
            });
        }
        Ok(Holdings {
            backups: listing.backups.iter().map(|manifest| manifest.record.clone()).collect(),
            archives,
            unusable,
        })
    }

    /// Marks the backups whose engines are not here, or can not restore to the target, or are not the one that is wanted.
    pub(super) fn rule_out(&self, holdings: &mut Holdings, only: Option<&str>, terms: &Terms) {
        let mut engines: BTreeMap<String, Option<String>> = BTreeMap::new();
        for record in holdings.backups.iter().filter(|record| record.log.is_none()) {
            let name = &record.engine.name;
            let why = engines.entry(name.clone()).or_insert_with(|| {
                if only.is_some_and(|only| only != name) {
                    return Some(format!("it was made with engine `{name}`"));
                }
                let plugin = self.workers.engine(name, Operation::Restore);
                let fits = plugin.and_then(|plugin| check_target(plugin, terms));
                fits.err().map(|error| error.message)
            });
            if let Some(why) = why {
                holdings
                    .unusable
                    .entry(record.id.clone())
                    .or_insert_with(|| Unusable::Unavailable(why.clone()));
            }
        }
    }

    /// Reads every byte of a plan's logs; what is damaged, and how.
    pub(super) fn verify_logs(
        &self,
        cluster: &str,
        plan: &Plan,
        threads: Option<usize>,
        observer: &mut dyn Observer,
    ) -> Result<Vec<(String, String)>> {
        if plan.logs.is_empty() {
            return Ok(Vec::new());
        }
        observer.stage("verifying the log");
        let mut progress = Progress {
            total_bytes: Some(plan.log_bytes),
            ..Progress::default()
        };
        let mut damaged = Vec::new();
        for step in &plan.logs {
            if *self.workers.interrupt.borrow() > 0 {
                return Err(Error::cancelled());
            }
            if let Some(why) = self.damage_of(cluster, &step.source, threads)? {
                damaged.push((step.source.name(), why));
            }
            progress.bytes += step.bytes;
            observer.progress(&progress);
        }
        Ok(damaged)
    }

    /// Which backup of a plan's chain is damaged, and how.
    pub(super) fn damaged_link(
        &self,
        cluster: &str,
        plan: &Plan,
        threads: Option<usize>,
    ) -> Result<Option<(String, String)>> {
        for id in &plan.chain {
            let source = LogSource::Backup { id: id.clone() };
            if let Some(why) = self.damage_of(cluster, &source, threads)? {
                return Ok(Some((id.clone(), why)));
            }
        }
        Ok(None)
    }

    fn damage_of(&self, cluster: &str, source: &LogSource, threads: Option<usize>) -> Result<Option<String>> {
        let source = match self.open_source(cluster, source) {
            Ok(source) => source,
            Err(error) if error.kind == ErrorKind::Damaged => return Ok(Some(error.message)),
            Err(error) => return Err(error),
        };
        let options = VerifyOptions {
            threads: self.workers.threads(threads),
            deep: false,
        };
        let checked = pipeline::verify(&source, Some(&|_| true), options, &|_| {});
        Ok(checked
            .err()
            .and_then(|problems| problems.first().map(ToString::to_string)))
    }

    /// A backup's or a segment's objects, to read.
    pub(in crate::jobs) fn open_source(&self, cluster: &str, source: &LogSource) -> Result<BackupSource> {
        let open = |base, index: Index| {
            BackupSource::open(
                self.repository.object_store().clone(),
                base,
                self.workers.runtime.handle().clone(),
                Arc::new(index),
            )
        };
        match source {
            LogSource::Backup { id } => {
                let index = self.repository.read_index(&self.repository.backup(cluster, id)?)?;
                Ok(open(self.repository.paths(cluster, id)?.directory, index))
            }
            LogSource::Archive { stream, segment } => {
                let index = self.repository.read_segment_index(cluster, stream, segment)?;
                Ok(open(layout::segment(cluster, stream, segment)?, index))
            }
        }
    }
}
