//! What no compressed backup can do without: its bytes compressed.

use std::error::Error;
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use zstd::bulk::Compressor;

/// How much is compressed at once.
const FRAME: usize = 4 << 20;

/// Pieces of a dump, each of [`FRAME`]'s size.
#[derive(Debug, Default)]
pub(super) struct Sample(Vec<Vec<u8>>);

impl Sample {
    /// The beginnings of those files that are long enough.
    pub(super) fn of<'a>(files: impl Iterator<Item = &'a Path>) -> io::Result<Self> {
        let mut pieces = Vec::new();
        for file in files {
            let mut piece = Vec::with_capacity(FRAME);
            File::open(file)?.take(FRAME as u64).read_to_end(&mut piece)?;
            if piece.len() == FRAME {
                pieces.push(piece);
            }
        }
        Ok(Self(pieces))
    }

    /// So many bytes like these, compressed by zstd's level 1 on as many threads as there are processors.
    pub(super) fn compress(&self, bytes: u64) -> Result<(), Box<dyn Error>> {
        if self.0.is_empty() {
            return Err("no data file is long enough to be compressed".into());
        }
        let frames = usize::try_from(bytes.div_ceil(FRAME as u64))?;
        let next = AtomicUsize::new(0);
        let work = || -> io::Result<()> {
            let mut zstd = Compressor::new(1)?;
            loop {
                let number = next.fetch_add(1, Ordering::Relaxed);
                if number >= frames {
                    return Ok(());
                }
                std::hint::black_box(zstd.compress(&self.0[number % self.0.len()])?);
            }
        };
        let cores = thread::available_parallelism().map_or(1, usize::from);
        thread::scope(|scope| {
            let threads: Vec<_> = (0..cores).map(|_| scope.spawn(work)).collect();
            threads
                .into_iter()
                .try_for_each(|thread| thread.join().map_err(|_| "a thread panicked")?.map_err(Into::into))
        })
    }
}
