//! [`FileUpload`]: a file of a store whose files are this machine's, written by the thread that has its bytes.
//!
//! By way of an object store two other threads would be woken for each frame, and the processor's cache that has the frame is
//! the wrong one by then. It is done as the store does it: under a staged name, `name#1`, that is renamed when all is there.

use std::fs::{self, File};
use std::io::{self, ErrorKind, Write as _};
use std::path::{Path as FilePath, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use object_store::path::Path;

use super::super::fault::file_error;
use super::super::shared::{Pending, Shared, Work};

/// Dropped before its end, or after an error, it takes back what is there.
#[derive(Debug)]
pub(in crate::pipeline) struct FileUpload {
    shared: Arc<Shared>,
    location: Path,
    path: PathBuf,
    /// `None` after an error, which the sink has, and at the end.
    staged: Option<Staged>,
    _pending: Pending,
}

/// A file under a name that says it is not whole. Dropped, it is removed.
#[derive(Debug)]
struct Staged {
    /// `None` once it is closed.
    file: Option<File>,
    path: PathBuf,
    renamed: bool,
}

impl FileUpload {
    pub(super) fn start(shared: &Arc<Shared>, root: &FilePath, location: Path) -> Self {
        // Names of files in a backup have no part `.` or `..`: they stay below the root.
        let path = root.join(location.as_ref());
        let mut upload = Self {
            shared: Arc::clone(shared),
            location,
            path,
            staged: None,
            _pending: shared.pending(Work::Uploads),
        };
        // Whoever takes back a failed backup has perhaps removed its directory by now.
        if !shared.failed() {
            match Staged::create(&upload.path) {
                Ok(staged) => upload.staged = Some(staged),
                Err(error) => upload.fail(&error),
            }
        }
        upload
    }

    pub(super) fn put(&mut self, bytes: &[u8]) {
        if self.shared.failed() {
            return;
        }
        let Some(Staged { file: Some(file), .. }) = &mut self.staged else {
            return;
        };
        match file.write_all(bytes) {
            Ok(()) => {
                self.shared
                    .stored_bytes
                    .fetch_add(bytes.len() as u64, Ordering::Relaxed);
            }
            Err(error) => self.fail(&error),
        }
    }

    pub(super) fn end(mut self) {
        if self.shared.failed() {
            return;
        }
        if let Some(staged) = &mut self.staged
            && let Err(error) = staged.end(&self.path)
        {
            self.fail(&error);
        }
    }

    fn fail(&mut self, error: &io::Error) {
        // First, so that all others stop: to remove a large file may take long.
        self.shared.fail(file_error("written", &self.location, error));
        self.staged = None;
    }
}

impl Staged {
    /// Makes a file beside `path`, and the directory that it is in. What an earlier one has left, or is about to remove, is left alone.
    fn create(path: &FilePath) -> io::Result<Self> {
        let directory = path.parent().unwrap_or(path);
        let (mut number, mut made) = (1, false);
        loop {
            let mut staged = path.to_owned().into_os_string();
            staged.push(format!("#{number}"));
            match File::create_new(&staged) {
                Ok(file) => {
                    return Ok(Self {
                        file: Some(file),
                        path: staged.into(),
                        renamed: false,
                    });
                }
                Err(error) if error.kind() == ErrorKind::AlreadyExists => number += 1,
                // Not whether it is there: another thread may have made it just now.
                Err(error) if error.kind() == ErrorKind::NotFound && !made => {
                    fs::create_dir_all(directory)?;
                    made = true;
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// Gives the file its name. It is closed before that: file systems that are far away say only then what has become of its bytes, and
    /// some rename no file that is open.
    fn end(&mut self, path: &FilePath) -> io::Result<()> {
        if let Some(file) = self.file.take() {
            nix::unistd::close(file)?;
        }
        fs::rename(&self.path, path)?;
        self.renamed = true;
        Ok(())
    }
}

impl Drop for Staged {
    fn drop(&mut self) {
        if !self.renamed {
            // Whoever reads the repository does not see what is left.
            let _ = fs::remove_file(&self.path);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs::OpenOptions;
    use std::sync::Barrier;
    use std::thread;

    use super::super::super::testing::Bed;
    use super::super::super::{SinkOptions, shared};
    use super::*;

    fn shared(bed: &Bed) -> Arc<Shared> {
        shared::Shared::new(bed.destination(), bed.runtime.handle().clone(), SinkOptions::default())
    }

    fn start(bed: &Bed, shared: &Arc<Shared>) -> FileUpload {
        let location = Path::parse(format!("{}/data/a", bed.base)).unwrap();
        FileUpload::start(shared, shared.root.as_deref().unwrap(), location)
    }

    #[test]
    fn a_disk_that_is_full_fails_the_sink_and_leaves_nothing() {
        let bed = Bed::local();
        let shared = shared(&bed);
        let mut upload = start(&bed, &shared);
        upload.put(b"fits");
        assert_eq!(bed.on_disk(), ["data/a#1"]);
        let full = OpenOptions::new().write(true).open("/dev/full").unwrap();
        upload.staged.as_mut().unwrap().file = Some(full);
        upload.put(b"does not");
        assert_eq!(bed.on_disk(), Vec::<String>::new());
        assert_eq!(
            shared.check().unwrap_err().to_string(),
            "clusters/c/backups/b/data/a in the repository could not be written: No space left on device (os error 28); make room in the \
             repository, or remove backups that are not needed any more"
        );
        assert_eq!(shared.stored_bytes.load(Ordering::Relaxed), 4);
        // Nothing comes of it any more.
        upload.put(b"more");
        upload.end();
        assert!(start(&bed, &shared).staged.is_none());
        assert_eq!(bed.on_disk(), Vec::<String>::new());
        shared.wait_for_all(Work::Uploads);
    }

    #[test]
    fn threads_that_make_one_directory() {
        let bed = Bed::local();
        let shared = shared(&bed);
        let barrier = Barrier::new(4);
        thread::scope(|scope| {
            for thread in 0..4 {
                let (bed, shared, barrier) = (&bed, &shared, &barrier);
                scope.spawn(move || {
                    for round in 0..200 {
                        let location = Path::parse(format!("{}/data/{round}/{thread}", bed.base)).unwrap();
                        barrier.wait();
                        FileUpload::start(shared, shared.root.as_deref().unwrap(), location).end();
                    }
                });
            }
        });
        shared.wait(Work::Uploads).unwrap();
        assert_eq!(bed.on_disk().len(), 800);
    }

    #[test]
    fn one_that_is_being_taken_back_is_not_in_the_way() {
        let bed = Bed::local();
        let shared = shared(&bed);
        let mut first = start(&bed, &shared);
        first.put(b"first");
        let mut second = start(&bed, &shared);
        second.put(b"second");
        assert_eq!(bed.on_disk(), ["data/a#1", "data/a#2"]);
        drop(first);
        second.end();
        assert_eq!(bed.on_disk(), ["data/a"]);
        assert_eq!(bed.get("data/a"), b"second");
        shared.wait(Work::Uploads).unwrap();
    }
}
