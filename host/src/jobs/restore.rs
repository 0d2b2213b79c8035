//! Restoring a backup.

use std::path::{Path, PathBuf};
use std::time::Duration;

use backstay_engine_api::position::{GtidTarget, RecoveryPoint, TypedPosition};
use backstay_engine_api::wire::{Call, Target};
use backstay_engine_api::{BackupKind, BackupRecord, Operation, Restored, Selection, TargetKind};
use jiff::Timestamp;
use serde_json::Value;

use super::clean::Killed;
use super::rescue::Data;
use super::{Host, Observer, Workers, job_spec, options, plugin_file, recover, scratch, scratch_in};
use crate::error::{Error, ErrorKind, Result};
use crate::plugin::Inspected;
use crate::recovery::{Wanted, origin_of};
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
    /// Where to and how.
    pub terms: Terms,
}

/// Where to and how something is restored, whatever it is.
#[derive(Debug, Clone)]
pub struct Terms {
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
    /// The target is a private copy that nobody else knows of.
    pub(crate) private: Option<Private>,
}

/// A copy that a job makes for itself.
#[derive(Debug, Clone)]
pub(crate) struct Private {
    /// The job's directory: whatever is made meanwhile is below it.
    pub(super) directory: PathBuf,
    /// The engine that runs servers on data directories: with it, engines that restore to servers alone restore into one.
    pub(super) serves: String,
}

impl Terms {
    /// To put all of a backup there, unless it is occupied.
    pub fn new(target: Target) -> Self {
        Self {
            target,
            overwrite: false,
            selection: Selection::default(),
            options: Value::Object(serde_json::Map::new()),
            deadline: None,
            threads: None,
            private: None,
        }
    }

    /// A directory for a job.
    pub(super) fn scratch(&self, id: &str) -> Result<tempfile::TempDir> {
        match &self.private {
            Some(private) => scratch_in(&private.directory),
            None => scratch(id),
        }
    }

    /// Whether an engine for running servers has to run one on the target.
    fn needs_server(&self, plugin: &Inspected) -> Option<(&Private, &Path, &[PathBuf])> {
        let kinds = &plugin.manifest.restores_to;
        match (&self.private, &self.target) {
            (Some(private), Target::DataDir { path, programs })
                if kinds.contains(&TargetKind::Server) && !kinds.contains(&TargetKind::DataDir) =>
            {
                Some((private, path, programs))
            }
            _ => None,
        }
    }
}

/// What is restored.
pub(super) struct Source {
    /// What it is called, for people.
    pub(super) name: String,
    /// The cluster, if it is of one.
    pub(super) cluster: String,
    /// The repository's URL, if it is in one.
    pub(super) repository: Option<String>,
    /// A full backup and its incrementals.
    pub(super) chain: Vec<BackupRecord>,
    /// Where the bytes of each are.
    pub(super) specs: Vec<SourceSpec>,
}

/// What came of it.
#[derive(Debug)]
pub struct Done {
    /// What was restored: a full backup and its incrementals; and then the pieces of log that were replayed.
    pub used: Vec<String>,
    /// What the engines say of it.
    pub restored: Restored,
    /// How many transactions were replayed.
    pub transactions: u64,
}

impl Host {
    /// Restores a backup, and what it stands on.
    ///
    /// # Errors
    /// Nothing of the backup has reached the target if the error came before the engine's work: it is damaged, the engine is
    /// missing or has no such operation, the target is refused.
    pub fn restore(&self, request: &Request, observer: &mut dyn Observer) -> Result<Done> {
        let wanted = self.repository.find(&request.cluster, &request.backup)?;
        if wanted.record.log.is_some() {
            return self.restore_with_logs(request, &wanted, observer);
        }
        let chain = self.repository.chain(&request.cluster, &wanted.record.id)?;
        let engine = &wanted.record.engine.name;
        let plugin = self.workers.engine(engine, Operation::Restore).map_err(|error| {
            error.detail(format!(
                "it is needed because backup {} was made with it",
                wanted.record.id
            ))
        })?;
        let spec = |link: &Manifest| SourceSpec::Backup {
            cluster: request.cluster.clone(),
            id: link.record.id.clone(),
        };
        let source = Source {
            name: wanted.record.id.clone(),
            cluster: request.cluster.clone(),
            repository: Some(self.repository.url().to_owned()),
            chain: chain.iter().map(|link| link.record.clone()).collect(),
            specs: chain.iter().map(spec).collect(),
        };
        let restored = self.workers.run_restore(plugin, source, &request.terms, observer)?;
        Ok(Done {
            used: chain.into_iter().map(|link| link.record.id).collect(),
            restored,
            transactions: 0,
        })
    }

    /// Restores an incremental that is made of log events: to exactly where it ends, from a backup by its engine and whatever logs lead
    /// there best. Its parents need not be among them.
    fn restore_with_logs(&self, request: &Request, wanted: &Manifest, observer: &mut dyn Observer) -> Result<Done> {
        let record = &wanted.record;
        if !request.terms.selection.is_everything() {
            return Err(Error::new(
                ErrorKind::Unsupported,
                format!(
                    "backup {} is made of log events, of which no single tables are restored",
                    record.id
                ),
            )
            .advise("use `backstay recover --tables …` with the point that is wanted"));
        }
        let point = end_of(record)?;
        let done = self.recover(
            &recover::Request {
                cluster: request.cluster.clone(),
                wanted: Wanted {
                    point,
                    origin: origin_of(&record.server.identity),
                },
                engine: Some(record.engine.name.clone()),
                terms: request.terms.clone(),
                log_options: Value::Object(serde_json::Map::new()),
            },
            observer,
        )?;
        let logs = done.plan.logs.iter().map(|step| step.source.name());
        Ok(Done {
            used: done.plan.chain.iter().cloned().chain(logs).collect(),
            transactions: done.transactions,
            restored: Restored {
                positions: done.positions,
                notices: done.notices,
            },
        })
    }
}

