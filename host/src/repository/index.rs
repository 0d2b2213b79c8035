//! The index of a backup's objects: which there are, and where their bytes lie.
//!
//! Stored as `objects.jsonl.zst`: a line of JSON for each object, in the order of the names' bytes. Its digest is in the
//! backup's manifest. A backup may have millions of objects, so that lines are kept as the text they are and parsed when
//! they are asked for.

mod build;
mod encoding;

use std::io::{BufRead, Read};

use backstay_engine_api::{Attributes, EngineError, ErrorKind, ObjectInfo};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::names::{check_file, check_object_name};

pub use build::IndexBuilder;
pub use encoding::{Encoding, ZSTD, ZSTD_NAMED, ZSTD_SUFFIX};

/// The index's file in a backup's directory.
pub const INDEX_FILE: &str = "objects.jsonl.zst";

/// The longest line that is read, in bytes: attributes may be long, but not without end.
const MAX_LINE: usize = 1 << 20;

/// An object of a backup and where it lies.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct IndexEntry {
    /// Its name, unique in the backup.
    pub name: String,
    /// What the engine says of it.
    #[serde(default)]
    pub attributes: Attributes,
    /// Its size as the engine wrote it, in bytes.
    pub size: u64,
    /// What was done to its bytes, in order: `["zstd"]`, `["zstd:named"]`, or nothing; see [`Encoding`].
    #[serde(default)]
    pub transforms: Vec<String>,
    /// Where its stored bytes are, in order.
    pub extents: Vec<Extent>,
}

/// Stored bytes that lie together.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Extent {
    /// The file, relative to the backup's directory.
    pub file: String,
    /// Where in the file it starts, in bytes.
    pub offset: u64,
    /// How long it is, in bytes.
    pub length: u64,
    /// SHA-256 of the stored bytes, 64 lower-case hex digits: what `sha256sum` prints.
    pub sha256: String,
}

impl IndexEntry {
    /// How many bytes are stored.
    pub fn stored(&self) -> u64 {
        self.extents
            .iter()
            .fold(0, |sum, extent| sum.saturating_add(extent.length))
    }

    /// How many bytes an export writes: those of the object, or those that are stored where its name says that they are
    /// compressed.
    pub fn exported(&self) -> u64 {
        match Encoding::of(&self.transforms) {
            Some(Encoding::NamedZstd) => self.stored(),
            _ => self.size,
        }
    }

    /// What engines see of it.
    pub fn info(self) -> ObjectInfo {
        ObjectInfo {
            name: self.name,
            attributes: self.attributes,
            size: self.size,
        }
    }

    fn check(&self) -> Result<(), EngineError> {
        let damaged = |what: String| Err(EngineError::new(ErrorKind::Damaged, what));
        check_object_name(&self.name)?;
        for extent in &self.extents {
            check_file(&extent.file)?;
            if extent.offset.checked_add(extent.length).is_none() {
                return damaged(format!("extent of {} ends beyond 2^64", extent.file));
            }
            if parse_sha256(&extent.sha256).is_none() {
                return damaged(format!("expected 64 hex digits for SHA-256, found {:?}", extent.sha256));
            }
        }
        if self.transforms.iter().any(|transform| transform == ZSTD_NAMED) && !self.name.ends_with(ZSTD_SUFFIX) {
            return damaged(format!(
                "object {} is stored as {ZSTD_NAMED:?}: expected a name that ends in {ZSTD_SUFFIX}",
                self.name
            ));
        }
        if self.transforms.is_empty() && self.stored() != self.size {
            return damaged(format!(
                "object {} is stored as it is: expected {} stored bytes, found {}",
                self.name,
                self.size,
                self.stored()
            ));
        }
        Ok(())
    }
}

/// What is known of a finished index; the manifest holds it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct IndexSummary {
    /// SHA-256 of the stored index file, in hex.
    pub sha256: String,
    /// Length of the stored index file, in bytes.
    pub length: u64,
    /// How many objects it lists.
    pub objects: u64,
    /// Their size as the engine wrote them, in bytes.
    pub bytes: u64,
    /// Their size as they are stored, in bytes.
    pub stored_bytes: u64,
    /// How many files they are stored in.
    pub files: u64,
}

/// An index that was read: checked, in memory, some 300 bytes for each object.
#[derive(Debug, Clone, Default)]
pub struct Index {
    /// Each is one entry that parses, in strictly ascending order of the names' bytes.
    lines: Vec<Box<str>>,
}

