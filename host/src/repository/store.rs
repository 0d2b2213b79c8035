//! The few things that the repository does with an object store, with errors in the operator's words.

use std::fs;
use std::io;
use std::path::{Path as FilePath, PathBuf};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use futures_util::TryStreamExt;
use object_store::path::Path;
use object_store::{ObjectMeta, ObjectStore, ObjectStoreExt, PutMode, PutPayload};

use crate::{Error, ErrorKind, Result};

/// An object store, and where it is.
#[derive(Debug)]
pub(super) struct Store {
    url: String,
    /// The directory of a store of files, where there is more to do than an object store can: syncs, staged files.
    root: Option<PathBuf>,
    plain: Arc<dyn ObjectStore>,
    /// The same store; what it has put is on the disk when it returns.
    durable: Arc<dyn ObjectStore>,
}

/// Whether a put returns before or after its bytes are on the disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Durability {
    Cached,
    Synced,
}

impl Store {
    pub(super) fn new(
        url: String,
        root: Option<PathBuf>,
        plain: Arc<dyn ObjectStore>,
        durable: Arc<dyn ObjectStore>,
    ) -> Self {
        Self {
            url,
            root,
            plain,
            durable,
        }
    }

    pub(super) fn url(&self) -> &str {
        &self.url
    }

    pub(super) fn root(&self) -> Option<&FilePath> {
        self.root.as_deref()
    }

    pub(super) fn plain(&self) -> &Arc<dyn ObjectStore> {
        &self.plain
    }

    /// Where an object or a prefix lies in a store of files. Every part of the paths that the repository makes has been
    /// checked or made by it, so joining them stays below the root.
    pub(super) fn file(&self, path: &Path) -> Option<PathBuf> {
        Some(self.root.as_ref()?.join(path.as_ref()))
    }

    /// The bytes of a small object; `None` where there is none.
    pub(super) async fn read(&self, path: &Path) -> Result<Option<Vec<u8>>> {
        let bytes = async { self.plain.get(path).await?.bytes().await }.await;
        match bytes {
            Ok(bytes) => Ok(Some(bytes.to_vec())),
            Err(object_store::Error::NotFound { .. }) => Ok(None),
            Err(error) => Err(self.failed("read", path, &error)),
        }
    }

    /// What is known of an object; `None` where there is none.
    pub(super) async fn head(&self, path: &Path) -> Result<Option<ObjectMeta>> {
        match self.plain.head(path).await {
            Ok(meta) => Ok(Some(meta)),
            Err(object_store::Error::NotFound { .. }) => Ok(None),
            Err(error) => Err(self.failed("read", path, &error)),
        }
    }

    /// Makes an object that must not exist yet. `false`: it does, and is as it was.
    pub(super) async fn create(&self, path: &Path, bytes: Vec<u8>, durability: Durability) -> Result<bool> {
        let payload = PutPayload::from(bytes);
        match self
            .target(durability)
            .put_opts(path, payload, PutMode::Create.into())
            .await
        {
            Ok(_) => Ok(true),
            Err(object_store::Error::AlreadyExists { .. }) => Ok(false),
            Err(error) => Err(self.failed("write", path, &error)),
        }
    }

    /// Makes or replaces an object; a reader sees the old bytes or the new ones.
    pub(super) async fn put(&self, path: &Path, bytes: Vec<u8>, durability: Durability) -> Result<()> {
        let put = self.target(durability).put(path, PutPayload::from(bytes)).await;
        put.map(drop).map_err(|error| self.failed("write", path, &error))
    }

    /// Removes an object; that there is none is well.
    pub(super) async fn remove(&self, path: &Path) -> Result<()> {
        match self.plain.delete(path).await {
            Ok(()) | Err(object_store::Error::NotFound { .. }) => Ok(()),
            Err(error) => Err(self.failed("remove", path, &error)),
        }
    }

    /// All objects below a prefix, at any depth.
    pub(super) async fn list(&self, prefix: &Path) -> Result<Vec<ObjectMeta>> {
        let objects = self.plain.list(Some(prefix)).try_collect().await;
        objects.map_err(|error| self.failed("list", prefix, &error))
    }

