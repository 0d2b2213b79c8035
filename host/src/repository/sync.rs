//! Getting a backup's files onto the disk before it is listed.
//!
//! Each file is synced by itself, from several threads, and not the whole file system at once (`syncfs`): a repository may
//! share its file system with the server, whose dirty pages are none of our business, and `syncfs` reports a failed write
//! only since Linux 5.8. With journaling file systems, threads that sync at the same time share the journal's commits.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

/// How many files are synced at once. They wait for the disk, not for a processor.
const THREADS: usize = 8;

/// A file or directory that could not be synced, and why.
#[derive(Debug)]
pub(crate) struct Unsynced {
    pub(crate) path: PathBuf,
    pub(crate) error: io::Error,
}

/// Syncs the files and directories below `directory`, itself, and the directories above it up to `root`.
pub(crate) fn tree(root: &Path, directory: &Path) -> Result<(), Unsynced> {
    let mut directories = vec![directory.to_owned()];
    let mut files = Vec::new();
    let mut next = 0;
    while let Some(path) = directories.get(next).cloned() {
        next += 1;
        for entry in fs::read_dir(&path).map_err(|error| unsynced(&path, error))? {
            let entry = entry.map_err(|error| unsynced(&path, error))?;
            let kind = entry.file_type().map_err(|error| unsynced(&entry.path(), error))?;
            if kind.is_dir() {
                directories.push(entry.path());
            } else if kind.is_file() {
                files.push(entry.path());
            }
        }
    }
    all(&files)?;
    let above = directory.ancestors().skip(1).take_while(|path| path.starts_with(root));
    directories.extend(above.map(Path::to_owned));
    all(&directories)
}

/// Syncs one directory: the names in it.
pub(super) fn directory(path: &Path) -> io::Result<()> {
    File::open(path)?.sync_all()
}

fn all(paths: &[PathBuf]) -> Result<(), Unsynced> {
    let next = AtomicUsize::new(0);
    let work = || {
        while let Some(path) = paths.get(next.fetch_add(1, Ordering::Relaxed)) {
            File::open(path)
                .and_then(|file| file.sync_all())
                .map_err(|error| unsynced(path, error))?;
        }
        Ok(())
    };
    std::thread::scope(|scope| {
        let threads: Vec<_> = (1..THREADS.min(paths.len())).map(|_| scope.spawn(work)).collect();
        let own = work();
        threads.into_iter().fold(own, |result, thread| {
            result.and(thread.join().expect("a sync does not panic"))
        })
    })
}

fn unsynced(path: &Path, error: io::Error) -> Unsynced {
    Unsynced {
        path: path.to_owned(),
        error,
    }
}
