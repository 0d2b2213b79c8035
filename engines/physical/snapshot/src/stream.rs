//! Files into objects, on several threads.
//!
//! An object's bytes are a file's bytes, holes as zeros: zeros compress to next to nothing, and whoever reads an object without us has
//! the file. Where the holes were is kept as an attribute.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use backstay_engine_api::{Attributes, BackupJob, EngineError, ErrorKind, Storage};
use backstay_physical::{Names, file_attributes};
use rustix::fs::{SeekFrom, seek};
use rustix::io::Errno;

use crate::left_out::LeftOut;
use crate::pages::Pages;

/// How much is read and written at once, in bytes.
const CHUNK: usize = 1 << 20;
/// What holes are written from.
static ZEROS: [u8; CHUNK] = [0; CHUNK];
/// The most holes that are kept one by one. A table with page compression has one for each page.
const MAX_HOLES: usize = 1000;
/// The attribute with the holes: a list of offsets and lengths in bytes; or that there are too many to list.
pub(crate) const HOLES: &str = "holes";
pub(crate) const SPARSE: &str = "sparse";
/// How often it is looked whether the snapshot still holds.
const LOOK: Duration = Duration::from_secs(2);

/// A file, by its path from the data directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Listed {
    /// Those above come before those below.
    pub(crate) directories: Vec<String>,
    /// The largest first.
    pub(crate) files: Vec<Item>,
}

/// A file that is backed up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Item {
    /// From the data directory.
    pub(crate) path: String,
    /// In bytes.
    pub(crate) size: u64,
}

/// What there is to back up below a directory.
///
/// # Errors
/// It can not be read, or a name can not be kept.
pub(crate) fn list(root: &Path, left_out: &LeftOut) -> Result<Listed, EngineError> {
    let mut listed = Listed {
        directories: Vec::new(),
        files: Vec::new(),
    };
    below(root, "", left_out, &mut listed)
        .map_err(|error| error.advise("see whether the file system is sound, and whether we may read all of it"))?;
    listed
        .files
        .sort_by(|a, b| b.size.cmp(&a.size).then_with(|| a.path.cmp(&b.path)));
    Ok(listed)
}

fn below(root: &Path, at: &str, left_out: &LeftOut, listed: &mut Listed) -> Result<(), EngineError> {
    let failed = |path: &str, error: &io::Error| {
        EngineError::new(ErrorKind::Io, format!("{} can not be read", root.join(path).display())).because(error)
    };
    for entry in fs::read_dir(root.join(at)).map_err(|error| failed(at, &error))? {
        let entry = entry.map_err(|error| failed(at, &error))?;
        let name = entry.file_name();
        let name = name
            .to_str()
            .filter(|name| !name.chars().any(char::is_control))
            .ok_or_else(|| {
                let message = format!(
                    "{} has a name that no server gives, and that can not be kept",
                    entry.path().display()
                );
                EngineError::new(ErrorKind::Unsupported, message)
            })?;
        let path = if at.is_empty() {
            name.to_owned()
        } else {
            format!("{at}/{name}")
        };
        if left_out.has(&path) {
            continue;
        }
        let meta = entry.metadata().map_err(|error| failed(&path, &error))?;
        if meta.is_dir() {
            listed.directories.push(path.clone());
            below(root, &path, left_out, listed)?;
        } else if meta.is_file() {
            listed.files.push(Item { path, size: meta.len() });
        }
        // Sockets and pipes are a running server's.
    }
    Ok(())
}

/// Writes all files into objects. `check` is asked now and then whether they are still what they were.
///
/// # Errors
/// A file can not be read, the repository failed, the job is cancelled, or what `check` says.
pub(crate) fn write_all(
    job: &BackupJob,
    root: &Path,
    files: &[Item],
    names: Names,
    pages: &Pages,
    check: &mut dyn FnMut() -> Result<(), EngineError>,
) -> Result<(), EngineError> {
    let names = Mutex::new(names);
    let (next, stop) = (AtomicUsize::new(0), AtomicBool::new(false));
    let first_error: Mutex<Option<EngineError>> = Mutex::default();
    let fail = |error: EngineError| {
        stop.store(true, Ordering::Relaxed);
        first_error
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .get_or_insert(error);
    };
    thread::scope(|scope| {
        let workers: Vec<_> = (0..job.threads())
            .map(|_| {
                scope.spawn(|| {
                    let mut buffer = vec![0; CHUNK];
                    while !stop.load(Ordering::Relaxed) {
                        let Some(item) = files.get(next.fetch_add(1, Ordering::Relaxed)) else {
                            break;
                        };
                        let table = names.lock().unwrap_or_else(PoisonError::into_inner).table(&item.path);
                        let written = table.and_then(|table| {
                            let attributes = file_attributes(&item.path, table.as_ref());
                            pages.write(job, root, item, attributes, &mut buffer)
                        });
                        if let Err(error) = written {
                            fail(error);
                        }
                    }
                })
            })
            .collect();
        let mut looked = Instant::now();
        while workers.iter().any(|worker| !worker.is_finished()) {
            thread::sleep(Duration::from_millis(20));
            if looked.elapsed() >= LOOK {
                looked = Instant::now();
                if let Err(error) = check() {
                    fail(error);
                }
            }
        }
    });
    let Some(error) = first_error.into_inner().unwrap_or_else(PoisonError::into_inner) else {
        return check();
    };
    // That a snapshot is void shows as an error of reading first.
    job.check_cancelled()?;
    check()?;
    Err(error)
}