    /// The names of the objects right below a prefix, sorted.
    pub(super) async fn object_names(&self, prefix: &Path) -> Result<Vec<String>> {
        let list = self.plain.list_with_delimiter(Some(prefix)).await;
        let list = list.map_err(|error| self.failed("list", prefix, &error))?;
        let mut names: Vec<_> = list
            .objects
            .iter()
            .filter_map(|meta| meta.location.filename())
            .collect();
        names.sort_unstable();
        Ok(names.into_iter().map(str::to_owned).collect())
    }

    /// The names of the directories right below a prefix, sorted.
    pub(super) async fn directory_names(&self, prefix: &Path) -> Result<Vec<String>> {
        let list = self.plain.list_with_delimiter(Some(prefix)).await;
        let list = list.map_err(|error| self.failed("list", prefix, &error))?;
        let mut names: Vec<_> = list.common_prefixes.iter().filter_map(Path::filename).collect();
        names.sort_unstable();
        Ok(names.into_iter().map(str::to_owned).collect())
    }

    /// Removes everything below a prefix; answers whether there was anything.
    pub(super) async fn remove_tree(&self, prefix: &Path) -> Result<bool> {
        if let Some(directory) = self.file(prefix) {
            return remove_directory(&directory).map_err(|error| self.io_failed("remove", prefix, &error));
        }
        let objects = self.list(prefix).await?;
        for object in &objects {
            self.remove(&object.location).await?;
        }
        Ok(!objects.is_empty())
    }

    fn target(&self, durability: Durability) -> &Arc<dyn ObjectStore> {
        match durability {
            Durability::Cached => &self.plain,
            Durability::Synced => &self.durable,
        }
    }

    /// What a failure of the object store means. The libraries' own wording is left out where the operating system's is
    /// beneath it.
    pub(super) fn failed(&self, doing: &str, path: &Path, error: &object_store::Error) -> Error {
        let mut next: Option<&(dyn std::error::Error + 'static)> = Some(error);
        while let Some(source) = next {
            if let Some(error) = source.downcast_ref::<io::Error>() {
                return self.io_failed(doing, path, error);
            }
            next = source.source();
        }
        self.describe(doing, path).because(error)
    }

    pub(super) fn io_failed(&self, doing: &str, path: &Path, error: &io::Error) -> Error {
        with_advice(self.describe(doing, path).detail(error.to_string()), error)
    }

    fn describe(&self, doing: &str, path: &Path) -> Error {
        Error::new(
            ErrorKind::Io,
            format!("can not {doing} {path} in repository {}", self.url),
        )
    }
}

/// Removes a directory with all that is in it; answers whether it was there. A worker whose supervisor was killed may still be
/// writing into it, for a moment.
pub(crate) fn remove_directory(directory: &FilePath) -> io::Result<bool> {
    const ATTEMPTS: u32 = 100;
    const PAUSE: Duration = Duration::from_millis(10);
    let mut attempt = 1;
    loop {
        match fs::remove_dir_all(directory) {
            Ok(()) => return Ok(true),
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
            Err(error) if error.kind() == io::ErrorKind::DirectoryNotEmpty && attempt < ATTEMPTS => {
                attempt += 1;
                thread::sleep(PAUSE);
            }
            Err(error) => return Err(error),
        }
    }
}

/// Adds what an operator can do about an error of the operating system's.
pub(super) fn with_advice(report: Error, error: &io::Error) -> Error {
    match error.kind() {
        io::ErrorKind::StorageFull => report.advise("free space on that file system and try again"),
        io::ErrorKind::QuotaExceeded => report.advise("raise the quota or free space and try again"),
        io::ErrorKind::ReadOnlyFilesystem => report.advise("mount that file system read-write"),
        io::ErrorKind::PermissionDenied => {
            let uid = rustix::process::geteuid().as_raw();
            report.advise(format!("give the account that runs backstay (uid {uid}) access to it"))
        }
        _ => report,
    }
}
