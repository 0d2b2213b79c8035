//! Whether a server runs on a data directory.

use std::fmt;
use std::fs::File;
use std::path::Path;

use rustix::process::{Flock, FlockType, fcntl_getlk};

/// What a server locks while it runs: InnoDB's system tablespace, and MariaDB's Aria control file.
const LOCKED: [&str; 2] = ["ibdata1", "aria_log_control"];

/// A server that runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Running {
    /// Its process; 0 where that can not be seen from here (another PID namespace, another machine).
    pub process: i32,
    /// The file that it holds a lock on.
    pub file: &'static str,
}

impl fmt::Display for Running {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.process {
            0 => write!(f, "a process that is not seen from here holds a lock on {}", self.file),
            process => write!(f, "process {process} holds a lock on {}", self.file),
        }
    }
}

/// The server that runs on a data directory, if one does: it holds locks on files of its own.
pub fn server_on(data_dir: &Path) -> Option<Running> {
    LOCKED.into_iter().find_map(|file| {
        // Any lock stands in the way of one to write.
        let open = File::open(data_dir.join(file)).ok()?;
        let found = fcntl_getlk(&open, &Flock::from(FlockType::WriteLock)).ok()??;
        Some(Running {
            process: found.pid.map_or(0, |pid| pid.as_raw_nonzero().get()),
            file,
        })
    })
}
