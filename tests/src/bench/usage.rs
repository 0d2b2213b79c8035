//! What a program takes: time, processor time beside the server's, and its worker's memory. All of it from proc(5).

use std::error::Error;
use std::fs;
use std::process::Child;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

/// Ticks of a second in /proc/*/stat: USER_HZ, 100 on every architecture that we build for.
const TICKS: f64 = 100.0;

/// What a run took.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Usage {
    /// From its start to its end, in seconds.
    pub(super) seconds: f64,
    /// The processor time of the program and of those that it started and waited for, in seconds.
    pub(super) client: f64,
    /// The server's processor time meanwhile, in seconds.
    pub(super) server: f64,
    /// The peak resident memory of the worker, the program's first child, in MiB; 0 for a program without one.
    pub(super) peak: f64,
}

impl Usage {
    /// The client's share of all processor time, of 1.
    pub(super) fn share(self) -> f64 {
        self.client / (self.client + self.server)
    }
}

/// Runs a program to its end, which must be a good one. Nothing else may be waited for meanwhile. `start` starts it;
/// `server` is the server's process.
pub(super) fn measured(
    server: u32,
    start: impl FnOnce() -> Result<Child, Box<dyn Error>>,
) -> Result<Usage, Box<dyn Error>> {
    let (own, servers) = (children_seconds()?, process_seconds(server)?);
    let started = Instant::now();
    let child = start()?;
    let supervisor = child.id();
    let done = Arc::new(AtomicBool::new(false));
    let watcher = {
        let done = Arc::clone(&done);
        thread::spawn(move || {
            let mut peak = 0.0_f64;
            while !done.load(Ordering::Relaxed) {
                peak = peak.max(workers_peak(supervisor).unwrap_or(0.0));
                thread::sleep(Duration::from_millis(20));
            }
            peak
        })
    };
    let output = child.wait_with_output();
    let seconds = started.elapsed().as_secs_f64();
    done.store(true, Ordering::Relaxed);
    let peak = watcher.join().map_err(|_| "the watcher panicked")?;
    let output = output?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        return Err(format!("{}: {said}", output.status).into());
    }
    Ok(Usage {
        seconds,
        client: children_seconds()? - own,
        server: process_seconds(server)? - servers,
        peak,
    })
}

/// The peak resident memory so far of a supervisor's worker, in MiB (VmHWM).
fn workers_peak(supervisor: u32) -> Option<f64> {
    let children = fs::read_to_string(format!("/proc/{supervisor}/task/{supervisor}/children")).ok()?;
    let worker = children.split_whitespace().next()?;
    let status = fs::read_to_string(format!("/proc/{worker}/status")).ok()?;
    let line = status.lines().find(|line| line.starts_with("VmHWM:"))?;
    let kilobytes: f64 = line.split_whitespace().nth(1)?.parse().ok()?;
    Some(kilobytes / 1024.0)
}

/// Processor time of a running process: utime and stime.
fn process_seconds(process: u32) -> Result<f64, Box<dyn Error>> {
    stat_seconds(&fs::read_to_string(format!("/proc/{process}/stat"))?, 14)
}

/// Processor time of our children that were waited for, and of theirs: cutime and cstime.
pub(super) fn children_seconds() -> Result<f64, Box<dyn Error>> {
    stat_seconds(&fs::read_to_string("/proc/self/stat")?, 16)
}

/// Fields `first` and the next, which count from 1 and in ticks. The second is the program's name, which may have spaces and
/// parentheses.
fn stat_seconds(stat: &str, first: usize) -> Result<f64, Box<dyn Error>> {
    let (_, rest) = stat.rsplit_once(')').ok_or("no process statistics")?;
    let mut fields = rest.split_whitespace().skip(first - 3);
    let mut next = || -> Result<f64, Box<dyn Error>> { Ok(fields.next().ok_or("too few fields")?.parse()?) };
    Ok((next()? + next()?) / TICKS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_count_from_the_name() {
        let stat = "12 (a b) c) S 1 2 3 4 5 6 7 8 9 10 150 50 25 75 20 0";
        assert_eq!(stat_seconds(stat, 14).unwrap(), 2.0);
        assert_eq!(stat_seconds(stat, 16).unwrap(), 1.0);
        assert!(stat_seconds(stat, 30).is_err());
    }

    #[test]
    fn a_program_that_works_takes_time() {
        let started = || -> Result<Child, Box<dyn Error>> {
            let script = "i=0; while [ $i -lt 200000 ]; do i=$((i+1)); done";
            Ok(std::process::Command::new("sh").args(["-c", script]).spawn()?)
        };
        let usage = measured(std::process::id(), started).unwrap();
        assert!(usage.seconds > 0.0 && usage.client > 0.0, "{usage:?}");
        let failing = || Ok(std::process::Command::new("false").spawn()?);
        assert!(measured(std::process::id(), failing).is_err());
    }
}
