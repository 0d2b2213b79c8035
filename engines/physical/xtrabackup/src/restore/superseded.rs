//! Files that an incremental replaces under another name.
//!
//! A table that was created shortly before a backup, and whose first page has not been written to its file when `mariadb-backup` looks
//! at it, is copied whole at the end, as `table.new`. If it is such a table for two backups in a row, and was renamed between them,
//! `--prepare` puts the new file beside the one of the former name, finds the same tablespace in both, and fails: the chain could
//! not be restored (measured with 10.11.19). The former file has nothing that the new one has not, so that it is removed before.

use std::collections::HashMap;
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

/// Where a page has the number of its tablespace.
const SPACE_ID: u64 = 34;

/// Removes those files of a full backup, with what was already applied to it, that an incremental has whole under another name.
///
/// # Errors
/// A directory or a file can not be read, or a file not be removed.
pub(super) fn remove_superseded(data: &Path, increment: &Path) -> io::Result<()> {
    let mut whole: HashMap<u32, PathBuf> = HashMap::new();
    for path in tablespaces(increment, "new")? {
        if let Some(id) = space_id(&increment.join(&path))? {
            whole.insert(id, path.with_extension("ibd"));
        }
    }
    if whole.is_empty() {
        return Ok(());
    }
    for path in tablespaces(data, "ibd")? {
        let file = data.join(&path);
        if let Some(id) = space_id(&file)?
            && whole.get(&id).is_some_and(|name| *name != path)
        {
            fs::remove_file(&file)?;
        }
    }
    Ok(())
}

/// The files of that extension in the schemas' directories, by their paths below the directory.
fn tablespaces(directory: &Path, extension: &str) -> io::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for schema in fs::read_dir(directory)? {
        let schema = schema?;
        if !schema.file_type()?.is_dir() {
            continue;
        }
        let name = PathBuf::from(schema.file_name());
        for file in fs::read_dir(schema.path())? {
            let path = name.join(file?.file_name());
            if path.extension().is_some_and(|own| own == extension) {
                found.push(path);
            }
        }
    }
    Ok(found)
}

/// Which tablespace a file is of; none if its first page was never written.
fn space_id(path: &Path) -> io::Result<Option<u32>> {
    let mut bytes = [0; 4];
    match File::open(path)?.read_exact_at(&mut bytes, SPACE_ID) {
        Ok(()) => Ok(Some(u32::from_be_bytes(bytes)).filter(|id| *id != 0)),
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(None),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Files of a page each, by path and tablespace.
    fn files(directory: &Path, all: &[(&str, u32)]) {
        for (path, id) in all {
            let mut page = vec![0; 16384];
            page[34..38].copy_from_slice(&id.to_be_bytes());
            let path = directory.join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, page).unwrap();
        }
    }

    #[test]
    fn what_comes_whole_under_another_name_goes() {
        let directory = tempfile::tempdir().unwrap();
        let (data, increment) = (directory.path().join("data"), directory.path().join("increment"));
        files(
            &data,
            &[
                ("d/renamed.ibd", 5),
                ("d/moved.ibd", 6),
                ("d/same.ibd", 7),
                ("d/other.ibd", 8),
                ("d/unwritten.ibd", 0),
                ("ibdata1", 0),
            ],
        );
        files(
            &increment,
            &[
                ("d/new_name.new", 5),
                ("e/moved.new", 6),
                ("d/same.new", 7),
                ("d/fresh.new", 9),
                ("d/unwritten_too.new", 0),
                ("d/other.ibd.delta", 8),
            ],
        );
        fs::write(data.join("d/short.ibd"), "x").unwrap();
        remove_superseded(&data, &increment).unwrap();
        let mut left: Vec<String> = fs::read_dir(data.join("d"))
            .unwrap()
            .map(|file| file.unwrap().file_name().into_string().unwrap())
            .collect();
        left.sort();
        assert_eq!(left, ["other.ibd", "same.ibd", "short.ibd", "unwritten.ibd"]);
    }

    #[test]
    fn an_incremental_without_such_files_changes_nothing() {
        let directory = tempfile::tempdir().unwrap();
        let (data, increment) = (directory.path().join("data"), directory.path().join("increment"));
        files(&data, &[("d/a.ibd", 5)]);
        files(&increment, &[("d/a.ibd.delta", 5)]);
        remove_superseded(&data, &increment).unwrap();
        assert!(data.join("d/a.ibd").exists());
    }
}
