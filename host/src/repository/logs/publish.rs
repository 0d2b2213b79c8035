//! Making what an archive has written a part of the log.

use std::path::Path as FilePath;

use object_store::path::Path;
use object_store::{ObjectStoreExt, PutPayload, WriteMultipart};
use tokio::io::AsyncReadExt;

use super::super::layout::{self, MARKER};
use super::super::store::{Durability, with_advice};
use super::super::{Lock, Repository, sync};
use super::record::{Sealed, digest_file};
use super::{SegmentRecord, StreamRecord, follows, segment_name, segment_number};
use crate::{Error, ErrorKind, Result};

/// How much of a file is read and written at once.
const PART_BYTES: usize = 4 << 20;

impl Repository {
    /// Whether the repository is there: a file system that is not mounted leaves an empty directory behind.
    ///
    /// # Errors
    /// It is not ([`ErrorKind::Io`]).
    pub fn check_present(&self) -> Result<()> {
        match self.wait(self.store.head(&Path::from(MARKER))) {
            Ok(Some(_)) => Ok(()),
            Ok(None) => Err(Error::new(
                ErrorKind::Io,
                format!("repository {} is away: it has no {MARKER}", self.url()),
            )
            .advise("mount it, or bring it back")),
            Err(error) => Err(Error {
                kind: ErrorKind::Io,
                ..error
            }),
        }
    }

    /// Makes a stream, unless it is there.
    ///
    /// # Errors
    /// The lock was lost, a stream of that id and another record is there ([`ErrorKind::Refused`]), or the repository
    /// can not be written.
    pub fn create_stream(&self, record: &StreamRecord, lock: &Lock) -> Result<()> {
        self.check_present()?;
        lock.renew()?;
        let directory = layout::stream(&record.cluster, &record.id)?;
        if let Some(there) = self.stream_record(&record.cluster, &record.id)? {
            return if there == *record {
                Ok(())
            } else {
                Err(Error::refused(format!(
                    "{directory} is there already, and is another stream"
                )))
            };
        }
        self.seal(&directory, record)?;
        self.sync_tree(&directory)?;
        self.committed(&directory.join(super::STREAM), lock)
    }

    /// Makes a segment of what lies in a directory of this machine's: its index and its data, as a sink wrote them below
    /// that directory. That it is there already is well.
    ///
    /// # Errors
    /// The lock was lost, the segment does not follow on the one before it, another one has its number
    /// ([`ErrorKind::Refused`]), or the repository can not be written. Then it is no part of the log.
    pub fn publish_segment(&self, record: &SegmentRecord, from: &FilePath, lock: &Lock) -> Result<()> {
        let (cluster, stream, name) = (&record.cluster, &record.stream, &record.segment.name);
        self.check_present()?;
        lock.renew()?;
        if let Some(there) = self.segment_record(cluster, stream, name)? {
            return if there == *record {
                Ok(())
            } else {
                Err(Error::refused(format!(
                    "segment {name} of log {stream} is there already, and is another one"
                ))
                .advise("nothing was changed: another archive of this cluster has published it"))
            };
        }
        follows(&self.end_before(record)?, &record.segment.from)?;
        let directory = layout::segment(cluster, stream, name)?;
        // An attempt that was cut short left it.
        self.wait(self.store.remove_tree(&directory))?;
        self.copy_tree(from, &directory, record)?;
        self.sync_tree(&directory)?;
        // It may have taken long.
        lock.renew()?;
        self.seal(&directory, record)?;
        self.committed(&directory.join(super::SEGMENT), lock)
    }

    /// Where the segment before one ends, or the stream begins.
    fn end_before(&self, record: &SegmentRecord) -> Result<Vec<backstay_engine_api::Position>> {
        let (cluster, stream) = (&record.cluster, &record.stream);
        let number = segment_number(&record.segment.name)
            .ok_or_else(|| Error::other(format!("{:?} is no name of a segment", record.segment.name)))?;
        if number == 1 {
            let begun = self.stream_record(cluster, stream)?;
            return Ok(begun.ok_or_else(|| super::read::no_stream(cluster, stream))?.from);
        }
        let before = segment_name(number - 1);
        match self.segment_record(cluster, stream, &before)? {
            Some(before) => Ok(before.segment.to),
            None => Err(Error::refused(format!(
                "segment {} of log {stream} can not be published before segment {before}",
                record.segment.name
            ))),
        }
    }

    /// Writes a record and its digest, the record last.
    fn seal<T: Sealed>(&self, directory: &Path, record: &T) -> Result<()> {
        let (text, digest) = record.seal()?;
        let digest_path = directory.clone().join(digest_file::<T>());
        self.wait(self.store.put(&digest_path, digest, Durability::Synced))?;
        let path = directory.clone().join(T::FILE);
        match self.wait(self.store.create(&path, text, Durability::Synced)) {
            Ok(true) => {}
            Ok(false) => return Err(Error::refused(format!("{path} was made by another meanwhile"))),
            Err(error) => {
                // It may be there all the same, and not yet on the disk.
                let _ = self.wait(self.store.remove(&path));
                return Err(error);
            }
        }
        Ok(())
    }

