//! Which directory a backup is of.
//!
//! A server that was restored goes on from an LSN in the past, and pages that it has not changed since carry smaller LSNs than those of
//! the history that was lost: by LSNs alone they would be taken for unchanged. So an incremental must be of the very files that its parent
//! is of. Whatever restores or copies a directory makes new files.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::time::UNIX_EPOCH;

use backstay_engine_api::EngineError;

/// The files by which a directory is known, the first that is there: each server makes them once. The system tablespace may be elsewhere.
const OLDEST: [&str; 3] = ["ibdata1", "mysql.ibd", "aria_log_control"];

/// Which directory it is: the number of one of its files, and when it was made. One that was restored or copied has other files, even if
/// their bytes are the same.
///
/// # Errors
/// It is no server's.
pub fn lineage(data_dir: &Path) -> Result<String, EngineError> {
    for name in OLDEST {
        let Ok(meta) = fs::metadata(data_dir.join(name)) else {
            continue;
        };
        let made = meta.created().ok().and_then(|time| {
            let since = time.duration_since(UNIX_EPOCH).ok()?;
            Some(format!(" of {}.{:09}", since.as_secs(), since.subsec_nanos()))
        });
        return Ok(format!("{name} is file {}{}", meta.ino(), made.unwrap_or_default()));
    }
    Err(EngineError::other(format!(
        "{} has none of the files that every server has",
        data_dir.display()
    )))
}

/// Whether a directory is still the one that a backup was taken of.
///
/// # Errors
/// [`ErrorKind::Refused`](backstay_engine_api::ErrorKind::Refused) if not.
pub fn check_lineage(backup: &str, noted: &str, data_dir: &Path) -> Result<(), EngineError> {
    let found = lineage(data_dir)?;
    if noted == found {
        return Ok(());
    }
    Err(EngineError::refused(format!(
        "backup {backup} is of other files: there {noted}, and here {found}; the directory was restored, copied or made anew since"
    ))
    .advise("take a full backup with this engine"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_copy_is_another_directory() {
        let root = tempfile::tempdir().unwrap();
        let (data, copy) = (root.path().join("data"), root.path().join("copy"));
        for directory in [&data, &copy] {
            fs::create_dir(directory).unwrap();
        }
        assert!(lineage(&data).is_err());
        fs::write(data.join("ibdata1"), "x").unwrap();
        let noted = lineage(&data).unwrap();
        // What is in the file is of no interest, and neither is what the directory is called.
        fs::write(data.join("ibdata1"), "xy").unwrap();
        check_lineage("b", &noted, &data).unwrap();
        let moved = root.path().join("moved");
        fs::rename(&data, &moved).unwrap();
        check_lineage("b", &noted, &moved).unwrap();

        fs::copy(moved.join("ibdata1"), copy.join("ibdata1")).unwrap();
        let error = check_lineage("b", &noted, &copy).unwrap_err();
        assert!(error.message.contains("backup b is of other files"), "{error}");
        // In its place.
        fs::rename(copy.join("ibdata1"), moved.join("ibdata1")).unwrap();
        assert!(check_lineage("b", &noted, &moved).is_err());
    }
}
