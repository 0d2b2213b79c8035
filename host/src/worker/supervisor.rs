//! The supervisor: starts a worker, hands it its job, answers it, and judges how it ended.
//!
//! Whatever a plug-in does (crash, hang, print without end, end the process), what comes out here is one of three
//! things: what the engine answered, an error that says how the worker died, or that the job was stopped.

mod death;

use std::collections::BTreeSet;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use backstay_engine_api::job::{ArchiveStatus, Segment};
use backstay_engine_api::wire::Answer;
use backstay_engine_api::{EngineError, ErrorKind, Position, Server};
use tokio::process::{Child, Command};
use tokio::sync::mpsc;
use tokio::time::Instant;

use super::frame;
use super::output::{self, Printed};
use super::process::scratch_of;
use super::protocol::{Assignment, Order, Piece, Progress, Question, Report, WORKER_ARGUMENT};
use crate::repository::index::IndexSummary;

/// How long an engine is usually given to stop by itself when it is asked to.
pub const GRACE: Duration = Duration::from_secs(10);
/// How long a worker whose job is over may take to end.
const PARTING: Duration = Duration::from_secs(5);

/// How often the supervisor's owner is told that time passes.
const TICK: Duration = Duration::from_secs(1);

/// What the supervisor's owner is told while a worker runs.
pub trait Watcher: Send {
    /// The sessions that are guarded have changed. On an error the engine is told so, and takes no lock.
    ///
    /// # Errors
    /// They could not be put on record.
    fn guarded(&mut self, sessions: &BTreeSet<String>) -> Result<(), EngineError> {
        let _ = sessions;
        Ok(())
    }

    /// A log begins, after what is missing if there was one before.
    ///
    /// # Errors
    /// It could not be made; or this operation has no log.
    fn begin(&mut self, from: Vec<Position>, missing: Option<String>) -> Result<(), EngineError> {
        let _ = (from, missing);
        Err(EngineError::unsupported("beginning a log in this operation"))
    }

    /// A log segment is to be published.
    ///
    /// # Errors
    /// It could not be; or this operation has no log.
    fn publish(&mut self, segment: Segment, piece: Piece) -> Result<(), EngineError> {
        let _ = (segment, piece);
        Err(EngineError::unsupported("publishing log segments in this operation"))
    }

    /// A private server answers.
    ///
    /// # Errors
    /// This operation has none.
    fn serving(&mut self, server: Server) -> Result<(), EngineError> {
        let _ = server;
        Err(EngineError::unsupported("serving in this operation"))
    }

    /// How an archive stands.
    fn status(&mut self, status: ArchiveStatus) {
        let _ = status;
    }

    /// About a second has passed.
    ///
    /// # Errors
    /// The job can not go on: the engine is asked to stop.
    fn tick(&mut self) -> Result<(), EngineError> {
        Ok(())
    }

    /// How far the job is.
    fn progress(&mut self, progress: &Progress) {
        let _ = progress;
    }
}

/// A watcher that watches nothing.
#[derive(Debug, Default)]
pub struct NoWatcher;

impl Watcher for NoWatcher {}

/// How a worker ended.
#[derive(Debug)]
pub struct Ended {
    /// What the engine answered, or why it did not.
    pub result: Result<serde_json::Value, EngineError>,
    /// The index of the objects it wrote, if it wrote any and all are whole.
    pub index: Option<IndexSummary>,
    /// The sessions that are still guarded: someone has to end them.
    pub sessions: BTreeSet<String>,
    /// Whether the worker was killed or died, so that it may have left something behind.
    pub died: bool,
}

/// When a job has to stop.
#[derive(Debug, Clone)]
pub struct Limits {
    /// After this time.
    pub deadline: Option<Duration>,
    /// When this fires: once for "stop", again for "stop now".
    pub interrupt: Interrupt,
    /// How long the engine is given to stop by itself then.
    pub grace: Duration,
}

