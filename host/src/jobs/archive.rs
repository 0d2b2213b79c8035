//! Archiving a cluster's log, without end.
//!
//! A worker reads the log and writes segments into the spool, on this machine; the supervisor makes them part of the log in
//! the repository ([`keeper`]). Whatever ends a worker (the server restarts, another member becomes the primary, the engine
//! is killed) the next one goes on where the archive ends, after a pause, on the member that suits best then.

mod keeper;
mod resume;
mod spool;
mod status;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use backstay_engine_api::job::ArchiveSpec;
use backstay_engine_api::wire::Call;
use backstay_engine_api::{Operation, Server, ServerFacts};
use jiff::Timestamp;
use serde_json::Value;

pub use keeper::Archived;
pub use status::{LogStatus, Running, State, Status};

use super::clean::Killed;
use super::{Host, Observer, engine_ref, job_spec, options, plugin_file, scratch, sweep_scratch};
use crate::config::{Cluster, Member};
use crate::error::{Error, ErrorKind, Result};
use crate::pipeline::{Bundling, SinkOptions};
use crate::plugin::Inspected;
use crate::repository::{DeadJob, JobRef, Lock, Purpose, new_log_id};
use crate::worker::protocol::{Assignment, PiecesSpec};
use keeper::{Keeper, Parts};
use spool::Spool;

/// How long to wait before a worker is started again: at first, and at last.
const PAUSE: (Duration, Duration) = (Duration::from_millis(500), Duration::from_secs(10));
/// How much memory the bytes of a segment may take on their way: it may be as large as a transaction is.
const MEMORY: usize = 48 << 20;
/// How much is compressed at once.
const FRAME: usize = 1 << 20;

/// An archive that is asked for.
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
    /// The member to read from; `None` to choose by the cluster's rules.
    pub member: Option<String>,
    /// Close a segment at this size, in bytes.
    pub segment_bytes: u64,
    /// Close a segment at this age.
    pub segment_age: Duration,
    /// Stop once the archive has what the server's log has.
    pub once: bool,
    /// The directory of all spools.
    pub spool: PathBuf,
    /// How many bytes may wait there.
    pub spool_bytes: u64,
    /// How many threads to keep busy; `None` for one.
    pub threads: Option<usize>,
    /// Compression and throttle.
    pub sink: SinkOptions,
}

impl Host {
    /// Archives a cluster's log until it is interrupted, or until it has caught up if that is asked for.
    ///
    /// # Errors
    /// Another archives the cluster ([`ErrorKind::Refused`]), or what keeps it from going on does not pass by itself. What
    /// was archived until then is.
    pub fn archive(&self, request: &Request, observer: &mut dyn Observer) -> Result<Archived> {
        let plugin = self.workers.engine(&request.engine, Operation::ArchiveLog)?;
        options::check(plugin, &request.options)?;
        let cluster = self.config.cluster(&request.cluster)?;
        let id = new_log_id(Timestamp::now(), &plugin.manifest.name);
        let job = JobRef {
            id: id.clone(),
            engine: plugin.manifest.name.clone(),
            workflow: request.workflow.clone(),
        };
        let (lock, dead) = self.repository.lock(&request.cluster, Purpose::Archive, job)?;
        for dead in dead {
            self.clear_up_after(cluster, &dead, &lock);
        }
        let place = Spool::place(&request.spool, &request.cluster, self.repository.url());
        let mut spool = Spool::open(place, request.spool_bytes)?;
        let end = resume::end(&self.repository, &request.cluster, &mut spool)?;
        observer.stage(&format!(
            "archiving the log of {}; while the repository is away, up to {} MiB wait in {}",
            request.cluster,
            request.spool_bytes.div_ceil(1 << 20),
            spool.directory().display()
        ));
        let keeper = Keeper::new(Parts {
            repository: &self.repository,
            lock: &lock,
            cluster: &request.cluster,
            job: &id,
            engine: engine_ref(plugin)?,
            spool,
            end,
            interrupt: self.workers.interrupt.clone(),
            observer,
        });
        let mut archive = Archiving {
            host: self,
            request,
            plugin,
            cluster,
            keeper,
            skipped: BTreeSet::new(),
            refusing: BTreeSet::new(),
        };
        let result = archive.run();
        let archived = archive.keeper.finish();
        // A lock that can not be released expires.
        lock.release().unwrap_or_else(|error| tracing::warn!("{error}"));
        result.map(|()| archived)
    }

