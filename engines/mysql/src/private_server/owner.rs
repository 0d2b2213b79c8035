//! Files that a private server has made on somebody else's data.

use std::fs;
use std::io;
use std::os::unix::fs::{MetadataExt, lchown};
use std::path::Path;

/// Gives all that is below a path to its owner: a private server runs as we do, and what it makes is ours at first.
///
/// # Errors
/// A file can not be looked at or given away.
pub fn give_back(path: &Path, uid: u32, gid: u32) -> io::Result<()> {
    let meta = fs::symlink_metadata(path)?;
    if meta.is_dir() {
        for entry in fs::read_dir(path)? {
            give_back(&entry?.path(), uid, gid)?;
        }
    }
    if (meta.uid(), meta.gid()) == (uid, gid) {
        return Ok(());
    }
    lchown(path, Some(uid), Some(gid))
}
