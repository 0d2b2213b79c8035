//! [`ExtentReader`]: an object's stored bytes, read ahead and checked against their digests.

use std::io::{self, BufRead, Read};
use std::ops::Range;
use std::sync::Arc;

use backstay_engine_api::EngineError;
use bytes::{Buf, Bytes};
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt};
use sha2::{Digest, Sha256};
use tokio::runtime::Handle;
use tokio::sync::mpsc::{Receiver, Sender, channel};

use super::fault::store_error;
use super::problem::{Problem, ProblemKind};
use crate::repository::index::{Extent, hex};
use crate::repository::names::locate;

/// Where a backup's files are.
#[derive(Debug, Clone)]
pub(super) struct Files {
    pub(super) store: Arc<dyn ObjectStore>,
    pub(super) base: Path,
    pub(super) runtime: Handle,
}

/// Bytes of a file.
#[derive(Debug, Clone)]
pub(super) struct Piece {
    pub(super) file: String,
    pub(super) range: Range<u64>,
}

impl Files {
    /// Reads pieces one after the other, at most `chunk` bytes at once and a little ahead. Each piece comes as one chunk
    /// at least, which may be empty; a problem ends it. Three chunks are in memory at most.
    pub(super) fn fetch(&self, pieces: Vec<Piece>, chunk: u64) -> Receiver<Result<Bytes, Problem>> {
        let (chunks, receiver) = channel(1);
        let files = self.clone();
        self.runtime.spawn(async move {
            for piece in &pieces {
                if let Err(problem) = files.fetch_piece(piece, chunk, &chunks).await {
                    // Nobody reads any more if this fails.
                    let _ = chunks.send(Err(problem)).await;
                    return;
                }
            }
        });
        receiver
    }

    async fn fetch_piece(
        &self,
        piece: &Piece,
        chunk: u64,
        chunks: &Sender<Result<Bytes, Problem>>,
    ) -> Result<(), Problem> {
        let location = locate(&self.base, &piece.file).map_err(|error| unreadable(piece, &error))?;
        let mut start = piece.range.start;
        loop {
            let end = piece.range.end.min(start.saturating_add(chunk));
            let bytes = if start == end {
                // The file must be there all the same.
                let size = self.store.head(&location).await.map(|meta| meta.size);
                if size.as_ref().is_ok_and(|size| *size >= end) {
                    Ok(Bytes::new())
                } else {
                    Err(size)
                }
            } else {
                match self.store.get_range(&location, start..end).await {
                    Ok(bytes) if bytes.len() as u64 == end - start => Ok(bytes),
                    // Stores say in ways of their own that a file is too short.
                    Ok(_) => Err(self.store.head(&location).await.map(|meta| meta.size)),
                    Err(error) => Err(match self.store.head(&location).await {
                        Ok(meta) if meta.size >= end => Err(error),
                        other => other.map(|meta| meta.size),
                    }),
                }
            };
            let bytes = bytes.map_err(|size| problem(piece, &location, size))?;
            start = end;
            if chunks.send(Ok(bytes)).await.is_err() || start == piece.range.end {
                return Ok(());
            }
        }
    }
}

/// What it means that a piece could not be read from a file of that size.
fn problem(piece: &Piece, location: &Path, size: object_store::Result<u64>) -> Problem {
    match size {
        Ok(size) => short(&piece.file, piece.range.end, size),
        Err(object_store::Error::NotFound { .. }) => missing(&piece.file),
        Err(error) => unreadable(piece, &store_error("read", location, &error)),
    }
}

fn unreadable(piece: &Piece, error: &EngineError) -> Problem {
    Problem {
        kind: ProblemKind::Unreadable,
        object: None,
        file: piece.file.clone(),
        expected: format!("bytes {} to {}", piece.range.start, piece.range.end),
        found: error.to_string(),
    }
}

