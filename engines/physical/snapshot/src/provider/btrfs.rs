//! A read-only snapshot of the Btrfs subvolume that the data directory is in.
//!
//! The snapshot is beside the subvolume, or in it where that is a mount point. It shows the subvolume as one transaction of the file
//! system has it; what programs have written and not synced is written first.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use backstay_engine_api::job::JobContext;
use backstay_engine_api::{EngineError, ErrorKind};

use super::{Provider, Snapshot, mounts, needs_root};
use crate::command::Program;
use crate::options::ProviderName;
use crate::source::Source;
use crate::trace;

/// The program that makes and deletes subvolumes.
const BTRFS: Program = Program {
    name: "btrfs",
    package: "btrfs-progs",
};
/// The inode number of a subvolume's root (`BTRFS_FIRST_FREE_OBJECTID`).
const ROOT_INODE: u64 = 256;

/// The provider.
#[derive(Debug)]
pub(super) struct Btrfs;

impl Provider for Btrfs {
    fn name(&self) -> ProviderName {
        ProviderName::Btrfs
    }

    fn allows(&self, source: &Source) -> Result<(), EngineError> {
        check(&source.data_dir)?;
        needs_root("delete subvolumes")?;
        BTRFS.find()?;
        subvolume(&source.data_dir).map(drop)
    }

    fn prepare(&self, source: &Source, job: &JobContext) -> Result<Box<dyn Snapshot>, EngineError> {
        let subvolume = subvolume(&source.data_dir)?;
        let below = source.data_dir.strip_prefix(&subvolume).unwrap_or(Path::new(""));
        let snapshot = place(&subvolume, job.id());
        Ok(Box::new(Made {
            data: snapshot.join(below),
            subvolume,
            snapshot,
        }))
    }

    fn clean(&self, data_dir: &Path, job: &str) -> Result<(), EngineError> {
        delete(&place(&subvolume(data_dir)?, job))
    }
}

/// Whether it is on Btrfs.
fn check(path: &Path) -> Result<(), EngineError> {
    let kind = mounts::of(path).map_or_else(|| "an unknown file system".to_owned(), |mount| mount.kind);
    if kind == "btrfs" {
        return Ok(());
    }
    Err(EngineError::refused(format!(
        "the provider `btrfs` needs a data directory on Btrfs, and {} is on {kind}",
        path.display()
    ))
    .advise("use the provider `auto`, which says what the directory allows"))
}

/// The root of the subvolume that a directory is in.
fn subvolume(directory: &Path) -> Result<PathBuf, EngineError> {
    let found = directory.ancestors().find(|path| {
        fs::metadata(path).is_ok_and(|meta| meta.ino() == ROOT_INODE)
            && mounts::of(path).is_some_and(|mount| mount.kind == "btrfs")
    });
    found.map(Path::to_owned).ok_or_else(|| {
        let message = format!(
            "the root of the subvolume of {} can not be seen from here",
            directory.display()
        );
        EngineError::refused(message).advise("mount the subvolume itself, not a directory of it")
    })
}

fn place(subvolume: &Path, job: &str) -> PathBuf {
    let mount = mounts::of(subvolume);
    // A mount point's parent is of another file system, or of another mount at least.
    trace::beside_or_in(subvolume, job, |parent| mounts::of(parent) == mount)
}

/// Deletes a snapshot, if it is there.
fn delete(snapshot: &Path) -> Result<(), EngineError> {
    match fs::symlink_metadata(snapshot) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error.into()),
        Ok(_) => BTRFS
            .run(&["subvolume", "delete", &text(snapshot)?])
            .map(drop)
            .map_err(|error| error.advise(format!("delete it: btrfs subvolume delete {}", snapshot.display()))),
    }
}

fn text(path: &Path) -> Result<String, EngineError> {
    let shown = || {
        let message = format!("the path {} is no text in UTF-8", path.display());
        EngineError::new(ErrorKind::Unsupported, message)
    };
    OsStr::to_str(path.as_os_str()).map(str::to_owned).ok_or_else(shown)
}

/// The snapshot.
#[derive(Debug)]
struct Made {
    subvolume: PathBuf,
    snapshot: PathBuf,
    /// The data directory in the snapshot.
    data: PathBuf,
}

impl Snapshot for Made {
    fn take(&mut self) -> Result<Option<Duration>, EngineError> {
        BTRFS.run(&[
            "subvolume",
            "snapshot",
            "-r",
            &text(&self.subvolume)?,
            &text(&self.snapshot)?,
        ])?;
        Ok(None)
    }

    fn open(&mut self) -> Result<PathBuf, EngineError> {
        Ok(self.data.clone())
    }

    fn remove(&mut self) -> Result<(), EngineError> {
        delete(&self.snapshot)
    }
}
