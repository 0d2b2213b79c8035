//! Restoring a backup.

use std::time::Duration;

use backstay_engine_api::wire::{Call, Target};
use backstay_engine_api::{BackupKind, Operation, Restored, Selection, TargetKind};
use jiff::Timestamp;
use serde_json::Value;

use super::clean::Killed;
use super::{Host, Observer, job_spec, options, plugin_file, scratch};
use crate::error::{Error, ErrorKind, Result};
use crate::plugin::Inspected;
use crate::repository::{Manifest, new_backup_id};
use crate::worker::protocol::{Assignment, Progress, SourceSpec};
use crate::worker::supervisor::Watcher;

/// A restore that is asked for.
#[derive(Debug, Clone)]
pub struct Request {
    /// The cluster.
    pub cluster: String,
    /// The backup: an id, the beginning of one, or `latest`.
    pub backup: String,
    /// Where to.
    pub target: Target,
    /// Whether what is there may be replaced.
    pub overwrite: bool,
    /// Which tables, and under which schema.
    pub selection: Selection,
    /// The engine's options.
    pub options: Value,
    /// Stop after this time.
    pub deadline: Option<Duration>,
    /// How many threads to keep busy; `None` for as many as there are processors.
    pub threads: Option<usize>,
}

/// What came of it.
#[derive(Debug)]
pub struct Done {
    /// What was restored: a full backup and its incrementals.
    pub chain: Vec<Manifest>,
    /// What the engine says of it.
    pub restored: Restored,
}

impl Host {
    /// Restores a backup, and what it stands on.
    ///
    /// # Errors
    /// Nothing of the backup has reached the target if the error came before the engine's work: it is damaged, the engine is
    /// missing or has no such operation, the target is refused.
    pub fn restore(&self, request: &Request, observer: &mut dyn Observer) -> Result<Done> {
        let wanted = self.repository.find(&request.cluster, &request.backup)?;
        let chain = self.repository.chain(&request.cluster, &wanted.record.id)?;
        let engine = &wanted.record.engine.name;
        let plugin = self.engine(engine, Operation::Restore).map_err(|error| {
            error.detail(format!(
                "it is needed because backup {} was made with it",
                wanted.record.id
            ))
        })?;
        check_target(plugin, request)?;
        options::check(plugin, &request.options)?;

        let id = new_backup_id(Timestamp::now(), BackupKind::Full, engine).replace("-full-", "-restore-");
        let scratch = scratch(&id)?;
        let threads = self.threads(request.threads);
        let server = match &request.target {
            Target::Server(server) => Some(server),
            Target::DataDir { .. } => None,
        };
        let sources = chain
            .iter()
            .map(|link| SourceSpec {
                cluster: request.cluster.clone(),
                id: link.record.id.clone(),
            })
            .collect();
        let assignment = Assignment {
            plugin: plugin_file(plugin),
            call: Call::Restore {
                job: job_spec(&id, &request.cluster, request.options.clone(), scratch.path(), threads),
                target: request.target.clone(),
                overwrite: request.overwrite,
                selection: request.selection.clone(),
                chain: chain.iter().map(|link| link.record.clone()).collect(),
            },
            repository: self.repository.url().to_owned(),
            sink: None,
            sources,
            threads,
        };
        observer.stage(&format!("restoring {}", wanted.record.id));
        let ended = self.run_worker(assignment, request.deadline, &mut Follower { observer })?;
        if ended.died || !ended.sessions.is_empty() {
            let killed = Killed {
                id: &id,
                cluster: &request.cluster,
                server,
                sessions: ended.sessions.iter().cloned().collect(),
                options: request.options.clone(),
            };
            self.clean_up(plugin, killed);
        }
        let restored = serde_json::from_value(ended.result?)
            .map_err(|error| Error::other("the engine's answer has an unexpected shape").because(&error))?;
        Ok(Done { chain, restored })
    }
}

/// Whether the engine can do it at all.
fn check_target(plugin: &Inspected, request: &Request) -> Result<()> {
    let manifest = &plugin.manifest;
    let (kind, option) = match &request.target {
        Target::Server(_) => (TargetKind::Server, "--to-server"),
        Target::DataDir { .. } => (TargetKind::DataDir, "--to-datadir"),
    };
    if !manifest.restores_to.contains(&kind) {
        let other = if kind == TargetKind::Server {
            "--to-datadir DIR"
        } else {
            "--to-server URL"
        };
        return Err(Error::new(
            ErrorKind::Unsupported,
            format!("engine `{}` does not restore with `{option}`", manifest.name),
        )
        .advise(format!("use `{other}`")));
    }
    if !request.selection.is_everything() && !manifest.selects_tables {
        return Err(Error::new(
            ErrorKind::Unsupported,
            format!(
                "engine `{}` restores backups as a whole, not single tables",
                manifest.name
            ),
        )
        .advise("restore all of it to another place, and copy the tables from there"));
    }
    if request.selection.into_schema.is_some() && !manifest.renames_schema {
        return Err(Error::new(
            ErrorKind::Unsupported,
            format!("engine `{}` does not put tables into another schema", manifest.name),
        )
        .advise("restore them to another server, and copy them from there"));
    }
    if let Target::Server(server) = &request.target
        && !manifest.databases.is_empty()
        && !manifest.databases.contains(&server.scheme)
    {
        return Err(Error::new(
            ErrorKind::Unsupported,
            format!(
                "engine `{}` is for {}, and {} is none of these",
                manifest.name,
                manifest.databases.join(", "),
                server.name
            ),
        ));
    }
    Ok(())
}

struct Follower<'a> {
    observer: &'a mut dyn Observer,
}

impl Watcher for Follower<'_> {
    fn progress(&mut self, progress: &Progress) {
        self.observer.progress(progress);
    }
}
