//! The `backstay` program: the command line, and (started by itself) a worker.

use std::process::ExitCode;

use backstay::worker::protocol::WORKER_ARGUMENT;

fn main() -> ExitCode {
    // A worker is told apart before anything else is looked at: its command line is not for people.
    if std::env::args_os()
        .nth(1)
        .is_some_and(|argument| argument == WORKER_ARGUMENT)
    {
        backstay::worker::process::main();
    }
    backstay::cli::main().into()
}
