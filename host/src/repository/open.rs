//! Making a repository, and opening one.

use std::fs;
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path as FilePath, PathBuf};
use std::sync::Arc;

use object_store::local::LocalFileSystem;
use object_store::memory::InMemory;
use object_store::path::Path;
use serde::{Deserialize, Serialize};
use tokio::runtime::Handle;
use url::Url;

use super::store::{Durability, Store, with_advice};
use super::{Repository, layout, sync};
use crate::{Error, ErrorKind, Result};

/// `backstay.json`: what makes a tree a repository.
#[derive(Debug, Serialize, Deserialize)]
struct Marker {
    /// The format of the tree.
    format: u64,
    /// When it was made.
    #[serde(default)]
    created: Option<jiff::Timestamp>,
    /// What made it.
    #[serde(default)]
    created_by: Option<String>,
}

impl Repository {
    /// Makes a repository at a `file://` URL; the directory is made where it is missing, for its owner only.
    ///
    /// # Errors
    /// The URL is none that this version knows ([`ErrorKind::Usage`]), the directory holds something else or is a
    /// repository already ([`ErrorKind::Refused`]), or it can not be written ([`ErrorKind::Io`]).
    pub fn init(url: &str, runtime: &Handle) -> Result<Self> {
        let root = root_of(url)?;
        let failed = |doing: &str, error: &io::Error| {
            let message = format!("can not {doing} the repository's directory {}", root.display());
            with_advice(Error::new(ErrorKind::Io, message).detail(error.to_string()), error)
        };
        match fs::metadata(&root) {
            Ok(metadata) if !metadata.is_dir() => return Err(no_directory(&root)),
            Ok(_) => refuse_other_content(&root, &failed)?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let mut builder = fs::DirBuilder::new();
                // Backups hold everything that the server holds.
                builder.recursive(true).mode(0o700);
                builder.create(&root).map_err(|error| failed("make", &error))?;
                if let Some(parent) = root.parent() {
                    sync::directory(parent).map_err(|error| failed("sync", &error))?;
                }
            }
            Err(error) => return Err(failed("look at", &error)),
        }
        let repository = Self::at(&root, url, runtime)?;
        repository.write_marker()?;
        Ok(repository)
    }

    /// Opens the repository at a `file://` URL.
    ///
    /// # Errors
    /// There is none ([`ErrorKind::Usage`]), a newer version wrote it ([`ErrorKind::Refused`]), or it can not be read.
    pub fn open(url: &str, runtime: &Handle) -> Result<Self> {
        let root = root_of(url)?;
        match fs::metadata(&root) {
            Ok(metadata) if metadata.is_dir() => {}
            Ok(_) => return Err(no_directory(&root)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let message = format!("the repository's directory {} does not exist", root.display());
                return Err(Error::new(ErrorKind::Usage, message)
                    .advise("correct repository.url, mount it, or make it with `backstay init`"));
            }
            Err(error) => {
                let message = format!("can not look at the repository's directory {}", root.display());
                return Err(with_advice(
                    Error::new(ErrorKind::Io, message).detail(error.to_string()),
                    &error,
                ));
            }
        }
        let repository = Self::at(&root, url, runtime)?;
        repository.check_marker()?;
        Ok(repository)
    }

    /// A new repository in this process's memory, for tests.
    pub fn in_memory(runtime: &Handle) -> Self {
        let memory = Arc::new(InMemory::new());
        let repository = Self {
            store: Arc::new(Store::new("memory:".to_owned(), None, memory.clone(), memory)),
            runtime: runtime.clone(),
        };
        repository.write_marker().expect("memory is writable and was empty");
        repository
    }

    fn at(root: &FilePath, url: &str, runtime: &Handle) -> Result<Self> {
        let files = LocalFileSystem::new_with_prefix(root).map_err(|error| {
            let message = format!("can not open the repository's directory {}", root.display());
            Error::new(ErrorKind::Io, message).because(&error)
        })?;
        let store = Store::new(
            url.trim_end_matches('/').to_owned(),
            Some(root.to_owned()),
            Arc::new(files.clone()),
            Arc::new(files.with_fsync(true)),
        );
        Ok(Self {
            store: Arc::new(store),
            runtime: runtime.clone(),
        })
    }

    fn write_marker(&self) -> Result<()> {
        let marker = Marker {
            format: Self::FORMAT,
            created: Some(layout::now()),
            created_by: Some(format!("backstay {}", env!("CARGO_PKG_VERSION"))),
        };
        let mut text = serde_json::to_vec_pretty(&marker).expect("a marker is JSON");
        text.push(b'\n');
        let path = Path::from(layout::MARKER);
        if self.wait(self.store.create(&path, text, Durability::Synced))? {
            return Ok(());
        }
        Err(Error::refused(format!("{} is a repository already", self.url())).advise("use it as it is"))
    }

    fn check_marker(&self) -> Result<()> {
        let path = Path::from(layout::MARKER);
        let Some(text) = self.wait(self.store.read(&path))? else {
            let message = format!("{} is no repository: it has no {}", self.url(), layout::MARKER);
            return Err(Error::new(ErrorKind::Usage, message)
                .advise("correct repository.url, mount it, or make one with `backstay init`"));
        };
        let marker: Marker = serde_json::from_slice(&text).map_err(|error| {
            let message = format!("{} of repository {} is damaged", layout::MARKER, self.url());
            Error::new(ErrorKind::Damaged, message)
                .because(&error)
                .advise(format!("its content is {{\"format\":{}}}", Self::FORMAT))
        })?;
        match marker.format {
            Self::FORMAT => Ok(()),
            newer => Err(Error::refused(format!(
                "{} has repository format {newer}, this version reads {}",
                self.url(),
                Self::FORMAT
            ))
            .advise("use the version of backstay that wrote it, or a later one")),
        }
    }
}