pub(super) fn missing(file: &str) -> Problem {
    Problem {
        kind: ProblemKind::Missing,
        object: None,
        file: file.to_owned(),
        expected: "a file".to_owned(),
        found: "none".to_owned(),
    }
}

pub(super) fn short(file: &str, expected: u64, found: u64) -> Problem {
    Problem {
        kind: ProblemKind::Short,
        object: None,
        file: file.to_owned(),
        expected: format!("{expected} bytes"),
        found: format!("{found}"),
    }
}

pub(super) fn other_digest(file: &str, range: &Range<u64>, expected: &str, found: &str) -> Problem {
    Problem {
        kind: ProblemKind::Digest,
        object: None,
        file: format!("{file}, bytes {} to {}", range.start, range.end),
        expected: format!("SHA-256 {expected}"),
        found: found.to_owned(),
    }
}

/// Stored bytes of an object. What it gives out last of an extent is given out only if the extent's digest is right.
#[derive(Debug)]
pub(super) struct ExtentReader {
    object: String,
    extents: std::vec::IntoIter<Extent>,
    chunks: Receiver<Result<Bytes, Problem>>,
    chunk: Bytes,
    extent: Option<Extent>,
    left: u64,
    digest: Sha256,
    read: u64,
}

impl ExtentReader {
    pub(super) fn open(files: &Files, object: String, extents: Vec<Extent>, chunk: u64) -> Self {
        let piece = |extent: &Extent| Piece {
            file: extent.file.clone(),
            range: extent.offset..extent.offset.saturating_add(extent.length),
        };
        let chunks = files.fetch(extents.iter().map(piece).collect(), chunk);
        Self {
            object,
            extents: extents.into_iter(),
            chunks,
            chunk: Bytes::new(),
            extent: None,
            left: 0,
            digest: Sha256::new(),
            read: 0,
        }
    }

    /// How many stored bytes were read.
    pub(super) fn stored_read(&self) -> u64 {
        self.read
    }

    /// The next chunk, of which there is one for each extent at least; `false` at the end.
    fn advance(&mut self) -> Result<bool, Problem> {
        self.next_chunk().map_err(|problem| Problem {
            object: Some(self.object.clone()),
            ..problem
        })
    }

    fn next_chunk(&mut self) -> Result<bool, Problem> {
        let extent = match self.extent.take() {
            Some(extent) => extent,
            None => match self.extents.next() {
                None => return Ok(false),
                Some(extent) => {
                    self.left = extent.length;
                    extent
                }
            },
        };
        let chunk = self.chunks.blocking_recv().unwrap_or_else(|| {
            Err(Problem {
                kind: ProblemKind::Unreadable,
                object: None,
                file: extent.file.clone(),
                expected: "more bytes".to_owned(),
                found: "reading stopped".to_owned(),
            })
        })?;
        self.digest.update(&chunk);
        self.left -= chunk.len() as u64;
        self.read += chunk.len() as u64;
        if self.left > 0 {
            self.extent = Some(extent);
        } else {
            let found = hex(&self.digest.finalize_reset());
            if found != extent.sha256 {
                let range = extent.offset..extent.offset + extent.length;
                return Err(other_digest(&extent.file, &range, &extent.sha256, &found));
            }
        }
        self.chunk = chunk;
        Ok(true)
    }

    /// Reads what is left, for what is wrong with it.
    pub(super) fn drain(&mut self) -> Result<(), Problem> {
        while self.advance()? {}
        self.chunk = Bytes::new();
        Ok(())
    }
}

impl BufRead for ExtentReader {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        while self.chunk.is_empty() {
            if !self.advance().map_err(io::Error::other)? {
                break;
            }
        }
        Ok(&self.chunk)
    }

    fn consume(&mut self, length: usize) {
        self.chunk.advance(length);
    }
}

impl Read for ExtentReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let available = self.fill_buf()?;
        let length = available.len().min(buffer.len());
        buffer[..length].copy_from_slice(&available[..length]);
        self.consume(length);
        Ok(length)
    }
}
