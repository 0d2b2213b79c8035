//! Whether the server that runs on a data directory is the one that was asked where its data is, and not another of the same machine.
//!
//! A path is looked up as the process on the directory sees it, for in a container it is another's path here. Where that may not be
//! looked at, the path is looked up here, and the number of the process is compared with the one that the server has written into a
//! file. Where all this tells nothing, nothing is refused: most directories are the right ones.

use std::fs::{self, File};
use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;

use backstay_engine_api::EngineError;
use backstay_mysql::Session;
use backstay_physical::{Running, server_on};
use rustix::fs::{Mode, OFlags, ResolveFlags, fstat, openat2};
use rustix::io::Errno;

use crate::source::NAME_ITS_OWN;

/// A file, by its device and its number there.
type Id = (u64, u64);

/// Refuses a directory on which another server runs. `told` is where the server that was asked says that its data is.
///
/// # Errors
/// [`Refused`](backstay_engine_api::ErrorKind::Refused); the session was lost.
pub(crate) fn check(
    session: &mut Session,
    data_dir: &Path,
    running: &Running,
    told: Option<&Path>,
) -> Result<(), EngineError> {
    let Some(told) = told.filter(|told| told.is_absolute()) else {
        return Ok(());
    };
    let file = told.join(running.file);
    let ours = here(&data_dir.join(running.file))?;
    let refused = |what: &str| {
        Err(EngineError::refused(format!(
            "{} is the data directory of another server: process {} runs on it, and the server that was asked {what}",
            data_dir.display(),
            running.process
        ))
        .advise(NAME_ITS_OWN))
    };
    let elsewhere = format!("has its data in {}", told.display());
    match seen_by(running.process, &file) {
        Ok(id) if id == ours => return Ok(()),
        Ok(_) | Err(Errno::NOENT | Errno::NOTDIR) => return refused(&elsewhere),
        Err(_) if !is_of_our_namespace(running.process) => return Ok(()),
        Err(_) => {}
    }
    match here(&file) {
        Ok(id) if id == ours => return Ok(()),
        // One that nobody uses is not the one of the server that was asked either.
        Ok(_) if server_on(told).is_some() => return refused(&elsewhere),
        _ => {}
    }
    let pid_file = session.variable("pid_file")?.map(|name| told.join(name));
    let text = pid_file.and_then(|path| fs::read_to_string(path).ok());
    match text.and_then(|text| text.trim().parse::<i32>().ok()) {
        Some(process) if process != running.process => refused(&format!("is process {process}")),
        _ => Ok(()),
    }
}

fn here(path: &Path) -> io::Result<Id> {
    use std::os::unix::fs::MetadataExt as _;
    fs::metadata(path).map(|meta| (meta.dev(), meta.ino()))
}

/// The file that an absolute path means to a process: in its mount namespace, below its root directory.
///
/// # Errors
/// `NOENT` and `NOTDIR` if there is none; others if that can not be found out.
fn seen_by(process: i32, path: &Path) -> Result<Id, Errno> {
    if process <= 0 {
        return Err(Errno::SRCH);
    }
    // Not `/proc/PID/root/…` as one path: symbolic links in it would lead to our own root.
    let root = File::open(format!("/proc/{process}/root")).map_err(|error| match Errno::from_io_error(&error) {
        // Of the process itself, not of what it sees.
        None | Some(Errno::NOENT) => Errno::SRCH,
        Some(errno) => errno,
    })?;
    let flags = OFlags::PATH | OFlags::CLOEXEC;
    let file: OwnedFd = openat2(&root, path, flags, Mode::empty(), ResolveFlags::IN_ROOT)?;
    let stat = fstat(&file)?;
    Ok((stat.st_dev, stat.st_ino))
}

/// Whether a process is not in a container, as far as its number says: it has another one there (proc(5): `NSpid`).
fn is_of_our_namespace(process: i32) -> bool {
    process > 0 && fs::read_to_string(format!("/proc/{process}/status")).is_ok_and(|status| has_one_number(&status))
}

fn has_one_number(status: &str) -> bool {
    let numbers = status.lines().find_map(|line| line.strip_prefix("NSpid:"));
    numbers.is_some_and(|numbers| numbers.split_whitespace().count() == 1)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn a_path_as_a_process_sees_it() {
        let own = i32::try_from(std::process::id()).unwrap();
        let dir = tempfile::tempdir().unwrap();
        let (file, link) = (dir.path().join("file"), dir.path().join("link"));
        fs::write(&file, "").unwrap();
        symlink(dir.path(), &link).unwrap();
        let id = here(&file).unwrap();
        assert_eq!(seen_by(own, &file), Ok(id));
        assert_eq!(seen_by(own, &link.join("file")), Ok(id));
        assert_eq!(seen_by(own, &dir.path().join("none")), Err(Errno::NOENT));
        assert_eq!(seen_by(own, &file.join("none")), Err(Errno::NOTDIR));
        assert_eq!(seen_by(0, &file), Err(Errno::SRCH));
        assert!(is_of_our_namespace(own));
    }

    #[test]
    fn a_process_of_a_container_has_two_numbers() {
        assert!(has_one_number("Name:\tmariadbd\nNSpid:\t4242\nVmPeak:\t1 kB\n"));
        assert!(!has_one_number("Name:\tmariadbd\nNSpid:\t4242\t1\n"));
        assert!(!has_one_number("Name:\tmariadbd\n"));
    }
}
