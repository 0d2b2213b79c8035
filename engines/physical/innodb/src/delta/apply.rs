//! Changed pages, back into a file.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::FileExt;

use rustix::fs::FallocateFlags;

use super::{HEAD, MAGIC, RUN, Run};
use crate::bytes::{u32_at, u64_at};
use crate::inspect::PIECE;
use crate::verify;

/// Writes the pages of a stream into a file, and makes it as long as it was.
///
/// Where pages are zeros or compressed, the file gets holes if its file system has such.
///
/// # Errors
/// The stream is not one, or ends early ([`io::ErrorKind::InvalidData`], [`io::ErrorKind::UnexpectedEof`]); it or the file
/// failed.
pub fn apply(from: &mut impl Read, file: &File) -> io::Result<()> {
    let mut head = [0; HEAD];
    from.read_exact(&mut head)?;
    let page_size = u32_at(&head, 8) as usize;
    let known = page_size.is_power_of_two() && (1024..=64 << 10).contains(&page_size);
    if &head[..8] != MAGIC || !known {
        return Err(invalid("it does not start as changed pages do"));
    }
    let size = u64_at(&head, 24);
    let pages = size / page_size as u64;
    if pages > u64::from(u32::MAX) {
        return Err(invalid("its file would be larger than a tablespace can be"));
    }
    file.set_len(size)?;
    let mut into = Into {
        file,
        page_size,
        buffer: vec![0; PIECE.max(page_size)],
    };
    let (mut runs, mut done, mut next) = (0, 0, 0);
    loop {
        let mut run = [0; RUN];
        from.read_exact(&mut run)?;
        let (first, count) = (u64::from(u32_at(&run, 4)), u64::from(u32_at(&run, 8)));
        let what = kind(u32_at(&run, 0)).ok_or_else(|| invalid("it has a run of an unknown kind"))?;
        if what == Run::End {
            return if (first, count) == (runs, done) {
                Ok(())
            } else {
                Err(invalid("it ends with other numbers of runs and pages than it has"))
            };
        }
        let fits = match what {
            Run::Tail => first == pages && count == size % page_size as u64,
            _ => first >= next && count > 0 && first + count <= pages,
        };
        if !fits {
            return Err(invalid("a run lies outside of the file or before another"));
        }
        match what {
            Run::Pages => into.pages(from, first, count)?,
            Run::Zeros => into.zeros(first, count)?,
            Run::Tail => into.tail(from, first, count)?,
            Run::End => {}
        }
        runs += 1;
        if what != Run::Tail {
            done += count;
            next = first + count;
        }
    }
}

fn kind(number: u32) -> Option<Run> {
    [Run::End, Run::Pages, Run::Zeros, Run::Tail]
        .into_iter()
        .find(|run| *run as u32 == number)
}

fn invalid(what: &str) -> io::Error {
    io::Error::new(
        io::ErrorKind::InvalidData,
        format!("these are no changed pages: {what}"),
    )
}

struct Into<'a> {
    file: &'a File,
    page_size: usize,
    buffer: Vec<u8>,
}

impl Into<'_> {
    fn pages(&mut self, from: &mut impl Read, mut first: u64, mut count: u64) -> io::Result<()> {
        let per_piece = (self.buffer.len() / self.page_size) as u64;
        while count > 0 {
            let now = count.min(per_piece);
            let piece = &mut self.buffer[..now as usize * self.page_size];
            from.read_exact(piece)?;
            let offset = first * self.page_size as u64;
            self.file.write_all_at(piece, offset)?;
            // What a compressed page leaves free was a hole, and stays one.
            for (page, at) in piece
                .chunks_exact(self.page_size)
                .zip((offset..).step_by(self.page_size))
            {
                if let Some(used) = verify::used(page) {
                    let used = used.next_multiple_of(4096) as u64;
                    if used < self.page_size as u64 {
                        let _ = punch(self.file, at + used, self.page_size as u64 - used);
                    }
                }
            }
            (first, count) = (first + now, count - now);
        }
        Ok(())
    }

    fn zeros(&mut self, first: u64, count: u64) -> io::Result<()> {
        clear(self.file, first * self.page_size as u64, count * self.page_size as u64)
    }

    fn tail(&mut self, from: &mut impl Read, first: u64, count: u64) -> io::Result<()> {
        let tail = &mut self.buffer[..count as usize];
        from.read_exact(tail)?;
        self.file.write_all_at(tail, first * self.page_size as u64)
    }
}

/// Makes zeros of a part of a file: a hole, if its file system has such. Offset and length in bytes.
///
/// # Errors
/// It can not be written.
pub fn clear(file: &File, offset: u64, length: u64) -> io::Result<()> {
    static ZEROS: [u8; 65536] = [0; 65536];
    if length == 0 || punch(file, offset, length).is_ok() {
        return Ok(());
    }
    let mut left = length;
    while left > 0 {
        let now = left.min(ZEROS.len() as u64);
        file.write_all_at(&ZEROS[..now as usize], offset + length - left)?;
        left -= now;
    }
    Ok(())
}

/// Makes a part of a file a hole; it reads as zeros then.
fn punch(file: &File, offset: u64, length: u64) -> io::Result<()> {
    let flags = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
    Ok(rustix::fs::fallocate(file, flags, offset, length)?)
}
