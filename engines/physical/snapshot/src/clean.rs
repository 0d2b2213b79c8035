//! What a killed job has left: found by the job's id, which is in every name.

use std::thread;
use std::time::{Duration, Instant};

use backstay_engine_api::{CleanJob, EngineError};
use backstay_mysql::end_sessions;
use backstay_physical::server_on;
use rustix::process::{Pid, Signal, kill_process};

use crate::freeze::all_stopped;
use crate::options::Options;
use crate::provider;
use crate::trace::{Trace, processes};

/// How long a program that a killed job has started may take to end by itself. A program that makes a snapshot is never killed; the
/// watch over a stopped server ends when the server goes on.
const PATIENCE: Duration = Duration::from_secs(40);

/// Removes it: the stopped server goes on first, then sessions, mounts and snapshots go.
///
/// # Errors
/// Something is left.
pub(crate) fn clean(job: &CleanJob) -> Result<(), EngineError> {
    let traces: Vec<Trace> = job.sessions().iter().filter_map(|name| Trace::parse(name)).collect();
    let sessions: Vec<String> = job
        .sessions()
        .iter()
        .filter(|name| Trace::parse(name).is_none())
        .cloned()
        .collect();
    for trace in &traces {
        let_go_on(trace);
    }
    wait_for_programs(job)?;
    let ended = match job.server() {
        Some(server) => end_sessions(server, &sessions),
        None => Ok(()),
    };
    // Options of the job are not always known; none of them says where things are.
    let options = Options::default();
    for trace in &traces {
        if let Some(provider) = provider::named(trace.provider, &options) {
            provider.clean(&trace.data_dir, job.killed())?;
        }
    }
    ended
}

/// Lets the server go on, should even the watchdog have been killed.
fn let_go_on(trace: &Trace) {
    let process = server_on(&trace.data_dir).and_then(|running| Pid::from_raw(running.process));
    if let Some(process) = process
        && all_stopped(process).unwrap_or(false)
    {
        // One that we may not signal we have not stopped.
        let _ = kill_process(process, Signal::CONT);
    }
}

fn wait_for_programs(job: &CleanJob) -> Result<(), EngineError> {
    let end = Instant::now() + PATIENCE;
    loop {
        let left = processes(job.killed());
        if left.is_empty() {
            return Ok(());
        }
        if Instant::now() >= end {
            return Err(EngineError::other(format!(
                "programs of job {} still run: {left:?}",
                job.killed()
            )));
        }
        thread::sleep(Duration::from_millis(20));
    }
}
