//! Whether a page is what the server wrote.

use std::fmt;

use crate::bytes::{u16_at, u32_at};
use crate::checksum;
use crate::layout::{Checksums, Layout};
use crate::page::{FLUSH_LSN, Header, LSN, SPACE, TRAILER, TYPE, is_zero, kind};
use crate::page_compression;

/// Which page is expected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Expected {
    /// The tablespace's id.
    pub space: u32,
    /// The page's number.
    pub number: u32,
}

/// What a page was found to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Its checksum fits, and it is the page that is expected here.
    Sound,
    /// Nothing was ever written to it, or it was freed: only zeros.
    Zero,
    /// It is the page that is expected here, but whether its bytes are right can not be told.
    NotVerifiable(Unverified),
    /// It is not what a server writes.
    Damaged(Damage),
}

/// Why a page can not be verified.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Unverified {
    /// It is encrypted, and its checksum is within what is encrypted (MySQL).
    Encrypted,
    /// It is of a kind of compression that has no checksum (MariaDB's `page_compressed` without `full_crc32`).
    Compressed,
    /// It was written with `innodb_checksum_algorithm=none`.
    NoChecksum,
}

impl fmt::Display for Unverified {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Encrypted => "encrypted",
            Self::Compressed => "compressed without a checksum",
            Self::NoChecksum => "written without checksums",
        })
    }
}

/// What is wrong with a page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Damage {
    /// The checksum does not fit.
    Checksum,
    /// The LSNs at the page's start and at its end are not the same: it is half one version and half another.
    Torn,
    /// It says that it is another page.
    Number(u32),
    /// It says that it is of another tablespace.
    Space(u32),
    /// It does not decompress, or says that it is larger than a page.
    Compression,
    /// It was changed after the log ended; only said of pages whose LSN no checksum covers.
    Future(u64),
}

impl fmt::Display for Damage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Checksum => f.write_str("its checksum does not fit"),
            Self::Torn => f.write_str("its start and its end are of different versions"),
            Self::Number(number) => write!(f, "it says that it is page {number}"),
            Self::Space(space) => write!(f, "it says that it is of tablespace {space}"),
            Self::Compression => f.write_str("it does not decompress"),
            Self::Future(lsn) => write!(f, "its LSN {lsn} is beyond the end of the redo log"),
        }
    }
}

/// Looks at a page of exactly the layout's size.
pub fn verify(page: &[u8], layout: &Layout, expected: Expected) -> Verdict {
    if page.len() != layout.page_size || page.len() < 1024 {
        return Verdict::Damaged(Damage::Torn);
    }
    let header = Header::read(page);
    if header.lsn == 0 && u32_at(page, 0) == 0 && is_zero(&page[..FLUSH_LSN]) && is_zero(&page[SPACE..]) {
        // The eight bytes between were written by themselves once; with a checksum of everything they must be zero too.
        return match layout.checksums {
            Checksums::Full if !is_zero(page) => Verdict::Damaged(Damage::Checksum),
            _ => Verdict::Zero,
        };
    }
    let verdict = match (layout.checksums, layout.zip) {
        (Checksums::Full, _) => return full(page, &header, expected),
        (Checksums::Ends, true) => zip(page, &header),
        (Checksums::Ends, false) => ends(page, &header),
    };
    match verdict {
        Verdict::Sound | Verdict::NotVerifiable(_) => placed(&header, expected, true).unwrap_or(verdict),
        other => other,
    }
}

/// What is wrong with where a page is, if anything is.
fn placed(header: &Header, expected: Expected, space_readable: bool) -> Option<Verdict> {
    if header.number != expected.number {
        Some(Verdict::Damaged(Damage::Number(header.number)))
    } else if space_readable && header.space != expected.space {
        Some(Verdict::Damaged(Damage::Space(header.space)))
    } else {
        None
    }
}

