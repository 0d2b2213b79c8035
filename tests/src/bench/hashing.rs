//! What no backup can do without: its bytes hashed with SHA-256 and written into the page cache.

use std::error::Error;
use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

use sha2::{Digest, Sha256};

use super::on_all_processors;

/// How much is hashed and written at once.
pub(super) const PIECE: usize = 1 << 20;

/// Bytes that are not all the same, of [`PIECE`]'s size.
pub(super) fn piece() -> Vec<u8> {
    (0..PIECE as u32)
        .map(|number| (number.wrapping_mul(2_654_435_761) >> 24) as u8)
        .collect()
}

/// So many bytes, hashed and written to files of 64 MiB on as many threads as there are processors.
pub(super) fn hash_and_write(dir: &Path, bytes: u64) -> Result<(), Box<dyn Error>> {
    const FILE_PIECES: u64 = 64;
    let piece = piece();
    let next = AtomicU64::new(0);
    let pieces = bytes.div_ceil(PIECE as u64);
    let work = || -> std::io::Result<()> {
        loop {
            let number = next.fetch_add(1, Ordering::Relaxed);
            let left = pieces.saturating_sub(number * FILE_PIECES).min(FILE_PIECES);
            if left == 0 {
                return Ok(());
            }
            let mut file = File::create(dir.join(number.to_string()))?;
            let mut digest = Sha256::new();
            for _ in 0..left {
                digest.update(&piece);
                file.write_all(&piece)?;
            }
            std::hint::black_box(digest.finalize());
        }
    };
    on_all_processors(work)
}
