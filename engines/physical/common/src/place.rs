//! [`Place`]: where a restored data directory is made, and how it gets to where it belongs.
//!
//! It is made in a directory beside the target (or in it, where the target is a file system of its own) and renamed at the end, so
//! that the target is untouched until there is something whole to put there. While it is made, its directory is locked: one that is
//! not is the leaving of a killed restore, and the next restore to the same target deletes it.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use backstay_engine_api::{EngineError, ErrorKind};
use rustix::fs::{FlockOperation, flock};

use crate::server_on;

/// In the name of every file and directory of ours, in or beside a data directory.
pub const MARK: &str = ".backstay-";
/// The file without which no server starts on a half-filled directory: it is moved last.
const LAST: &str = "ibdata1";
/// What an empty file system has.
const LOST_AND_FOUND: &str = "lost+found";

/// Where in a [`staging`](Place::staging) directory the data directory is made. What else is needed meanwhile is beside it.
pub fn data_in(staging: &Path) -> PathBuf {
    staging.join("data")
}

/// A target, and where it is made.
#[derive(Debug)]
pub struct Place {
    target: PathBuf,
    /// Made, locked and removed by us; what becomes the target is in it, see [`data_in`].
    staging: PathBuf,
    /// Whether the staging directory is in the target.
    inside: bool,
    /// What is in the target that will be replaced.
    occupied: bool,
    /// Keeps the lock on the staging directory, once that is made.
    lock: Option<File>,
}

impl Place {
    /// Looks at the target, and chooses. Nothing is changed but that leavings of killed restores go.
    ///
    /// # Errors
    /// [`ErrorKind::Refused`] if it is no place for a restore.
    pub fn choose(target: &Path, id: &str, overwrite: bool) -> Result<Self, EngineError> {
        let target = std::path::absolute(target)?;
        let target = fs::canonicalize(&target).unwrap_or(target);
        let refused = |what: &str| refused(&target, what);
        let name = target
            .file_name()
            .ok_or_else(|| refused("is no directory that can be restored to"))?
            .to_owned();
        let parent = target.parent().unwrap_or(Path::new("/")).to_owned();
        let parent_meta = fs::metadata(&parent).map_err(|error| {
            refused("has no directory above it")
                .because(&error)
                .advise(format!("make {} first", parent.display()))
        })?;
        let mut sibling = OsString::from(".");
        sibling.push(&name);
        sibling.push(MARK);
        sweep(&parent, &sibling)?;
        sibling.push(id);
        let mut place = Self {
            staging: parent.join(sibling),
            target: target.clone(),
            inside: false,
            occupied: false,
            lock: None,
        };
        match fs::metadata(&target) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(place),
            Err(error) => return Err(refused("can not be looked at").because(&error)),
            Ok(meta) if !meta.is_dir() => return Err(refused("is no directory")),
            Ok(meta) if meta.dev() != parent_meta.dev() => {
                place.inside = true;
                place.staging = target.join(format!("{MARK}{id}"));
            }
            Ok(_) => {}
        }
        let entries = entries(&target)?;
        place.occupied = !entries.is_empty();
        place.check_unused()?;
        if place.occupied && !overwrite {
            return Err(refused(&format!("is not empty: it has {}", some(&entries))).advise(
                "restore to a directory that is new or empty, or with --overwrite, which deletes what is there",
            ));
        }
        // Not before: in a directory that is in use they are another's, such as the clones that a backup is being read from.
        sweep(&target, MARK.as_ref())?;
        Ok(place)
    }

    fn check_unused(&self) -> Result<(), EngineError> {
        match server_on(&self.target) {
            None => Ok(()),
            Some(found) => Err(
                refused(&self.target, &format!("is in use: a server runs on it ({found})"))
                    .advise("stop the server first, or restore to another directory"),
            ),
        }
    }

    /// What was new or empty must be so still; what is in it has come while the restore was made.
    fn check_still_empty(&self) -> Result<(), EngineError> {
        let found = match entries(&self.target) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            found => found?,
        };
        if found.is_empty() {
            return Ok(());
        }
        let what = format!(
            "is not empty any more: {} came while the restore was made",
            some(&found)
        );
        Err(refused(&self.target, &what).advise("restore to a directory that nobody else uses"))
    }

    /// Where to, as an absolute path.
    pub fn target(&self) -> &Path {
        &self.target
    }

    /// Where it is made: [`data_in`] it becomes the target.
    pub fn staging(&self) -> &Path {
        &self.staging
    }

    /// Makes the staging directory.
    ///
    /// # Errors
    /// It can not be made.
    pub fn make(&mut self) -> Result<(), EngineError> {
        let failed = |error: io::Error| {
            EngineError::new(
                ErrorKind::Io,
                format!(
                    "{} can not be made, where the restore is prepared",
                    self.staging.display()
                ),
            )
            .because(&error)
        };
        fs::create_dir(&self.staging).map_err(failed)?;
        let lock = File::open(&self.staging).map_err(failed)?;
        flock(&lock, FlockOperation::NonBlockingLockExclusive).map_err(|error| failed(error.into()))?;
        self.lock = Some(lock);
        Ok(())
    }

    /// Puts what was made where it belongs.
    ///
    /// # Errors
    /// [`ErrorKind::Refused`] if another has put something there meanwhile, or has started a server there; the system refuses.
    pub fn publish(mut self) -> Result<(), EngineError> {
        let failed = |error: io::Error| {
            EngineError::new(
                ErrorKind::Io,
                format!("the restored files can not be moved to {}", self.target.display()),
            )
            .because(&error)
        };
        if let Some(directory) = &self.lock {
            rustix::fs::syncfs(directory).map_err(|error| failed(error.into()))?;
        }
        self.check_unused()?;
        if !self.occupied {
            self.check_still_empty()?;
        }
        if self.inside {
            self.move_up().map_err(failed)?;
        } else if self.occupied {
            let mut old = self.staging.clone().into_os_string();
            old.push(".old");
            fs::rename(&self.target, &old).map_err(failed)?;
            if let Err(error) = fs::rename(data_in(&self.staging), &self.target) {
                // Back as it was; if that fails, what was there is still under the other name.
                let _ = fs::rename(&old, &self.target);
                return Err(failed(error));
            }
            fs::remove_dir_all(&old).map_err(failed)?;
        } else {
            // Replaces a directory only if it is still empty.
            fs::rename(data_in(&self.staging), &self.target).map_err(failed)?;
        }
        self.lock = None;
        fs::remove_dir_all(&self.staging).map_err(failed)?;
        let above = if self.inside {
            Some(self.target.as_path())
        } else {
            self.target.parent()
        };
        if let Some(above) = above {
            File::open(above)
                .and_then(|directory| directory.sync_all())
                .map_err(failed)?;
        }
        Ok(())
    }

    fn move_up(&self) -> io::Result<()> {
        let old = if self.occupied {
            entries(&self.target)?
        } else {
            Vec::new()
        };
        for name in old {
            let path = self.target.join(name);
            if path.symlink_metadata()?.is_dir() {
                fs::remove_dir_all(path)?;
            } else {
                fs::remove_file(path)?;
            }
        }
        let made = data_in(&self.staging);
        let mut names: Vec<OsString> = fs::read_dir(&made)?
            .map(|entry| entry.map(|entry| entry.file_name()))
            .collect::<Result<_, _>>()?;
        names.sort_by_key(|name| name == LAST);
        for name in names {
            fs::rename(made.join(&name), self.target.join(&name))?;
        }
        let meta = fs::metadata(&made)?;
        fs::set_permissions(&self.target, meta.permissions())?;
        std::os::unix::fs::chown(&self.target, Some(meta.uid()), Some(meta.gid()))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if self.lock.is_some() {
            // What stays is found by the next restore.
            let _ = fs::remove_dir_all(&self.staging);
        }
    }
}