/// Counts the operator's interrupts (Ctrl-C, SIGTERM).
pub type Interrupt = tokio::sync::watch::Receiver<u32>;

/// Runs a worker until it is over.
///
/// # Errors
/// The worker could not be started. Everything that comes after is in [`Ended`].
pub async fn run(assignment: Assignment, limits: Limits, watcher: &mut dyn Watcher) -> Result<Ended, EngineError> {
    let engine = assignment.plugin.name.clone();
    let came_to = death::consequence(&assignment.call);
    let (mut child, line) = spawn(&scratch_of(&assignment.call))?;
    let stdout = tokio::spawn(output::drain(child.stdout.take().ok_or_else(lost_pipe)?));
    let stderr = tokio::spawn(output::drain(child.stderr.take().ok_or_else(lost_pipe)?));
    let (read_half, write_half) = line.into_split();
    let reports = listen(read_half);
    let orders = speak(write_half);
    // A worker that is dead already does not listen: how it ended says why.
    let _ = orders.send(Order::Assign(Box::new(assignment)));

    let mut session = Session {
        engine,
        came_to,
        orders,
        reports,
        limits,
        watcher,
        sessions: BTreeSet::new(),
    };
    let group = child.id();
    let told = session.follow(&mut child).await;
    let status = end(&mut child)
        .await
        .map_err(|error| EngineError::other("can not wait for the worker").because(&error))?;
    // Whatever the job came to, the programs that its engine started are over.
    kill_group(group);
    let printed = (collect(stdout).await, collect(stderr).await);
    Ok(session.judge(told, status, &printed))
}

/// What came of following a worker.
enum Told {
    Done {
        answer: Answer,
        index: Option<IndexSummary>,
    },
    /// The line is dead, and nothing was said.
    Nothing,
    /// It was stopped, for this reason.
    Stopped(EngineError),
}

struct Session<'a> {
    engine: String,
    /// What it has come to if the worker dies.
    came_to: &'static str,
    orders: mpsc::UnboundedSender<Order>,
    reports: mpsc::Receiver<Report>,
    limits: Limits,
    watcher: &'a mut dyn Watcher,
    sessions: BTreeSet<String>,
}

