//! Files that are none of InnoDB's: definitions, tables of Aria and MyISAM, their logs. An incremental leaves out those whose bytes are the
//! parent's.
//!
//! What these files were is noted as digests: of each larger file, and of all the small ones of a directory together, for there may be
//! a hundred thousand of them.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use backstay_engine_api::{Attributes, BackupJob, EngineError, Storage};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::{Pages, unread};
use crate::stream::{Item, Listed, holes, write_with_holes};

/// The `kind` of an object without bytes: the file is what it was in the parent.
pub(crate) const SAME: &str = "same";
/// Smaller files are noted together, in bytes; and so are all beyond the largest so many.
const SMALL: u64 = 64 << 10;
const ALONE: usize = 1000;

/// What files were.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Digests {
    /// By path: the size in bytes, and the SHA-256.
    files: BTreeMap<String, (u64, String)>,
    /// By directory: of its small files together.
    directories: BTreeMap<String, String>,
}

/// The files of a snapshot that are none of InnoDB's.
#[derive(Debug, Default)]
pub(super) struct Plain {
    parent: Digests,
    /// Those that are noted alone.
    alone: HashSet<String>,
    noted: Mutex<Digests>,
}

impl Plain {
    /// Looks at the small ones. `files`: all of them, the largest first.
    ///
    /// # Errors
    /// A file can not be read.
    pub(super) fn look<'a>(
        root: &Path,
        files: impl Iterator<Item = &'a Item>,
        parent: Digests,
    ) -> Result<Self, EngineError> {
        let mut plain = Self {
            parent,
            ..Self::default()
        };
        let mut small: BTreeMap<&str, BTreeSet<(&str, u64)>> = BTreeMap::new();
        for item in files {
            if item.size >= SMALL && plain.alone.len() < ALONE {
                plain.alone.insert(item.path.clone());
            } else {
                small
                    .entry(directory(&item.path))
                    .or_default()
                    .insert((&item.path, item.size));
            }
        }
        let mut noted = Digests::default();
        for (directory, files) in small {
            let mut digest = Sha256::new();
            for (path, size) in files {
                digest.update(format!("{path}\0{size}\0"));
                read(&root.join(path), |piece| digest.update(piece)).map_err(|error| unread(root, path, &error))?;
            }
            noted.directories.insert(directory.to_owned(), hex(&digest.finalize()));
        }
        plain.noted = Mutex::new(noted);
        Ok(plain)
    }

    /// What the files are, once all are written.
    pub(super) fn digests(&self) -> Digests {
        self.noted.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Whether a small file is the parent's.
    fn is_same(&self, path: &str) -> bool {
        let directory = directory(path);
        let noted = self.noted.lock().unwrap_or_else(PoisonError::into_inner);
        let before = self.parent.directories.get(directory);
        before.is_some() && before == noted.directories.get(directory)
    }

    fn note(&self, path: &str, size: u64, digest: String) {
        let mut noted = self.noted.lock().unwrap_or_else(PoisonError::into_inner);
        noted.files.insert(path.to_owned(), (size, digest));
    }
}

impl Pages {
    /// Writes a file that is none of InnoDB's into an object of its path's name.
    ///
    /// # Errors
    /// It can not be read, the repository failed, or the job is cancelled.
    pub(super) fn plain(
        &self,
        job: &BackupJob,
        root: &Path,
        item: &Item,
        mut attributes: Attributes,
        buffer: &mut [u8],
    ) -> Result<(), EngineError> {
        let failed = |error: io::Error| unread(root, &item.path, &error);
        let path = root.join(&item.path);
        let alone = self.plain.alone.contains(&item.path);
        let same = match self.plain.parent.files.get(&item.path) {
            Some((size, before)) if alone && *size == item.size => {
                let mut digest = Sha256::new();
                read(&path, |piece| digest.update(piece)).map_err(failed)?;
                let same = hex(&digest.finalize()) == *before;
                if same {
                    self.plain.note(&item.path, item.size, before.clone());
                }
                same
            }
            _ => !alone && self.plain.is_same(&item.path),
        };
        if same {
            attributes.kind = Some(SAME.to_owned());
            return job
                .create(&item.path, attributes, Storage::Compress)?
                .finish()
                .map(drop);
        }
        let holes = File::open(&path)
            .and_then(|file| holes(&file, item.size))
            .map_err(failed)?;
        let mut digest = Sha256::new();
        let mut seen = |piece: &[u8]| {
            if alone {
                digest.update(piece);
            }
        };
        write_with_holes(job, root, item, attributes, holes, buffer, &mut seen)?;
        if alone {
            self.plain.note(&item.path, item.size, hex(&digest.finalize()));
        }
        Ok(())
    }
}

/// The files that `known` does not name.
pub(super) fn others(listed: &Listed, known: impl Fn(&str) -> bool) -> impl Iterator<Item = &Item> {
    listed.files.iter().filter(move |item| !known(&item.path))
}

fn directory(path: &str) -> &str {
    path.rsplit_once('/').map_or("", |(directory, _)| directory)
}

fn read(path: &Path, mut piece: impl FnMut(&[u8])) -> io::Result<()> {
    let mut file = File::open(path)?;
    let mut buffer = vec![0; 1 << 16];
    loop {
        match file.read(&mut buffer)? {
            0 => return Ok(()),
            length => piece(&buffer[..length]),
        }
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