#[derive(Deserialize)]
struct NameOnly<'a> {
    #[serde(borrow)]
    name: std::borrow::Cow<'a, str>,
}

impl Index {
    /// Reads an index as it is stored. Check its digest first: this says what is wrong in a file, and can not say what is
    /// missing from it.
    ///
    /// # Errors
    /// [`ErrorKind::Damaged`] with the number of the line.
    pub fn read(stored: impl Read) -> Result<Self, EngineError> {
        let decoder = zstd::stream::read::Decoder::new(stored).map_err(|error| damaged(1, &error))?;
        Self::read_lines(std::io::BufReader::with_capacity(1 << 16, decoder))
    }

    fn read_lines(mut text: impl BufRead) -> Result<Self, EngineError> {
        let mut lines: Vec<Box<str>> = Vec::new();
        let mut last: Option<String> = None;
        let mut line = Vec::new();
        for number in 1u64.. {
            line.clear();
            let length = (&mut text)
                .take(MAX_LINE as u64 + 1)
                .read_until(b'\n', &mut line)
                .map_err(|error| damaged(number, &error))?;
            if length == 0 {
                break;
            }
            if line.pop() != Some(b'\n') {
                let what = if length > MAX_LINE { "is too long" } else { "has no end" };
                return Err(damaged(number, &what));
            }
            let parsed = std::str::from_utf8(&line).map_err(|error| damaged(number, &error))?;
            let entry: IndexEntry = serde_json::from_str(parsed).map_err(|error| damaged(number, &error))?;
            entry.check().map_err(|error| damaged(number, &error))?;
            if last.as_ref().is_some_and(|last| *last >= entry.name) {
                return Err(damaged(number, &format!("object {:?} is out of order", entry.name)));
            }
            last = Some(entry.name);
            lines.push(parsed.into());
        }
        lines.shrink_to_fit();
        Ok(Self { lines })
    }

    /// How many objects there are.
    pub fn len(&self) -> usize {
        self.lines.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.lines.is_empty()
    }

    /// All entries, by name.
    pub fn entries(&self) -> impl Iterator<Item = IndexEntry> + '_ {
        (0..self.lines.len()).map(|position| self.at(position))
    }

    /// The entry at a position below [`len`](Self::len), by name.
    ///
    /// # Panics
    /// There are not as many.
    pub fn at(&self, position: usize) -> IndexEntry {
        serde_json::from_str(&self.lines[position]).expect("each line was parsed when it was read")
    }

    /// The entry of that name.
    pub fn get(&self, name: &str) -> Option<IndexEntry> {
        let position = self.lines.binary_search_by(|line| name_of(line).as_ref().cmp(name));
        position.ok().map(|position| self.at(position))
    }

    /// Up to `limit` entries whose names come after `after`, and whether there are more.
    pub fn page(&self, after: Option<&str>, limit: usize) -> (Vec<IndexEntry>, bool) {
        let start = match after {
            None => 0,
            Some(after) => self.lines.partition_point(|line| name_of(line).as_ref() <= after),
        };
        let end = start.saturating_add(limit).min(self.lines.len());
        (
            (start..end).map(|position| self.at(position)).collect(),
            end < self.lines.len(),
        )
    }
}

fn name_of(line: &str) -> std::borrow::Cow<'_, str> {
    let NameOnly { name } = serde_json::from_str(line).expect("each line was parsed when it was read");
    name
}

fn damaged(line: u64, what: &dyn std::fmt::Display) -> EngineError {
    EngineError::new(ErrorKind::Damaged, format!("{INDEX_FILE}, line {line}: {what}"))
}

/// SHA-256 in lower-case hex.
pub fn sha256_hex(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut text = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        text.push(char::from(DIGITS[usize::from(byte >> 4)]));
        text.push(char::from(DIGITS[usize::from(byte & 15)]));
    }
    text
}

/// 64 lower-case hex digits as bytes.
pub(crate) fn parse_sha256(text: &str) -> Option<[u8; 32]> {
    let digit = |byte: u8| match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        _ => None,
    };
    let text: &[u8; 64] = text.as_bytes().try_into().ok()?;
    let mut bytes = [0; 32];
    for (byte, pair) in bytes.iter_mut().zip(text.chunks_exact(2)) {
        *byte = digit(pair[0])? << 4 | digit(pair[1])?;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests;