impl Session<'_> {
    /// Answers the worker until it is done, dead or has to be killed.
    async fn follow(&mut self, child: &mut Child) -> Told {
        let mut stop: Option<EngineError> = None;
        let mut kill_at: Option<Instant> = None;
        let deadline = self.limits.deadline.map(|after| Instant::now() + after);
        // A job may be started when an interrupt is on its way already.
        let mut interrupts = *self.limits.interrupt.borrow();
        if interrupts > 0 {
            self.stop(&mut stop, &mut kill_at, EngineError::cancelled());
        }
        let mut interruptible = true;
        let mut ticks = tokio::time::interval(TICK);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                report = self.reports.recv() => match report {
                    Some(Report::Done { answer, index }) => {
                        return match (stop, answer) {
                            (Some(reason), Answer::Error(error)) => Told::Stopped(with_what_it_says(reason, error)),
                            // What is whole in spite of the order to stop is whole.
                            (_, answer) => Told::Done { answer, index },
                        };
                    }
                    Some(report) => self.answer(report),
                    None => return stop.map_or(Told::Nothing, Told::Stopped),
                },
                changed = self.limits.interrupt.changed(), if interruptible => {
                    interruptible = changed.is_ok();
                    let count = *self.limits.interrupt.borrow();
                    if count > interrupts {
                        interrupts = count;
                        if stop.is_some() {
                            kill_at = Some(Instant::now());
                        } else {
                            self.stop(&mut stop, &mut kill_at, EngineError::cancelled());
                        }
                    }
                },
                _ = ticks.tick() => {
                    let went = tokio::task::block_in_place(|| self.watcher.tick());
                    if let (Err(reason), None) = (went, &stop) {
                        self.stop(&mut stop, &mut kill_at, reason);
                    }
                }
                () = sleep_until(deadline), if stop.is_none() => {
                    let after = self.limits.deadline.unwrap_or_default();
                    let late = EngineError::other(format!(
                        "engine `{}` was stopped at its deadline of {after:?}",
                        self.engine
                    ))
                    .advise("give the workflow a longer `deadline`, or find out what the engine waits for (-v shows its log)");
                    self.stop(&mut stop, &mut kill_at, late);
                }
                () = sleep_until(kill_at), if kill_at.is_some() => {
                    let _ = child.start_kill();
                    let reason = stop.unwrap_or_else(EngineError::cancelled);
                    return Told::Stopped(reason.detail("it did not stop when asked to, and was killed"));
                }
            }
        }
    }

    fn stop(&self, stop: &mut Option<EngineError>, kill_at: &mut Option<Instant>, reason: EngineError) {
        let _ = self.orders.send(Order::Cancel);
        *stop = Some(reason);
        *kill_at = Some(Instant::now() + self.limits.grace);
    }

    fn answer(&mut self, report: Report) {
        match report {
            Report::Ask { question, what } => {
                // It blocks on the repository; this runtime has other threads.
                let answer = Answer::from_result(tokio::task::block_in_place(|| self.note(what)));
                let _ = self.orders.send(Order::Reply { question, answer });
            }
            Report::Log { level, text } => log(&self.engine, level, &text),
            Report::Progress(progress) => self.watcher.progress(&progress),
            Report::Status(status) => tokio::task::block_in_place(|| self.watcher.status(status)),
            Report::Started | Report::Done { .. } => {}
        }
    }

    fn note(&mut self, what: Question) -> Result<(), EngineError> {
        match what {
            Question::Guard { session } => {
                self.sessions.insert(session);
                self.watcher.guarded(&self.sessions)
            }
            Question::Unguard { session } => {
                self.sessions.remove(&session);
                self.watcher.guarded(&self.sessions)
            }
            Question::Begin { from, missing } => self.watcher.begin(from, missing),
            Question::Publish { segment, piece } => self.watcher.publish(*segment, piece),
            Question::Serving { server } => self.watcher.serving(*server),
        }
    }

    fn judge(self, told: Told, status: std::process::ExitStatus, printed: &(Printed, Printed)) -> Ended {
        let (stdout, stderr) = printed;
        if stdout.bytes > 0 {
            tracing::warn!(
                "engine `{}` printed {} bytes on standard output, which is not for engines; they were thrown away",
                self.engine,
                stdout.bytes
            );
        }
        for line in &stderr.last_lines {
            tracing::debug!(engine = %self.engine, "standard error: {line}");
        }
        let (result, index, died) = match told {
            Told::Done { answer, index } => (answer.into_result().map_err(tidy), index, !status.success()),
            Told::Stopped(reason) => (Err(reason), None, !status.success()),
            Told::Nothing => (
                Err(death::describe(&self.engine, self.came_to, status, stderr)),
                None,
                true,
            ),
        };
        Ended {
            result,
            index,
            sessions: self.sessions,
            died,
        }
    }
}

/// Why a job was stopped, with what its engine says of what it has left and of how it goes on.
fn with_what_it_says(mut reason: EngineError, error: EngineError) -> EngineError {
    if error.kind == ErrorKind::Cancelled {
        let error = tidy(error);
        reason.causes.extend(error.causes);
        reason.advice = reason.advice.or(error.advice);
    }
    reason
}

/// An engine's error as it is shown: one line each, not too long, and not too many.
fn tidy(error: EngineError) -> EngineError {
    const CAUSES: usize = 12;
    let mut causes: Vec<String> = error
        .causes
        .iter()
        .take(CAUSES)
        .map(|cause| output::tidy(cause))
        .collect();
    if error.causes.len() > CAUSES {
        causes.push(format!("and {} more", error.causes.len() - CAUSES));
    }
    EngineError {
        kind: error.kind,
        message: output::tidy(&error.message),
        advice: error.advice.as_deref().map(output::tidy),
        causes,
    }
}

