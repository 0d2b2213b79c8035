//! Where backups are kept: the layout, the catalogue and the locks, over an object store.
//!
//! A repository is a tree of objects below a root ([`layout`] has the paths). Two rules carry everything else:
//!
//! - **The manifest is written last**, once, with an atomic create ([`commit`]). A directory without a manifest is no
//!   backup: it belongs to a job that is still running, or it is garbage ([`leftovers`]).
//! - **Locks are numbered** ([`locks`]). Whoever makes the next number holds the lock, and a commit checks that its number
//!   is still the highest. So a holder that was taken for dead and comes back can not do harm.
//!
//! All functions block, because all callers do: they must not be called from within an asynchronous task.

pub mod catalogue;
pub mod chain;
pub mod commit;
pub mod delete;
pub mod index;
pub mod layout;
pub mod leftovers;
pub mod locks;
pub mod logs;
pub mod manifest;
pub mod names;
mod open;
mod recoveries;
pub(crate) mod store;
pub(crate) mod sync;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;

use std::path::Path;
use std::sync::Arc;

use object_store::ObjectStore;
use tokio::runtime::Handle;

use crate::pipeline::Destination;

pub use catalogue::Listing;
pub use layout::{BackupPaths, new_backup_id, new_log_id, next_log_id};
pub use leftovers::{Leftovers, Unfinished};
pub use locks::{DeadJob, JobRef, Lock, Purpose};
pub use logs::{Gap, SegmentRecord, Stream, StreamRecord};
pub use manifest::{HostRef, IndexRef, Manifest};

use store::Store;

/// A repository that is open. Clones share it.
#[derive(Debug, Clone)]
pub struct Repository {
    store: Arc<Store>,
    runtime: Handle,
}

impl Repository {
    /// The newest format of the tree that this version reads, and the one that it writes.
    pub const FORMAT: u64 = 1;

    /// Its URL, for messages.
    pub fn url(&self) -> &str {
        self.store.url()
    }

    /// The root directory, where the repository is one of files.
    pub fn root(&self) -> Option<&Path> {
        self.store.root()
    }

    /// The object store below, for the data path. What is put through it is not synced: a commit does that.
    pub fn object_store(&self) -> &Arc<dyn ObjectStore> {
        self.store.plain()
    }

    /// A directory of the repository to write a backup's files in.
    pub fn destination(&self, base: object_store::path::Path) -> Destination {
        Destination {
            store: Arc::clone(self.object_store()),
            base,
            root: self.root().map(Path::to_owned),
        }
    }

    /// The runtime that the store's futures run on.
    pub fn runtime(&self) -> &Handle {
        &self.runtime
    }

    fn wait<F: Future>(&self, future: F) -> F::Output {
        self.runtime.block_on(future)
    }
}