/// The point that a backup shows.
fn end_of(record: &BackupRecord) -> Result<RecoveryPoint> {
    let position = record.positions.first().ok_or_else(|| {
        Error::new(
            ErrorKind::Damaged,
            format!("backup {} does not say where it ends", record.id),
        )
        .advise("restore another backup")
    })?;
    let typed = position
        .typed()
        .map_err(|error| Error::new(ErrorKind::Damaged, format!("backup {}", record.id)).because(&error))?;
    Ok(match typed {
        TypedPosition::MysqlGtid(set) => RecoveryPoint::Gtid(GtidTarget::Mysql(set)),
        TypedPosition::MariadbGtid(position) => RecoveryPoint::Gtid(GtidTarget::Mariadb(position)),
        TypedPosition::BinlogFile(place) => RecoveryPoint::BinlogFile(place),
        _ => RecoveryPoint::Position {
            position: position.clone(),
        },
    })
}

impl Workers {
    /// Lets an engine restore something, and cleans up after it.
    pub(super) fn run_restore(
        &self,
        plugin: &Inspected,
        source: Source,
        terms: &Terms,
        observer: &mut dyn Observer,
    ) -> Result<Restored> {
        check_target(plugin, terms)?;
        options::check(plugin, &terms.options)?;
        if terms.needs_server(plugin).is_some() {
            return self.restore_into_served(plugin, source, terms, observer);
        }

        let engine = &plugin.manifest.name;
        let id = new_backup_id(Timestamp::now(), BackupKind::Full, engine).replace("-full-", "-restore-");
        let scratch = terms.scratch(&id)?;
        let threads = self.threads(terms.threads);
        let server = match &terms.target {
            Target::Server(server) => Some(server),
            Target::DataDir { .. } => None,
        };
        let assignment = Assignment {
            plugin: plugin_file(plugin)?,
            call: Call::Restore {
                job: job_spec(&id, &source.cluster, terms.options.clone(), scratch.path(), threads),
                target: terms.target.clone(),
                overwrite: terms.overwrite,
                selection: terms.selection.clone(),
                chain: source.chain,
            },
            repository: source.repository,
            sink: None,
            pieces: None,
            sources: source.specs,
            threads,
        };
        observer.stage(&format!("restoring {}", source.name));
        let ended = self.run_worker(assignment, terms.deadline, &mut Follower { observer })?;
        if ended.died || !ended.sessions.is_empty() {
            let killed = Killed {
                id: &id,
                cluster: &source.cluster,
                server,
                sessions: ended.sessions.iter().cloned().collect(),
                options: terms.options.clone(),
            };
            self.clean_up(plugin, killed);
        }
        serde_json::from_value(ended.result?)
            .map_err(|error| Error::other("the engine's answer has an unexpected shape").because(&error))
    }

    /// Lets an engine that knows servers alone restore into a private data directory: a server is made there meanwhile.
    fn restore_into_served(
        &self,
        plugin: &Inspected,
        source: Source,
        terms: &Terms,
        observer: &mut dyn Observer,
    ) -> Result<Restored> {
        let (Some((private, path, programs)), Some(record)) = (terms.needs_server(plugin), source.chain.last()) else {
            return Err(Error::other("there is nothing to restore, or nowhere to"));
        };
        observer.stage("making a private server");
        let serving = self.serve(
            private,
            Data {
                cluster: &source.cluster,
                path,
                programs,
                source: &record.server,
            },
        )?;
        let mut server = serving.server().clone();
        server.programs.extend(programs.iter().cloned());
        server.private = true;
        let inner = Terms {
            target: Target::Server(server),
            ..terms.clone()
        };
        let restored = self.run_restore(plugin, source, &inner, observer);
        let stopped = serving.stop();
        match restored {
            Ok(restored) => stopped.map(|()| restored),
            Err(error) => {
                // Another backup's restore begins with a new server, or needs an empty directory.
                let _ = std::fs::remove_dir_all(path);
                let error = error.detail("all that was on a private server, which is gone; the target is as it was");
                Err(match stopped {
                    Ok(()) => error,
                    Err(stopped) => error.detail(format!("the private server: {stopped}")),
                })
            }
        }
    }
}

/// Whether the engine can do it at all.
pub(super) fn check_target(plugin: &Inspected, terms: &Terms) -> Result<()> {
    let manifest = &plugin.manifest;
    let (kind, option) = match &terms.target {
        Target::Server(_) => (TargetKind::Server, "--to-server"),
        Target::DataDir { .. } => (TargetKind::DataDir, "--to-datadir"),
    };
    if !manifest.restores_to.contains(&kind) && terms.needs_server(plugin).is_none() {
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
    if !terms.selection.is_everything() && !manifest.selects_tables {
        return Err(Error::new(
            ErrorKind::Unsupported,
            format!(
                "engine `{}` restores backups as a whole, not single tables",
                manifest.name
            ),
        )
        .advise("restore all of it to another place, and copy the tables from there"));
    }
    if terms.selection.into_schema.is_some() && !manifest.renames_schema {
        return Err(Error::new(
            ErrorKind::Unsupported,
            format!("engine `{}` does not put tables into another schema", manifest.name),
        )
        .advise("restore them to another server, and copy them from there"));
    }
    if let Target::Server(server) = &terms.target
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

/// Passes a worker's progress on.
pub(super) struct Follower<'a> {
    pub(super) observer: &'a mut dyn Observer,
}

impl Watcher for Follower<'_> {
    fn progress(&mut self, progress: &Progress) {
        self.observer.progress(progress);
    }
}
