//! Who holds a lock, and whether that process still lives.

use std::fmt;
use std::fs;

use rustix::io::Errno;
use rustix::process::{Pid, test_kill_process};
use serde::{Deserialize, Serialize};

/// A process, so described that the same machine can tell whether it still lives.
///
/// A process id alone is not enough: it is used again after the process, means another process in another container, and
/// says nothing after a reboot. All of it is empty for a holder of whom nothing is known.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Holder {
    /// The machine's host name, for people.
    pub host: String,
    /// The process id, in its namespace.
    pub pid: i32,
    /// The machine's boot, from `/proc/sys/kernel/random/boot_id`.
    #[serde(default)]
    pub boot: String,
    /// The namespace of the process id, as `/proc/self/ns/pid` links to it.
    #[serde(default)]
    pub pid_namespace: String,
    /// When the process started, in clock ticks since the boot: field 22 of `/proc/<pid>/stat`.
    #[serde(default)]
    pub started: u64,
}

/// What can be known of a holder from here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Life {
    Lives,
    Ended,
    /// It runs on another machine or in another container.
    Unknown,
}

impl Holder {
    /// This process.
    pub fn this() -> Self {
        let pid = rustix::process::getpid().as_raw_nonzero().get();
        Self {
            host: Self::host_name(),
            pid,
            boot: line("/proc/sys/kernel/random/boot_id"),
            pid_namespace: pid_namespace(),
            started: stat(pid).map_or(0, |stat| stat.started),
        }
    }

    /// This machine's host name; empty if it has none.
    pub fn host_name() -> String {
        line("/proc/sys/kernel/hostname")
    }

    pub(super) fn life(&self) -> Life {
        let here = !self.boot.is_empty()
            && !self.pid_namespace.is_empty()
            && self.boot == line("/proc/sys/kernel/random/boot_id")
            && self.pid_namespace == pid_namespace();
        let pid = if here { Pid::from_raw(self.pid) } else { None };
        let Some(pid) = pid else {
            return Life::Unknown;
        };
        if test_kill_process(pid) == Err(Errno::SRCH) {
            return Life::Ended;
        }
        match stat(self.pid) {
            // A zombie has ended, and waits for its parent to ask how.
            Some(stat) if matches!(stat.state, 'Z' | 'X') => Life::Ended,
            Some(stat) if self.started != 0 && stat.started != self.started => Life::Ended,
            // NOTE: /proc may hide the processes of other accounts (`hidepid`). That there is one of this id has to do.
            _ => Life::Lives,
        }
    }
}

impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.pid {
            0 => f.write_str("an unknown process (its object can not be read)"),
            pid => write!(f, "process {pid} on {}", self.host),
        }
    }
}

struct Stat {
    state: char,
    started: u64,
}

/// A process's line in /proc; see proc_pid_stat(5).
fn stat(pid: i32) -> Option<Stat> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The second field is the program's name in brackets, which may hold spaces and brackets.
    let (_, rest) = text.rsplit_once(") ")?;
    let mut fields = rest.split_ascii_whitespace();
    let state = fields.next()?.chars().next()?;
    // `started` is the 22nd field; the third is `state`.
    let started = fields.nth(18)?.parse().ok()?;
    Some(Stat { state, started })
}

fn pid_namespace() -> String {
    let link = fs::read_link("/proc/self/ns/pid").unwrap_or_default();
    link.to_string_lossy().into_owned()
}

fn line(path: &str) -> String {
    fs::read_to_string(path).unwrap_or_default().trim().to_owned()
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    #[test]
    fn the_living_and_the_dead() {
        let this = Holder::this();
        assert!(
            this.started > 0 && !this.boot.is_empty() && !this.pid_namespace.is_empty(),
            "{this:?}"
        );
        assert_eq!(this.life(), Life::Lives);

        let reused = Holder {
            started: this.started + 1,
            ..this.clone()
        };
        assert_eq!(reused.life(), Life::Ended);
        let elsewhere = Holder {
            boot: "another".into(),
            ..this.clone()
        };
        assert_eq!(elsewhere.life(), Life::Unknown);
        assert_eq!(Holder::default().life(), Life::Unknown);

        let mut child = Command::new("sleep").arg("60").spawn().unwrap();
        let pid = i32::try_from(child.id()).unwrap();
        let holder = Holder {
            pid,
            started: stat(pid).unwrap().started,
            ..this
        };
        assert_eq!(holder.life(), Life::Lives);
        child.kill().unwrap();
        while stat(pid).is_some_and(|stat| stat.state != 'Z') {
            std::thread::yield_now();
        }
        assert_eq!(holder.life(), Life::Ended, "a zombie");
        child.wait().unwrap();
        assert_eq!(holder.life(), Life::Ended);
    }
}
