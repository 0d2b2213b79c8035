#![doc = include_str!("../README.md")]

// abi_stable's macros expand to unsafe code, and to impls inside a constant.
#[allow(unsafe_code, non_local_definitions)]
pub mod abi;
mod comparison;
mod engine;
mod error;
mod export;
mod host;
pub mod job;
mod log;
mod manifest;
mod objects;
mod outcome;
pub mod position;
mod record;
mod selection;
mod server;
#[cfg(feature = "testing")]
pub mod testing;
pub mod wire;

pub use comparison::{RowComparison, TableComparison, TableKind, TablePair, TableRef};
pub use engine::Engine;
pub use error::{EngineError, ErrorKind};
pub use job::{
    ArchiveJob, BackupJob, CheckJob, CleanJob, CompareJob, ProbeJob, RecoverJob, RemoveJob, RestoreJob, ServeJob,
};
pub use log::{LOG_INDEX, LoggedTransaction};
pub use manifest::{
    CONTRACT, EngineKind, EngineManifest, MANIFEST_SECTION, Manifest, Operation, TargetKind, manifest_bytes,
    manifest_len,
};
pub use objects::{Attributes, ObjectInfo, ObjectReader, ObjectWriter, Storage, Written};
pub use outcome::{CheckReport, Notice, Outcome, Recovered, Restored, Usable};
pub use position::{Order, Position, PositionError, PositionKind, RecoveryPoint, TypedPosition};
pub use record::{BackupKind, BackupRecord, EngineRef};
pub use selection::{BadPattern, Selection, TablePattern};
pub use server::{Role, Secret, Server, ServerFacts, Tls, TlsMode};

/// What [`export_engine!`] needs by path; not for use by hand.
#[doc(hidden)]
pub mod __private {
    pub use crate::abi::v1::{EngineModule, EngineModuleRef, HostPort, module, serve};
    pub use abi_stable::library::{__call_root_module_loader, CheckTypeLayout, LibHeader, RootModuleResult};
    pub use abi_stable::std_types::{RSlice, RVec};
}
