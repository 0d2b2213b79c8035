//! Taking a backup.

use std::collections::BTreeSet;
use std::time::Duration;

use backstay_engine_api::wire::Call;
use backstay_engine_api::{BackupKind, BackupRecord, Operation, Outcome, Position, Server, Usable};
use jiff::Timestamp;
use serde_json::Value;

use super::clean::{Cleaned, Killed};
use super::{Host, Observer, engine_ref, job_spec, options, plugin_file, scratch, seconds, sweep_scratch};
use crate::error::{Error, ErrorKind, Result};
use crate::pipeline::SinkOptions;
use crate::plugin::Inspected;
use crate::repository::index::IndexSummary;
use crate::repository::{DeadJob, IndexRef, JobRef, Lock, Manifest, Purpose, layout, new_backup_id};
use crate::worker::protocol::{Assignment, Progress, SinkSpec};
use crate::worker::supervisor::{Ended, Watcher};

/// A backup that is asked for.
#[derive(Debug, Clone)]
pub struct Request {
    /// The cluster.
    pub cluster: String,
    /// The workflow that asks for it, if one does.
    pub workflow: Option<String>,
    /// The engine.
    pub engine: String,
    /// Its options.
    pub options: Value,
    /// An incremental, on top of this backup (an id, `latest` or `auto`) or of all since this position; `None` for a full one.
    pub parent: Option<String>,
    /// The member to back up from; `None` to choose by the cluster's rules.
    pub member: Option<String>,
    /// Stop after this time.
    pub deadline: Option<Duration>,
    /// How many threads to keep busy; `None` for as many as there are processors.
    pub threads: Option<usize>,
    /// Compression, bundling, throttle.
    pub sink: SinkOptions,
}

/// What came of it.
#[derive(Debug)]
pub enum Taken {
    /// A backup.
    Backup(Box<Manifest>),
    /// Nothing is new since the parent: no backup.
    Empty {
        /// The parent, which has everything; or the position.
        parent: String,
        /// Where the server stands.
        positions: Vec<Position>,
    },
}

impl Host {
    /// Takes a backup.
    ///
    /// # Errors
    /// Anything that keeps the backup from being whole; then there is none.
    pub fn backup(&self, request: &Request, observer: &mut dyn Observer) -> Result<Taken> {
        let operation = if request.parent.is_some() {
            Operation::IncrementalBackup
        } else {
            Operation::FullBackup
        };
        let plugin = self.workers.engine(&request.engine, operation)?;
        options::check(plugin, &request.options)?;
        let cluster = self.config.cluster(&request.cluster)?;
        let parent = request
            .parent
            .as_ref()
            .map(|name| self.parent(&request.cluster, name, plugin))
            .transpose()?;

        let kind = if parent.is_some() {
            BackupKind::Incremental
        } else {
            BackupKind::Full
        };
        let started = Timestamp::now();
        let id = new_backup_id(started, kind, &plugin.manifest.name);
        let job = JobRef {
            id: id.clone(),
            engine: plugin.manifest.name.clone(),
            workflow: request.workflow.clone(),
        };
        let (lock, dead) = self.repository.lock(&request.cluster, Purpose::Backup, job)?;
        for dead in dead {
            self.bury(&request.cluster, &dead, &lock);
        }
        let (member, server) = self.choose_member(cluster, plugin, request.member.as_deref(), &request.options)?;
        let parent = parent
            .map(|parent| self.parent_record(&request.cluster, parent, plugin, &server, &request.options))
            .transpose()?;
        observer.stage(&format!("backing up {} from {}", request.cluster, server.name));

        let cleaned = Cleaned::Yes;
        let mut making = Making {
            host: self,
            request,
            plugin,
            lock,
            id,
            started,
            parent,
            observer,
            cleaned,
        };
        let taken = making.run(&member.name, server);
        let Making { lock, id, cleaned, .. } = making;
        if !matches!(taken, Ok(Taken::Backup(_))) {
            self.discard(&request.cluster, &id);
        }
        match cleaned {
            // A lock that can not be released expires; the backup is there all the same.
            Cleaned::Yes => lock.release().unwrap_or_else(|error| tracing::warn!("{error}")),
            // Dropped without a release, it hands the job's sessions on to the next holder.
            Cleaned::NotYet => drop(lock),
        }
        taken
    }

