//! What of a redo log an earlier copy of it has already.
//!
//! A server writes a checkpoint when it must, which can be long ago: recovery then needs a log of which most was there at the last backup
//! too. A log only grows; so up to where it ended then, its bytes are the same now, unless the server has lost its newest bytes in a
//! crash of the machine and has written others in their place. That is seen by the last bytes before that end.

use std::fs::File;
use std::io;
use std::ops::Range;
use std::path::Path;

use super::{Format, Redo, mariadb, mysql, read_at};

/// How many bytes before a log's end are compared.
const TAIL: u64 = 64 << 10;

/// A redo log as it was when somebody copied what recovery needed of it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Former {
    /// The checkpoint's LSN.
    pub checkpoint: u64,
    /// What was [`Redo::settled`].
    pub settled: u64,
    /// What was [`Redo::tail`].
    pub tail: u32,
    /// The files that were needed: the LSN that each starts at, and its size in bytes.
    pub files: Vec<(u64, u64)>,
}

impl Redo {
    /// The LSN up to which the files' blocks are written to no more.
    pub fn settled(&self) -> u64 {
        // MariaDB's blocks are those of the file, counted from where the log starts in it.
        let first = match self.format {
            Format::MySql => 0,
            Format::MariaDb => self.files.iter().find_map(|file| file.start).unwrap_or(0),
        };
        let log = self.end.saturating_sub(first);
        (self.end - log % self.block()).max(self.floor(self.checkpoint))
    }

    /// The log as it is, for a later one.
    pub fn as_former(&self) -> Former {
        let header = self.header();
        let needed = |file: &&super::RedoFile| file.needed.iter().any(|range| range.end > header);
        Former {
            checkpoint: self.checkpoint,
            settled: self.settled(),
            tail: self.tail,
            files: self
                .files
                .iter()
                .filter(needed)
                .filter_map(|file| Some((file.start?, file.size)))
                .collect(),
        }
    }

    /// What of the bytes that recovery needs are in the copy of an earlier log: for each file, ranges of it, in order. Nothing, if this log is not
    /// that one, gone on.
    ///
    /// # Errors
    /// A file can not be read.
    pub fn in_former(&self, directory: &Path, former: &Former) -> io::Result<Vec<Vec<Range<u64>>>> {
        let mut ranges = vec![Vec::new(); self.files.len()];
        let (from, to) = (self.floor(self.checkpoint), former.settled);
        let goes_on = former.checkpoint <= self.checkpoint && to > from && to <= self.end;
        if goes_on && self.tail_of(directory, former)? == Some(former.tail) {
            for (index, bytes) in self.places(from..to) {
                let file = &self.files[index];
                if file
                    .start
                    .is_some_and(|start| former.files.contains(&(start, file.size)))
                {
                    ranges[index].push(bytes);
                }
            }
        }
        // A ring's end comes before its beginning.
        ranges
            .iter_mut()
            .for_each(|ranges| ranges.sort_by_key(|range| range.start));
        Ok(ranges)
    }

    fn tail_of(&self, directory: &Path, former: &Former) -> io::Result<Option<u32>> {
        let as_then = Self {
            checkpoint: former.checkpoint,
            ..self.clone()
        };
        as_then.tail_at(directory, former.settled)
    }

    /// The checksum of the last bytes before an LSN; none if they are not in the files.
    pub(super) fn tail_at(&self, directory: &Path, settled: u64) -> io::Result<Option<u32>> {
        let from = settled.saturating_sub(TAIL).max(self.floor(self.checkpoint));
        let (mut sum, mut length) = (0, 0);
        for (index, bytes) in self.places(from..settled) {
            let file = File::open(directory.join(&self.files[index].path))?;
            let wanted = usize::try_from(bytes.end - bytes.start).map_err(io::Error::other)?;
            let read = read_at(&file, bytes.start, wanted)?;
            sum = crc32c::crc32c_append(sum, &read);
            length += read.len() as u64;
        }
        Ok((length == settled - from).then_some(sum))
    }

    /// Where the bytes of a range of LSNs are: the file's index, and the bytes in it.
    fn places(&self, lsns: Range<u64>) -> Vec<(usize, Range<u64>)> {
        let header = self.header();
        let mut places = Vec::new();
        for (index, file) in self.files.iter().enumerate() {
            let (Some(start), Some(capacity)) = (file.start, file.size.checked_sub(header)) else {
                continue;
            };
            let mut at = lsns.start.max(start);
            let end = match self.format {
                Format::MySql => lsns.end.min(start + capacity),
                Format::MariaDb => lsns.end,
            };
            // A ring goes on at its beginning; a file of MySQL's does not.
            while at < end && capacity > 0 {
                let offset = (at - start) % capacity;
                let length = (end - at).min(capacity - offset);
                places.push((index, header + offset..header + offset + length));
                at += length;
            }
        }
        if self.format == Format::MySql {
            places.sort_by_key(|(index, _)| self.files[*index].start);
        }
        places
    }

    /// The start of the block that an LSN is in.
    fn floor(&self, lsn: u64) -> u64 {
        match self.format {
            Format::MySql => lsn - lsn % self.block(),
            // Mini-transactions begin anywhere.
            Format::MariaDb => lsn,
        }
    }

    fn block(&self) -> u64 {
        match self.format {
            Format::MySql => mysql::BLOCK,
            Format::MariaDb => mariadb::BLOCK,
        }
    }

    fn header(&self) -> u64 {
        match self.format {
            Format::MySql => mysql::HEADER,
            Format::MariaDb => mariadb::START,
        }
    }
}
