//! A directory that no Backstay made, as the objects of one backup: a dump of another program's, restored by an engine that
//! knows its format.
//!
//! An object's name is its file's path from the directory. Where it ends in `.zst` the object reads decompressed, as one of
//! [`Storage::Zstd`](backstay_engine_api::Storage) does; any other file is read as it is. Nobody knows digests of such files, so that
//! what can be said of their bytes is said while they are read: that they are no zstd, or end too early.
//!
//! A directory from somewhere else is not trusted more than an index is: names are checked as any object's, and only
//! regular files of the directory are read, wherever symbolic links lead.

use std::fmt;
use std::fs::{self, File};
use std::io::{self, BufReader, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use backstay_engine_api::wire::ObjectPage;
use backstay_engine_api::{Attributes, EngineError, ErrorKind, ObjectInfo};

use crate::repository::index::ZSTD_SUFFIX;
use crate::repository::names::check_object_name;

/// How much of a file is read at once.
const CHUNK: usize = 1 << 20;

/// A directory whose files were listed.
#[derive(Debug)]
pub struct Directory {
    /// Absolute, without symbolic links.
    root: PathBuf,
    /// By name; their sizes in bytes.
    files: Vec<(Box<str>, u64)>,
}

impl Directory {
    /// Lists a directory's files.
    ///
    /// # Errors
    /// It is none, it is empty, it or something in it can not be read, or something in it is not to be read: neither a
    /// regular file nor a directory, a link that leads out of it, a name that no object may have.
    pub fn open(path: &Path) -> Result<Self, EngineError> {
        let advice = "name a directory that holds a dump and that this user may read";
        let failed = |error: io::Error| unreadable(path, &error).advise(advice);
        let root = path.canonicalize().map_err(failed)?;
        if !root.is_dir() {
            return Err(usage(format!("{} is no directory", path.display())).advise(advice));
        }
        let mut files = Vec::new();
        let mut folders = vec![root.clone()];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(&folder).map_err(|error| unreadable(&folder, &error))? {
                let path = entry.map_err(|error| unreadable(&folder, &error))?.path();
                let kind = fs::symlink_metadata(&path)
                    .map_err(|error| unreadable(&path, &error))?
                    .file_type();
                if kind.is_dir() {
                    folders.push(path);
                    continue;
                }
                let name = name_of(&root, &path)?;
                let size = regular(&root, &path)?.1;
                files.push((name.into(), size));
            }
        }
        if files.is_empty() {
            return Err(usage(format!("{} is empty", path.display())).advise(advice));
        }
        files.sort_unstable();
        Ok(Self { root, files })
    }

    /// Where it is: absolute, without symbolic links.
    pub fn path(&self) -> &Path {
        &self.root
    }

    /// How many files it has.
    pub fn len(&self) -> usize {
        self.files.len()
    }

    /// Whether it has none, which [`open`](Self::open) refuses.
    pub fn is_empty(&self) -> bool {
        self.files.is_empty()
    }

    /// The files' sizes together, in bytes.
    pub fn bytes(&self) -> u64 {
        self.files.iter().map(|(_, size)| size).sum()
    }

    /// Up to `limit` objects whose names come after `after`. The size of a compressed one is its file's: the other is known when
    /// it has been read.
    pub fn objects_page(&self, after: Option<&str>, limit: usize) -> ObjectPage {
        let start = after.map_or(0, |after| {
            self.files.partition_point(|(name, _)| name.as_ref() <= after)
        });
        let end = start.saturating_add(limit).min(self.files.len());
        let info = |(name, size): &(Box<str>, u64)| ObjectInfo {
            name: name.to_string(),
            attributes: Attributes::default(),
            size: *size,
        };
        ObjectPage {
            objects: self.files[start..end].iter().map(info).collect(),
            more: end < self.files.len(),
        }
    }

    /// Opens an object to read.
    ///
    /// # Errors
    /// There was none of that name when the directory was listed, or its file can not be read.
    pub fn open_object(&self, name: &str) -> Result<FileStream, EngineError> {
        if self
            .files
            .binary_search_by(|(known, _)| known.as_ref().cmp(name))
            .is_err()
        {
            return Err(EngineError::other(format!(
                "{} has no file {name:?}",
                self.root.display()
            )));
        }
        let path = self.root.join(name);
        let file = File::open(regular(&self.root, &path)?.0).map_err(|error| unreadable(&path, &error))?;
        let bytes = if name.ends_with(ZSTD_SUFFIX) {
            let reader = BufReader::with_capacity(CHUNK, file);
            let decoder =
                zstd::stream::read::Decoder::with_buffer(reader).map_err(|error| unreadable(&path, &error))?;
            Bytes::Zstd(decoder)
        } else {
            Bytes::Plain(file)
        };
        Ok(FileStream { path, bytes })
    }
}

enum Bytes {
    Plain(File),
    Zstd(zstd::stream::read::Decoder<'static, BufReader<File>>),
}

/// An object's bytes.
pub struct FileStream {
    path: PathBuf,
    bytes: Bytes,
}

impl fmt::Debug for FileStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FileStream")
            .field("path", &self.path)
            .finish_non_exhaustive()
    }
}

impl FileStream {
    /// Fills a buffer, as far as there are bytes: how many there were, 0 at the end.
    ///
    /// # Errors
    /// The file can not be read, or is no zstd although its name says so.
    pub fn fill(&mut self, buffer: &mut [u8]) -> Result<usize, EngineError> {
        match &mut self.bytes {
            Bytes::Plain(file) => read(file, buffer).map_err(|error| unreadable(&self.path, &error)),
            Bytes::Zstd(decoder) => read(decoder, buffer).map_err(|error| match error.raw_os_error() {
                Some(_) => unreadable(&self.path, &error),
                None => EngineError::new(
                    ErrorKind::Damaged,
                    format!(
                        "{} is damaged: expected zstd frames, found: {error}",
                        self.path.display()
                    ),
                )
                .advise("make the dump again, or take another copy of it"),
            }),
        }
    }
}

fn read(from: &mut impl Read, buffer: &mut [u8]) -> io::Result<usize> {
    loop {
        match from.read(buffer) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            result => return result,
        }
    }
}

fn name_of(root: &Path, path: &Path) -> Result<String, EngineError> {
    let name = path.strip_prefix(root).unwrap_or(path);
    let name = name
        .to_str()
        .ok_or_else(|| EngineError::refused(format!("the name of {} is no UTF-8", path.display())))?;
    check_object_name(name)?;
    Ok(name.to_owned())
}

/// Where a file of the directory really lies, which must be in it, and its size.
fn regular(root: &Path, path: &Path) -> Result<(PathBuf, u64), EngineError> {
    let real = path.canonicalize().map_err(|error| unreadable(path, &error))?;
    let refused =
        |why: &str| EngineError::refused(format!("{} {why}", path.display())).advise("take it out of the directory");
    if !real.starts_with(root) {
        return Err(refused(&format!("leads out of the directory, to {}", real.display())));
    }
    let metadata = fs::metadata(&real).map_err(|error| unreadable(path, &error))?;
    if !metadata.is_file() {
        return Err(refused("is no regular file"));
    }
    Ok((real, metadata.size()))
}

fn unreadable(path: &Path, error: &io::Error) -> EngineError {
    let kind = match error.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => ErrorKind::Usage,
        _ => ErrorKind::Io,
    };
    EngineError::new(kind, format!("{} can not be read: {error}", path.display()))
}

fn usage(message: String) -> EngineError {
    EngineError::new(ErrorKind::Usage, message)
}

#[cfg(test)]
mod tests;
