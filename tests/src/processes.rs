//! Processes that a test kills.

use std::fs;
use std::process::Command;

use rustix::process::{Pid, Signal, kill_process};

/// The processes that a process has started.
///
/// # Panics
/// `pgrep` can not be started.
pub fn children(of: u32) -> Vec<u32> {
    let output = Command::new("pgrep")
        .args(["-P", &of.to_string()])
        .output()
        .expect("pgrep can be started");
    String::from_utf8_lossy(&output.stdout)
        .lines()
        .filter_map(|line| line.parse().ok())
        .collect()
}

/// Whether a process runs: a zombie, which nobody has asked how it ended, does not.
pub fn runs(process: u32) -> bool {
    let stat = fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
    stat.rsplit_once(") ")
        .is_some_and(|(_, rest)| !rest.starts_with(['Z', 'X']))
}

/// Kills a process as `kill -9` does. One that has ended by itself is as good.
pub fn kill(process: u32) {
    if let Some(pid) = i32::try_from(process).ok().and_then(Pid::from_raw) {
        let _ = kill_process(pid, Signal::KILL);
    }
}

/// Asks a process to end, as a service manager does.
pub fn terminate(process: u32) {
    if let Some(pid) = i32::try_from(process).ok().and_then(Pid::from_raw) {
        let _ = kill_process(pid, Signal::TERM);
    }
}
