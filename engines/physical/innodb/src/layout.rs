//! How a tablespace's pages are stored, as the flags in its first page say.

/// How pages are checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Checksums {
    /// A checksum at the page's start and one at its end: MySQL, MariaDB before 10.5 and its `ROW_FORMAT=COMPRESSED`.
    Ends,
    /// MariaDB's `full_crc32` (the default since 10.5): one CRC-32C of everything, at the end of what is used.
    Full,
}

/// How a tablespace's pages are stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Layout {
    /// A page's size in its file, in bytes: 1 to 64 KiB.
    pub page_size: usize,
    /// Whether pages are those of `ROW_FORMAT=COMPRESSED`, which have no trailer.
    pub zip: bool,
    /// How they are checked.
    pub checksums: Checksums,
}

/// MariaDB's marker of `full_crc32`. It is the highest bit of a size that never needs it elsewhere.
const FULL_CRC32: u32 = 1 << 4;

impl Layout {
    /// Pages of a plain tablespace of that size, in bytes.
    pub fn plain(page_size: usize, checksums: Checksums) -> Self {
        Self {
            page_size,
            zip: false,
            checksums,
        }
    }

    /// What the flags say (`FSP_SPACE_FLAGS`); none if no server writes such flags.
    pub fn from_flags(flags: u32) -> Option<Self> {
        if flags & FULL_CRC32 != 0 {
            // Above the marker: the algorithm of page_compressed, 0 to 6.
            let algorithm = flags >> 5;
            return (algorithm <= 7)
                .then(|| shifted(flags & 15))
                .flatten()
                .map(|page_size| Self::plain(page_size, Checksums::Full));
        }
        let page_size = match flags >> 6 & 15 {
            0 => 16384,
            shift => shifted(shift)?,
        };
        let zip = flags >> 1 & 15;
        if zip == 0 {
            return Some(Self::plain(page_size, Checksums::Ends));
        }
        // 1 to 16 KiB, and never more than a page in memory.
        let zip_size = 512 << zip;
        (zip <= 5 && zip_size <= page_size).then_some(Self {
            page_size: zip_size,
            zip: true,
            checksums: Checksums::Ends,
        })
    }

    /// The number of pages that a file of that many bytes has, and how many bytes remain.
    pub(crate) fn pages(&self, size: u64) -> (u64, u64) {
        let page_size = self.page_size as u64;
        (size / page_size, size % page_size)
    }
}

/// 4 to 64 KiB.
fn shifted(shift: u32) -> Option<usize> {
    (3..=7).contains(&shift).then(|| 512 << shift)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_of_both_flavours() {
        // MySQL 8 and later: DYNAMIC, 16 KiB, with its own dictionary data.
        assert_eq!(Layout::from_flags(0x4021), Some(Layout::plain(16384, Checksums::Ends)));
        // MySQL, 64 KiB: size 7 in bits 6 to 9.
        assert_eq!(Layout::from_flags(0x4021 | 7 << 6).unwrap().page_size, 65536);
        // ROW_FORMAT=COMPRESSED of 8 and of 1 KiB.
        let zip = Layout::from_flags(0x29).unwrap();
        assert_eq!((zip.page_size, zip.zip), (8192, true));
        assert_eq!(Layout::from_flags(0x23).unwrap().page_size, 1024);
        // MariaDB: full_crc32 with 16 KiB, and with page_compressed.
        assert_eq!(Layout::from_flags(0x15), Some(Layout::plain(16384, Checksums::Full)));
        assert_eq!(Layout::from_flags(0x13 | 1 << 5).unwrap().page_size, 4096);
        for nonsense in [0xffff_ffff, 0x10, 0x12, 0x1a, 15 << 6, 0x2d | 3 << 6] {
            assert_eq!(Layout::from_flags(nonsense), None, "{nonsense:#x}");
        }
    }
}
