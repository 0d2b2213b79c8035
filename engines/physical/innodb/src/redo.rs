//! The redo log: where recovery starts, where the log ends, and what lies between.
//!
//! MySQL 8.0.30 and later: files `#innodb_redo/#ib_redoN`, each with the LSN it starts at, blocks of 512 bytes with numbers and
//! checksums, checkpoints in the header of the file that holds them. MariaDB 10.8 and later: one ring `ib_logfile0` of
//! mini-transactions, each with a checksum and a bit that changes with each turn of the ring.

use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use backstay_engine_api::{EngineError, ErrorKind};

mod former;
mod mariadb;
mod mysql;
mod remade;

pub use former::Former;
pub use remade::Remade;

/// Which format a redo log has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// MySQL 8.0.30 and later.
    MySql,
    /// MariaDB 10.8 and later.
    MariaDb,
}

/// A redo log as it lies in its directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Redo {
    /// Its format.
    pub format: Format,
    /// The newest checkpoint's LSN: recovery starts there, and everything changed before is in the tablespaces.
    pub checkpoint: u64,
    /// The LSN at which the log ends.
    pub end: u64,
    /// Its files.
    pub files: Vec<RedoFile>,
    /// The CRC-32C of the last bytes before [`settled`](Self::settled), by which a later reader knows that its log is this one, gone on.
    pub tail: u32,
    /// What recovery makes anew, and of which there is no copy (MariaDB).
    pub remade: Remade,
}

/// A file of the redo log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RedoFile {
    /// Its path from the log's directory.
    pub path: PathBuf,
    /// Its size in bytes.
    pub size: u64,
    /// The LSN of its first byte after the header; none of a file that waits to be used. With its size this is what the file is known
    /// by: names are used again.
    pub start: Option<u64>,
    /// The bytes that recovery needs, in order; zeros do as well for the rest.
    pub needed: Vec<Range<u64>>,
}

impl Redo {
    /// Reads the redo log in a directory (`innodb_log_group_home_dir`, which is the data directory by default).
    ///
    /// # Errors
    /// [`ErrorKind::Unsupported`] if it has no redo log of a known format, [`ErrorKind::Refused`] if the server does not
    /// write to it, [`ErrorKind::Damaged`] if it has no checkpoint or ends before one, [`ErrorKind::Io`] if it can not be
    /// read.
    pub fn read(directory: &Path) -> Result<Self, EngineError> {
        let (mysqls, mariadbs) = (directory.join(mysql::FOLDER), directory.join(mariadb::NAME));
        let mut redo = if mysqls.is_dir() {
            mysql::read(&mysqls)?
        } else if mariadbs.is_file() {
            mariadb::read(&mariadbs)?
        } else {
            return Err(unknown(directory, "it has neither #innodb_redo nor ib_logfile0"));
        };
        redo.tail = redo
            .tail_at(directory, redo.settled())
            .map_err(|error| failed(directory, &error))?
            .unwrap_or_default();
        Ok(redo)
    }

    /// How many bytes recovery needs.
    pub fn needed(&self) -> u64 {
        let bytes = |file: &RedoFile| file.needed.iter().map(|range| range.end - range.start).sum::<u64>();
        self.files.iter().map(bytes).sum()
    }
}

fn unknown(path: &Path, why: &str) -> EngineError {
    EngineError::new(
        ErrorKind::Unsupported,
        format!(
            "the redo log in {} is of no format that is known here: {why}",
            path.display()
        ),
    )
    .advise("page-level incrementals need MySQL 8.0.30 or later, or MariaDB 10.8 or later; take full backups")
}

fn damaged(path: &Path, what: &str) -> EngineError {
    EngineError::new(
        ErrorKind::Damaged,
        format!("the redo log {} would not recover: {what}", path.display()),
    )
    .advise("see whether the server's own log names damage; a backup of these files would not start")
}

fn failed(path: &Path, error: &io::Error) -> EngineError {
    EngineError::new(
        ErrorKind::Io,
        format!("the redo log {} can not be read", path.display()),
    )
    .because(error)
}

/// The part of a file, as far as it goes.
fn read_at(file: &File, offset: u64, length: usize) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0; length];
    let mut filled = 0;
    while filled < length {
        match file.read_at(&mut bytes[filled..], offset + filled as u64)? {
            0 => break,
            read => filled += read,
        }
    }
    bytes.truncate(filled);
    Ok(bytes)
}

/// Whether a block's last four bytes are the CRC-32C of the others.
fn checked(block: &[u8]) -> bool {
    block
        .split_last_chunk::<4>()
        .is_some_and(|(body, sum)| crc32c::crc32c(body) == u32::from_be_bytes(*sum))
}
