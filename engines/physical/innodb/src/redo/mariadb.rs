//! MariaDB's redo log, 10.8 and later.

use std::fs::File;
use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};

use backstay_engine_api::EngineError;

use super::{Format, Redo, RedoFile, Remade, checked, damaged, failed, read_at, unknown};
use crate::bytes::{u32_at, u64_at};
use crate::page::is_zero;

pub(super) const NAME: &str = "ib_logfile0";
/// The format since 10.8.
const FORMAT: u32 = 0x5068_7973;
/// The same, encrypted.
const ENCRYPTED: u32 = 0xf09f_979d;
/// Where the checkpoints are.
const CHECKPOINTS: [u64; 2] = [4096, 8192];
/// Where the ring starts.
pub(super) const START: u64 = 12288;
/// More than any server's log will ever have had, in bytes.
const MOST: u64 = 1 << 62;
/// The largest mini-transaction, in bytes.
const LARGEST: usize = 1 << 20;
/// Recovery reads the log in blocks; what is kept is whole ones, of at most this size.
pub(super) const BLOCK: u64 = 4096;

pub(super) fn read(path: &Path) -> Result<Redo, EngineError> {
    let file = File::open(path).map_err(|error| failed(path, &error))?;
    let size = file.metadata().map_err(|error| failed(path, &error))?.len();
    let head = read_at(&file, 0, START as usize).map_err(|error| failed(path, &error))?;
    let format = u32_at(&head, 0);
    if format != FORMAT && format != ENCRYPTED {
        return Err(unknown(path, &format!("format {format:#x}")));
    }
    if size <= START || head.len() < START as usize || !checked(&head[..512]) {
        return Err(damaged(path, "its header's checksum does not fit"));
    }
    let first = u64_at(&head, 8);
    if first > MOST {
        return Err(damaged(path, &format!("it starts at LSN {first}")));
    }
    let ring = Ring {
        file,
        first,
        capacity: size - START,
        encrypted: format == ENCRYPTED,
    };
    let newest = CHECKPOINTS
        .iter()
        .filter_map(|offset| checkpoint(&head[*offset as usize..][..64], first))
        .max();
    let (checkpoint, mark) = newest.ok_or_else(|| damaged(path, "it has no valid checkpoint"))?;
    let (end, remade) = ring.follow(checkpoint).map_err(|error| failed(path, &error))?;
    // A log that ends before the mark of its checkpoint says nothing of which files there are.
    if end < mark {
        let what = format!("it ends at LSN {end}, before LSN {mark} that its checkpoint needs");
        return Err(damaged(path, &what));
    }
    let needed = ring.needed(checkpoint, end);
    Ok(Redo {
        format: Format::MariaDb,
        checkpoint,
        end,
        files: vec![RedoFile {
            path: PathBuf::from(NAME),
            size,
            start: Some(first),
            needed,
        }],
        tail: 0,
        remade,
    })
}

/// A checkpoint's LSN, and that of the record that marks it.
fn checkpoint(block: &[u8], first: u64) -> Option<(u64, u64)> {
    let (lsn, mark) = (u64_at(block, 0), u64_at(block, 8));
    (lsn >= first && mark >= lsn && mark <= MOST && is_zero(&block[16..60]) && checked(block)).then_some((lsn, mark))
}

struct Ring {
    file: File,
    first: u64,
    capacity: u64,
    encrypted: bool,
}

impl Ring {
    fn offset(&self, lsn: u64) -> u64 {
        START + (lsn - self.first) % self.capacity
    }

    /// What a mini-transaction's last byte before its checksum is, if that byte is at this LSN.
    fn sequence(&self, lsn: u64) -> u8 {
        u8::from(((lsn - self.first) / self.capacity).is_multiple_of(2))
    }

    /// Follows mini-transactions from an LSN until there is none. Says where that is, and what they make anew.
    fn follow(&self, from: u64) -> io::Result<(u64, Remade)> {
        let mut remade = Remade::default();
        let mut lsn = from;
        let mut window = Vec::new();
        let mut at = 0;
        // One turn of the ring is all that can be valid.
        while lsn - from < self.capacity {
            if window.len() - at < LARGEST + 64 {
                window.drain(..at);
                at = 0;
                self.fill(&mut window, lsn)?;
            }
            match self.transaction(&window[at..], lsn) {
                Some((records, length)) => {
                    remade.read(&window[at..at + records]);
                    at += length;
                    lsn += length as u64;
                }
                None => break,
            }
        }
        Ok((lsn, remade))
    }

