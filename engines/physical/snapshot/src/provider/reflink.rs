//! Clones of the files that share their blocks (FICLONE: XFS and Btrfs), made while the server's process is stopped.
//!
//! A clone is one instant for one file. InnoDB writes pages and the redo log on its own, whatever lock is held, so that files that are
//! cloned one after the other fit together only if nobody writes meanwhile.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use backstay_engine_api::job::JobContext;
use backstay_engine_api::{EngineError, ErrorKind};
use rustix::fs::ioctl_ficlone;
use rustix::process::{Pid, test_kill_process};

use super::{Provider, Snapshot, mounts};
use crate::freeze::{Frozen, Watchdog};
use crate::left_out::LeftOut;
use crate::options::ProviderName;
use crate::source::Source;
use crate::stream::{Listed, list};
use crate::trace;

/// The provider.
#[derive(Debug)]
pub(super) struct Reflink {
    max_pause: Duration,
}

impl Reflink {
    pub(super) fn new(max_pause: Duration) -> Self {
        Self { max_pause }
    }
}

impl Provider for Reflink {
    fn name(&self) -> ProviderName {
        ProviderName::Reflink
    }

    fn allows(&self, source: &Source) -> Result<(), EngineError> {
        process(source)?;
        let clones = place(&source.data_dir, "tried");
        try_clone(&source.data_dir, clones.parent().unwrap_or(&source.data_dir)).map_err(|error| {
            let kind = mounts::of(&source.data_dir).map_or_else(|| "its file system".to_owned(), |mount| mount.kind);
            EngineError::refused(format!(
                "the provider `reflink` needs files that share their blocks, and {} on {kind} has none",
                source.data_dir.display()
            ))
            .because(&error)
            .advise("use the provider `auto`, which says what the directory allows; XFS (made with reflink=1) and Btrfs have them")
        })
    }

    fn prepare(&self, source: &Source, job: &JobContext) -> Result<Box<dyn Snapshot>, EngineError> {
        let process = process(source)?;
        let clones = place(&source.data_dir, job.id());
        let watchdog = Watchdog::start(job.id(), process, self.max_pause)?;
        let made = Clones {
            data_dir: source.data_dir.clone(),
            left_out: source.left_out.clone(),
            clones,
            watchdog: Some(watchdog),
            threads: job.threads(),
        };
        fs::create_dir(&made.clones).map_err(|error| {
            EngineError::new(ErrorKind::Io, format!("{} can not be made", made.clones.display())).because(&error)
        })?;
        Ok(Box::new(made))
    }

    fn clean(&self, data_dir: &Path, job: &str) -> Result<(), EngineError> {
        delete(&place(data_dir, job))
    }
}

fn place(data_dir: &Path, job: &str) -> PathBuf {
    let mount = mounts::of(data_dir);
    trace::beside_or_in(data_dir, job, |parent| mounts::of(parent) == mount)
}

/// The server's process, which we may stop.
fn process(source: &Source) -> Result<Pid, EngineError> {
    let refused = |what: String| {
        Err(EngineError::refused(format!(
            "the provider `reflink` stops the server's process: {what}"
        )))
    };
    let Some(running) = &source.running else {
        return refused(format!(
            "no process has a lock on the files of {}",
            source.data_dir.display()
        ))
        .map_err(|error: EngineError| {
            error.advise("run Backstay on the server's machine, and name the directory of that very server")
        });
    };
    let Some(pid) = Pid::from_raw(running.process).filter(|_| running.process > 0) else {
        return refused("it can not be seen from here".to_owned()).map_err(|error: EngineError| {
            error.advise("run Backstay on the server's machine and outside of containers")
        });
    };
    test_kill_process(pid).map_err(|error| {
        EngineError::refused(format!("process {} of the server may not be stopped", running.process))
            .because(&error)
            .advise("run Backstay as root or as the server's own user")
    })?;
    Ok(pid)
}

/// Whether files of a directory can be cloned into another. By a file without a name: a process that is killed here leaves nothing.
fn try_clone(from: &Path, to: &Path) -> io::Result<()> {
    let source = File::open(from.join("ibdata1"))?;
    let target = tempfile::tempfile_in(to)?;
    Ok(ioctl_ficlone(&target, &source)?)
}

fn delete(clones: &Path) -> Result<(), EngineError> {
    match fs::remove_dir_all(clones) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            let message = format!(
                "{} can not be deleted, with the clones of the server's files",
                clones.display()
            );
            Err(EngineError::new(ErrorKind::Io, message).because(&error))
        }
        _ => Ok(()),
    }
}

/// The clones.
#[derive(Debug)]
struct Clones {
    data_dir: PathBuf,
    left_out: LeftOut,
    /// The directory of all of them.
    clones: PathBuf,
    watchdog: Option<Watchdog>,
    threads: usize,
}

impl Snapshot for Clones {
    fn take(&mut self) -> Result<Option<Duration>, EngineError> {
        let watchdog = self
            .watchdog
            .take()
            .ok_or_else(|| EngineError::other("the clones were made already"))?;
        let frozen = watchdog.freeze()?;
        self.clone_all(&frozen)?;
        frozen.thaw().map(Some)
    }

    fn open(&mut self) -> Result<PathBuf, EngineError> {
        Ok(self.clones.clone())
    }

    fn remove(&mut self) -> Result<(), EngineError> {
        self.watchdog = None;
        delete(&self.clones)
    }
}

impl Clones {
    fn clone_all(&self, frozen: &Frozen) -> Result<(), EngineError> {
        let Listed { directories, files } = list(&self.data_dir, &self.left_out)?;
        for directory in &directories {
            fs::create_dir(self.clones.join(directory))?;
        }
        let (next, stop) = (AtomicUsize::new(0), AtomicBool::new(false));
        let first_error: Mutex<Option<EngineError>> = Mutex::default();
        std::thread::scope(|scope| {
            for _ in 0..self.threads {
                scope.spawn(|| {
                    while !stop.load(Ordering::Relaxed) {
                        let Some(file) = files.get(next.fetch_add(1, Ordering::Relaxed)) else {
                            break;
                        };
                        if let Err(error) = frozen.check().and_then(|()| self.clone(&file.path)) {
                            stop.store(true, Ordering::Relaxed);
                            first_error
                                .lock()
                                .unwrap_or_else(PoisonError::into_inner)
                                .get_or_insert(error);
                        }
                    }
                });
            }
        });
        first_error
            .into_inner()
            .unwrap_or_else(PoisonError::into_inner)
            .map_or(Ok(()), Err)
    }

    fn clone(&self, path: &str) -> Result<(), EngineError> {
        let failed = |error: io::Error| {
            let message = format!("{} can not be cloned", self.data_dir.join(path).display());
            EngineError::new(ErrorKind::Io, message).because(&error)
        };
        let source = File::open(self.data_dir.join(path)).map_err(failed)?;
        let target = File::create_new(self.clones.join(path)).map_err(failed)?;
        ioctl_ficlone(&target, &source).map_err(|error| failed(error.into()))
    }
}
