//! The header that every page starts with.

use crate::bytes::{u16_at, u32_at, u64_at};

/// Where the page's number is (`FIL_PAGE_OFFSET`); before it is the checksum, or the version of the key in MariaDB's
/// `full_crc32`.
pub(crate) const NUMBER: usize = 4;
/// The LSN of the page's newest change (`FIL_PAGE_LSN`).
pub(crate) const LSN: usize = 16;
/// The type (`FIL_PAGE_TYPE`).
pub(crate) const TYPE: usize = 24;
/// Eight bytes of many meanings that no checksum but `full_crc32` covers (`FIL_PAGE_FILE_FLUSH_LSN`).
pub(crate) const FLUSH_LSN: usize = 26;
/// The tablespace's id.
pub(crate) const SPACE: usize = 34;
/// Where the page's data starts.
pub(crate) const DATA: usize = 38;
/// The trailer's size: the checksum again (or the old one), and the lower half of the LSN.
pub(crate) const TRAILER: usize = 8;

/// Types of pages that are not stored as they are in memory.
pub(crate) mod kind {
    /// MySQL, transparent page compression.
    pub(crate) const COMPRESSED: u16 = 14;
    /// MySQL.
    pub(crate) const ENCRYPTED: u16 = 15;
    /// MySQL.
    pub(crate) const COMPRESSED_AND_ENCRYPTED: u16 = 16;
    /// MySQL, spatial index.
    pub(crate) const ENCRYPTED_RTREE: u16 = 17;
    /// Spatial index; it keeps a number of its own where MariaDB keeps the key's version.
    pub(crate) const RTREE: u16 = 17854;
    /// MariaDB, `page_compressed` without `full_crc32`.
    pub(crate) const PAGE_COMPRESSED: u16 = 34354;
    /// MariaDB, the same, encrypted.
    pub(crate) const PAGE_COMPRESSED_ENCRYPTED: u16 = 37401;
}

/// What a page says of itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    /// Its number in its tablespace.
    pub number: u32,
    /// The tablespace's id. In MariaDB's encrypted and compressed pages with `full_crc32` this is not readable.
    pub space: u32,
    /// The log sequence number of its newest change, in bytes of log since the instance was made.
    pub lsn: u64,
    /// Its type.
    pub kind: u16,
}

impl Header {
    /// Reads it; what lies beyond the bytes' end is 0.
    pub fn read(page: &[u8]) -> Self {
        Self {
            number: u32_at(page, NUMBER),
            space: u32_at(page, SPACE),
            lsn: u64_at(page, LSN),
            kind: u16_at(page, TYPE),
        }
    }
}

/// Whether there are only zeros.
pub fn is_zero(bytes: &[u8]) -> bool {
    let (chunks, rest) = bytes.as_chunks::<64>();
    // Most pages differ in their first bytes; those that do not are compared in registers.
    chunks
        .iter()
        .all(|chunk| chunk.iter().fold(0, |all, byte| all | byte) == 0)
        && rest.iter().all(|byte| *byte == 0)
}
