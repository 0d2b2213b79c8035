//! Tables that were imported, and what `mariadb-backup` makes of them without an error (measured with 10.11.19).
//!
//! It reads the redo log from the server's last checkpoint on, and takes a table whose DISCARD it finds there for one that was dropped, also
//! if it has been imported since: the table is in no backup, be it full, until the server writes a checkpoint. So every table that was
//! there before the tool began and is there afterwards must be in its stream.
//!
//! MariaDB's IMPORT TABLESPACE gives the pages of a table LSN 0, and the tool takes the pages whose LSN is greater than where the parent
//! ends: of an imported table the chain has what the table was before, or zeros. DISCARD gives a table a new id, and ids only grow. So the
//! files are looked at of those tables whose id is greater than any was before (they were made, rebuilt or imported since), and of those
//! that had no file.

use std::collections::{BTreeSet, HashSet};
use std::fs::{self, File};
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

use backstay_engine_api::{BackupRecord, EngineError, ErrorKind};
use backstay_mysql::Session;
use backstay_physical::Names;
use serde::{Deserialize, Serialize};

use super::listed;

/// How much of a file is read at once, in bytes: a whole number of pages of any size.
const PIECE: usize = 1 << 20;
/// A page's header, and where in it the LSN and the tablespace's id are.
const HEADER: usize = 38;
const LSN: Range<usize> = 16..24;
const SPACE: u64 = 34;

/// A server's tables, as far as those are known by it that are imported later.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Tables {
    /// The greatest id.
    newest: u64,
    /// The ids of those that have no file of their own: mostly they are discarded.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    without_file: Vec<u64>,
    /// The others.
    #[serde(skip)]
    with_file: HashSet<Table>,
}

/// A table, or a partition: its id, its name as in its files' paths, and its tablespace.
type Table = (u64, String, u32);

impl Tables {
    /// As they are now.
    ///
    /// # Errors
    /// The server refuses, or the session was lost.
    pub(super) fn look(session: &mut Session, data_dir: &Path) -> Result<Self, EngineError> {
        let all = tables(session)?;
        let newest = all.iter().map(|(id, ..)| *id).max().unwrap_or(0);
        let (with_file, without): (Vec<Table>, Vec<Table>) = all
            .into_iter()
            .partition(|(_, name, space)| file_of(data_dir, name).is_some_and(|path| is_of(&path, *space)));
        Ok(Self {
            newest,
            without_file: without.into_iter().map(|(id, ..)| id).collect(),
            with_file: with_file.into_iter().collect(),
        })
    }

    /// An incremental is to stand on a backup that was taken when they were so.
    ///
    /// # Errors
    /// [`ErrorKind::Refused`] if tables were imported since; or as [`look`](Self::look).
    pub(super) fn check_since(
        &self,
        parent: &BackupRecord,
        session: &mut Session,
        data_dir: &Path,
        names: &mut Names,
    ) -> Result<(), EngineError> {
        let imported = self.imported(session, data_dir, names)?;
        if imported.is_empty() {
            return Ok(());
        }
        let message = format!(
            "tables were imported since backup {} (ALTER TABLE … IMPORT TABLESPACE), and mariadb-backup leaves imported pages out of an \
             incremental: {}",
            parent.id,
            listed(&imported)
        );
        Err(EngineError::refused(message)
            .advise("take a full backup with this engine, or rebuild the tables first (ALTER TABLE … FORCE)"))
    }

    /// The tool has ended that began when they were so.
    ///
    /// # Errors
    /// [`ErrorKind::Busy`] if tables were imported meanwhile; or as [`look`](Self::look).
    pub(super) fn check_meanwhile(
        &self,
        session: &mut Session,
        data_dir: &Path,
        names: &mut Names,
    ) -> Result<(), EngineError> {
        let imported = self.imported(session, data_dir, names)?;
        if imported.is_empty() {
            return Ok(());
        }
        let message = format!(
            "tables were imported while they were copied (ALTER TABLE … IMPORT TABLESPACE), which mariadb-backup does not follow: {}",
            listed(&imported)
        );
        Err(EngineError::new(ErrorKind::Busy, message).advise("take a full backup when the import is done"))
    }

    /// The tool has ended, and its stream had files of these paths.
    ///
    /// # Errors
    /// [`ErrorKind::Program`] if a table is not among them that was there all the time; or as [`look`](Self::look).
    pub(super) fn check_taken(
        &self,
        session: &mut Session,
        paths: &HashSet<String>,
        names: &mut Names,
    ) -> Result<(), EngineError> {
        let mut left_out = BTreeSet::new();
        for table in tables(session)? {
            let (_, name, _) = &table;
            let taken = ["ibd", "ibd.delta", "new"]
                .iter()
                .any(|extension| paths.contains(&format!("{name}.{extension}")));
            // What ALTER TABLE has made for itself is called so, and is no table yet.
            let passing = name.contains("/#sql");
            if !taken && !passing && self.with_file.contains(&table) {
                left_out.insert(shown(name, names)?);
            }
        }
        if left_out.is_empty() {
            return Ok(());
        }
        let message = format!(
            "mariadb-backup has left out tables that were there all the time: {}; that happens to a table that was imported (ALTER TABLE … \
             IMPORT TABLESPACE) as long as the server has written no checkpoint since",
            listed(&left_out)
        );
        Err(EngineError::new(ErrorKind::Program, message).advise(
            "run SET GLOBAL innodb_log_checkpoint_now = ON, or rebuild the tables (ALTER TABLE … FORCE), and take the backup again",
        ))
    }

