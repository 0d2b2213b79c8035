//! MySQL's transparent page compression: a page is its header, what its data was compressed to, and a hole.

use crate::bytes::{u16_at, u32_at};
use crate::checksum;
use crate::page::{DATA, FLUSH_LSN, LSN, TRAILER, TYPE};

/// Whether a compressed page becomes, decompressed, a page whose checksum fits. None if it does not decompress.
///
/// In the header's eight free bytes: version, algorithm, the page's former type, the data's size before and after.
pub(crate) fn verify(page: &[u8]) -> Option<bool> {
    let algorithm = *page.get(FLUSH_LSN + 1)?;
    let original = usize::from(u16_at(page, FLUSH_LSN + 4));
    let stored = usize::from(u16_at(page, FLUSH_LSN + 6));
    let data = page.get(DATA..DATA + stored)?;
    if original != page.len() - DATA {
        return None;
    }
    let mut plain = vec![0; page.len()];
    plain[..DATA].copy_from_slice(&page[..DATA]);
    plain[TYPE..TYPE + 2].copy_from_slice(&page[FLUSH_LSN + 2..FLUSH_LSN + 4]);
    decompress(algorithm, data, &mut plain[DATA..])?;
    let trailer = plain.len() - TRAILER;
    let stored = u32_at(&plain, 0);
    let lsn_fits = u32_at(&plain, LSN + 4) == u32_at(&plain, trailer + 4);
    let ends_fit = stored == u32_at(&plain, trailer);
    Some(lsn_fits && ends_fit && (stored == checksum::crc32(&plain) || stored == checksum::NONE))
}

fn decompress(algorithm: u8, data: &[u8], into: &mut [u8]) -> Option<()> {
    const ZLIB: u8 = 1;
    const LZ4: u8 = 2;
    let size = match algorithm {
        ZLIB => {
            let mut inflate = flate2::Decompress::new(true);
            inflate.decompress(data, into, flate2::FlushDecompress::Finish).ok()?;
            usize::try_from(inflate.total_out()).ok()?
        }
        LZ4 => lz4_flex::block::decompress_into(data, into).ok()?,
        _ => return None,
    };
    (size == into.len()).then_some(())
}