    /// Looks once more, now that a record is made, whether this was the one to make it: a process that was stopped may have
    /// lost the lock meanwhile, and a repository that went away leaves a directory in which things can be made.
    fn committed(&self, path: &Path, lock: &Lock) -> Result<()> {
        if let Err(error) = self.check_present().and_then(|()| lock.check()) {
            self.wait(self.store.remove(path))?;
            return Err(error);
        }
        Ok(())
    }

    fn copy_tree(&self, from: &FilePath, to: &Path, record: &SegmentRecord) -> Result<()> {
        let (mut files, mut bytes) = (0, 0);
        for (file, below) in files_below(from)? {
            let target = layout_path(to, &below)?;
            let length = self.wait(self.copy_file(&file, &target))?;
            if below != layout::INDEX {
                files += 1;
                bytes += length;
            }
        }
        let index = &record.index;
        if (files, bytes) == (index.data_files, index.data_bytes) {
            return Ok(());
        }
        Err(Error::new(
            ErrorKind::Damaged,
            format!(
                "{} is not as it was written: {files} files of {bytes} bytes, expected {} files of {} bytes",
                from.display(),
                index.data_files,
                index.data_bytes
            ),
        ))
    }

    /// Copies a file; answers its length in bytes.
    async fn copy_file(&self, from: &FilePath, to: &Path) -> Result<u64> {
        let unread = |error: std::io::Error| {
            let message = format!("can not read {}", from.display());
            Error::new(ErrorKind::Damaged, message).detail(error.to_string())
        };
        let failed = |error: object_store::Error| self.store.failed("write", to, &error);
        let mut file = tokio::fs::File::open(from).await.map_err(unread)?;
        let length = file.metadata().await.map_err(unread)?.len();
        let store = self.store.plain();
        if length <= PART_BYTES as u64 {
            let mut bytes = Vec::with_capacity(length as usize);
            file.read_to_end(&mut bytes).await.map_err(unread)?;
            let length = bytes.len() as u64;
            store.put(to, PutPayload::from(bytes)).await.map_err(failed)?;
            return Ok(length);
        }
        let upload = store.put_multipart(to).await.map_err(failed)?;
        let mut writer = WriteMultipart::new_with_chunk_size(upload, PART_BYTES);
        let mut buffer = vec![0; PART_BYTES];
        let mut length = 0;
        loop {
            let read = file.read(&mut buffer).await.map_err(unread)?;
            if read == 0 {
                break;
            }
            length += read as u64;
            writer.wait_for_capacity(2).await.map_err(failed)?;
            writer.write(&buffer[..read]);
        }
        writer.finish().await.map_err(failed)?;
        Ok(length)
    }

    fn sync_tree(&self, directory: &Path) -> Result<()> {
        let (Some(root), Some(directory)) = (self.store.root(), self.store.file(directory)) else {
            return Ok(());
        };
        sync::tree(root, &directory).map_err(|unsynced| {
            let message = format!("can not sync {} to the disk", unsynced.path.display());
            let report = Error::new(ErrorKind::Io, message).detail(unsynced.error.to_string());
            with_advice(report, &unsynced.error)
        })
    }
}

/// A file of a segment, by its path below the segment's directory.
fn layout_path(to: &Path, below: &str) -> Result<Path> {
    Ok(if below == layout::INDEX {
        to.clone().join(below)
    } else {
        super::super::names::locate(to, below)?
    })
}

/// The index and the data below a directory, with their paths relative to it, in order.
fn files_below(directory: &FilePath) -> Result<Vec<(std::path::PathBuf, String)>> {
    let unread = |error: std::io::Error| {
        let message = format!("can not read {}", directory.display());
        Error::new(ErrorKind::Damaged, message).detail(error.to_string())
    };
    let mut files = vec![(directory.join(layout::INDEX), layout::INDEX.to_owned())];
    let mut directories = vec![(directory.join(layout::DATA), layout::DATA.to_owned())];
    while let Some((path, below)) = directories.pop() {
        for entry in std::fs::read_dir(path).map_err(unread)? {
            let entry = entry.map_err(unread)?;
            let Some(name) = entry.file_name().to_str().map(str::to_owned) else {
                continue;
            };
            let below = format!("{below}/{name}");
            if entry.file_type().map_err(unread)?.is_dir() {
                directories.push((entry.path(), below));
            } else {
                files.push((entry.path(), below));
            }
        }
    }
    files.sort_by(|a, b| a.1.cmp(&b.1));
    Ok(files)
}
