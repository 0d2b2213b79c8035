//! Files on their way to the store.

mod file;
mod store;
mod throttle;

use std::path::Path as FilePath;
use std::sync::Arc;

use backstay_engine_api::EngineError;
use bytes::Bytes;

use super::budget::Reservation;
use super::shared::Shared;
use crate::repository::names;

use file::FileUpload;
pub(super) use store::StoreUpload;
pub(super) use throttle::Throttle;

/// A file of a large object that is being written. Dropped without [`end`](Self::end), it is never there.
///
/// Small objects and bundles are a [`StoreUpload`] always: many of them are on their way at once, each of which waits for a file system
/// that is far away.
#[derive(Debug)]
pub(super) enum Upload {
    /// Where the store's files are this machine's.
    File(FileUpload),
    /// Any store, and where bytes have to wait for their time.
    Store(StoreUpload),
}

impl Upload {
    /// Starts a file of the backup. An error of its own makes the sink fail.
    pub(super) fn start(shared: &Arc<Shared>, file: &str) -> Result<Self, EngineError> {
        Ok(match root(shared) {
            Some(root) => Self::File(FileUpload::start(shared, root, names::locate(&shared.base, file)?)),
            None => Self::Store(StoreUpload::start(shared, file)?),
        })
    }

    /// The next bytes. They are counted by their reservation until they are stored.
    pub(super) fn put(&mut self, bytes: Bytes, reservation: Reservation) {
        match self {
            Self::File(upload) => upload.put(&bytes),
            Self::Store(upload) => upload.put(bytes, reservation),
        }
    }

    /// The file is whole.
    pub(super) fn end(self) {
        match self {
            Self::File(upload) => upload.end(),
            Self::Store(upload) => upload.end(),
        }
    }
}

/// The directory to write files in, where it is one of this machine's and nothing has to wait for its time.
fn root(shared: &Shared) -> Option<&FilePath> {
    shared.root.as_deref().filter(|_| shared.throttle.is_none())
}
