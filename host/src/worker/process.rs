//! The worker: loads one engine, runs one call, ends.
//!
//! When the supervisor dies, nobody is left to end the sessions that hold locks on the server. So a thread listens to
//! the supervisor all the time; once the line is dead it asks the engine to stop, ends the guarded sessions through the
//! engine's own `clean`, takes back what was written, and ends the process, whatever the engine is doing.

use std::io;
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use abi_stable::sabi_trait::TD_Opaque;
use backstay_engine_api::abi::v1::{HostApi_TO, HostPort};
use backstay_engine_api::wire::{Answer, Call, JobSpec, Target};
use backstay_engine_api::{EngineError, ErrorKind, Operation, Selection, Server};

use super::frame;
use super::pieces::Pieces;
use super::port::{Port, Shared, Stage};
use super::protocol::{Assignment, Order, Report, SinkSpec, SourceSpec};
use super::sources::{OpenBackup, Source, Sources};
use crate::directory::Directory;
use crate::pipeline::{BackupSink, BackupSource, Brake};
use crate::plugin::{self, LoadedEngine};
use crate::repository::index::IndexSummary;
use crate::repository::{Repository, layout};

/// The exit code of a worker that has said how its job went: zero whether it went well or not.
const SAID: i32 = 0;
/// The exit code of a worker that could not say anything.
const SPEECHLESS: i32 = 70;
/// How long an engine is given to stop by itself once the supervisor is gone.
const ORPHAN_GRACE: Duration = Duration::from_secs(3);
/// How long a worker without a supervisor lives at most, its engine's `clean` included: the server may not answer.
const ORPHAN_LIFE: Duration = Duration::from_secs(60);

/// Runs the job that comes over standard input. Does not return.
pub fn main() -> ! {
    let code = match take_over_stdin().and_then(run) {
        Ok(()) => SAID,
        Err(error) => {
            eprintln!("backstay worker: {error}");
            SPEECHLESS
        }
    };
    process::exit(code)
}

/// The socket that standard input is; in its place the engine and its programs get an empty one.
fn take_over_stdin() -> io::Result<UnixStream> {
    let line = UnixStream::from(io::stdin().as_fd().try_clone_to_owned()?);
    let null = std::fs::File::open("/dev/null")?;
    rustix::stdio::dup2_stdin(&null)?;
    Ok(line)
}

fn run(line: UnixStream) -> io::Result<()> {
    let mut incoming = line.try_clone()?;
    let Ok(Some(Order::Assign(assignment))) = frame::read(&mut incoming) else {
        return Err(io::Error::other(
            "started by hand; it is a part of `backstay` and is given its job by it",
        ));
    };
    let mut outgoing = line.try_clone()?;
    let mut prepared = match Prepared::new(*assignment, line) {
        Ok(prepared) => prepared,
        Err(error) => {
            return frame::write(
                &mut outgoing,
                &Report::Done {
                    answer: Answer::Error(error),
                    index: None,
                },
            );
        }
    };
    let done = Arc::new(AtomicBool::new(false));
    let listener = prepared.listener(incoming, Arc::clone(&done));
    let (answer, index) = prepared.work();
    done.store(true, Ordering::SeqCst);
    prepared.shared.progress(true, |_| {});
    prepared.shared.report(&Report::Done { answer, index });
    if prepared.shared.orphaned() {
        // It ends the sessions that are left, and then this process.
        let _ = listener.join();
    }
    Ok(())
}

/// All that a call needs.
struct Prepared {
    shared: Arc<Shared>,
    engine: Arc<LoadedEngine>,
    call: Call,
    threads: usize,
    written: Option<Written>,
    // Last, so that it outlives the sink and the sources, which run on it.
    _runtime: Arc<tokio::runtime::Runtime>,
}

impl Prepared {
    fn new(assignment: Assignment, line: UnixStream) -> Result<Self, EngineError> {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .map_err(|error| EngineError::other("can not start the worker's runtime").because(&error))?;
        let Assignment {
            plugin,
            call,
            repository,
            sink,
            pieces,
            sources,
            threads,
        } = assignment;
        let repository = repository
            .map(|url| Repository::open(&url, runtime.handle()))
            .transpose()?;
        let needed = || {
            repository
                .as_ref()
                .ok_or_else(|| EngineError::other("the job needs a repository and was given none"))
        };
        let sink = sink
            .map(|spec| open_sink(needed()?.clone(), &runtime, spec))
            .transpose()?;
        let (sink, written) = sink.unzip();
        let pieces = pieces.map(|spec| Pieces::new(spec, runtime.handle().clone()));
        let sources = sources
            .into_iter()
            .map(|spec| match spec {
                SourceSpec::Backup { cluster, id } => {
                    open_backup(needed()?, &runtime, &cluster, id).map(Source::Backup)
                }
                SourceSpec::Segment { cluster, stream, name } => {
                    open_segment(needed()?, &runtime, &cluster, &stream, &name).map(Source::Backup)
                }
                SourceSpec::Directory { path } => Directory::open(&path).map(Source::Directory),
            })
            .collect::<Result<_, _>>()?;
        let engine = plugin::load(&plugin.path, &plugin.name, Some(&plugin.digest))?;
        Ok(Self {
            shared: Arc::new(Shared::new(line, sink, pieces, Sources::new(sources))),
            engine: Arc::new(engine),
            call,
            threads,
            written,
            _runtime: Arc::new(runtime),
        })
    }