    /// Segments of a cluster's log that are whole and not in the repository yet: how many, and where on this machine they wait. None if
    /// there are none.
    pub fn segments_waiting(&self, cluster: &str, spool: &Path) -> Option<(usize, PathBuf)> {
        let place = Spool::place(spool, cluster, self.repository.url());
        let waiting = Spool::count(&place);
        (waiting > 0).then_some((waiting, place))
    }

    fn clear_up_after(&self, cluster: &Cluster, dead: &DeadJob, lock: &Lock) {
        tracing::warn!("job {} was killed; cleaning up after it", dead.job.id);
        sweep_scratch(&dead.job.id);
        if !dead.sessions.is_empty()
            && let Ok(plugin) = self.workers.plugins.find(&dead.job.engine)
        {
            let member = cluster
                .members
                .iter()
                .find(|member| dead.server.as_ref() == Some(&member.name));
            let server = member.and_then(|member| self.config.member_server(member).ok());
            let _ = self.workers.clean_up(
                plugin,
                Killed {
                    id: &dead.job.id,
                    cluster: &cluster.name,
                    server: server.as_ref(),
                    sessions: dead.sessions.clone(),
                    options: Value::Object(serde_json::Map::new()),
                },
            );
        }
        if let Err(error) = lock.cleaned(&dead.job.id) {
            tracing::warn!("{error}");
        }
    }
}

/// An archive that runs.
struct Archiving<'a> {
    host: &'a Host,
    request: &'a Request,
    plugin: &'a Inspected,
    cluster: &'a Cluster,
    keeper: Keeper<'a>,
    /// Members that have not got what the archive goes on with.
    skipped: BTreeSet<String>,
    /// Members that refuse for good, such as one that logs nothing.
    refusing: BTreeSet<String>,
}

