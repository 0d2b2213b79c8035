//! [`Work`]: the directory of a job that makes a private copy, and whether there is room for it.
//!
//! It is locked as long as a process of the job lives, the programs of its engines included: the lock's file is open in all of them.
//! One that is not locked is the leaving of a job that was killed, and goes when the next job makes its own beside it.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, flock, statvfs};
use rustix::io::{FdFlags, fcntl_setfd};
use tempfile::TempDir;

use crate::error::{Error, ErrorKind, Result};

/// The beginning of such directories' names.
const PREFIX: &str = "backstay-rescue-";

/// A job's directory, for its owner only; gone when it is dropped.
#[derive(Debug)]
pub(super) struct Work {
    directory: TempDir,
    _lock: File,
}

impl Work {
    /// Makes a directory below another, and deletes what killed jobs have left there.
    ///
    /// # Errors
    /// It can not be made.
    pub(super) fn make(parent: &Path) -> Result<Self> {
        let failed = |error: io::Error| {
            Error::new(
                ErrorKind::Io,
                format!(
                    "can not make a directory for the private copy below {}",
                    parent.display()
                ),
            )
            .because(&error)
            .advise("name a directory with room that may be written to: --work-dir DIR")
        };
        sweep(parent);
        // Its name is short: there are sockets below it, whose paths the kernel limits.
        let directory = tempfile::Builder::new()
            .prefix(PREFIX)
            .tempdir_in(parent)
            .map_err(failed)?;
        let lock = File::open(directory.path()).map_err(failed)?;
        flock(&lock, FlockOperation::NonBlockingLockExclusive).map_err(|error| failed(error.into()))?;
        // Handed on to the workers, and by these to their programs.
        fcntl_setfd(&lock, FdFlags::empty()).map_err(|error| failed(error.into()))?;
        Ok(Self { directory, _lock: lock })
    }

    /// Where it is.
    pub(super) fn path(&self) -> &Path {
        self.directory.path()
    }

    /// Where the recovered data directory is made.
    pub(super) fn data(&self) -> PathBuf {
        self.path().join("data")
    }

    /// Where the copied tables are on their way.
    pub(super) fn copy(&self) -> PathBuf {
        self.path().join("copy")
    }
}

/// Deletes directories whose jobs are gone. What can not be deleted is somebody else's, or in nobody's way.
fn sweep(parent: &Path) {
    let Ok(entries) = fs::read_dir(parent) else { return };
    for entry in entries.flatten() {
        let ours = entry.file_name().to_string_lossy().starts_with(PREFIX);
        if !ours || !entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            continue;
        }
        let Ok(held) = File::open(entry.path()) else { continue };
        if flock(&held, FlockOperation::NonBlockingLockExclusive).is_ok() {
            tracing::warn!("removing {}, which a killed job has left", entry.path().display());
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}

/// Refuses to begin where there is not enough room.
///
/// # Errors
/// [`ErrorKind::Refused`]; or the file system can not be asked.
pub(super) fn check_room(directory: &Path, needed: u64) -> Result<()> {
    let room = statvfs(directory).map_err(|error| {
        Error::new(
            ErrorKind::Io,
            format!("can not ask how much room there is in {}", directory.display()),
        )
        .because(&io::Error::from(error))
        .advise("name another directory with --work-dir DIR")
    })?;
    enough(directory, needed, room.f_bavail.saturating_mul(room.f_frsize))
}

fn enough(directory: &Path, needed: u64, free: u64) -> Result<()> {
    if needed <= free {
        return Ok(());
    }
    let mib = |bytes: u64| bytes.div_ceil(1 << 20);
    Err(Error::refused(format!(
        "a private copy needs at least {} MiB, and {} has {} MiB free",
        mib(needed),
        directory.display(),
        free >> 20
    ))
    .advise("make room there, or name a directory on another file system with --work-dir DIR"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(directory: &Path) -> Vec<String> {
        let entries = fs::read_dir(directory).unwrap();
        let mut names: Vec<String> = entries
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    #[test]
    fn leavings_of_the_dead_go_and_those_of_the_living_stay() {
        let parent = tempfile::tempdir().unwrap();
        fs::create_dir_all(parent.path().join("backstay-rescue-dead/data/mysql")).unwrap();
        fs::create_dir(parent.path().join("backstay-other")).unwrap();
        let living = Work::make(parent.path()).unwrap();
        let second = Work::make(parent.path()).unwrap();
        fs::create_dir(second.data()).unwrap();
        assert_eq!(names(parent.path()).len(), 3);
        drop(second);
        let name = living.path().file_name().unwrap().to_str().unwrap();
        assert_eq!(names(parent.path()), ["backstay-other", name]);
    }

    #[test]
    fn too_little_room_is_said_in_numbers() {
        let error = enough(Path::new("/scratch"), (3 << 20) + 1, 2 << 20).unwrap_err();
        assert_eq!(error.kind, ErrorKind::Refused);
        assert_eq!(
            error.message,
            "a private copy needs at least 4 MiB, and /scratch has 2 MiB free"
        );
        enough(Path::new("/scratch"), 5, 5).unwrap();
        let here = tempfile::tempdir().unwrap();
        check_room(here.path(), 1).unwrap();
        check_room(here.path(), u64::MAX).unwrap_err();
    }
}
