//! The store's errors in the operator's words.

use std::error::Error;
use std::io;

use backstay_engine_api::{EngineError, ErrorKind};
use object_store::path::Path;

/// An error of the store while it did something (`written`, `read`) to a file.
pub(super) fn store_error(doing: &str, file: &Path, error: &object_store::Error) -> EngineError {
    match io_error(error) {
        // The chain above it repeats the same text.
        Some(source) => file_error(doing, file, source),
        None => fault(doing, file).because(error),
    }
}

/// An error of the operating system's while something was done (`written`, `read`) to a file.
pub(super) fn file_error(doing: &str, file: &Path, error: &io::Error) -> EngineError {
    let fault = fault(doing, file).detail(error.to_string());
    match advice(error.kind()) {
        Some(advice) => fault.advise(advice),
        None => fault,
    }
}

fn fault(doing: &str, file: &Path) -> EngineError {
    EngineError::new(ErrorKind::Io, format!("{file} in the repository could not be {doing}"))
}

fn io_error(error: &object_store::Error) -> Option<&io::Error> {
    let mut next: Option<&(dyn Error + 'static)> = Some(error);
    while let Some(error) = next {
        if let Some(found) = error.downcast_ref::<io::Error>() {
            return Some(found);
        }
        next = error.source();
    }
    None
}

fn advice(kind: io::ErrorKind) -> Option<&'static str> {
    match kind {
        io::ErrorKind::StorageFull => {
            Some("make room in the repository, or remove backups that are not needed any more")
        }
        io::ErrorKind::QuotaExceeded => Some("raise the quota of the repository's owner"),
        io::ErrorKind::PermissionDenied => Some("let the user that runs backstay write to the repository's directory"),
        io::ErrorKind::ReadOnlyFilesystem => Some("mount the repository's file system writable"),
        io::ErrorKind::FileTooLarge => Some("the repository's file system can not hold files of this size"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_disk_is_one_line_with_advice() {
        let error = object_store::Error::Generic {
            store: "LocalFileSystem",
            source: Box::new(io::Error::from_raw_os_error(28)),
        };
        let fault = store_error("written", &Path::from("a/b"), &error);
        assert_eq!(fault.kind, ErrorKind::Io);
        assert_eq!(
            fault.to_string(),
            "a/b in the repository could not be written: No space left on device (os error 28); \
             make room in the repository, or remove backups that are not needed any more"
        );
    }
}