    /// Verifies what is to be read, makes the call, closes what was written.
    fn work(&self) -> (Answer, Option<IndexSummary>) {
        if let Err(error) = self.reach().and_then(|()| self.verify()) {
            return (Answer::Error(error), None);
        }
        if !self.shared.start() {
            return (Answer::Error(EngineError::cancelled()), None);
        }
        self.shared.report(&Report::Started);
        let answer = self.engine.call(&self.call, self.port());
        // Without a sink there is no index; a sink that is dropped unclosed takes back what is on its way.
        let sink = self.shared.take_sink();
        if let (Answer::Ok(_), Some(fault)) = (&answer, self.shared.fault()) {
            let fault = fault.detail("the engine went on in spite of it, which it must not");
            return (Answer::Error(fault), None);
        }
        match (&answer, sink) {
            (Answer::Ok(_), Some(sink)) if !self.shared.is_archive() => match sink.close() {
                Ok(index) => (answer, Some(index)),
                Err(error) => (Answer::Error(error), None),
            },
            _ => (answer, None),
        }
    }

    /// Reaches the server that something is restored to. Verifying a large backup takes long, and a wrong password is to be said
    /// before, not after.
    fn reach(&self) -> Result<(), EngineError> {
        let (Call::Restore { job, target, .. } | Call::Recover { job, target, .. }) = &self.call else {
            return Ok(());
        };
        let Target::Server(server) = target else {
            return Ok(());
        };
        let probe = Call::Probe {
            job: job.clone(),
            server: server.clone(),
        };
        match self.engine.call(&probe, self.port()) {
            Answer::Error(error) if error.kind == ErrorKind::Connection => Err(error),
            // Whatever else a probe may find, such as a privilege that is missing, is about a server that is to be backed up.
            _ => Ok(()),
        }
    }

    fn verify(&self) -> Result<(), EngineError> {
        let everything = Selection::default();
        let selection = match &self.call {
            Call::Restore { target, .. } if has_nothing_to_lose(target) => {
                self.shared.sources().verify_while_read();
                return Ok(());
            }
            Call::Restore { selection, .. } => selection,
            Call::Recover { .. } | Call::Check { .. } => &everything,
            _ => return Ok(()),
        };
        self.shared
            .progress(true, |progress| progress.doing = Some("verifying".to_owned()));
        let result = self.shared.sources().verify(selection, self.threads, &|bytes| {
            self.shared.progress(false, |progress| progress.bytes += bytes);
        });
        self.shared
            .progress(true, |progress| *progress = super::protocol::Progress::default());
        result
    }

    fn port(&self) -> HostPort {
        HostApi_TO::from_value(Port(Arc::clone(&self.shared)), TD_Opaque)
    }

    /// The thread that hears the supervisor, and acts when it is gone.
    fn listener(&mut self, mut incoming: UnixStream, done: Arc<AtomicBool>) -> thread::JoinHandle<()> {
        let shared = Arc::clone(&self.shared);
        let engine = Arc::clone(&self.engine);
        let (job, server) = about(&self.call);
        let port = self.port();
        let written = self.written.take();
        thread::spawn(move || {
            loop {
                match frame::read::<Order>(&mut incoming) {
                    Ok(Some(Order::Cancel)) => {
                        if shared.cancel() == Stage::Preparing {
                            // The engine has not begun: there is nothing to put in order, and no use in verifying on.
                            let answer = Answer::Error(EngineError::cancelled());
                            shared.report(&Report::Done { answer, index: None });
                            process::exit(SAID);
                        }
                    }
                    Ok(Some(Order::Reply { question, answer })) => shared.reply(question, answer),
                    Ok(Some(Order::Assign(_))) => {}
                    Ok(None) | Err(_) => break,
                }
            }
            shared.hang_up();
            if done.load(Ordering::SeqCst) {
                return;
            }
            thread::spawn(|| {
                thread::sleep(ORPHAN_LIFE);
                end_with_all();
            });
            orphaned(&shared, &engine, port, job, server, written, &done);
            end_with_all();
        })
    }
}

/// What the worker of a backup writes.
struct Written {
    repository: Repository,
    cluster: String,
    id: String,
    brake: Brake,
}

impl Written {
    /// Removes it. The next job does so too, but may have come while this one still wrote.
    fn take_back(self) {
        // Nobody is left to tell of an error; `verify` names what is left.
        let _ = self.repository.clear_unfinished(&self.cluster, &self.id);
    }
}