    /// The tables that have been imported.
    fn imported(
        &self,
        session: &mut Session,
        data_dir: &Path,
        names: &mut Names,
    ) -> Result<BTreeSet<String>, EngineError> {
        let usual: Option<usize> = session.query_first("SELECT @@GLOBAL.innodb_page_size")?;
        let ids: Vec<String> = self
            .without_file
            .iter()
            .map(|id| format!(" OR TABLE_ID = {id}"))
            .collect();
        let tables: Vec<(String, usize)> = session.query(format!(
            "SELECT NAME, ZIP_PAGE_SIZE FROM information_schema.INNODB_SYS_TABLES WHERE SPACE > 0 AND (TABLE_ID > {}{})",
            self.newest,
            ids.concat()
        ))?;
        let mut imported = BTreeSet::new();
        for (name, zip) in tables {
            let page_size = if zip == 0 { usual.unwrap_or(16384) } else { zip };
            // Dropped meanwhile, or discarded.
            let Some(path) = file_of(data_dir, &name) else { continue };
            let found = is_imported(&path, page_size);
            if found.map_err(|error| EngineError::from(error).detail(format!("reading {}", path.display())))? {
                imported.insert(shown(&name, names)?);
            }
        }
        Ok(imported)
    }
}

/// The server's tables that have tablespaces of their own.
fn tables(session: &mut Session) -> Result<Vec<Table>, EngineError> {
    session.query("SELECT TABLE_ID, NAME, SPACE FROM information_schema.INNODB_SYS_TABLES WHERE SPACE > 0")
}

/// A table's name for people.
fn shown(name: &str, names: &mut Names) -> Result<String, EngineError> {
    let table = names.table(&format!("{name}.ibd"))?;
    Ok(table.map_or_else(|| name.to_owned(), |table| format!("{}.{}", table.schema, table.table)))
}

/// Whether a file's first page says that it is of that tablespace.
fn is_of(path: &Path, space: u32) -> bool {
    let mut bytes = [0; 4];
    let read = File::open(path).and_then(|file| file.read_exact_at(&mut bytes, SPACE));
    read.is_ok() && u32::from_be_bytes(bytes) == space
}

/// Where a table's file is: a table that is outside the data directory has one in it that says where.
fn file_of(data_dir: &Path, name: &str) -> Option<PathBuf> {
    let inside = data_dir.join(format!("{name}.ibd"));
    if inside.exists() {
        return Some(inside);
    }
    let elsewhere = fs::read_to_string(data_dir.join(format!("{name}.isl"))).ok()?;
    Some(PathBuf::from(elsewhere.trim())).filter(|path| path.exists())
}

/// Whether a file has pages that are there and have no LSN. The first does not count: of a table that is just being made it may be so.
fn is_imported(path: &Path, page_size: usize) -> io::Result<bool> {
    let file = match File::open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
        file => file?,
    };
    let mut piece = vec![0; PIECE];
    let mut at = page_size as u64;
    loop {
        let mut filled = 0;
        while filled < PIECE {
            match file.read_at(&mut piece[filled..], at + filled as u64)? {
                0 => break,
                length => filled += length,
            }
        }
        let mut pages = piece[..filled].chunks_exact(page_size);
        if pages.any(|page| is_zero(&page[LSN]) && !is_zero(&page[..HEADER])) {
            return Ok(true);
        }
        if filled < PIECE {
            return Ok(false);
        }
        at += filled as u64;
    }
}

fn is_zero(bytes: &[u8]) -> bool {
    bytes.iter().all(|byte| *byte == 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_without_an_lsn() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("t.ibd");
        assert!(!is_imported(&path, 16384).unwrap());
        // Pages are numbered; the third is zeros.
        let pages = |without: Option<u32>| {
            let mut file = vec![0; 200 * 16384 + 100];
            for (number, page) in (0..200_u32)
                .zip(file.chunks_exact_mut(16384))
                .filter(|(number, _)| *number != 2)
            {
                page[4..8].copy_from_slice(&number.to_be_bytes());
                page[34..38].copy_from_slice(&7_u32.to_be_bytes());
                if without != Some(number) {
                    page[16..24].copy_from_slice(&4711_u64.to_be_bytes());
                }
            }
            fs::write(&path, file).unwrap();
        };
        for (without, expected) in [
            (None, false),
            (Some(0), false),
            (Some(1), true),
            (Some(65), true),
            (Some(199), true),
        ] {
            pages(without);
            assert_eq!(is_imported(&path, 16384).unwrap(), expected, "{without:?}");
        }
    }

    #[test]
    fn a_table_elsewhere() {
        let (directory, outside) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        assert_eq!(file_of(directory.path(), "d/t"), None);
        fs::create_dir(directory.path().join("d")).unwrap();
        let file = outside.path().join("t.ibd");
        fs::write(directory.path().join("d/t.isl"), format!("{}\n", file.display())).unwrap();
        assert_eq!(file_of(directory.path(), "d/t"), None);
        fs::write(&file, "").unwrap();
        assert_eq!(file_of(directory.path(), "d/t"), Some(file));
        let inside = directory.path().join("d/t.ibd");
        fs::write(&inside, "").unwrap();
        assert_eq!(file_of(directory.path(), "d/t"), Some(inside));
    }
}