    /// Makes the window hold what comes from that LSN on, over the ring's end.
    fn fill(&self, window: &mut Vec<u8>, lsn: u64) -> io::Result<()> {
        const SIZE: usize = 4 << 20;
        let most = SIZE.min(usize::try_from(self.capacity).unwrap_or(SIZE));
        while window.len() < most {
            let offset = self.offset(lsn + window.len() as u64);
            let until_end = START + self.capacity - offset;
            let length = (most - window.len()).min(usize::try_from(until_end).unwrap_or(most));
            let piece = read_at(&self.file, offset, length)?;
            if piece.is_empty() {
                break;
            }
            window.extend_from_slice(&piece);
        }
        Ok(())
    }

    /// The length in bytes of the records of the mini-transaction that starts at an LSN, and of all of it, if it is whole.
    fn transaction(&self, bytes: &[u8], lsn: u64) -> Option<(usize, usize)> {
        // The end's byte alone is what an unused log is full of.
        if *bytes.first()? <= 1 {
            return None;
        }
        let mut at = 0;
        loop {
            let byte = *bytes.get(at)?;
            if byte <= 1 {
                break;
            }
            at += 1;
            at += match usize::from(byte & 15) {
                // Longer than that: how much longer follows.
                0 => usize::try_from(varint(bytes.get(at..)?)?.0).ok()? + 15,
                length => length,
            };
            if at >= LARGEST {
                return None;
            }
        }
        if bytes[at] != self.sequence(lsn + at as u64) {
            return None;
        }
        let mut sum = crc32c::crc32c(&bytes[..at]);
        let mut after = at + 1;
        if self.encrypted {
            sum = crc32c::crc32c_append(sum, bytes.get(after..after + 8)?);
            after += 8;
        }
        let stored = bytes.get(after..after + 4)?;
        (u32_at(stored, 0) == sum).then_some((at, after + 4))
    }

    /// The parts of the file from the checkpoint to the end, and the headers.
    fn needed(&self, checkpoint: u64, end: u64) -> Vec<Range<u64>> {
        let file_end = START + self.capacity;
        let (from, to) = (self.offset(checkpoint), self.offset(end));
        let whole = end - checkpoint >= self.capacity;
        let up = |offset: u64| offset.next_multiple_of(BLOCK).min(file_end);
        let down = |offset: u64| (offset - offset % BLOCK).max(START);
        // After a whole turn, or where blocks meet, the two parts are all of it.
        if whole || to < from {
            let middle = if whole { down(from) } else { up(to).min(down(from)) };
            vec![0..middle, down(from)..file_end]
        } else {
            vec![0..START, down(from)..up(to + 1)]
        }
    }
}

/// A number of variable length, as mini-transactions have it, and how many bytes it takes; none if it is longer than one can be.
pub(super) fn varint(bytes: &[u8]) -> Option<(u64, usize)> {
    // How many values each length leaves to the next.
    const TWO: u64 = 1 << 7;
    const THREE: u64 = TWO + (1 << 14);
    const FOUR: u64 = THREE + (1 << 21);
    const FIVE: u64 = FOUR + (1 << 28);
    let byte = |at: usize| bytes.get(at).map(|byte| u64::from(*byte));
    let first = byte(0)?;
    Some(match first {
        0..0x80 => (first, 1),
        0x80..0xc0 => (TWO + ((first & 0x3f) << 8 | byte(1)?), 2),
        0xc0..0xe0 => (THREE + ((first & 0x1f) << 16 | byte(1)? << 8 | byte(2)?), 3),
        0xe0..0xf0 => (
            FOUR + ((first & 0x0f) << 24 | byte(1)? << 16 | byte(2)? << 8 | byte(3)?),
            4,
        ),
        0xf0 => (FIVE + (byte(1)? << 24 | byte(2)? << 16 | byte(3)? << 8 | byte(4)?), 5),
        _ => return None,
    })
}
