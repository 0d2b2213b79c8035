//! Runs a program: its output into an object or an object into it, its last words into the error, and an end when the job
//! is cancelled.

use std::collections::VecDeque;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::process::{Child, ChildStderr, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use backstay_engine_api::{EngineError, ErrorKind};

use crate::connection::Connection;

/// How many of a program's last lines are kept.
const KEPT_LINES: usize = 20;
/// How much is copied at a time, in bytes.
const PIECE: usize = 1 << 20;
/// How often it is looked whether the job is cancelled.
const CANCEL_TICK: Duration = Duration::from_millis(100);
/// How often it is looked whether a program whose output has ended has ended too.
const END_TICK: Duration = Duration::from_millis(5);

/// Runs a program, copies what it prints to `out`, and gives back what it said on standard error.
pub(crate) fn read_from(
    connection: &Connection,
    command: &mut Command,
    out: &mut dyn Write,
) -> Result<Vec<String>, EngineError> {
    command.stdin(Stdio::null()).stdout(Stdio::piped());
    run(connection, command, |child| {
        let mut stdout = child.stdout.take().ok_or_else(no_pipe)?;
        Ok(move || copy(&mut stdout, out).map_err(Copied::into_error))
    })
}

/// Runs a program, feeds it with `input`, and gives back what it said on standard error. Its output is thrown away.
pub(crate) fn write_to(
    connection: &Connection,
    command: &mut Command,
    input: &mut dyn Read,
) -> Result<Vec<String>, EngineError> {
    command.stdin(Stdio::piped()).stdout(Stdio::null());
    run(connection, command, |child| {
        let mut stdin = child.stdin.take().ok_or_else(no_pipe)?;
        Ok(move || match copy(input, &mut stdin) {
            // The program has ended before its input: why, it says itself.
            Err(Copied::Write(error)) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
            other => other.map_err(Copied::into_error),
        })
    })
}

fn run<C: FnOnce() -> Result<(), EngineError>>(
    connection: &Connection,
    command: &mut Command,
    prepare: impl FnOnce(&mut Child) -> Result<C, EngineError>,
) -> Result<Vec<String>, EngineError> {
    let program = command.get_program().to_string_lossy().into_owned();
    let mut child = command.stderr(Stdio::piped()).spawn().map_err(|error| {
        EngineError::new(ErrorKind::Program, format!("{program} could not be started")).because(&error)
    })?;
    let stderr = child.stderr.take().ok_or_else(no_pipe)?;
    let copy = prepare(&mut child)?;
    let child = Mutex::new(child);
    let over = AtomicBool::new(false);
    let (copied, status, said) = thread::scope(|scope| {
        let said = scope.spawn(|| last_lines(stderr));
        scope.spawn(|| {
            while !over.load(Ordering::Relaxed) {
                if connection.cancelled() {
                    kill(&child);
                    return;
                }
                thread::sleep(CANCEL_TICK);
            }
        });
        let copied = copy();
        if copied.is_err() {
            kill(&child);
        }
        let status = wait(&child);
        over.store(true, Ordering::Relaxed);
        (copied, status, said.join().unwrap_or_default())
    });
    if connection.cancelled() {
        return Err(EngineError::cancelled());
    }
    copied?;
    let status = status?;
    if status.success() {
        Ok(said)
    } else {
        Err(failure(connection, &program, status, said))
    }
}

fn no_pipe() -> EngineError {
    EngineError::other("a program was started without a pipe to it")
}

/// Which side a copy failed on.
enum Copied {
    Read(io::Error),
    Write(io::Error),
}

impl Copied {
    fn into_error(self) -> EngineError {
        let (Self::Read(error) | Self::Write(error)) = self;
        error.into()
    }
}

fn copy(from: &mut dyn Read, to: &mut dyn Write) -> Result<(), Copied> {
    let mut piece = vec![0; PIECE];
    loop {
        match from.read(&mut piece) {
            Ok(0) => return Ok(()),
            Ok(count) => to.write_all(&piece[..count]).map_err(Copied::Write)?,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(Copied::Read(error)),
        }
    }
}

fn kill(child: &Mutex<Child>) {
    // It fails only if the program has ended.
    let _ = child.lock().unwrap_or_else(PoisonError::into_inner).kill();
}

/// Not `Child::wait`: while that waits, nobody else could kill.
fn wait(child: &Mutex<Child>) -> io::Result<ExitStatus> {
    loop {
        if let Some(status) = child.lock().unwrap_or_else(PoisonError::into_inner).try_wait()? {
            return Ok(status);
        }
        thread::sleep(END_TICK);
    }
}

fn last_lines(stderr: ChildStderr) -> Vec<String> {
    let mut lines = VecDeque::with_capacity(KEPT_LINES);
    for line in BufReader::new(stderr).split(b'\n').map_while(Result::ok) {
        let line = String::from_utf8_lossy(&line).trim_end().to_owned();
        if !line.is_empty() {
            if lines.len() == KEPT_LINES {
                lines.pop_front();
            }
            lines.push_back(line);
        }
    }
    lines.into()
}

/// What sort of failure it is can only be read from what the program says, in English since LC_MESSAGES is C.
fn failure(connection: &Connection, program: &str, status: ExitStatus, said: Vec<String>) -> EngineError {
    let name = program.rsplit('/').next().unwrap_or(program);
    let says = |text: &str| said.iter().any(|line| line.contains(text));
    let server = connection.name();
    let error =
        if says("connection to server") || says("server closed the connection") || says("terminating connection") {
            EngineError::new(ErrorKind::Connection, format!("{name} could not work with {server}"))
                .advise("check that the server runs, its address, the account and its password")
        } else if says("permission denied") || says("must be superuser") || says("must be owner") {
            let user = connection.user();
            EngineError::new(
                ErrorKind::Privilege,
                format!("{user} may not do what {name} needs on {server}"),
            )
            .advise(format!(
                "GRANT pg_read_all_data TO {user}; roles and restores need a superuser"
            ))
        } else if says("lock timeout") {
            EngineError::new(
                ErrorKind::Busy,
                format!("{name} did not get a lock on {server} in time"),
            )
            .advise("end the session that holds it (pg_blocking_pids), or raise `lock_wait_seconds`")
        } else if says("server version mismatch") {
            EngineError::new(ErrorKind::Program, format!("{name} is older than {server}"))
                .advise("install the client programs of the server's version, or set `programs` for this server")
        } else {
            EngineError::new(ErrorKind::Program, format!("{name} failed on {server} ({status})"))
        };
    said.into_iter().fold(error, EngineError::detail)
}
