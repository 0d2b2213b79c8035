//! [`BackupSource`]: gives a backup's objects back.

use std::fmt;
use std::io::{self, Read};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use backstay_engine_api::EngineError;
use backstay_engine_api::wire::ObjectPage;
use object_store::ObjectStore;
use object_store::path::Path;
use tokio::runtime::Handle;

use super::problem::{Problem, ProblemKind};
use super::reader::{ExtentReader, Files};
use crate::repository::index::{Encoding, Index, IndexEntry, ZSTD, ZSTD_NAMED};

/// How much memory all open objects take together for what they read ahead, where that leaves each a useful size.
const READ_AHEAD: usize = 48 << 20;

/// A backup that is read. From any thread; any number of objects may be open.
#[derive(Debug, Clone)]
pub struct BackupSource {
    files: Files,
    index: Arc<Index>,
    open: Arc<AtomicUsize>,
}

impl BackupSource {
    /// The backup whose directory is `base`, by its index.
    pub fn open(store: Arc<dyn ObjectStore>, base: Path, runtime: Handle, index: Arc<Index>) -> Self {
        Self {
            files: Files { store, base, runtime },
            index,
            open: Arc::default(),
        }
    }

    /// Its index.
    pub fn index(&self) -> &Index {
        &self.index
    }

    /// Up to `limit` objects whose names come after `after`.
    pub fn objects_page(&self, after: Option<&str>, limit: usize) -> ObjectPage {
        let (entries, more) = self.index.page(after, limit);
        ObjectPage {
            objects: entries.into_iter().map(IndexEntry::info).collect(),
            more,
        }
    }

    /// The object of that name, and where it lies.
    pub fn entry(&self, name: &str) -> Option<IndexEntry> {
        self.index.get(name)
    }

    /// Opens an object to read.
    ///
    /// # Errors
    /// There is none of that name, or this version can not undo one of its transforms.
    pub fn open_object(&self, name: &str) -> Result<ObjectStream, EngineError> {
        let entry = self
            .entry(name)
            .ok_or_else(|| EngineError::other(format!("the backup has no object {name:?}")))?;
        self.open_entry(entry)
    }

    /// Opens an object that was found in the index.
    ///
    /// # Errors
    /// This version can not undo one of its transforms.
    pub fn open_entry(&self, entry: IndexEntry) -> Result<ObjectStream, EngineError> {
        let encoding = encoding_of(&entry)?;
        let size = entry.size;
        self.stream(entry, encoding.is_compressed(), size)
    }

    /// Opens an object as [`exported`](IndexEntry::exported) says it is exported: decompressed, unless its name says that it is
    /// compressed. The digests are compared in either case.
    ///
    /// # Errors
    /// As [`open_entry`](Self::open_entry).
    pub fn open_exported(&self, entry: IndexEntry) -> Result<ObjectStream, EngineError> {
        let encoding = encoding_of(&entry)?;
        let size = entry.exported();
        self.stream(entry, encoding == Encoding::Zstd, size)
    }

    fn stream(&self, entry: IndexEntry, compressed: bool, size: u64) -> Result<ObjectStream, EngineError> {
        let open = OpenCount::new(&self.open);
        // A chunk is in the reader's hands, one waits and one is being read.
        let chunk = (READ_AHEAD / 3 / open.now()).clamp(64 << 10, 2 << 20) as u64;
        let file = entry
            .extents
            .first()
            .map(|extent| extent.file.clone())
            .unwrap_or_default();
        let reader = ExtentReader::open(&self.files, entry.name.clone(), entry.extents, chunk);
        let bytes = if compressed {
            Decoded::Zstd(zstd::stream::read::Decoder::with_buffer(reader)?)
        } else {
            Decoded::Plain(reader)
        };
        Ok(ObjectStream {
            name: entry.name,
            size,
            bytes,
            read: 0,
            file,
            failed: None,
            _open: open,
        })
    }

    pub(super) fn files(&self) -> &Files {
        &self.files
    }
}

