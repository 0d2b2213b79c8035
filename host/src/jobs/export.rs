//! Writing a backup's objects out as plain files.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::Path;

use super::{Host, Observer};
use crate::error::{Error, ErrorKind, Result};
use crate::repository::names;
use crate::worker::protocol::Progress;

/// What was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Exported {
    /// How many files.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
}

impl Host {
    /// Writes each object of a backup, as its engine wrote it, to a file of its name below a directory, which must be empty
    /// or not exist. Where an object's name says that it is compressed ([`Storage::Zstd`](backstay_engine_api::Storage)),
    /// so is its file.
    ///
    /// # Errors
    /// The backup is damaged, or the directory can not be written to; what was written by then is left there.
    pub fn export(&self, cluster: &str, backup: &str, to: &Path, observer: &mut dyn Observer) -> Result<Exported> {
        let manifest = self.repository.find(cluster, backup)?;
        let id = &manifest.record.id;
        let source = self.source(cluster, id, self.repository.read_index(&manifest)?)?;
        prepare(to)?;
        observer.stage(&format!("exporting {id} to {}", to.display()));
        let mut progress = Progress {
            total_bytes: Some(source.index().entries().map(|entry| entry.exported()).sum()),
            total_objects: Some(manifest.record.objects),
            ..Progress::default()
        };
        let mut buffer = vec![0; 1 << 20];
        for entry in source.index().entries() {
            // Checked when the index was read; here it is joined to a path of ours.
            names::check_object_name(&entry.name)?;
            let path = to.join(&entry.name);
            let failed = |error: io::Error| {
                Error::new(ErrorKind::Io, format!("can not write {}", path.display()))
                    .because(&error)
                    .advise("the export is incomplete: remove the directory and try again")
            };
            if let Some(parent) = path.parent() {
                fs::create_dir_all(parent).map_err(failed)?;
            }
            let mut file = File::create_new(&path).map_err(failed)?;
            let mut stream = source.open_exported(entry)?;
            loop {
                let count = stream.fill(&mut buffer)?;
                if count == 0 {
                    break;
                }
                file.write_all(&buffer[..count]).map_err(failed)?;
                progress.bytes += count as u64;
                observer.progress(&progress);
            }
            file.sync_all().map_err(failed)?;
            progress.objects += 1;
        }
        Ok(Exported {
            files: progress.objects,
            bytes: progress.bytes,
        })
    }
}

fn prepare(to: &Path) -> Result<()> {
    let failed = |error: io::Error| {
        Error::new(
            ErrorKind::Io,
            format!("can not use {} as a directory to export to", to.display()),
        )
        .because(&error)
    };
    fs::create_dir_all(to).map_err(failed)?;
    if fs::read_dir(to).map_err(failed)?.next().is_some() {
        return Err(
            Error::refused(format!("{} is not empty", to.display())).advise("name a directory that is empty or new")
        );
    }
    Ok(())
}
