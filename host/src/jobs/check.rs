//! Having an engine look at what was restored.

use std::path::PathBuf;
use std::time::Duration;

use backstay_engine_api::wire::{Call, Target};
use backstay_engine_api::{BackupKind, CheckReport, Operation};
use jiff::Timestamp;
use serde_json::Value;

use super::clean::Killed;
use super::restore::Follower;
use super::{Host, Observer, job_spec, plugin_file, scratch};
use crate::error::{Error, Result};
use crate::repository::{Manifest, new_backup_id};
use crate::worker::protocol::{Assignment, SourceSpec};

/// A check that is asked for.
#[derive(Debug, Clone)]
pub struct Request {
    /// The cluster.
    pub cluster: String,
    /// The backup that was restored: an id, the beginning of one, or `latest`.
    pub backup: String,
    /// Where to.
    pub data_dir: PathBuf,
    /// Directories of the server's programs.
    pub programs: Vec<PathBuf>,
    /// Stop after this time.
    pub deadline: Option<Duration>,
}

/// What came of it.
#[derive(Debug)]
pub struct Checked {
    /// The backup.
    pub backup: Manifest,
    /// What was found.
    pub report: CheckReport,
}

impl Host {
    /// Has the engine that made a backup look at a data directory that it was restored to.
    ///
    /// # Errors
    /// The check could not be made; what it finds is no error.
    pub fn check(&self, request: &Request, observer: &mut dyn Observer) -> Result<Checked> {
        let backup = self.repository.find(&request.cluster, &request.backup)?;
        let chain = self.repository.chain(&request.cluster, &backup.record.id)?;
        let plugin = self
            .workers
            .engine(&backup.record.engine.name, Operation::Check)
            .map_err(|error| {
                error.detail(format!(
                    "it is needed because backup {} was made with it",
                    backup.record.id
                ))
            })?;
        let id = new_backup_id(Timestamp::now(), BackupKind::Full, &plugin.manifest.name).replace("-full-", "-check-");
        let scratch = scratch(&id)?;
        let threads = self.workers.threads(None);
        let options = Value::Object(serde_json::Map::new());
        let assignment = Assignment {
            plugin: plugin_file(plugin)?,
            call: Call::Check {
                job: job_spec(&id, &request.cluster, options.clone(), scratch.path(), threads),
                target: Target::DataDir {
                    path: request.data_dir.clone(),
                    programs: request.programs.clone(),
                },
                chain: chain.iter().map(|link| link.record.clone()).collect(),
            },
            repository: Some(self.repository.url().to_owned()),
            sink: None,
            pieces: None,
            sources: chain
                .iter()
                .map(|link| SourceSpec::Backup {
                    cluster: request.cluster.clone(),
                    id: link.record.id.clone(),
                })
                .collect(),
            threads,
        };
        observer.stage(&format!("checking {}", request.data_dir.display()));
        let ended = self
            .workers
            .run_worker(assignment, request.deadline, &mut Follower { observer })?;
        if ended.died || !ended.sessions.is_empty() {
            let killed = Killed {
                id: &id,
                cluster: &request.cluster,
                server: None,
                sessions: ended.sessions.iter().cloned().collect(),
                options,
            };
            self.workers.clean_up(plugin, killed);
        }
        let report = serde_json::from_value(ended.result?)
            .map_err(|error| Error::other("the engine's report has an unexpected shape").because(&error))?;
        Ok(Checked { backup, report })
    }
}
