//! The spool: segments on their way to the repository, in a directory of this machine's.
//!
//! ```text
//! <spool>/<cluster>-<hash of the repository's URL>/
//!     status.json                      how the archive stands, for `backstay archive --status`
//!     open/<job>-<run>/<n>/            what a worker is writing; garbage once that job is over
//!     segments/<stream>/stream.json    a stream that is not in the repository yet
//!     segments/<stream>/<number>/      a segment that is whole, as it will be in the repository
//! ```
//!
//! While the repository is there, a segment stays here for as long as it takes to copy it. While it is away they wait, up
//! to a bound, synced to the disk, and go into the repository in their order once it is back, by this process or the next.

use std::collections::VecDeque;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use object_store::local::LocalFileSystem;

use crate::error::{Error, ErrorKind, Result};
use crate::pipeline::{self, BackupSource, VerifyOptions};
use crate::repository::index::{Index, sha256_hex};
use crate::repository::logs::{Sealed, digest_file, segment_number};
use crate::repository::{SegmentRecord, StreamRecord, layout, store, sync};

/// A segment that waits.
#[derive(Debug, Clone)]
pub(super) struct Waiting {
    pub(super) record: SegmentRecord,
    /// Where it lies.
    pub(super) directory: PathBuf,
    bytes: u64,
    synced: bool,
}

/// The directory, and what is in it.
#[derive(Debug)]
pub(super) struct Spool {
    directory: PathBuf,
    /// How many bytes may wait.
    limit: u64,
    waiting: VecDeque<Waiting>,
    bytes: u64,
    /// Streams that are not in the repository yet, in their order.
    streams: VecDeque<StreamRecord>,
    runs: u64,
}

impl Spool {
    /// Where the spool of a cluster's archive is.
    pub(super) fn place(root: &Path, cluster: &str, repository: &str) -> PathBuf {
        let hash = sha256_hex(repository.trim_end_matches('/').as_bytes());
        root.join(format!("{cluster}-{}", &hash[..8]))
    }

    /// How many whole segments wait in it, to look at only.
    pub(super) fn count(directory: &Path) -> usize {
        let segments = directory.join("segments");
        let whole = |stream: &PathBuf, name: &String| stream.join(name).join(SegmentRecord::FILE).is_file();
        let in_stream = |stream: String| {
            let stream = segments.join(stream);
            let names = names(&stream).unwrap_or_default();
            names.iter().filter(|name| whole(&stream, name)).count()
        };
        // One that can not be read, or is not there, is another machine's or another user's.
        names(&segments).unwrap_or_default().into_iter().map(in_stream).sum()
    }