    /// Cleans up after a job whose process is gone: its sessions on the server, and its data in the repository.
    fn bury(&self, cluster: &str, dead: &DeadJob, lock: &Lock) {
        tracing::warn!("job {} was killed; cleaning up after it", dead.job.id);
        sweep_scratch(&dead.job.id);
        let server = match self.server_of(cluster, dead) {
            Ok(server) => server,
            Err(error) => {
                // The next job tries again: what is noted of the sessions stays.
                tracing::warn!("its sessions can not be ended: {error}");
                return self.discard(cluster, &dead.job.id);
            }
        };
        let Ok(plugin) = self.workers.plugins.find(&dead.job.engine) else {
            tracing::warn!(
                "its engine `{}` is not here any more, so that only its data is deleted",
                dead.job.engine
            );
            return self.discard(cluster, &dead.job.id);
        };
        let cleaned = {
            let killed = Killed {
                id: &dead.job.id,
                cluster,
                server: server.as_ref(),
                sessions: dead.sessions.clone(),
                options: Value::Object(serde_json::Map::new()),
            };
            self.workers.clean_up(plugin, killed)
        };
        self.discard(cluster, &dead.job.id);
        if cleaned == Cleaned::Yes
            && let Err(error) = lock.cleaned(&dead.job.id)
        {
            tracing::warn!("{error}");
        }
    }

    /// The server that a dead job had its sessions on, if it is still in the configuration.
    fn server_of(&self, cluster: &str, dead: &DeadJob) -> Result<Option<Server>> {
        let Some(name) = &dead.server else {
            return Ok(None);
        };
        let members = self.config.clusters.get(cluster).map(|cluster| &cluster.members);
        match members.into_iter().flatten().find(|member| member.name == *name) {
            Some(member) => Ok(Some(self.config.member_server(member)?)),
            None if dead.sessions.is_empty() => Ok(None),
            None => {
                tracing::warn!(
                    "the configuration has no server {name} any more: if sessions of the job are still there, they may hold locks, and \
                     nobody ends them"
                );
                Ok(None)
            }
        }
    }

    /// Deletes what a job has written that became no backup.
    fn discard(&self, cluster: &str, id: &str) {
        if let Err(error) = self.repository.clear_unfinished(cluster, id) {
            tracing::warn!("what job {id} has written could not be deleted: {error}; `backstay verify` names it");
        }
    }
}

/// A backup in the making.
struct Making<'a> {
    host: &'a Host,
    request: &'a Request,
    plugin: &'a Inspected,
    lock: Lock,
    id: String,
    started: Timestamp,
    parent: Option<BackupRecord>,
    observer: &'a mut dyn Observer,
    /// Whether the job has left nothing on the server.
    cleaned: Cleaned,
}