/// Whether a restore that ends half-way costs nothing: into a data directory that is empty, or not there.
fn has_nothing_to_lose(target: &Target) -> bool {
    let Target::DataDir { path, .. } = target else {
        return false;
    };
    match std::fs::read_dir(path) {
        Ok(mut entries) => entries.next().is_none(),
        Err(error) => error.kind() == std::io::ErrorKind::NotFound,
    }
}

/// Ends this process and the programs that the engine started: they are in its group.
fn end_with_all() -> ! {
    let _ = rustix::process::kill_process_group(rustix::process::getpgrp(), rustix::process::Signal::KILL);
    process::exit(SPEECHLESS)
}

/// The supervisor is gone: stop, and leave no session behind, and nothing of a backup that will be none.
fn orphaned(
    shared: &Shared,
    engine: &LoadedEngine,
    port: HostPort,
    job: JobSpec,
    server: Option<Server>,
    written: Option<Written>,
    done: &AtomicBool,
) {
    shared.cancel();
    // An engine that can not write ends soon.
    if let Some(written) = &written {
        written.brake.pull();
    }
    let patience = Instant::now() + ORPHAN_GRACE;
    while Instant::now() < patience && !done.load(Ordering::SeqCst) {
        thread::sleep(Duration::from_millis(20));
    }
    // Beside the cleaning, which waits for a server that may not answer.
    let taking_back = written.map(|written| thread::spawn(|| written.take_back()));
    let sessions = shared.guarded();
    let scratch = job.scratch.clone();
    if engine.inspected.manifest.has(Operation::Clean) && !sessions.is_empty() {
        let killed = job.id.clone();
        // Nobody is left to tell of an error; the next job cleans up again, by what the lock has on record.
        let _ = engine.call(
            &Call::Clean {
                job,
                server,
                killed,
                sessions,
            },
            port,
        );
    }
    // The supervisor, who made it, can not remove it any more.
    if !scratch.as_os_str().is_empty() {
        let _ = std::fs::remove_dir_all(scratch);
    }
    if let Some(taking_back) = taking_back {
        let _ = taking_back.join();
    }
}

/// The scratch directory of a call's job.
pub(super) fn scratch_of(call: &Call) -> PathBuf {
    about(call).0.scratch
}

/// The job of a call, and the server that it works on.
fn about(call: &Call) -> (JobSpec, Option<Server>) {
    let of_target = |target: &Target| match target {
        Target::Server(server) => Some(server.clone()),
        Target::DataDir { .. } => None,
    };
    match call {
        Call::Probe { job, server }
        | Call::FullBackup { job, server }
        | Call::IncrementalBackup { job, server, .. }
        | Call::ArchiveLog { job, server, .. } => (job.clone(), Some(server.clone())),
        Call::Restore { job, target, .. } | Call::Recover { job, target, .. } | Call::Check { job, target, .. } => {
            (job.clone(), of_target(target))
        }
        Call::Clean { job, server, .. } => (job.clone(), server.clone()),
        Call::Compare { job, server, .. } => (job.clone(), Some(server.clone())),
        Call::Remove { job, .. } | Call::Serve { job, .. } => (job.clone(), None),
        _ => (
            JobSpec {
                scratch: PathBuf::new(),
                ..JobSpec::default()
            },
            None,
        ),
    }
}

fn open_sink(
    repository: Repository,
    runtime: &tokio::runtime::Runtime,
    spec: SinkSpec,
) -> Result<(BackupSink, Written), EngineError> {
    let SinkSpec { cluster, id, options } = spec;
    let base = repository.paths(&cluster, &id)?.directory;
    let sink = BackupSink::new(repository.destination(base), runtime.handle().clone(), options)?;
    let written = Written {
        brake: sink.brake(),
        repository,
        cluster,
        id,
    };
    Ok((sink, written))
}

fn open_backup(
    repository: &Repository,
    runtime: &tokio::runtime::Runtime,
    cluster: &str,
    id: String,
) -> Result<OpenBackup, EngineError> {
    let index = repository.read_index(&repository.backup(cluster, &id)?)?;
    let base = repository.paths(cluster, &id)?.directory;
    let store = repository.object_store().clone();
    Ok(OpenBackup::new(
        format!("backup {id}"),
        BackupSource::open(store, base, runtime.handle().clone(), Arc::new(index)),
    ))
}

fn open_segment(
    repository: &Repository,
    runtime: &tokio::runtime::Runtime,
    cluster: &str,
    stream: &str,
    name: &str,
) -> Result<OpenBackup, EngineError> {
    let index = repository.read_segment_index(cluster, stream, name)?;
    let base = layout::segment(cluster, stream, name)?;
    let store = repository.object_store().clone();
    Ok(OpenBackup::new(
        format!("segment {name} of log {stream}"),
        BackupSource::open(store, base, runtime.handle().clone(), Arc::new(index)),
    ))
}
