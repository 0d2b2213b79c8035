//! [`FileUpload`]: a file of a store whose files are this machine's, written by the thread that has its bytes.
//!
//! By way of an object store two other threads would be woken for each frame, and the processor's cache that has the frame is
//! the wrong one by then. It is done as the store does it: under a staged name, `name#1`, that is renamed when all is there.

use std::fs::{self, File};
use std::io::{self, Write as _};
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
    staged: PathBuf,
    /// `None` after an error, which the sink has, and after its end.
    file: Option<File>,
    _pending: Pending,
}

impl FileUpload {
    pub(super) fn start(shared: &Arc<Shared>, root: &FilePath, location: Path) -> Self {
        // Names of files in a backup have no part `.` or `..`: they stay below the root.
        let path = root.join(location.as_ref());
        let mut staged = path.clone().into_os_string();
        staged.push("#1");
        let mut upload = Self {
            shared: Arc::clone(shared),
            location,
            path,
            staged: staged.into(),
            file: None,
            _pending: shared.pending(Work::Uploads),
        };
        match create(&upload.staged) {
            Ok(file) => upload.file = Some(file),
            Err(error) => upload.fail(&error),
        }
        upload
    }

    pub(super) fn put(&mut self, bytes: &[u8]) {
        if self.shared.failed() {
            return;
        }
        let Some(file) = &mut self.file else { return };
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
        if self.shared.failed() || self.file.is_none() {
            return;
        }
        match fs::rename(&self.staged, &self.path) {
            Ok(()) => self.file = None,
            Err(error) => self.fail(&error),
        }
    }

    fn fail(&mut self, error: &io::Error) {
        self.take_back();
        self.shared.fail(file_error("written", &self.location, error));
    }

    fn take_back(&mut self) {
        if self.file.take().is_some() {
            // Whoever reads the repository does not see what is left.
            let _ = fs::remove_file(&self.staged);
        }
    }
}

impl Drop for FileUpload {
    fn drop(&mut self) {
        self.take_back();
    }
}

/// Makes a file that is not there yet, and the directory that it is in.
fn create(path: &FilePath) -> io::Result<File> {
    let made = File::create_new(path);
    match (&made, path.parent()) {
        (Err(error), Some(parent)) if error.kind() == io::ErrorKind::NotFound => {
            fs::create_dir_all(parent)?;
            File::create_new(path)
        }
        _ => made,
    }
}
