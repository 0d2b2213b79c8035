//! Objects back into files, on several threads.

use std::fs::{self, File};
use std::io::{self, Read as _};
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use backstay_engine_api::job::{ChainLink, JobContext};
use backstay_engine_api::{EngineError, ErrorKind, ObjectInfo};
use backstay_innodb::delta;
use backstay_physical::{Buffer, Written, below};

use crate::chain::{Planned, plan};
use crate::layout::Layout;
use crate::pages::{KEPT, REDO};
use crate::stream::{HOLES, SPARSE};

/// How much is read and written at once, in bytes.
const CHUNK: usize = 1 << 20;
/// The block of a file system: a hole is made of whole ones.
const BLOCK: usize = 4096;

/// Writes the files of a backup that `wanted` names below an empty directory, each from the objects of its chain that it is made of.
///
/// # Errors
/// An object is damaged or missing, or a file can not be written.
pub(crate) fn lay(
    job: &JobContext,
    chain: &[ChainLink],
    directory: &Path,
    wanted: &dyn Fn(&ObjectInfo) -> bool,
) -> Result<(), EngineError> {
    let Some(last) = chain.last() else { return Ok(()) };
    let layout = Layout::read(last)?;
    let objects: Result<Vec<Vec<ObjectInfo>>, EngineError> =
        chain.iter().map(|link| link.objects().collect()).collect();
    let mut files = plan(&objects?)?;
    files.retain(|file| wanted(&file.target));
    let root = ObjectInfo {
        name: "#layout.json".to_owned(),
        attributes: backstay_engine_api::Attributes::default(),
        size: 0,
    };
    for name in &layout.directories {
        fs::create_dir_all(directory.join(below(&root, name)?))?;
    }
    let (next, stop) = (AtomicUsize::new(0), AtomicBool::new(false));
    let first_error: Mutex<Option<EngineError>> = Mutex::default();
    std::thread::scope(|scope| {
        for _ in 0..job.threads() {
            scope.spawn(|| {
                let mut buffer = Buffer::new(CHUNK);
                while !stop.load(Ordering::Relaxed) {
                    let Some(file) = files.get(next.fetch_add(1, Ordering::Relaxed)) else {
                        break;
                    };
                    let laid = into_file(job, chain, file, directory, buffer.bytes());
                    if let Err(error) = laid {
                        stop.store(true, Ordering::Relaxed);
                        first_error
                            .lock()
                            .unwrap_or_else(PoisonError::into_inner)
                            .get_or_insert(error);
                    }
                }
            });
        }
    });
    match first_error.into_inner().unwrap_or_else(PoisonError::into_inner) {
        Some(error) => Err(job.check_cancelled().err().unwrap_or(error)),
        None => Ok(()),
    }
}

/// Writes a file as it was once, and over it the pages that have changed since.
fn into_file(
    job: &JobContext,
    chain: &[ChainLink],
    planned: &Planned,
    directory: &Path,
    buffer: &mut [u8],
) -> Result<(), EngineError> {
    job.check_cancelled()?;
    let target = &planned.target;
    job.doing(format!("writing {}", target.name));
    let path = directory.join(below(target, &target.name)?);
    let (at, whole) = &planned.whole;
    let holes = Holes::of(whole)?;
    if planned.changed.is_empty() && holes == Holes::Listed(Vec::new()) {
        let file = Written::create(&path, whole.size).map_err(|error| unwritten(&path, &error))?;
        let mut write = |piece: &[u8], at| file.write_all_at(piece, at);
        return object_onto(job, &chain[*at], whole, &mut write, &path, buffer);
    }
    let file = File::create_new(&path).map_err(|error| unwritten(&path, &error))?;
    with_holes(job, &chain[*at], whole, (&file, &holes), &path, buffer)?;
    for (at, object) in &planned.changed {
        job.check_cancelled()?;
        if object.attributes.kind.as_deref() == Some(REDO) {
            redo_onto(job, &chain[*at], object, &file, &path, buffer)?;
            continue;
        }
        let mut pages = chain[*at].open(&object.name)?;
        delta::apply(&mut pages, &file).map_err(|error| match error.downcast::<EngineError>() {
            Ok(error) => error,
            Err(error) => {
                let kind = match error.kind() {
                    io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof => ErrorKind::Damaged,
                    _ => ErrorKind::Io,
                };
                let message = format!(
                    "the pages of {} can not be written into {}",
                    object.name,
                    path.display()
                );
                EngineError::new(kind, message).because(&error)
            }
        })?;
    }
    Ok(())
}

/// Writes a file of the redo log over what an earlier backup has of it. What neither has is zeros: where the log ends, the server must
/// not find what was there in an earlier turn of its ring.
fn redo_onto(
    job: &JobContext,
    link: &ChainLink,
    object: &ObjectInfo,
    file: &File,
    path: &Path,
    buffer: &mut [u8],
) -> Result<(), EngineError> {
    let holes = listed(object, HOLES)?;
    let mut at = 0;
    for (kept, length) in listed(object, KEPT)?.into_iter().chain([(object.size, 0)]) {
        for (hole, length) in &holes {
            let (from, to) = ((*hole).max(at), (hole + length).min(kept));
            delta::clear(file, from, to.saturating_sub(from)).map_err(|error| unwritten(path, &error))?;
        }
        at = kept.saturating_add(length);
    }
    with_holes(job, link, object, (file, &Holes::Listed(holes)), path, buffer)
}

