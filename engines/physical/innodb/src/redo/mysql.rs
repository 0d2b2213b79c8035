//! MySQL's redo log, 8.0.30 and later.

use std::fs::{self, File};
use std::path::Path;

use backstay_engine_api::{EngineError, ErrorKind};

use super::{Format, Redo, RedoFile, Remade, checked, damaged, failed, read_at, unknown};
use crate::bytes::{u16_at, u32_at, u64_at};

/// The folder below the log's directory.
pub(super) const FOLDER: &str = "#innodb_redo";
/// What comes before a file's number.
const PREFIX: &str = "#ib_redo";
/// A block's size, in bytes; LSNs count the bytes of whole blocks.
pub(super) const BLOCK: u64 = 512;
/// The header: four blocks, of which the second and the fourth are checkpoints.
pub(super) const HEADER: u64 = 4 * BLOCK;
/// The format since 8.0.30.
const FORMAT: u32 = 6;
/// Nothing is logged (`ALTER INSTANCE DISABLE INNODB REDO_LOG`), and what is there would not recover.
const NOT_LOGGED: u32 = 0b11;
/// More than any server's log will ever have had, in bytes.
const MOST: u64 = 1 << 62;
/// Block numbers, from 1, start again after so many; how often they did, from 1 too, is the block's epoch.
const NUMBERS: u64 = 1 << 30;

struct Part {
    index: usize,
    start: u64,
    end: u64,
    file: File,
}

pub(super) fn read(folder: &Path) -> Result<Redo, EngineError> {
    let mut files = Vec::new();
    let mut parts = Vec::new();
    let mut checkpoint = None;
    for entry in fs::read_dir(folder).map_err(|error| failed(folder, &error))? {
        let entry = entry.map_err(|error| failed(folder, &error))?;
        let (name, path) = (entry.file_name(), entry.path());
        let name = name.to_string_lossy();
        let Some(number) = name.strip_prefix(PREFIX) else {
            continue;
        };
        let file = File::open(&path).map_err(|error| failed(&path, &error))?;
        let size = file.metadata().map_err(|error| failed(&path, &error))?.len();
        let (mut needed, mut start_lsn) = (Vec::new(), None);
        // Files that end in _tmp wait to be used; nothing is in them.
        if number.parse::<u64>().is_ok() {
            let header = read_at(&file, 0, HEADER as usize).map_err(|error| failed(&path, &error))?;
            if header.len() < HEADER as usize || !checked(&header[..BLOCK as usize]) {
                return Err(damaged(&path, "its header's checksum does not fit"));
            }
            let format = u32_at(&header, 0);
            if format < FORMAT {
                return Err(unknown(&path, &format!("format {format}")));
            }
            if u32_at(&header, 48) & NOT_LOGGED != 0 {
                return Err(EngineError::new(
                    ErrorKind::Refused,
                    "the server writes no redo log, so its files are of no use without it",
                )
                .advise("enable it: ALTER INSTANCE ENABLE INNODB REDO_LOG"));
            }
            let start = u64_at(&header, 8);
            if start > MOST {
                return Err(damaged(&path, &format!("it starts at LSN {start}")));
            }
            let end = start.saturating_add(size.saturating_sub(HEADER));
            for block in [1, 3].map(|block| &header[block * 512..(block + 1) * 512]) {
                let lsn = u64_at(block, 8);
                if checked(block) && lsn >= start && lsn <= end {
                    checkpoint = checkpoint.max(Some(lsn));
                }
            }
            needed.push(0..HEADER);
            start_lsn = Some(start);
            let index = files.len();
            parts.push(Part {
                index,
                start,
                end,
                file,
            });
        }
        let path = Path::new(FOLDER).join(&*name);
        files.push(RedoFile {
            path,
            size,
            start: start_lsn,
            needed,
        });
    }
    let checkpoint = checkpoint.ok_or_else(|| damaged(folder, "no file has a valid checkpoint"))?;
    parts.sort_by_key(|part| part.start);
    let end = follow(&parts, checkpoint, &mut files).map_err(|error| failed(folder, &error))?;
    let end = end.ok_or_else(|| {
        damaged(
            folder,
            &format!("there is no valid block at its checkpoint, LSN {checkpoint}"),
        )
    })?;
    files.sort_by(|left, right| left.path.cmp(&right.path));
    Ok(Redo {
        format: Format::MySql,
        checkpoint,
        end,
        files,
        tail: 0,
        remade: Remade::default(),
    })
}

/// Follows the blocks from the checkpoint to the log's end, and notes them as needed. None if there is not even one.
fn follow(parts: &[Part], checkpoint: u64, files: &mut [RedoFile]) -> std::io::Result<Option<u64>> {
    const PIECE: u64 = 1 << 20;
    let mut lsn = checkpoint - checkpoint % BLOCK;
    let mut end = None;
    for part in parts.iter().filter(|part| part.end > checkpoint) {
        if part.start > lsn {
            break;
        }
        let first = HEADER + lsn - part.start;
        let mut offset = first;
        let mut last = false;
        while lsn < part.end && !last {
            let length = PIECE.min(part.end - lsn);
            let piece = read_at(&part.file, offset, length as usize)?;
            last = piece.len() < length as usize;
            for block in piece.chunks_exact(BLOCK as usize) {
                let used = used(block, lsn);
                let Some(used) = used else {
                    last = true;
                    break;
                };
                offset += BLOCK;
                end = Some(lsn + used);
                lsn += BLOCK;
                if used < BLOCK {
                    last = true;
                    break;
                }
            }
        }
        if offset > first {
            files[part.index].needed.push(first..offset);
        }
        if last {
            break;
        }
    }
    Ok(end)
}

/// How many bytes of a block are used, if it is the one that starts at that LSN.
fn used(block: &[u8], lsn: u64) -> Option<u64> {
    const ENCRYPTED: u16 = 0x8000;
    let number = (lsn / BLOCK) % NUMBERS + 1;
    let epoch = lsn / BLOCK / NUMBERS + 1;
    let length = u16_at(block, 4);
    let used = u64::from(length & !ENCRYPTED);
    let right = u64::from(u32_at(block, 0) & 0x7fff_ffff) == number && u64::from(u32_at(block, 8)) == epoch;
    // An encrypted block's checksum may be of what it was before.
    let whole = length & ENCRYPTED != 0 || checked(block) || u32_at(block, 508) == 0xdead_beef;
    (right && whole && (12..=BLOCK).contains(&used)).then_some(used)
}