    /// Opens the spool: what another job was writing is removed, what is whole and sound waits, and what comes after a
    /// damaged segment is removed too, for the log is read from there again.
    pub(super) fn open(directory: PathBuf, limit: u64) -> Result<Self> {
        let mut spool = Self {
            directory,
            limit,
            waiting: VecDeque::new(),
            bytes: 0,
            streams: VecDeque::new(),
            runs: 0,
        };
        remove_tree(&spool.directory.join("open"))?;
        let segments = spool.segments();
        // It holds what the servers hold.
        use std::os::unix::fs::DirBuilderExt;
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&segments)
            .map_err(|error| failed("make", &segments, &error))?;
        let mut sound = true;
        for stream in names(&segments)? {
            let directory = segments.join(&stream);
            if let Some(record) = unseal::<StreamRecord>(&directory).unwrap_or_default() {
                spool.streams.push_back(record);
            }
            for name in names(&directory)? {
                let place = directory.join(&name);
                if segment_number(&name).is_none() {
                    continue;
                }
                let record = unseal::<SegmentRecord>(&place).and_then(|record| match record {
                    Some(record) => verify(&record, &place).map(|()| record),
                    None => Err(Error::new(ErrorKind::Damaged, "it has no record")),
                });
                match record {
                    Ok(record) if sound => spool.push(record, place, true),
                    Ok(_) => remove_tree(&place)?,
                    Err(error) => {
                        // A machine that lost power may leave half of what was not synced yet.
                        tracing::warn!(
                            "{} is of no use and is read from the server again: {error}",
                            place.display()
                        );
                        sound = false;
                        remove_tree(&place)?;
                    }
                }
            }
        }
        Ok(spool)
    }

    fn segments(&self) -> PathBuf {
        self.directory.join("segments")
    }

    /// The file that says how the archive stands.
    pub(super) fn status_file(directory: &Path) -> PathBuf {
        directory.join("status.json")
    }

    pub(super) fn directory(&self) -> &Path {
        &self.directory
    }

    /// A new directory for a worker to write in.
    pub(super) fn open_directory(&mut self, job: &str) -> Result<PathBuf> {
        self.runs += 1;
        let directory = self.directory.join("open").join(format!("{job}-{}", self.runs));
        fs::create_dir_all(&directory).map_err(|error| failed("make", &directory, &error))?;
        Ok(directory)
    }

    /// Puts a stream into it.
    pub(super) fn add_stream(&mut self, record: &StreamRecord) -> Result<()> {
        let directory = self.segments().join(&record.id);
        fs::create_dir_all(&directory).map_err(|error| failed("make", &directory, &error))?;
        seal(&directory, record)?;
        harden(&self.directory, &directory)?;
        self.streams.push_back(record.clone());
        Ok(())
    }

    /// Puts a segment into it, from where a worker has written it.
    pub(super) fn add(&mut self, record: &SegmentRecord, from: &Path) -> Result<()> {
        seal(from, record)?;
        let stream = self.segments().join(&record.stream);
        fs::create_dir_all(&stream).map_err(|error| failed("make", &stream, &error))?;
        let place = stream.join(&record.segment.name);
        fs::rename(from, &place).map_err(|error| failed("make", &place, &error))?;
        self.push(record.clone(), place, false);
        Ok(())
    }

    fn push(&mut self, record: SegmentRecord, directory: PathBuf, synced: bool) {
        let bytes = record.index.data_bytes + record.index.length;
        self.bytes += bytes;
        self.waiting.push_back(Waiting {
            record,
            directory,
            bytes,
            synced,
        });
    }

    /// Gets all of it onto the disk: it may have to wait.
    pub(super) fn harden(&mut self) -> Result<()> {
        for waiting in self.waiting.iter_mut().filter(|waiting| !waiting.synced) {
            harden(&self.directory, &waiting.directory)?;
            waiting.synced = true;
        }
        Ok(())
    }

    /// Whether so many bytes more would be too many. One segment always may wait.
    pub(super) fn is_full(&self, more: u64) -> bool {
        !self.waiting.is_empty() && self.bytes.saturating_add(more) > self.limit
    }

    pub(super) fn limit(&self) -> u64 {
        self.limit
    }

    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    pub(super) fn len(&self) -> usize {
        self.waiting.len()
    }

    /// Whether nothing waits.
    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty() && self.streams.is_empty()
    }

    pub(super) fn waiting(&self) -> impl Iterator<Item = &Waiting> {
        self.waiting.iter()
    }

    pub(super) fn first(&self) -> Option<&Waiting> {
        self.waiting.front()
    }

    /// The stream that is next to go into the repository: it must be there before the segments of its own.
    pub(super) fn first_stream(&self) -> Option<&StreamRecord> {
        let stream = self.streams.front()?;
        let before = |waiting: &Waiting| waiting.record.stream < stream.id;
        (!self.waiting.front().is_some_and(before)).then_some(stream)
    }

    /// The first stream is in the repository.
    pub(super) fn stream_done(&mut self) {
        if let Some(stream) = self.streams.pop_front() {
            let directory = self.segments().join(stream.id);
            for file in [StreamRecord::FILE.to_owned(), digest_file::<StreamRecord>()] {
                // If it stays, the next process finds out that it is there already.
                let _ = fs::remove_file(directory.join(file));
            }
        }
    }

    /// The first segment is in the repository.
    pub(super) fn segment_done(&mut self) {
        if let Some(done) = self.waiting.pop_front() {
            self.bytes -= done.bytes;
            let _ = remove_tree(&done.directory);
            if let Some(stream) = done.directory.parent() {
                // Only if it is empty.
                let _ = fs::remove_dir(stream);
            }
        }
    }

    /// Removes all that waits from the given number of segments on, and the streams that have none then.
    pub(super) fn truncate(&mut self, keep: usize, streams: usize) -> Result<()> {
        while self.waiting.len() > keep {
            if let Some(last) = self.waiting.pop_back() {
                self.bytes -= last.bytes;
                remove_tree(&last.directory)?;
            }
        }
        while self.streams.len() > streams {
            if let Some(last) = self.streams.pop_back() {
                remove_tree(&self.segments().join(last.id))?;
            }
        }
        Ok(())
    }

    pub(super) fn streams(&self) -> impl Iterator<Item = &StreamRecord> {
        self.streams.iter()
    }
}

