//! A file, read once, and what of it changed.

use std::fs::File;
use std::io::{self, Write};
use std::os::unix::fs::FileExt;

use super::{MAGIC, RUN, Run};
use crate::inspect::{Inspector, PIECE, Page};

/// What was taken.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Taken {
    /// Pages whose bytes are in the stream.
    pub pages: u64,
    /// Pages that are zeros, of which the stream says no more.
    pub zeros: u64,
    /// Bytes in the stream.
    pub bytes: u64,
}

/// Writes the pages of a file that changed at or after an LSN, and looks at all of them.
///
/// # Errors
/// The file can not be read (also: it is shorter than that), or the stream not be written.
pub fn write(
    file: &File,
    size: u64,
    since: u64,
    inspector: &mut Inspector<'_>,
    into: &mut impl Write,
) -> io::Result<Taken> {
    let space = *inspector.space();
    let page_size = space.layout.page_size;
    let mut stream = Stream {
        into,
        page_size,
        runs: 0,
        taken: Taken::default(),
        zeros: None,
    };
    let size_32 = u32::try_from(page_size).map_err(io::Error::other)?;
    let words = [size_32, space.id, space.first, 0];
    stream.put(MAGIC)?;
    stream.put(&words.map(u32::to_be_bytes).concat())?;
    stream.put(&[size, since].map(u64::to_be_bytes).concat())?;

    let (pages, tail) = space.layout.pages(size);
    let mut buffer = vec![0; PIECE.max(page_size)];
    let per_piece = (buffer.len() / page_size) as u64;
    let mut index = 0;
    while index < pages {
        let count = per_piece.min(pages - index);
        let piece = &mut buffer[..count as usize * page_size];
        file.read_exact_at(piece, index * page_size as u64)?;
        inspector.blank(index, piece);
        stream.piece(index, piece, since, inspector)?;
        index += count;
    }
    stream.end_zeros()?;
    if tail > 0 {
        let rest = &mut buffer[..tail as usize];
        file.read_exact_at(rest, pages * page_size as u64)?;
        stream.run(Run::Tail, pages, tail)?;
        stream.put(rest)?;
    }
    let (runs, all) = (stream.runs, stream.taken.pages + stream.taken.zeros);
    stream.run(Run::End, runs, all)?;
    Ok(stream.taken)
}

struct Stream<'a, W> {
    into: &'a mut W,
    page_size: usize,
    runs: u64,
    taken: Taken,
    /// A run of zeros that goes on over pieces: its first page and how many.
    zeros: Option<(u64, u64)>,
}

impl<W: Write> Stream<'_, W> {
    /// Pages of the file from that index on.
    fn piece(&mut self, first: u64, piece: &[u8], since: u64, inspector: &mut Inspector<'_>) -> io::Result<()> {
        // Pages that lie together go out together, straight from the buffer.
        let mut start: Option<usize> = None;
        for (at, page) in piece.chunks_exact(self.page_size).enumerate() {
            let index = first + at as u64;
            let found = inspector.page(index, page)?;
            let take = match found {
                Page::Changed(lsn) => lsn >= since,
                Page::Always => true,
                Page::Zero => false,
            };
            if take {
                start.get_or_insert(at);
            } else if let Some(start) = start.take() {
                self.pages(first, start, at, piece)?;
            }
            if found == Page::Zero {
                self.zero(index)?;
            }
        }
        match start {
            Some(start) => self.pages(first, start, piece.len() / self.page_size, piece),
            None => Ok(()),
        }
    }

    fn pages(&mut self, first: u64, start: usize, end: usize, piece: &[u8]) -> io::Result<()> {
        self.end_zeros()?;
        let count = (end - start) as u64;
        self.run(Run::Pages, first + start as u64, count)?;
        self.put(&piece[start * self.page_size..end * self.page_size])?;
        self.taken.pages += count;
        Ok(())
    }

    fn zero(&mut self, index: u64) -> io::Result<()> {
        match &mut self.zeros {
            Some((first, count)) if *first + *count == index => *count += 1,
            _ => {
                self.end_zeros()?;
                self.zeros = Some((index, 1));
            }
        }
        Ok(())
    }

    fn end_zeros(&mut self) -> io::Result<()> {
        if let Some((first, count)) = self.zeros.take() {
            self.run(Run::Zeros, first, count)?;
            self.taken.zeros += count;
        }
        Ok(())
    }

    fn run(&mut self, what: Run, first: u64, count: u64) -> io::Result<()> {
        let mut head = [0; RUN];
        head[..4].copy_from_slice(&(what as u32).to_be_bytes());
        head[4..8].copy_from_slice(&u32::try_from(first).map_err(io::Error::other)?.to_be_bytes());
        head[8..].copy_from_slice(&u32::try_from(count).map_err(io::Error::other)?.to_be_bytes());
        self.runs += 1;
        self.put(&head)
    }

    fn put(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.taken.bytes += bytes.len() as u64;
        self.into.write_all(bytes)
    }
}
