//! The child process: a thread that keeps it, signals, and its log.

use std::fs::{self, File};
use std::io;
use std::path::Path;
use std::process::{Child, Command, ExitStatus};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use backstay_engine_api::{EngineError, ErrorKind};
use rustix::process::{Pid, Signal, kill_process};

use crate::programs::Program;

/// How often the child is looked at.
const POLL: Duration = Duration::from_millis(20);
/// How many lines of its log an error shows.
const SHOWN_LINES: usize = 15;

/// A child and how it ended. The child is only signalled under the lock and before it was waited for, so that a signal
/// never meets another process that got its number.
#[derive(Debug)]
struct Held {
    child: Child,
    ended: Option<ExitStatus>,
}

#[derive(Debug)]
pub(super) struct Process {
    held: Arc<Mutex<Held>>,
    pid: u32,
}

/// Sends what a command prints to a file.
pub(super) fn log_to(command: &mut Command, log: &Path) -> io::Result<()> {
    let file = File::options().create(true).append(true).open(log)?;
    command.stdout(file.try_clone()?).stderr(file);
    Ok(())
}

impl Process {
    /// Starts it from a thread of its own, which then waits for it: the kernel ends the server with the thread that started it.
    pub(super) fn start(mut command: Command) -> io::Result<Self> {
        let (sender, receiver) = mpsc::channel();
        thread::Builder::new()
            .name("private-server".to_owned())
            .spawn(move || {
                let held = match command.spawn() {
                    Ok(child) => Arc::new(Mutex::new(Held { child, ended: None })),
                    Err(error) => {
                        let _ = sender.send(Err(error));
                        return;
                    }
                };
                // The receiver is waiting below.
                let _ = sender.send(Ok(Arc::clone(&held)));
                while !has_ended(&held) {
                    thread::sleep(POLL);
                }
            })?;
        let held = receiver
            .recv()
            .map_err(|_| io::Error::other("the thread that starts it ended"))??;
        let pid = locked(&held).child.id();
        Ok(Self { held, pid })
    }

    pub(super) fn pid(&self) -> u32 {
        self.pid
    }

    pub(super) fn ended(&self) -> Option<ExitStatus> {
        has_ended(&self.held);
        locked(&self.held).ended
    }

    /// Waits for its end, at most so long.
    pub(super) fn wait(&self, limit: Duration) -> Option<ExitStatus> {
        let deadline = Instant::now() + limit;
        loop {
            match self.ended() {
                Some(status) => return Some(status),
                None if Instant::now() >= deadline => return None,
                None => thread::sleep(POLL),
            }
        }
    }

    pub(super) fn terminate(&self) {
        let held = locked(&self.held);
        if held.ended.is_none() {
            // It fails if the child is gone already, which is what is wanted.
            let _ = kill_process(Pid::from_child(&held.child), Signal::TERM);
        }
    }

    pub(super) fn kill(&self) {
        {
            let mut held = locked(&self.held);
            if held.ended.is_none() {
                let _ = held.child.kill();
            }
        }
        self.wait(Duration::from_secs(10));
    }
}

fn locked(held: &Mutex<Held>) -> MutexGuard<'_, Held> {
    held.lock().unwrap_or_else(PoisonError::into_inner)
}

fn has_ended(held: &Mutex<Held>) -> bool {
    let mut held = locked(held);
    if held.ended.is_none() {
        held.ended = held.child.try_wait().ok().flatten();
    }
    held.ended.is_some()
}

/// The log as text; empty if there is none yet.
pub(super) fn read_log(log: &Path) -> String {
    fs::read(log)
        .map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
        .unwrap_or_default()
}

/// An error that shows the last lines of the log.
pub(super) fn failure(program: &Program, what: &str, log: &Path) -> EngineError {
    let text = read_log(log);
    let lines: Vec<&str> = text.lines().filter(|line| !line.trim().is_empty()).collect();
    let mut error = EngineError::new(ErrorKind::Program, format!("{} {what}", program.path.display()));
    error.causes = lines[lines.len().saturating_sub(SHOWN_LINES)..]
        .iter()
        .map(|line| (*line).to_owned())
        .collect();
    error
}
