//! Jobs: what a call is given. Each is a handle on the host: it hands out the server, the options and the objects, and
//! takes progress and log lines.

mod archive;
mod backup;
mod common;
mod compare;
mod dispatch;
mod guard;
mod other;
mod recover;
mod restore;
mod serve;

pub use archive::{ArchiveJob, ArchiveSpec, ArchiveStatus, Segment};
pub use backup::BackupJob;
pub use common::{JobContext, Level};
pub use compare::CompareJob;
pub(crate) use dispatch::dispatch;
pub use guard::SessionGuard;
pub use other::{CheckJob, CleanJob, ProbeJob, RemoveJob};
pub use recover::RecoverJob;
pub use restore::{ChainLink, Objects, RestoreJob};
pub use serve::ServeJob;

pub use crate::wire::Target;