/// [`ErrorKind::Refused`].
fn refused(target: &Path, what: &str) -> EngineError {
    EngineError::refused(format!("the target {} {what}", target.display()))
}

/// A few names of many.
fn some(names: &[OsString]) -> String {
    let shown: Vec<_> = names.iter().take(3).map(|name| name.to_string_lossy()).collect();
    shown.join(", ")
}

/// What is in a directory, without what does not count.
fn entries(directory: &Path) -> io::Result<Vec<OsString>> {
    let mut names: Vec<OsString> = fs::read_dir(directory)?
        .map(|entry| entry.map(|entry| entry.file_name()))
        .collect::<Result<_, _>>()?;
    names.retain(|name| name != LOST_AND_FOUND && !name.to_string_lossy().starts_with(MARK));
    names.sort();
    Ok(names)
}

/// Deletes directories of killed restores, whose names start so.
fn sweep(directory: &Path, start: &std::ffi::OsStr) -> io::Result<()> {
    use std::os::unix::ffi::OsStrExt;
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        let ours = entry.file_name().as_bytes().starts_with(start.as_bytes());
        // What was replaced is no leaving of ours to delete: it may be all that there is.
        if !ours || entry.file_name().as_bytes().ends_with(b".old") || !entry.file_type()?.is_dir() {
            continue;
        }
        let held = File::open(entry.path())?;
        if flock(&held, FlockOperation::NonBlockingLockExclusive).is_ok() {
            fs::remove_dir_all(entry.path())?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
