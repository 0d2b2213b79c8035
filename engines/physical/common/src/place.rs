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
        let refused = |what: &str| EngineError::refused(format!("the target {} {what}", target.display()));
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
            Ok(meta) => {
                sweep(&target, MARK.as_ref())?;
                if meta.dev() != parent_meta.dev() {
                    place.inside = true;
                    place.staging = target.join(format!("{MARK}{id}"));
                }
            }
        }
        let entries = entries(&target)?;
        place.occupied = !entries.is_empty();
        if let Some(found) = server_on(&target) {
            return Err(refused(&format!(
                "is in use: a server runs on it (process {} holds a lock on {})",
                found.process, found.file
            ))
            .advise("stop the server first, or restore to another directory"));
        }
        if place.occupied && !overwrite {
            let shown: Vec<_> = entries.iter().take(3).map(|name| name.to_string_lossy()).collect();
            return Err(refused(&format!("is not empty: it has {}", shown.join(", "))).advise(
                "restore to a directory that is new or empty, or with --overwrite, which deletes what is there",
            ));
        }
        Ok(place)
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
    /// Another has put something there meanwhile, or the system refuses.
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
        for name in entries(&self.target)? {
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
mod tests {
    use super::*;

    fn names(directory: &Path) -> Vec<String> {
        let mut names: Vec<String> = fs::read_dir(directory)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
            .collect();
        names.sort();
        names
    }

    #[test]
    fn a_target_is_untouched_until_it_is_published() {
        let root = tempfile::tempdir().unwrap();
        let target = root.path().join("data");
        fs::create_dir(&target).unwrap();
        fs::write(target.join("precious"), "x").unwrap();
        let error = Place::choose(&target, "job", false).unwrap_err();
        assert_eq!(error.kind, ErrorKind::Refused);
        assert!(error.message.contains("is not empty: it has precious"), "{error}");

        let mut place = Place::choose(&target, "job", true).unwrap();
        place.make().unwrap();
        fs::create_dir(data_in(place.staging())).unwrap();
        fs::write(data_in(place.staging()).join("new"), "y").unwrap();
        assert_eq!(names(&target), ["precious"]);
        drop(place);
        assert_eq!(names(root.path()), ["data"]);

        let mut place = Place::choose(&target, "job", true).unwrap();
        place.make().unwrap();
        fs::create_dir(data_in(place.staging())).unwrap();
        fs::write(data_in(place.staging()).join("new"), "y").unwrap();
        place.publish().unwrap();
        assert_eq!(names(&target), ["new"]);
        assert_eq!(names(root.path()), ["data"]);
    }

    #[test]
    fn leavings_of_the_dead_go_and_those_of_the_living_stay() {
        let root = tempfile::tempdir().unwrap();
        let target = root.path().join("data");
        fs::create_dir(root.path().join(".data.backstay-dead")).unwrap();
        let mut living = Place::choose(&target, "living", false).unwrap();
        living.make().unwrap();
        let second = Place::choose(&target, "second", false).unwrap();
        assert_eq!(names(root.path()), [".data.backstay-living"]);
        drop(second);
        fs::create_dir(data_in(living.staging())).unwrap();
        living.publish().unwrap();
        assert_eq!(names(root.path()), ["data"]);
    }

    #[test]
    fn a_directory_that_came_meanwhile_is_not_replaced() {
        let root = tempfile::tempdir().unwrap();
        let target = root.path().join("data");
        let mut place = Place::choose(&target, "job", false).unwrap();
        place.make().unwrap();
        fs::create_dir(data_in(place.staging())).unwrap();
        fs::create_dir(&target).unwrap();
        fs::write(target.join("precious"), "x").unwrap();
        assert_eq!(place.publish().unwrap_err().kind, ErrorKind::Io);
        assert_eq!(names(&target), ["precious"]);
        assert_eq!(names(root.path()), ["data"]);
    }

    #[test]
    fn no_directory_no_restore() {
        let root = tempfile::tempdir().unwrap();
        fs::write(root.path().join("file"), "").unwrap();
        for (target, what) in [("file", "is no directory"), ("a/b", "has no directory above it")] {
            let error = Place::choose(&root.path().join(target), "job", true).unwrap_err();
            assert!(error.message.contains(what), "{error}");
        }
    }
}
