//! What jobs that were killed have left, and clearing it away.
//!
//! A directory without a manifest belongs to a job that is running, or it is a leftover. Which of the two, the locks say: a
//! job takes its lock before it writes anything, and so whoever looks at the directories first and at the locks afterwards
//! does not take a running job's directory for a leftover.
//!
//! Stores of files write under a staged name (`manifest.json#1`) and rename; a process that is killed in between
//! leaves that file.

mod segments;

use std::fs;
use std::io;
use std::path::{Path as FilePath, PathBuf};
use std::time::{Duration, SystemTime};

use jiff::Timestamp;
use object_store::path::Path;

use super::Repository;
use super::layout::{self, BackupPaths};
use crate::{Error, ErrorKind, Result};

/// A staged file that is older is of no living process: outside a backup's directory, what is staged is small and staged for
/// milliseconds.
const STAGED_AGE: Duration = Duration::from_secs(3600);

/// A directory without a manifest, or a segment's without a record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unfinished {
    /// The id that the backup would have; of a segment, its log's id and its name.
    pub id: String,
    /// How many files it has, staged ones included.
    pub files: u64,
    /// How long they are together, in bytes.
    pub bytes: u64,
    /// How long ago the job began, as the id says; zero where it does not say it.
    pub age: Duration,
    /// Whether its job holds a lock: it is being written.
    pub running: bool,
}

/// What is left of jobs that were killed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Leftovers {
    /// Directories without a manifest whose job is not running.
    pub unfinished: Vec<Unfinished>,
    /// Files that were being written, elsewhere.
    pub staged: Vec<PathBuf>,
}

impl Leftovers {
    /// Whether there is nothing.
    pub fn is_empty(&self) -> bool {
        self.unfinished.is_empty() && self.staged.is_empty()
    }
}

impl Repository {
    /// What killed jobs have left of a cluster.
    ///
    /// # Errors
    /// The repository can not be read.
    pub fn leftovers(&self, cluster: &str) -> Result<Leftovers> {
        // The directories first, then the locks.
        let directory = layout::backups(cluster)?;
        let ids = self.wait(self.store.directory_names(&directory))?;
        let running = self.running_jobs(cluster)?;
        let now = Timestamp::now();
        let mut leftovers = Leftovers::default();
        for id in ids.into_iter().filter(|id| !running.contains(id)) {
            let paths = BackupPaths::new(cluster, &id)?;
            if self.wait(self.store.head(&paths.manifest))?.is_none() {
                leftovers
                    .unfinished
                    .push(self.look_at_unfinished(cluster, id, false, now)?);
            } else if let Some(directory) = self.store.file(&paths.directory) {
                // Nobody writes to a backup.
                self.staged_below(&paths.directory, &directory, Duration::ZERO, &mut leftovers.staged)?;
            }
        }
        let locks = layout::locks(cluster)?;
        if let Some(directory) = self.store.file(&locks) {
            self.staged_below(&locks, &directory, STAGED_AGE, &mut leftovers.staged)?;
        }
        leftovers.staged.sort();
        let segments = self.unfinished_segments(cluster)?;
        leftovers
            .unfinished
            .extend(segments.into_iter().filter(|unfinished| !unfinished.running));
        Ok(leftovers)
    }

    /// Removes what killed jobs have left of a cluster, and answers what that was.
    ///
    /// # Errors
    /// The repository can not be read or written.
    pub fn clear_leftovers(&self, cluster: &str) -> Result<Leftovers> {
        let mut leftovers = self.leftovers(cluster)?;
        // What lies in a log needs the archive's lock.
        leftovers.unfinished.retain(|unfinished| !unfinished.id.contains('/'));
        for unfinished in &leftovers.unfinished {
            self.clear_unfinished(cluster, &unfinished.id)?;
        }
        leftovers.unfinished.extend(self.clear_unfinished_segments(cluster)?);
        for path in &leftovers.staged {
            if let Err(error) = fs::remove_file(path)
                && error.kind() != io::ErrorKind::NotFound
            {
                let message = format!("can not remove {}", path.display());
                return Err(Error::new(ErrorKind::Io, message).detail(error.to_string()));
            }
        }
        Ok(leftovers)
    }

    /// Removes what one job has written, if that is no backup; answers whether it was there. The caller knows that the
    /// job is over: it is the caller's own, or a dead one of whose lock the caller is the successor.
    ///
    /// # Errors
    /// The repository can not be read or written.
    pub fn clear_unfinished(&self, cluster: &str, id: &str) -> Result<bool> {
        let paths = BackupPaths::new(cluster, id)?;
        if self.wait(self.store.head(&paths.manifest))?.is_some() {
            return Ok(false);
        }
        self.wait(self.store.remove_tree(&paths.directory))
    }

    pub(super) fn look_at_unfinished(
        &self,
        cluster: &str,
        id: String,
        running: bool,
        now: Timestamp,
    ) -> Result<Unfinished> {
        let directory = layout::backups(cluster)?.join(id.as_str());
        self.look_at(&directory, id, running, now)
    }