/// Starts the worker: this program again, with a socket for its standard input. What it makes of temporary files, and what the programs
/// make that it starts, goes with the job's scratch directory.
fn spawn(scratch: &Path) -> Result<(Child, tokio::net::UnixStream), EngineError> {
    let failed = |error: std::io::Error| EngineError::other("can not start a worker process").because(&error);
    let (ours, theirs) = UnixStream::pair().map_err(failed)?;
    ours.set_nonblocking(true).map_err(failed)?;
    let program = program().map_err(failed)?;
    let mut command = Command::new(program);
    if scratch.is_dir() {
        command.env("TMPDIR", scratch);
    }
    let child = command
        .arg(WORKER_ARGUMENT)
        .stdin(Stdio::from(OwnedFd::from(theirs)))
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        // A Ctrl-C at the terminal goes to the supervisor alone, which knows how to stop a job.
        .process_group(0)
        .kill_on_drop(true)
        .spawn()
        .map_err(failed)?;
    Ok((child, tokio::net::UnixStream::from_std(ours).map_err(failed)?))
}

/// Waits until a worker has ended. It has said all that it will say; one that stays (a library's destructor that hangs, a
/// line that broke) is killed.
async fn end(child: &mut Child) -> std::io::Result<std::process::ExitStatus> {
    if let Ok(status) = tokio::time::timeout(PARTING, child.wait()).await {
        return status;
    }
    child.start_kill()?;
    child.wait().await
}

/// Kills what a worker's engine had started: it is all in the worker's process group.
fn kill_group(group: Option<u32>) {
    let group = group
        .and_then(|group| i32::try_from(group).ok())
        .and_then(rustix::process::Pid::from_raw);
    if let Some(group) = group {
        // An error means that nobody is left in it.
        let _ = rustix::process::kill_process_group(group, rustix::process::Signal::KILL);
    }
}

/// What was printed. Whoever still holds the pipe open when the worker is gone is not waited for.
async fn collect(drained: tokio::task::JoinHandle<Printed>) -> Printed {
    match tokio::time::timeout(Duration::from_secs(2), drained).await {
        Ok(Ok(printed)) => printed,
        Ok(Err(_)) | Err(_) => Printed::default(),
    }
}

/// This program, even if its file was replaced meanwhile.
fn program() -> std::io::Result<std::path::PathBuf> {
    let own = std::path::PathBuf::from("/proc/self/exe");
    if own.exists() { Ok(own) } else { std::env::current_exe() }
}

fn listen(mut from: tokio::net::unix::OwnedReadHalf) -> mpsc::Receiver<Report> {
    let (sender, receiver) = mpsc::channel(256);
    tokio::spawn(async move {
        // A broken frame counts as the end: the worker's exit says the rest.
        while let Ok(Some(report)) = frame::read_async(&mut from).await {
            if sender.send(report).await.is_err() {
                break;
            }
        }
    });
    receiver
}

fn speak(mut to: tokio::net::unix::OwnedWriteHalf) -> mpsc::UnboundedSender<Order> {
    let (sender, mut receiver) = mpsc::unbounded_channel::<Order>();
    tokio::spawn(async move {
        while let Some(order) = receiver.recv().await {
            if frame::write_async(&mut to, &order).await.is_err() {
                break;
            }
        }
    });
    sender
}

async fn sleep_until(when: Option<Instant>) {
    match when {
        Some(when) => tokio::time::sleep_until(when).await,
        None => std::future::pending().await,
    }
}

fn log(engine: &str, level: backstay_engine_api::job::Level, text: &str) {
    use backstay_engine_api::job::Level;
    match level {
        Level::Debug => tracing::debug!(%engine, "{text}"),
        Level::Info => tracing::info!(%engine, "{text}"),
        Level::Warn => tracing::warn!(%engine, "{text}"),
    }
}

fn lost_pipe() -> EngineError {
    EngineError::other("the worker's output is not there")
}