/// Writes an object's bytes into a file, but for its holes.
fn with_holes(
    job: &JobContext,
    link: &ChainLink,
    object: &ObjectInfo,
    (file, holes): (&File, &Holes),
    path: &Path,
    buffer: &mut [u8],
) -> Result<(), EngineError> {
    let mut write = |piece: &[u8], at| holes.write(file, piece, at);
    object_onto(job, link, object, &mut write, path, buffer)?;
    file.set_len(object.size).map_err(|error| unwritten(path, &error))
}

/// Reads an object from its beginning to its end, and writes it piece by piece, each with its offset.
fn object_onto(
    job: &JobContext,
    link: &ChainLink,
    object: &ObjectInfo,
    write: &mut dyn FnMut(&[u8], u64) -> io::Result<()>,
    path: &Path,
    buffer: &mut [u8],
) -> Result<(), EngineError> {
    let mut reader = link.open(&object.name)?;
    let mut at = 0;
    loop {
        let mut filled = 0;
        while filled < buffer.len() {
            match reader.read(&mut buffer[filled..])? {
                0 => break,
                count => filled += count,
            }
        }
        if filled == 0 {
            break;
        }
        job.check_cancelled()?;
        write(&buffer[..filled], at).map_err(|error| unwritten(path, &error))?;
        at += filled as u64;
    }
    if at != object.size {
        let message = format!("{} has {at} bytes, and should have {}", object.name, object.size);
        return Err(EngineError::new(ErrorKind::Damaged, message));
    }
    Ok(())
}

fn unwritten(path: &Path, error: &io::Error) -> EngineError {
    EngineError::new(ErrorKind::Io, format!("{} can not be written", path.display())).because(error)
}

/// Offsets and lengths in bytes, as an attribute lists them.
fn listed(object: &ObjectInfo, attribute: &str) -> Result<Vec<(u64, u64)>, EngineError> {
    let damaged = |why: &dyn std::fmt::Display| {
        let message = format!("the attribute `{attribute}` of {} can not be read: {why}", object.name);
        EngineError::new(ErrorKind::Damaged, message)
    };
    let Some(listed) = object.attributes.other.get(attribute) else {
        return Ok(Vec::new());
    };
    let listed: Vec<(u64, u64)> = serde_json::from_value(listed.clone()).map_err(|error| damaged(&error))?;
    match listed.iter().all(|(at, length)| at.checked_add(*length).is_some()) {
        true => Ok(listed),
        false => Err(damaged(&"a part lies beyond any file's end")),
    }
}

/// What of a file is not written, because it is zero anyway.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Holes {
    /// Offsets and lengths in bytes, in order.
    Listed(Vec<(u64, u64)>),
    /// Each block that is all zeros.
    Blocks,
}

impl Holes {
    fn of(object: &ObjectInfo) -> Result<Self, EngineError> {
        let other = &object.attributes.other;
        if other.get(SPARSE).and_then(serde_json::Value::as_bool) == Some(true) {
            return Ok(Self::Blocks);
        }
        listed(object, HOLES).map(Self::Listed)
    }

    /// Writes a piece of a file, its offset in the file `at`.
    fn write(&self, file: &File, piece: &[u8], at: u64) -> io::Result<()> {
        match self {
            Self::Listed(holes) => {
                let end = at + piece.len() as u64;
                let mut from = at;
                for (hole, length) in holes.iter().filter(|(hole, length)| hole + length > at && *hole < end) {
                    write_part(file, piece, at, from, (*hole).max(from))?;
                    from = (hole + length).min(end);
                }
                write_part(file, piece, at, from, end)
            }
            Self::Blocks => {
                for (index, block) in piece.chunks(BLOCK).enumerate() {
                    if block.iter().any(|byte| *byte != 0) {
                        file.write_all_at(block, at + (index * BLOCK) as u64)?;
                    }
                }
                Ok(())
            }
        }
    }
}

/// Writes of a piece that starts at `at` what is between two offsets in the file.
fn write_part(file: &File, piece: &[u8], at: u64, from: u64, to: u64) -> io::Result<()> {
    let index = |offset: u64| usize::try_from(offset - at).unwrap_or(usize::MAX).min(piece.len());
    file.write_all_at(&piece[index(from)..index(to)], from)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::MetadataExt as _;

    use super::*;

    fn written(holes: &Holes, pieces: &[&[u8]]) -> (Vec<u8>, u64) {
        let mut file = tempfile::tempfile().unwrap();
        let mut at = 0;
        for piece in pieces {
            holes.write(&file, piece, at).unwrap();
            at += piece.len() as u64;
        }
        file.set_len(at).unwrap();
        let mut all = Vec::new();
        file.read_to_end(&mut all).unwrap();
        (all, file.metadata().unwrap().blocks() * 512)
    }

    #[test]
    fn holes_stay_holes() {
        let mut whole = vec![7; 1 << 20];
        whole[65536..524_288].fill(0);
        whole[786_432..].fill(0);
        let listed = Holes::Listed(vec![(65536, 458_752), (786_432, 262_144)]);
        for holes in [listed, Holes::Blocks] {
            // Pieces whose ends are within holes and within data.
            for cut in [1 << 17, 1 << 19, 786_432, 1 << 20] {
                let (left, right) = whole.split_at(cut);
                let (bytes, used) = written(&holes, &[left, right]);
                assert!(bytes == whole, "{holes:?} {cut}");
                assert!(used < 600_000, "{holes:?} {cut}: {used}");
            }
        }
        assert!(written(&Holes::Listed(Vec::new()), &[&whole]).0 == whole);
    }
}