    fn look_at(&self, directory: &Path, id: String, running: bool, now: Timestamp) -> Result<Unfinished> {
        let (mut files, mut bytes) = (0, 0);
        if let Some(on_disk) = self.store.file(directory) {
            // The object store does not show staged files, which may be most of it.
            self.walk(directory, &on_disk, &mut |_, metadata| {
                files += 1;
                bytes += metadata.len();
            })?;
        } else {
            for object in self.wait(self.store.list(directory))? {
                files += 1;
                bytes += object.size;
            }
        }
        let began = layout::time_of(&id).unwrap_or(now);
        let age = Duration::try_from(now.duration_since(began)).unwrap_or_default();
        Ok(Unfinished {
            id,
            files,
            bytes,
            age,
            running,
        })
    }

    fn staged_below(&self, path: &Path, directory: &FilePath, age: Duration, found: &mut Vec<PathBuf>) -> Result<()> {
        let now = SystemTime::now();
        self.walk(path, directory, &mut |file, metadata| {
            let is_old = || {
                let modified = metadata.modified().unwrap_or(now);
                now.duration_since(modified).unwrap_or_default() >= age
            };
            if is_staged(file) && is_old() {
                found.push(file.to_owned());
            }
        })
    }

    /// Visits the files below a directory; what vanishes meanwhile is not there.
    fn walk(&self, path: &Path, directory: &FilePath, visit: &mut dyn FnMut(&FilePath, &fs::Metadata)) -> Result<()> {
        let walked = walk(directory, visit);
        walked.map_err(|error| self.store.io_failed("list", path, &error))
    }
}

/// Whether an object store's file system back end made a file for what was not whole yet: `name#1`.
fn is_staged(file: &FilePath) -> bool {
    let name = file.file_name().unwrap_or_default().to_string_lossy();
    name.rsplit_once('#')
        .is_some_and(|(_, number)| !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit()))
}

fn walk(directory: &FilePath, visit: &mut dyn FnMut(&FilePath, &fs::Metadata)) -> io::Result<()> {
    let entries = match fs::read_dir(directory) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        entries => entries?,
    };
    for entry in entries {
        let entry = entry?;
        let metadata = match entry.metadata() {
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            metadata => metadata?,
        };
        if metadata.is_dir() {
            walk(&entry.path(), visit)?;
        } else {
            visit(&entry.path(), &metadata);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::Lock;
    use super::super::locks::Purpose;
    use super::super::testing::{Directory, commit, each_store, job, record, write_data};
    use super::*;

    const KILLED: &str = "20261120T000000Z-full-mysqldump-0001";
    const RUNNING: &str = "20261121T000000Z-full-mysqldump-0002";
    const WHOLE: &str = "20261122T000000Z-full-mysqldump-0003";

    #[test]
    fn the_running_and_the_whole_are_left_alone() {
        each_store(|repository| {
            commit(repository, record(WHOLE, None)).unwrap();
            write_data(repository, KILLED);
            let lock = Lock::acquire(repository, "orders", Purpose::Backup, job(RUNNING)).unwrap();
            write_data(repository, RUNNING);

            let found = repository.leftovers("orders").unwrap();
            let [unfinished] = &found.unfinished[..] else {
                panic!("{found:?}")
            };
            assert_eq!(
                (unfinished.id.as_str(), unfinished.files, unfinished.bytes),
                (KILLED, 3, 39)
            );
            assert_eq!(repository.clear_leftovers("orders").unwrap().unfinished.len(), 1);
            let listing = repository.list("orders").unwrap();
            let [unfinished] = &listing.unfinished[..] else {
                panic!("{listing:?}")
            };
            assert_eq!((unfinished.id.as_str(), unfinished.running), (RUNNING, true));
            assert_eq!(listing.backups[0].record.id, WHOLE);

            lock.release().unwrap();
            assert!(!repository.clear_unfinished("orders", WHOLE).unwrap());
            write_data(repository, KILLED);
            assert!(repository.clear_unfinished("orders", KILLED).unwrap());
            assert!(!repository.clear_unfinished("orders", KILLED).unwrap());
            assert_eq!(repository.clear_leftovers("orders").unwrap().unfinished[0].id, RUNNING);
            assert!(repository.leftovers("orders").unwrap().is_empty());
            assert_eq!(repository.list("orders").unwrap().backups.len(), 1);
        });
    }

    #[test]
    fn staged_files_are_found() {
        let directory = Directory::new();
        let repository = directory.repository();
        commit(&repository, record(WHOLE, None)).unwrap();
        write_data(&repository, KILLED);
        let root = repository.root().unwrap().join("clusters/orders");
        let (whole, killed) = (root.join("backups").join(WHOLE), root.join("backups").join(KILLED));
        fs::write(whole.join("manifest.json#1"), "x").unwrap();
        fs::write(whole.join("data/odd#name"), "x").unwrap();
        fs::write(killed.join("data/b#12"), "1234567890").unwrap();
        fs::write(root.join("locks/backup/00000000000000000009#1"), "x").unwrap();

        let cleared = repository.clear_leftovers("orders").unwrap();
        assert_eq!(
            cleared.staged,
            [whole.join("manifest.json#1")],
            "the lock's may be in use"
        );
        assert_eq!((cleared.unfinished[0].files, cleared.unfinished[0].bytes), (4, 49));
        assert!(!killed.exists());
        assert!(whole.join("data/odd#name").exists());
        assert!(repository.leftovers("orders").unwrap().is_empty());
    }
}