impl Archiving<'_> {
    fn run(&mut self) -> Result<()> {
        let mut pause = PAUSE.0;
        let mut ever = false;
        loop {
            // What a former process left may be all that there is to do.
            self.keeper.drain(false)?;
            self.keeper.progressed = false;
            self.keeper.lacking = false;
            let result = self.follow();
            if let Some(fatal) = self.keeper.fatal() {
                return Err(fatal);
            }
            let error = match result {
                Ok(()) => return Ok(()),
                Err(_) if self.keeper.interrupted() => return Ok(()),
                Err(error) => error,
            };
            if self.keeper.progressed {
                (pause, ever) = (PAUSE.0, true);
                self.skipped.clear();
                self.keeper.accept_gap = false;
            }
            if self.keeper.lacking {
                self.skipped.insert(self.keeper.member.clone());
                tracing::warn!("{error}");
                continue;
            }
            if error.kind == ErrorKind::Refused && self.request.member.is_none() {
                self.refusing.insert(self.keeper.member.clone());
                if self.refusing.len() < self.cluster.members.len() {
                    tracing::warn!("{error}");
                    continue;
                }
            }
            let hopeless = match error.kind {
                ErrorKind::Usage | ErrorKind::Unsupported | ErrorKind::Refused => true,
                // An account that has lost a privilege may get it back.
                ErrorKind::Privilege => !ever,
                _ => false,
            };
            if hopeless || (self.request.once && self.skipped.is_empty()) {
                return Err(error);
            }
            if !self.skipped.is_empty() {
                // Of the others, none can be asked: the gap is one.
                self.accept();
                continue;
            }
            tracing::warn!("{error}; trying again in {} s", pause.as_secs_f64());
            self.keeper.now(State::Retrying, Some(&error));
            self.wait(pause)?;
            if self.keeper.interrupted() {
                return Ok(());
            }
            pause = (pause * 2).min(PAUSE.1);
        }
    }

    fn accept(&mut self) {
        self.skipped.clear();
        self.keeper.accept_gap = true;
    }

    /// Runs one worker on the member that suits best.
    fn follow(&mut self) -> Result<()> {
        let left = |skipped: &BTreeSet<String>| -> Vec<Member> {
            let members = self.cluster.members.iter();
            let left =
                members.filter(|member| !skipped.contains(&member.name) && !self.refusing.contains(&member.name));
            left.cloned().collect()
        };
        let mut members = left(&self.skipped);
        if members.is_empty() {
            members = left(&BTreeSet::new());
            self.accept();
        }
        let candidates = Cluster {
            members,
            ..self.cluster.clone()
        };
        if self.cluster.members.len() == 1 || self.request.member.is_some() {
            self.keeper.accept_gap = true;
        }
        let named = self.request.member.as_deref();
        let (member, server) = self
            .host
            .choose_member(&candidates, self.plugin, named, &self.request.options)
            // That nobody can be asked passes.
            .map_err(|error| match error.kind {
                ErrorKind::Refused => Error {
                    kind: ErrorKind::Connection,
                    ..error
                },
                _ => error,
            })?;
        self.keeper.member.clone_from(&member.name);
        self.keeper.facts = self.facts(&server)?;
        self.run_worker(server)
    }

    fn facts(&self, server: &Server) -> Result<ServerFacts> {
        if !self.plugin.manifest.has(Operation::Probe) {
            return Ok(ServerFacts::default());
        }
        let (cluster, options) = (&self.request.cluster, &self.request.options);
        self.host.probe(cluster, self.plugin, server.clone(), options)
    }

    fn run_worker(&mut self, server: Server) -> Result<()> {
        let job = self.keeper.job;
        let scratch = scratch(job)?;
        let threads = self.request.threads.unwrap_or(1).max(1);
        let pieces = self.keeper.spool.open_directory(job)?;
        self.keeper.pieces.clone_from(&pieces);
        let options = self.request.options.clone();
        let assignment = Assignment {
            plugin: plugin_file(self.plugin)?,
            call: Call::ArchiveLog {
                job: job_spec(job, &self.request.cluster, options, scratch.path(), threads),
                server,
                archive: ArchiveSpec {
                    after: self.keeper.end.to.clone(),
                    source: self.keeper.end.source.clone(),
                    state: self.keeper.end.state.clone(),
                    segment_bytes: self.request.segment_bytes,
                    segment_seconds: self.request.segment_age.as_secs().max(1),
                    once: self.request.once,
                },
            },
            repository: None,
            sink: None,
            pieces: Some(PiecesSpec {
                directory: pieces.clone(),
                options: SinkOptions {
                    threads,
                    memory_bytes: MEMORY,
                    frame_bytes: FRAME,
                    bundling: Bundling::Never,
                    ..self.request.sink.clone()
                },
            }),
            sources: Vec::new(),
            threads,
        };
        self.keeper.worker_begins();
        let ended = self.host.workers.run_worker(assignment, None, &mut self.keeper);
        // What was not published is read again.
        let _ = std::fs::remove_dir_all(&pieces);
        ended?.result?;
        self.keeper.begin_after_backup()
    }

    /// Waits, and goes on publishing meanwhile.
    fn wait(&mut self, pause: Duration) -> Result<()> {
        let until = Instant::now() + pause;
        while Instant::now() < until && !self.keeper.interrupted() {
            std::thread::sleep(Duration::from_millis(50));
            self.keeper.drain(false)?;
        }
        Ok(())
    }
}