/// How an object is stored; an error names the transform that is not known.
pub(super) fn encoding_of(entry: &IndexEntry) -> Result<Encoding, Problem> {
    Encoding::of(&entry.transforms).ok_or_else(|| {
        let unknown = entry
            .transforms
            .iter()
            .find(|transform| *transform != ZSTD && *transform != ZSTD_NAMED);
        Problem {
            kind: ProblemKind::Transform,
            object: Some(entry.name.clone()),
            file: entry
                .extents
                .first()
                .map(|extent| extent.file.clone())
                .unwrap_or_default(),
            expected: format!("no transform, {ZSTD:?} or {ZSTD_NAMED:?}"),
            found: match unknown {
                Some(unknown) => format!("{unknown:?}"),
                None => format!("{:?}", entry.transforms),
            },
        }
    })
}

enum Decoded {
    Plain(ExtentReader),
    Zstd(zstd::stream::read::Decoder<'static, ExtentReader>),
}

/// An object's bytes as the engine wrote them.
///
/// Each extent's digest is checked before its last bytes are given out, and the object's size before its end is. Once
/// something is wrong, every read returns that error.
pub struct ObjectStream {
    name: String,
    size: u64,
    bytes: Decoded,
    read: u64,
    file: String,
    failed: Option<Problem>,
    _open: OpenCount,
}

impl fmt::Debug for ObjectStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ObjectStream")
            .field("name", &self.name)
            .field("size", &self.size)
            .field("read", &self.read)
            .finish_non_exhaustive()
    }
}

impl ObjectStream {
    /// The object's size, in bytes.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Fills a buffer, as far as there are bytes: how many there were, 0 at the end.
    ///
    /// # Errors
    /// The object is damaged, or the store failed.
    pub fn fill(&mut self, buffer: &mut [u8]) -> Result<usize, EngineError> {
        Ok(self.fill_or_problem(buffer)?)
    }

    pub(super) fn fill_or_problem(&mut self, buffer: &mut [u8]) -> Result<usize, Problem> {
        if let Some(problem) = &self.failed {
            return Err(problem.clone());
        }
        let result = self.read_checked(buffer);
        if let Err(problem) = &result {
            self.failed = Some(problem.clone());
        }
        result
    }

    fn read_checked(&mut self, buffer: &mut [u8]) -> Result<usize, Problem> {
        if buffer.is_empty() {
            return Ok(0);
        }
        let result = match &mut self.bytes {
            Decoded::Plain(reader) => reader.read(buffer),
            Decoded::Zstd(decoder) => decoder.read(buffer),
        };
        let length = match result {
            Ok(length) => length,
            Err(error) => {
                return Err(match error.downcast::<Problem>() {
                    Ok(problem) => problem,
                    Err(error) => self.content("zstd frames".to_owned(), error.to_string()),
                });
            }
        };
        self.read += length as u64;
        if self.read > self.size || (length == 0 && self.read < self.size) {
            let found = if length == 0 {
                format!("{}", self.read)
            } else {
                "more".to_owned()
            };
            return Err(self.content(format!("{} bytes", self.size), found));
        }
        Ok(length)
    }

    /// That the bytes are wrong. Where they are not even those that were written, that is the better thing to say.
    fn content(&mut self, expected: String, found: String) -> Problem {
        let drained = match &mut self.bytes {
            Decoded::Plain(reader) => reader.drain(),
            Decoded::Zstd(decoder) => decoder.get_mut().drain(),
        };
        drained.err().unwrap_or_else(|| Problem {
            kind: ProblemKind::Content,
            object: Some(self.name.clone()),
            file: self.file.clone(),
            expected,
            found,
        })
    }

    /// How many of its stored bytes were read.
    pub(super) fn stored_read(&self) -> u64 {
        match &self.bytes {
            Decoded::Plain(reader) => reader.stored_read(),
            Decoded::Zstd(decoder) => decoder.get_ref().stored_read(),
        }
    }
}

impl Read for ObjectStream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        Ok(self.fill(buffer)?)
    }
}

/// Counts itself among the open objects.
#[derive(Debug)]
struct OpenCount(Arc<AtomicUsize>);

impl OpenCount {
    fn new(open: &Arc<AtomicUsize>) -> Self {
        open.fetch_add(1, Ordering::Relaxed);
        Self(Arc::clone(open))
    }

    fn now(&self) -> usize {
        self.0.load(Ordering::Relaxed).max(1)
    }
}

impl Drop for OpenCount {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}