/// The attributes of a file that has such holes.
pub(crate) fn with_holes(attributes: Attributes, holes: &[(u64, u64)]) -> Attributes {
    match holes.len() {
        0 => attributes,
        1..=MAX_HOLES => attributes.with(HOLES, serde_json::json!(holes)),
        _ => attributes.with(SPARSE, true),
    }
}

/// Writes a file into an object of its path's name; where it has, or may have, holes, there are zeros. `seen` is shown all of it.
///
/// # Errors
/// It can not be read, the repository failed, or the job is cancelled.
pub(crate) fn write_with_holes(
    job: &BackupJob,
    root: &Path,
    item: &Item,
    attributes: Attributes,
    holes: Vec<(u64, u64)>,
    buffer: &mut [u8],
    seen: &mut dyn FnMut(&[u8]),
) -> Result<(), EngineError> {
    job.check_cancelled()?;
    job.doing(format!("reading {}", item.path));
    let failed = |error: io::Error| match error.downcast::<EngineError>() {
        // What the repository says.
        Ok(error) => error,
        Err(error) => EngineError::new(
            ErrorKind::Io,
            format!("{} can not be read", root.join(&item.path).display()),
        )
        .because(&error),
    };
    let file = File::open(root.join(&item.path)).map_err(failed)?;
    let attributes = with_holes(attributes, &holes);
    let mut object = job.create(&item.path, attributes, Storage::Compress)?;
    let mut at = 0;
    for (hole, length) in holes.into_iter().chain([(item.size, 0)]) {
        while at < hole {
            job.check_cancelled()?;
            let wanted = usize::try_from(hole - at).unwrap_or(CHUNK).min(CHUNK);
            file.read_exact_at(&mut buffer[..wanted], at).map_err(failed)?;
            object.write_all(&buffer[..wanted])?;
            seen(&buffer[..wanted]);
            at += wanted as u64;
        }
        while at < hole + length {
            let wanted = usize::try_from(hole + length - at).unwrap_or(CHUNK).min(CHUNK);
            object.write_all(&ZEROS[..wanted])?;
            seen(&ZEROS[..wanted]);
            at += wanted as u64;
        }
    }
    object.finish().map(drop)
}

/// Where a file has holes: offsets and lengths in bytes, in order.
pub(crate) fn holes(file: &File, size: u64) -> io::Result<Vec<(u64, u64)>> {
    let mut holes = Vec::new();
    let mut at = 0;
    while at < size {
        let data = match seek(file, SeekFrom::Data(at)) {
            Ok(data) => data.min(size),
            // There is none any more.
            Err(Errno::NXIO) => size,
            Err(error) => return Err(error.into()),
        };
        if data > at {
            holes.push((at, data - at));
        }
        if data == size {
            break;
        }
        at = seek(file, SeekFrom::Hole(data))?.min(size);
    }
    Ok(holes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn holes_are_found() {
        let file = tempfile::tempfile().unwrap();
        assert_eq!(holes(&file, 0).unwrap(), []);
        file.set_len(1 << 20).unwrap();
        assert_eq!(holes(&file, 1 << 20).unwrap(), [(0, 1 << 20)]);
        file.write_all_at(&[1; 65536], 1 << 18).unwrap();
        assert_eq!(
            holes(&file, 1 << 20).unwrap(),
            [(0, 1 << 18), ((1 << 18) + 65536, (1 << 20) - (1 << 18) - 65536)]
        );
        file.write_all_at(&vec![1; 1 << 20], 0).unwrap();
        assert_eq!(holes(&file, 1 << 20).unwrap(), []);
    }

    #[test]
    fn what_is_listed() {
        let root = tempfile::tempdir().unwrap();
        for directory in ["shop", "#innodb_temp", "empty"] {
            fs::create_dir(root.path().join(directory)).unwrap();
        }
        for (file, size) in [
            ("ibdata1", 10),
            ("shop/t.ibd", 20),
            ("auto.cnf", 5),
            ("#innodb_temp/x", 5),
        ] {
            fs::write(root.path().join(file), vec![0; size]).unwrap();
        }
        let mut listed = list(root.path(), &LeftOut::default()).unwrap();
        listed.directories.sort();
        assert_eq!(listed.directories, ["empty", "shop"]);
        let files: Vec<_> = listed
            .files
            .iter()
            .map(|item| (item.path.as_str(), item.size))
            .collect();
        assert_eq!(files, [("shop/t.ibd", 20), ("ibdata1", 10)]);
    }
}