impl Making<'_> {
    fn run(&mut self, member: &str, server: Server) -> Result<Taken> {
        let scratch = scratch(&self.id)?;
        let threads = self.host.workers.threads(self.request.threads);
        let job = job_spec(
            &self.id,
            &self.request.cluster,
            self.request.options.clone(),
            scratch.path(),
            threads,
        );
        let call = match self.parent.clone() {
            None => Call::FullBackup {
                job,
                server: server.clone(),
            },
            Some(parent) => Call::IncrementalBackup {
                job,
                server: server.clone(),
                parent: Box::new(parent),
            },
        };
        let sink = SinkSpec {
            cluster: self.request.cluster.clone(),
            id: self.id.clone(),
            options: SinkOptions {
                threads,
                ..self.request.sink.clone()
            },
        };
        let assignment = Assignment {
            plugin: plugin_file(self.plugin)?,
            call,
            repository: Some(self.host.repository.url().to_owned()),
            sink: Some(sink),
            pieces: None,
            sources: Vec::new(),
            threads,
        };
        let mut noter = Noter {
            lock: &self.lock,
            member,
            observer: &mut *self.observer,
        };
        let ended = self
            .host
            .workers
            .run_worker(assignment, self.request.deadline, &mut noter)?;
        self.clean(&ended, &server);
        let outcome: Outcome = serde_json::from_value(ended.result?)
            .map_err(|error| Error::other("the engine's outcome has an unexpected shape").because(&error))?;
        match outcome {
            Outcome::Usable(usable) => self.commit(usable, ended.index),
            Outcome::Empty { positions } => match &self.parent {
                Some(parent) => Ok(Taken::Empty {
                    parent: match parent.positions.first() {
                        Some(position) if parent.is_position() => position.value.clone(),
                        _ => parent.id.clone(),
                    },
                    positions,
                }),
                None => Err(Error::other(format!(
                    "engine `{}` says that a full backup has nothing new, which only an incremental can have",
                    self.plugin.manifest.name
                ))
                .advise("report it to the engine's vendor")),
            },
        }
    }

    fn clean(&mut self, ended: &Ended, server: &Server) {
        if !ended.died && ended.sessions.is_empty() {
            return;
        }
        let killed = Killed {
            id: &self.id,
            cluster: &self.request.cluster,
            server: Some(server),
            sessions: ended.sessions.iter().cloned().collect(),
            options: self.request.options.clone(),
        };
        self.cleaned = self.host.workers.clean_up(self.plugin, killed);
    }

    /// Makes a backup of what was written.
    fn commit(&mut self, usable: Usable, index: Option<IndexSummary>) -> Result<Taken> {
        let index = index.ok_or_else(|| Error::other("the worker did not say what it has written"))?;
        self.observer.stage("making it a backup");
        let manifest = manifest_of(
            self.plugin,
            Made {
                id: self.id.clone(),
                cluster: self.request.cluster.clone(),
                workflow: self.request.workflow.clone(),
                kind: if self.parent.is_some() {
                    BackupKind::Incremental
                } else {
                    BackupKind::Full
                },
                parent: self
                    .parent
                    .as_ref()
                    .filter(|parent| !parent.is_position())
                    .map(|parent| parent.id.clone()),
                started: self.started,
                usable,
                index,
            },
        )?;
        self.host
            .repository
            .commit(&manifest, &self.lock)
            .map_err(|error| match error.kind {
                ErrorKind::Refused => error,
                _ => error.detail("no backup was made"),
            })?;
        Ok(Taken::Backup(Box::new(manifest)))
    }
}

/// What a job has written that becomes a backup.
pub(super) struct Made {
    pub(super) id: String,
    pub(super) cluster: String,
    pub(super) workflow: Option<String>,
    pub(super) kind: BackupKind,
    /// The id of the backup that it stands on.
    pub(super) parent: Option<String>,
    pub(super) started: Timestamp,
    pub(super) usable: Usable,
    pub(super) index: IndexSummary,
}

/// The manifest of what an engine has written.
pub(super) fn manifest_of(plugin: &Inspected, made: Made) -> Result<Manifest> {
    let Made {
        id,
        cluster,
        workflow,
        kind,
        parent,
        started,
        usable,
        index,
    } = made;
    let record = BackupRecord {
        id,
        cluster,
        workflow,
        engine: engine_ref(plugin)?,
        kind,
        parent,
        server: usable.server,
        positions: usable.positions,
        from: usable.from,
        started: seconds(started),
        finished: seconds(Timestamp::now()),
        objects: index.objects,
        bytes: index.bytes,
        stored_bytes: index.stored_bytes,
        partial: usable.partial,
        notices: usable.notices,
        log: usable.log,
        state: usable.state,
        other: serde_json::Map::new(),
    };
    let index = IndexRef {
        file: layout::INDEX.to_owned(),
        sha256: index.sha256,
        length: index.length,
        data_files: index.files,
        data_bytes: index.stored_bytes,
        other: serde_json::Map::new(),
    };
    Ok(Manifest::new(record, index))
}

/// Notes guarded sessions in the lock, where the next job finds them should this one be killed.
struct Noter<'a> {
    lock: &'a Lock,
    member: &'a str,
    observer: &'a mut dyn Observer,
}

impl Watcher for Noter<'_> {
    fn guarded(&mut self, sessions: &BTreeSet<String>) -> Result<()> {
        let sessions: Vec<String> = sessions.iter().cloned().collect();
        self.lock.note_sessions(&sessions, self.member)
    }

    fn progress(&mut self, progress: &Progress) {
        self.observer.progress(progress);
    }
}
