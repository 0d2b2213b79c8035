//! How a worker died, in words.

use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;

use backstay_engine_api::EngineError;
use backstay_engine_api::wire::Call;

use crate::worker::output::Printed;

/// The signals that a fault or an operator ends a process with (Linux, signal(7)).
const SIGNALS: [(i32, &str, &str); 8] = [
    (4, "SIGILL", "it ran an instruction that this processor does not have"),
    (6, "SIGABRT", "it aborted itself"),
    (7, "SIGBUS", "it touched memory that is not there"),
    (8, "SIGFPE", "it divided by zero"),
    (
        9,
        "SIGKILL",
        "it was killed from outside, perhaps for want of memory (see `dmesg`)",
    ),
    (11, "SIGSEGV", "it touched memory that is not its own"),
    (15, "SIGTERM", "it was asked to end from outside"),
    (31, "SIGSYS", "it made a system call that is forbidden here"),
];

/// What a call has come to whose worker died.
pub(super) fn consequence(call: &Call) -> &'static str {
    match call {
        Call::FullBackup { .. } | Call::IncrementalBackup { .. } => "no backup was made",
        Call::Restore { .. } => "the target is incomplete",
        Call::Recover { .. } => "the target is not at its point yet, and the same command goes on",
        Call::ArchiveLog { .. } => "what is archived so far is whole, and the archive goes on from there",
        _ => "nothing came of it",
    }
}

/// A worker that ended without saying how its job went, and what that has come to.
pub(super) fn describe(engine: &str, came_to: &str, status: ExitStatus, stderr: &Printed) -> EngineError {
    let how = match (status.signal(), status.code()) {
        (Some(signal), _) => match SIGNALS.iter().find(|(number, ..)| *number == signal) {
            Some((_, name, why)) => format!("was ended by {name}: {why}"),
            None => format!("was ended by signal {signal}"),
        },
        (None, Some(code)) => format!("ended its process with exit code {code} before it was done"),
        (None, None) => "ended in a way that the system does not tell".to_owned(),
    };
    let mut error = EngineError::other(format!("engine `{engine}` {how}")).advise(format!(
        "{came_to}; if it happens again, report it to the engine's vendor"
    ));
    for line in &stderr.last_lines {
        error = error.detail(format!("it printed: {line}"));
    }
    error
}
