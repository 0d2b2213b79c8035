//! What no compressed backup can do without: its bytes compressed.

use std::error::Error;
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use zstd::bulk::Compressor;
use zstd::zstd_safe::{CParameter, compress_bound};

use super::on_all_processors;

/// How much is compressed at once, at most.
const FRAME: usize = 4 << 20;

/// Pieces of a dump.
#[derive(Debug, Default)]
pub(super) struct Sample(Vec<Vec<u8>>);

impl Sample {
    /// The beginnings of files.
    pub(super) fn of<'a>(files: impl Iterator<Item = &'a Path>) -> io::Result<Self> {
        let mut pieces = Vec::new();
        for file in files {
            let mut piece = Vec::with_capacity(FRAME);
            File::open(file)?.take(FRAME as u64).read_to_end(&mut piece)?;
            pieces.push(piece);
        }
        Ok(Self(pieces))
    }

    /// So many bytes like these, compressed by zstd's level 1 on as many threads as there are processors, with a small hash table, which
    /// is the faster one.
    pub(super) fn compress(&self, bytes: u64) -> Result<(), Box<dyn Error>> {
        let next = AtomicUsize::new(0);
        let done = AtomicU64::new(0);
        let work = || -> io::Result<()> {
            let mut zstd = Compressor::new(1)?;
            zstd.set_parameter(CParameter::HashLog(12))?;
            let mut stored = Vec::with_capacity(compress_bound(FRAME));
            while done.load(Ordering::Relaxed) < bytes {
                let number = next.fetch_add(1, Ordering::Relaxed);
                let piece = &self.0[number % self.0.len()];
                done.fetch_add(piece.len().max(1) as u64, Ordering::Relaxed);
                stored.clear();
                zstd.compress_to_buffer(piece, &mut stored)?;
                std::hint::black_box(&stored);
            }
            Ok(())
        };
        on_all_processors(work)
    }
}
