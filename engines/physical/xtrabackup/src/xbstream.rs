//! The stream that the tools write to stdout: files in chunks, the chunks of several files in any order.
//!
//! The format, from Percona's description of it ("xbstream file format", Percona XtraBackup) and, for MariaDB's additions, from
//! what its `mbstream` takes and does. All numbers are little-endian.
//!
//! | bytes | what |
//! | --- | --- |
//! | 8 | `XBSTCK01` |
//! | 1 | flags: 1 = whoever does not know the type may pass over the chunk; 2 = the file is written anew (MariaDB) |
//! | 1 | type |
//! | 4, then so many | the file's path |
//! | … | by type, see below |
//!
//! | type | tool | what follows |
//! | --- | --- | --- |
//! | `P` | both | 8 bytes length, 8 offset in the file, 4 CRC-32 of the payload; the payload |
//! | `E` | both | nothing: the file is complete |
//! | `S` | Percona | 4 bytes count, 8 length, 8 offset, 4 CRC-32 of map and payload; the map, for each entry 4 bytes to skip (a hole) and 4 bytes of payload to write then; the payload |
//! | `S` | MariaDB | 8 bytes: the offset in the file at which the next payload starts |
//! | `R` | MariaDB | 4 bytes, then so many: the file, which is complete, has this path now |
//! | `D` | MariaDB | nothing: the file, which is complete, is gone |
//!
//! A chunk of any other type is an error, also if its flags say that it may be passed over: a backup that lacks something is
//! none.

use std::io::{self, Read};

use backstay_engine_api::{EngineError, ErrorKind};
use crc32fast::Hasher;

/// What each chunk starts with.
const MAGIC: &[u8; 8] = b"XBSTCK01";
/// The flag of a payload whose file is written anew.
const REWRITE: u8 = 2;
/// The longest path: both tools bound theirs by 512 bytes.
const MAX_PATH: usize = 512;
/// The largest map. A tool makes one for 10 MiB of a file at most, and a hole has a block of a file system at least.
const MAX_MAP: u32 = 1 << 20;
/// How much payload is handed on at once, in bytes.
const BUFFER: usize = 1 << 20;

/// Which tool wrote a stream: `S` means something else in each.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Dialect {
    /// `xtrabackup`.
    Percona,
    /// `mariadb-backup`.
    MariaDb,
}

/// What is done with the files of a stream, in its order. Paths are relative and have no `.` or `..` in them.
pub(crate) trait Sink {
    /// The next bytes of a file, at that offset. A file starts with its first bytes, or with its end if it is empty.
    fn bytes(&mut self, path: &str, offset: u64, bytes: &[u8]) -> Result<(), EngineError>;
    /// A hole in it.
    fn hole(&mut self, path: &str, offset: u64, length: u64) -> Result<(), EngineError>;
    /// The next bytes come at that offset.
    fn seek(&mut self, path: &str, offset: u64) -> Result<(), EngineError>;
    /// The file is written anew, from its start; said with each of its payloads.
    fn rewrite(&mut self, path: &str) -> Result<(), EngineError>;
    /// The file is complete.
    fn end(&mut self, path: &str) -> Result<(), EngineError>;
    /// A complete file is gone.
    fn remove(&mut self, path: &str) -> Result<(), EngineError>;
    /// A complete file has another path now.
    fn rename(&mut self, from: &str, to: &str) -> Result<(), EngineError>;
    /// Asked between pieces of work: whether to stop.
    fn pause(&mut self) -> Result<(), EngineError>;
}

/// Reads a stream.
#[derive(Debug)]
pub(crate) struct Reader<R> {
    source: R,
    dialect: Dialect,
    /// Bytes read so far.
    at: u64,
    buffer: Vec<u8>,
}

impl<R: Read> Reader<R> {
    /// Of what a tool writes.
    pub(crate) fn new(source: R, dialect: Dialect) -> Self {
        Self {
            source,
            dialect,
            at: 0,
            buffer: vec![0; BUFFER],
        }
    }