/// MariaDB's `full_crc32`: also what is encrypted or compressed is covered as it lies there.
fn full(page: &[u8], header: &Header, expected: Expected) -> Verdict {
    /// The page is compressed; below this bit of the type is its size in units of 256 bytes.
    const COMPRESSED: u16 = 1 << 15;
    let compressed = header.kind & COMPRESSED != 0;
    let size = if compressed {
        usize::from(header.kind & !COMPRESSED) << 8
    } else {
        page.len()
    };
    if size > page.len() || size < SPACE + TRAILER || (compressed && size == page.len()) {
        return Verdict::Damaged(Damage::Compression);
    }
    let end = size - 4;
    if crc32c::crc32c(&page[..end]) != u32_at(page, end) {
        return Verdict::Damaged(Damage::Checksum);
    }
    let encrypted = u32_at(page, 0) != 0;
    if !compressed && !encrypted && u32_at(page, LSN + 4) != u32_at(page, size - TRAILER) {
        return Verdict::Damaged(Damage::Torn);
    }
    // Encryption and compression start before the tablespace's id.
    placed(header, expected, !compressed && !encrypted).unwrap_or(Verdict::Sound)
}

/// `ROW_FORMAT=COMPRESSED`.
fn zip(page: &[u8], header: &Header) -> Verdict {
    if let Some(verdict) = mysqls_encrypted(header) {
        return verdict;
    }
    let stored = u32_at(page, 0);
    let crc32 = checksum::zip_crc32(page);
    if mariadbs_encrypted(page, header) && u32_at(page, FLUSH_LSN + 4) == crc32 {
        return Verdict::Sound;
    }
    if stored == crc32 {
        Verdict::Sound
    } else if stored == checksum::NONE {
        Verdict::NotVerifiable(Unverified::NoChecksum)
    } else if stored == checksum::zip_adler32(page) {
        Verdict::Sound
    } else {
        Verdict::Damaged(Damage::Checksum)
    }
}

/// A checksum at both ends.
fn ends(page: &[u8], header: &Header) -> Verdict {
    if let Some(verdict) = mysqls_encrypted(header) {
        return verdict;
    }
    match header.kind {
        kind::COMPRESSED => {
            return match page_compression::verify(page) {
                Some(true) => Verdict::Sound,
                Some(false) => Verdict::Damaged(Damage::Checksum),
                None => Verdict::Damaged(Damage::Compression),
            };
        }
        kind::PAGE_COMPRESSED | kind::PAGE_COMPRESSED_ENCRYPTED => {
            return Verdict::NotVerifiable(Unverified::Compressed);
        }
        _ => {}
    }
    let trailer = page.len() - TRAILER;
    let (start, end) = (u32_at(page, 0), u32_at(page, trailer));
    let crc32 = checksum::crc32(page);
    if mariadbs_encrypted(page, header) && u32_at(page, FLUSH_LSN + 4) == crc32 {
        return Verdict::Sound;
    }
    let lsns_fit = u32_at(page, LSN + 4) == u32_at(page, trailer + 4);
    if start == crc32 && end == crc32 {
        return if lsns_fit {
            Verdict::Sound
        } else {
            Verdict::Damaged(Damage::Torn)
        };
    }
    if !lsns_fit {
        return Verdict::Damaged(Damage::Torn);
    }
    if start == checksum::NONE && end == checksum::NONE {
        return Verdict::NotVerifiable(Unverified::NoChecksum);
    }
    if start == checksum::fold(page) && end == checksum::old_fold(page) {
        Verdict::Sound
    } else {
        Verdict::Damaged(Damage::Checksum)
    }
}

/// MySQL says by the type that a page is encrypted; its checksum then is within.
fn mysqls_encrypted(header: &Header) -> Option<Verdict> {
    let encrypted = [kind::ENCRYPTED, kind::COMPRESSED_AND_ENCRYPTED, kind::ENCRYPTED_RTREE];
    encrypted
        .contains(&header.kind)
        .then_some(Verdict::NotVerifiable(Unverified::Encrypted))
}

/// MariaDB without `full_crc32`: the version of the key, and a checksum of what was encrypted, in the header's free bytes.
fn mariadbs_encrypted(page: &[u8], header: &Header) -> bool {
    header.kind != kind::RTREE && u32_at(page, FLUSH_LSN) != 0
}

/// The size of what a page uses, in bytes, where the rest may be a hole; none if all of it is used.
pub(crate) fn used(page: &[u8]) -> Option<usize> {
    let kind = u16_at(page, TYPE);
    let compressed = kind & 1 << 15 != 0 || kind == kind::COMPRESSED || kind == kind::COMPRESSED_AND_ENCRYPTED;
    if !compressed {
        return None;
    }
    let last = page.iter().rposition(|byte| *byte != 0)?;
    Some(last + 1)
}
