//! What happens to an object's bytes between an engine and the repository.
//!
//! [`BackupSink`] takes them: cut into frames, compressed on a pool of threads, put in order again, digested, and stored
//! in files of their own or in bundles. [`BackupSource`] gives them back, verified and decompressed, and [`verify`] reads a
//! backup for no other purpose.
//!
//! ```text
//! engine threads     pool threads                         tokio
//! write ─ frame ───▶ compress ─ digest ─ file
//!         └ waits for memory              └ or ──────────▶ upload ─▶ store
//!                                                         └ throttled; frees the memory
//! ```
//!
//! Engines block, the store is asynchronous: the calls here block, and must not be made from inside tokio. The runtime
//! must be a multi-threaded one. Memory is bounded by [`SinkOptions::memory_bytes`], whatever the sizes and the number
//! of objects: a writer waits until bytes before its own are stored. Large objects' files, where they are this machine's, are written
//! by the thread that has their bytes; where nothing is compressed and the engine has a thread for each processor, by the engine's own.

mod budget;
mod compress;
mod digest;
mod fault;
mod object;
mod options;
mod place;
mod pool;
mod problem;
mod reader;
mod shared;
mod sink;
mod source;
mod stored;
mod upload;
mod verify;

pub use options::{Bundling, Compression, Destination, SinkOptions};
pub use problem::{Problem, ProblemKind};
pub use sink::{BackupSink, Brake, Counters, MAX_OPEN};
pub use source::{BackupSource, ObjectStream};
pub use verify::{VerifyOptions, verify};

#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;