/// The directory that a repository's URL names.
fn root_of(url: &str) -> Result<PathBuf> {
    let wrong = |found: String| {
        Error::new(ErrorKind::Usage, format!("repository URL {url:?}: {found}")).advise("write file:///absolute/path")
    };
    let parsed = Url::parse(url).map_err(|error| wrong(error.to_string()))?;
    if parsed.scheme() != "file" {
        return Err(wrong(format!("scheme {:?} is not known, file is", parsed.scheme())));
    }
    // `file:relative` parses as `/relative`, and `file://relative/path` as a path on a host.
    if let Some(host) = parsed.host_str() {
        return Err(wrong(format!("the path is not absolute, {host:?} stands before it")));
    }
    if !url.to_ascii_lowercase().starts_with("file:///") {
        return Err(wrong("the path is not absolute".to_owned()));
    }
    parsed.to_file_path().map_err(|()| wrong("it names no path".to_owned()))
}

fn no_directory(root: &FilePath) -> Error {
    let message = format!("the repository's directory {} is no directory", root.display());
    Error::new(ErrorKind::Usage, message).advise("correct repository.url")
}

fn refuse_other_content(root: &FilePath, failed: &dyn Fn(&str, &io::Error) -> Error) -> Result<()> {
    // Where it is made, it is said that this is a repository.
    if root.join(layout::MARKER).exists() {
        return Ok(());
    }
    for entry in fs::read_dir(root).map_err(|error| failed("read", &error))? {
        let name = entry.map_err(|error| failed("read", &error))?.file_name();
        let Some(name) = name.to_str() else {
            return Err(not_empty(root, &name.to_string_lossy()));
        };
        match name {
            // A file system's own root is not quite empty.
            "lost+found" => {}
            // An earlier `init` was killed.
            _ if name.starts_with(layout::MARKER) => {}
            _ => return Err(not_empty(root, name)),
        }
    }
    Ok(())
}

fn not_empty(root: &FilePath, found: &str) -> Error {
    Error::refused(format!(
        "{} is no repository and is not empty: it holds {found:?}",
        root.display()
    ))
    .advise("choose an empty or a new directory")
}
