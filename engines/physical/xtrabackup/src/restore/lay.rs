//! Objects back into files, on several threads.

use std::collections::HashSet;
use std::fs::{self, File};
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use backstay_engine_api::job::{ChainLink, JobContext};
use backstay_engine_api::{EngineError, ErrorKind, ObjectInfo, ObjectReader};
use backstay_physical::{Buffer, FILE, Written, below};

use crate::files::{LAYOUT_NAME, Layout};

/// How much is read and written at once, in bytes.
const CHUNK: usize = 1 << 20;
/// The block of a file system: a hole is made of whole ones.
const BLOCK: usize = 4096;
/// The largest layout that is read, in bytes.
const MAX_LAYOUT: u64 = 256 << 20;

/// What came of it.
#[derive(Debug, Default)]
pub(crate) struct Laid {
    /// Files of links to files outside the source's data directory; the files themselves are in the directory.
    pub(crate) linked: Vec<String>,
}

/// Writes the files of a backup below a directory, those whose object `wanted` names.
///
/// # Errors
/// An object is damaged or missing, or a file can not be written.
pub(crate) fn lay(
    job: &JobContext,
    link: &ChainLink,
    directory: &Path,
    wanted: &(dyn Fn(&ObjectInfo) -> bool + Sync),
) -> Result<Laid, EngineError> {
    let layout = read_layout(link)?;
    let pieces: HashSet<&str> = layout.pieces.iter().map(|(name, _)| name.as_str()).collect();
    let work = Work {
        job,
        link,
        directory,
        wanted,
        layout: &layout,
        pieces: &pieces,
        stop: AtomicBool::new(false),
        linked: Mutex::default(),
        piece_paths: Mutex::default(),
    };
    let objects = Mutex::new(link.objects());
    let first_error: Mutex<Option<EngineError>> = Mutex::default();
    std::thread::scope(|scope| {
        for _ in 0..job.threads() {
            scope.spawn(|| {
                let mut buffer = Buffer::new(CHUNK);
                let buffer = buffer.bytes();
                while !work.stop.load(Ordering::Relaxed) {
                    let next = objects.lock().unwrap_or_else(PoisonError::into_inner).next();
                    let Some(object) = next else { break };
                    if let Err(error) = object.and_then(|object| work.object(&object, buffer)) {
                        work.stop.store(true, Ordering::Relaxed);
                        first_error
                            .lock()
                            .unwrap_or_else(PoisonError::into_inner)
                            .get_or_insert(error);
                    }
                }
            });
        }
    });
    if let Some(error) = first_error.into_inner().unwrap_or_else(PoisonError::into_inner) {
        return Err(job.check_cancelled().err().unwrap_or(error));
    }
    // Over what was written before, in the order in which the tool wrote them.
    let paths = work.piece_paths.into_inner().unwrap_or_else(PoisonError::into_inner);
    for (name, offset) in &layout.pieces {
        if let Some((_, path)) = paths.iter().find(|(piece, _)| piece == name) {
            let target = directory.join(path);
            let file = File::options()
                .write(true)
                .open(&target)
                .map_err(|error| unwritten(&target, &error))?;
            let file = Written::plain(file);
            let mut reader = link.open(name)?;
            copy(job, &mut reader, (&file, &target), *offset, false, &mut vec![0; CHUNK])?;
        }
    }
    let mut linked = work.linked.into_inner().unwrap_or_else(PoisonError::into_inner);
    linked.sort();
    Ok(Laid { linked })
}

struct Work<'a> {
    job: &'a JobContext,
    link: &'a ChainLink,
    directory: &'a Path,
    wanted: &'a (dyn Fn(&ObjectInfo) -> bool + Sync),
    layout: &'a Layout,
    pieces: &'a HashSet<&'a str>,
    stop: AtomicBool,
    linked: Mutex<Vec<String>>,
    piece_paths: Mutex<Vec<(String, PathBuf)>>,
}

impl Work<'_> {
    fn object(&self, object: &ObjectInfo, buffer: &mut [u8]) -> Result<(), EngineError> {
        self.job.check_cancelled()?;
        let is_file = object.attributes.kind.as_deref() == Some(FILE);
        if !is_file || self.layout.removed.contains(&object.name) || !(self.wanted)(object) {
            return Ok(());
        }
        let path = self.path_of(object)?;
        // It says where the file was on the source. The tool has put the file itself into the stream as any other.
        if path.extension().is_some_and(|extension| extension == "isl") {
            let shown = path.with_extension("ibd").display().to_string();
            self.linked.lock().unwrap_or_else(PoisonError::into_inner).push(shown);
            return Ok(());
        }
        if self.pieces.contains(object.name.as_str()) {
            let mut paths = self.piece_paths.lock().unwrap_or_else(PoisonError::into_inner);
            paths.push((object.name.clone(), path));
            return Ok(());
        }
        self.job.doing(format!("writing {}", path.display()));
        let target = self.directory.join(&path);
        if let Some(parent) = target.parent() {
            fs::create_dir_all(parent)?;
        }
        let sparse = self.layout.sparse.contains(&object.name);
        // Space is not taken for what has holes.
        let file = if sparse {
            File::create_new(&target).map(Written::plain)
        } else {
            Written::create(&target, object.size)
        };
        let file = file.map_err(|error| unwritten(&target, &error))?;
        let mut reader = self.link.open(&object.name)?;
        let size = copy(self.job, &mut reader, (&file, &target), 0, sparse, buffer)?;
        if size != object.size {
            let message = format!("{} has {size} bytes, and should have {}", object.name, object.size);
            return Err(EngineError::new(ErrorKind::Damaged, message));
        }
        Ok(())
    }

    /// The file that an object is. What stands in a repository is not trusted to stay below the directory.
    fn path_of(&self, object: &ObjectInfo) -> Result<PathBuf, EngineError> {
        let own = object.attributes.other.get("path").and_then(|path| path.as_str());
        let path = self
            .layout
            .renamed
            .get(&object.name)
            .map(String::as_str)
            .or(own)
            .unwrap_or(&object.name);
        below(object, path).map(Path::to_owned)
    }
}

/// Copies an object into a file from an offset on; says how many bytes it had.
fn copy(
    job: &JobContext,
    reader: &mut ObjectReader,
    (file, path): (&Written, &Path),
    offset: u64,
    sparse: bool,
    buffer: &mut [u8],
) -> Result<u64, EngineError> {
    let failed = |error: std::io::Error| unwritten(path, &error);
    let mut size = 0;
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
        let at = offset + size;
        if sparse {
            for (index, block) in buffer[..filled].chunks(BLOCK).enumerate() {
                if block.iter().any(|byte| *byte != 0) {
                    file.write_all_at(block, at + (index * BLOCK) as u64).map_err(failed)?;
                }
            }
        } else {
            file.write_all_at(&buffer[..filled], at).map_err(failed)?;
        }
        size += filled as u64;
    }
    if sparse {
        file.set_len(offset + size).map_err(failed)?;
    }
    Ok(size)
}

fn unwritten(path: &Path, error: &std::io::Error) -> EngineError {
    EngineError::new(ErrorKind::Io, format!("{} can not be written", path.display())).because(error)
}

fn read_layout(link: &ChainLink) -> Result<Layout, EngineError> {
    let mut text = Vec::new();
    link.open(LAYOUT_NAME)?.take(MAX_LAYOUT).read_to_end(&mut text)?;
    serde_json::from_slice(&text).map_err(|error| {
        let message = format!("the layout of backup {} can not be read", link.record().id);
        EngineError::new(ErrorKind::Damaged, message).because(&error)
    })
}
