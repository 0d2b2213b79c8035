//! The checksums that InnoDB has written into pages, by the names of `innodb_checksum_algorithm`.

use crate::page::{DATA, FLUSH_LSN, LSN, NUMBER, SPACE, TRAILER, TYPE};

/// What is stored instead of a checksum with `none`.
pub(crate) const NONE: u32 = 0xdead_beef;

/// `crc32`: CRC-32C of the header without what is written outside the buffer pool, xor that of the data.
pub(crate) fn crc32(page: &[u8]) -> u32 {
    let body = &page[DATA..page.len() - TRAILER];
    crc32c::crc32c(&page[NUMBER..FLUSH_LSN]) ^ crc32c::crc32c(body)
}

/// `innodb`, at the page's start: the default before MySQL 5.7 and MariaDB 10.2.
pub(crate) fn fold(page: &[u8]) -> u32 {
    let body = &page[DATA..page.len() - TRAILER];
    fold_bytes(&page[NUMBER..FLUSH_LSN]).wrapping_add(fold_bytes(body))
}

/// `innodb`, in the trailer. It covers the checksum at the page's start.
pub(crate) fn old_fold(page: &[u8]) -> u32 {
    fold_bytes(&page[..FLUSH_LSN])
}

fn fold_bytes(bytes: &[u8]) -> u32 {
    bytes.iter().fold(0, |sum: u32, byte| {
        let byte = u32::from(*byte);
        let mixed = ((sum ^ byte ^ 1_653_893_711) << 8).wrapping_add(sum) ^ 1_463_735_687;
        mixed.wrapping_add(byte)
    })
}

/// `crc32` of a page of `ROW_FORMAT=COMPRESSED`: without the LSN, and with the tablespace's id.
pub(crate) fn zip_crc32(page: &[u8]) -> u32 {
    let parts = zip_parts(page);
    crc32c::crc32c(parts[0]) ^ crc32c::crc32c(parts[1]) ^ crc32c::crc32c(parts[2])
}

/// `innodb` of such a page: Adler-32 that starts at 0 and not at 1.
pub(crate) fn zip_adler32(page: &[u8]) -> u32 {
    const MODULUS: u32 = 65521;
    // So many bytes can be added before either sum could overflow.
    const RUN: usize = 5552;
    let (mut a, mut b) = (0_u32, 0_u32);
    for part in zip_parts(page) {
        for run in part.chunks(RUN) {
            for byte in run {
                a += u32::from(*byte);
                b += a;
            }
            a %= MODULUS;
            b %= MODULUS;
        }
    }
    b << 16 | a
}

fn zip_parts(page: &[u8]) -> [&[u8]; 3] {
    [&page[NUMBER..LSN], &page[TYPE..TYPE + 2], &page[SPACE..]]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn adler_is_adler_from_zero() {
        // Adler-32 of "Wikipedia" is 0x11E60398; from 0 the low half is one less, the high half one less a byte.
        let mut page = vec![0; 1024];
        page[SPACE..SPACE + 9].copy_from_slice(b"Wikipedia");
        let whole = zip_adler32(&page);
        assert_eq!(whole & 0xffff, 0x0397);
    }
}