    /// Reads to the end.
    ///
    /// # Errors
    /// [`ErrorKind::Damaged`] if the stream is cut off or not of the format; what `sink` says.
    pub(crate) fn read_all(&mut self, sink: &mut impl Sink) -> Result<(), EngineError> {
        while self.chunk(sink)? {
            sink.pause()?;
        }
        Ok(())
    }

    /// Reads one chunk; `false` at the end.
    fn chunk(&mut self, sink: &mut impl Sink) -> Result<bool, EngineError> {
        let mut head = [0; 14];
        if !self.fill_or_end(&mut head)? {
            return Ok(false);
        }
        let [magic @ .., flags, kind, l0, l1, l2, l3] = head;
        if &magic != MAGIC {
            return Err(self.wrong("no chunk starts where one should"));
        }
        let path = self.path(u32::from_le_bytes([l0, l1, l2, l3]))?;
        match (kind, self.dialect) {
            (b'P', _) => {
                if flags & REWRITE != 0 {
                    sink.rewrite(&path)?;
                }
                self.payload(&path, sink)?;
            }
            (b'E', _) => sink.end(&path)?,
            (b'S', Dialect::Percona) => self.sparse(&path, sink)?,
            (b'S', Dialect::MariaDb) => {
                let offset = self.u64()?;
                sink.seek(&path, offset)?;
            }
            (b'R', Dialect::MariaDb) => {
                let length = self.u32()?;
                let to = self.path(length)?;
                sink.rename(&path, &to)?;
            }
            (b'D', Dialect::MariaDb) => sink.remove(&path)?,
            _ => {
                let shown = char::from(kind).escape_default();
                return Err(self
                    .wrong(&format!("a chunk of {path} has the unknown type '{shown}'"))
                    .advise("this version of the tool writes what this version of Backstay does not know; look for a newer Backstay"));
            }
        }
        Ok(true)
    }

    fn payload(&mut self, path: &str, sink: &mut impl Sink) -> Result<(), EngineError> {
        let (length, offset, crc) = (self.u64()?, self.u64()?, self.u32()?);
        self.fits(path, offset, length)?;
        let mut hasher = Hasher::new();
        self.copy(length, &mut hasher, |done, bytes| {
            sink.bytes(path, offset + done, bytes)
        })?;
        self.check(path, hasher, crc)
    }

    fn sparse(&mut self, path: &str, sink: &mut impl Sink) -> Result<(), EngineError> {
        let (count, length, offset, crc) = (self.u32()?, self.u64()?, self.u64()?, self.u32()?);
        if count > MAX_MAP {
            return Err(self.wrong(&format!("the map of a chunk of {path} has {count} entries")));
        }
        let mut hasher = Hasher::new();
        let mut map = Vec::new();
        for _ in 0..count {
            let mut entry = [0; 8];
            self.fill(&mut entry)?;
            hasher.update(&entry);
            let [s0, s1, s2, s3, l0, l1, l2, l3] = entry;
            let (skip, length) = (
                u32::from_le_bytes([s0, s1, s2, s3]),
                u32::from_le_bytes([l0, l1, l2, l3]),
            );
            map.push((u64::from(skip), u64::from(length)));
        }
        let written: u64 = map.iter().map(|(_, length)| length).sum();
        if written != length {
            return Err(self.wrong(&format!(
                "the map of a chunk of {path} is for {written} bytes, and there are {length}"
            )));
        }
        let skipped: u64 = map.iter().map(|(skip, _)| skip).sum();
        self.fits(path, offset, written + skipped)?;
        let mut at = offset;
        for (skip, length) in map {
            if skip > 0 {
                sink.hole(path, at, skip)?;
                at += skip;
            }
            self.copy(length, &mut hasher, |done, bytes| sink.bytes(path, at + done, bytes))?;
            at += length;
        }
        self.check(path, hasher, crc)
    }

