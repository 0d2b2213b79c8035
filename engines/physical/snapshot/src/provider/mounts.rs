//! What is mounted where (proc(5), `/proc/self/mountinfo`).

use std::path::{Path, PathBuf};

/// A mounted file system.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Mount {
    pub(super) point: PathBuf,
    /// The directory of the file system that is mounted there.
    pub(super) root: PathBuf,
    pub(super) kind: String,
    pub(super) device: String,
}

/// The file system that a path without symbolic links is of.
pub(super) fn of(path: &Path) -> Option<Mount> {
    find(&std::fs::read_to_string("/proc/self/mountinfo").ok()?, path)
}

/// The deepest mount point above a path; of several at one, the last, which hides the others.
fn find(text: &str, path: &Path) -> Option<Mount> {
    text.lines()
        .filter_map(parse)
        .filter(|mount| path.starts_with(&mount.point))
        .max_by_key(|mount| mount.point.components().count())
}

/// `36 35 98:0 /root /point options optional… - kind device super-options`.
fn parse(line: &str) -> Option<Mount> {
    let (before, after) = line.split_once(" - ")?;
    let mut fields = before.split(' ').skip(3);
    let (root, point) = (fields.next()?, fields.next()?);
    let mut fields = after.split(' ');
    let (kind, device) = (fields.next()?, fields.next()?);
    Some(Mount {
        point: unescape(point).into(),
        root: unescape(root).into(),
        kind: kind.to_owned(),
        device: unescape(device),
    })
}

/// Spaces, tabs, line feeds and backslashes are written in octal.
fn unescape(text: &str) -> String {
    [("\\040", " "), ("\\011", "\t"), ("\\012", "\n"), ("\\134", "\\")]
        .iter()
        .fold(text.to_owned(), |text, (code, plain)| text.replace(code, plain))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_deepest_and_last() {
        let text = "1 0 254:0 / / rw - ext4 /dev/vda rw\n\
            2 1 0:30 / /srv/my\\040sql rw,relatime shared:1 - xfs /dev/mapper/vg-a rw\n\
            3 1 0:31 /sub /srv/my\\040sql rw - btrfs /dev/loop0 rw\n";
        let found = find(text, Path::new("/srv/my sql/data")).unwrap();
        assert_eq!((found.kind.as_str(), found.device.as_str()), ("btrfs", "/dev/loop0"));
        assert_eq!(found.root, Path::new("/sub"));
        assert_eq!(find(text, Path::new("/srv/my sqlx")).unwrap().kind, "ext4");
    }
}