/// Whether a segment that a former process left is what it wrote.
fn verify(record: &SegmentRecord, directory: &Path) -> Result<()> {
    let damaged = |message: String| Error::new(ErrorKind::Damaged, message);
    let index = directory.join(layout::INDEX);
    let bytes = fs::read(&index).map_err(|error| failed("read", &index, &error))?;
    if sha256_hex(&bytes) != record.index.sha256 {
        return Err(damaged(format!("{} has another digest", index.display())));
    }
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .map_err(|error| Error::new(ErrorKind::Io, "can not start a runtime").because(&error))?;
    let above = directory.parent().unwrap_or(directory);
    let store = LocalFileSystem::new_with_prefix(above)
        .map_err(|error| Error::new(ErrorKind::Io, "can not open the spool").because(&error))?;
    let source = BackupSource::open(
        Arc::new(store),
        object_store::path::Path::from(record.segment.name.as_str()),
        runtime.handle().clone(),
        Arc::new(Index::read(bytes.as_slice())?),
    );
    let options = VerifyOptions {
        threads: 1,
        deep: false,
    };
    pipeline::verify(&source, Some(&|_| true), options, &|_| {})
        .map_err(|problems| damaged(problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")))
}

fn seal<T: Sealed>(directory: &Path, record: &T) -> Result<()> {
    let (text, digest) = record.seal()?;
    // The record last, as in the repository.
    for (file, bytes) in [(digest_file::<T>(), digest), (T::FILE.to_owned(), text)] {
        let path = directory.join(file);
        fs::write(&path, bytes).map_err(|error| failed("write", &path, &error))?;
    }
    Ok(())
}

fn unseal<T: Sealed>(directory: &Path) -> Result<Option<T>> {
    let path = directory.join(T::FILE);
    let text = match fs::read(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(failed("read", &path, &error)),
    };
    let digest = fs::read(directory.join(digest_file::<T>())).unwrap_or_default();
    T::unseal(&path.to_string_lossy(), &text, &digest).map(Some)
}

fn harden(root: &Path, directory: &Path) -> Result<()> {
    sync::tree(root, directory).map_err(|unsynced| failed("sync", &unsynced.path, &unsynced.error))
}

/// The names of the directories in one, in order.
fn names(directory: &Path) -> Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in fs::read_dir(directory).map_err(|error| failed("read", directory, &error))? {
        let entry = entry.map_err(|error| failed("read", directory, &error))?;
        let is_dir = entry.file_type().is_ok_and(|kind| kind.is_dir());
        if let (true, Some(name)) = (is_dir, entry.file_name().to_str()) {
            names.push(name.to_owned());
        }
    }
    names.sort_unstable();
    Ok(names)
}

fn remove_tree(directory: &Path) -> Result<()> {
    let removed = store::remove_directory(directory).map_err(|error| failed("remove", directory, &error));
    removed.map(drop)
}

fn failed(doing: &str, path: &Path, error: &io::Error) -> Error {
    Error::new(
        ErrorKind::Io,
        format!("can not {doing} {} of the spool", path.display()),
    )
    .detail(error.to_string())
    .advise("make room there, or name another directory with `spool` in the section [archive]")
}