    /// Hands on so many bytes of payload, with how many came before.
    fn copy(
        &mut self,
        length: u64,
        hasher: &mut Hasher,
        mut take: impl FnMut(u64, &[u8]) -> Result<(), EngineError>,
    ) -> Result<(), EngineError> {
        if length == 0 {
            return take(0, &[]);
        }
        let mut done = 0;
        while done < length {
            let room = usize::try_from(length - done).unwrap_or(BUFFER).min(BUFFER);
            let count = match self.source.read(&mut self.buffer[..room]) {
                Ok(0) => return Err(self.cut_off()),
                Ok(count) => count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(error.into()),
            };
            self.at += count as u64;
            let bytes = &self.buffer[..count];
            hasher.update(bytes);
            take(done, bytes)?;
            done += count as u64;
        }
        Ok(())
    }

    fn check(&self, path: &str, hasher: Hasher, expected: u32) -> Result<(), EngineError> {
        match hasher.finalize() {
            found if found == expected => Ok(()),
            found => Err(self.wrong(&format!(
                "a chunk of {path} has the CRC-32 {found:08x}, and should have {expected:08x}"
            ))),
        }
    }

    /// Offsets of files are signed in the system's calls.
    fn fits(&self, path: &str, offset: u64, length: u64) -> Result<(), EngineError> {
        match offset.checked_add(length) {
            Some(end) if i64::try_from(end).is_ok() => Ok(()),
            _ => Err(self.wrong(&format!(
                "a chunk of {path} has {length} bytes at offset {offset}, which no file has"
            ))),
        }
    }

    fn path(&mut self, length: u32) -> Result<String, EngineError> {
        let length = usize::try_from(length).unwrap_or(usize::MAX);
        if length > MAX_PATH {
            return Err(self.wrong(&format!(
                "a path has {length} bytes, and at most {MAX_PATH} are expected"
            )));
        }
        let mut bytes = vec![0; length];
        self.fill(&mut bytes)?;
        let text = String::from_utf8(bytes).map_err(|_| self.wrong("a path is not UTF-8"))?;
        let path = text.strip_prefix("./").unwrap_or(&text);
        let safe = !path.is_empty()
            && path
                .split('/')
                .all(|part| !matches!(part, "" | "." | "..") && !part.chars().any(char::is_control));
        if safe {
            Ok(path.to_owned())
        } else {
            Err(self.wrong(&format!("{text:?} is no path of a file below the data directory")))
        }
    }

    fn u32(&mut self) -> Result<u32, EngineError> {
        let mut bytes = [0; 4];
        self.fill(&mut bytes)?;
        Ok(u32::from_le_bytes(bytes))
    }

    fn u64(&mut self) -> Result<u64, EngineError> {
        let mut bytes = [0; 8];
        self.fill(&mut bytes)?;
        Ok(u64::from_le_bytes(bytes))
    }

    fn fill(&mut self, bytes: &mut [u8]) -> Result<(), EngineError> {
        if bytes.is_empty() || self.fill_or_end(bytes)? {
            Ok(())
        } else {
            Err(self.cut_off())
        }
    }

    /// Whether there were so many bytes; `false` if there was none at all.
    fn fill_or_end(&mut self, bytes: &mut [u8]) -> Result<bool, EngineError> {
        let mut done = 0;
        while done < bytes.len() {
            match self.source.read(&mut bytes[done..]) {
                Ok(0) if done == 0 => return Ok(false),
                Ok(0) => return Err(self.cut_off()),
                Ok(count) => {
                    done += count;
                    self.at += count as u64;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(true)
    }

    fn cut_off(&self) -> EngineError {
        self.wrong("it ends in the middle of a chunk")
    }

    fn wrong(&self, what: &str) -> EngineError {
        EngineError::new(
            ErrorKind::Damaged,
            format!("the tool's stream is wrong after {} bytes: {what}", self.at),
        )
    }
}

#[cfg(test)]
mod tests;
