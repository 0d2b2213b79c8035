//! What the host does: one file for each job, used by the command line and by whoever embeds the host.
//!
//! Each job has the same order: find everything out and check it, take the lock, run the worker, and only then make what
//! it did count. The functions block.

pub mod archive;
pub mod backup;
pub mod check;
mod clean;
pub mod export;
pub mod from_dump;
mod member;
mod options;
mod parent;
pub mod recover;
pub mod rescue;
pub mod restore;
pub mod search;
pub mod verify;

use std::path::Path;
use std::time::Duration;

use backstay_engine_api::wire::JobSpec;
use backstay_engine_api::{EngineManifest, EngineRef, Operation};
use serde_json::Value;
use tokio::runtime::Runtime;

use crate::config::Config;
use crate::error::{Error, ErrorKind, Result};
use crate::plugin::{Discovery, Inspected};
use crate::repository::Repository;
use crate::worker::protocol::{Assignment, PluginFile, Progress};
use crate::worker::supervisor::{self, Ended, Interrupt, Limits, Watcher};

/// What every job works with.
pub struct Host {
    /// The configuration.
    pub config: Config,
    /// The repository, open.
    pub repository: Repository,
    /// What runs engines.
    pub workers: Workers,
}

/// What runs engines: all that a job works with that needs neither a configuration nor a repository.
pub struct Workers {
    /// The plug-ins that were found.
    pub plugins: Discovery,
    /// Where futures run.
    pub runtime: Runtime,
    /// The operator's interrupts.
    pub interrupt: Interrupt,
}

/// Who is told how far a job is.
pub trait Observer: Send {
    /// A new part of the job begins.
    fn stage(&mut self, what: &str) {
        let _ = what;
    }

    /// How far it is.
    fn progress(&mut self, progress: &Progress) {
        let _ = progress;
    }
}

/// An observer that does not look.
#[derive(Debug, Default)]
pub struct NoObserver;

impl Observer for NoObserver {}

impl Workers {
    /// The plug-in of an engine, which must have an operation.
    fn engine(&self, name: &str, operation: Operation) -> Result<&Inspected> {
        let plugin = self.plugins.find(name)?;
        if plugin.manifest.has(operation) {
            return chosen(plugin);
        }
        Err(Error::new(
            ErrorKind::Unsupported,
            format!(
                "engine `{name}` has no operation `{}`; it has {}",
                operation.name(),
                operations(&plugin.manifest)
            ),
        )
        .advise("choose another engine; `backstay engines list` shows what each has"))
    }

    /// How many threads a job may keep busy.
    fn threads(&self, wanted: Option<usize>) -> usize {
        wanted
            .unwrap_or_else(|| std::thread::available_parallelism().map_or(1, usize::from))
            .max(1)
    }

    /// Runs a worker to its end.
    fn run_worker(
        &self,
        assignment: Assignment,
        deadline: Option<Duration>,
        watcher: &mut dyn Watcher,
    ) -> Result<Ended> {
        let limits = Limits {
            deadline,
            interrupt: self.interrupt.clone(),
            grace: supervisor::GRACE,
        };
        self.runtime.block_on(supervisor::run(assignment, limits, watcher))
    }
}

/// The engine that a job has chosen: from now on it is this file, whatever comes to lie in its place.
fn chosen(plugin: &Inspected) -> Result<&Inspected> {
    plugin.sha256()?;
    Ok(plugin)
}

/// A library file for a worker.
fn plugin_file(plugin: &Inspected) -> Result<PluginFile> {
    Ok(PluginFile {
        path: plugin.path.clone(),
        digest: plugin.sha256()?.to_owned(),
        name: plugin.manifest.name.clone(),
    })
}

/// An engine as a backup's manifest and the log's name it.
fn engine_ref(plugin: &Inspected) -> Result<EngineRef> {
    Ok(EngineRef {
        name: plugin.manifest.name.clone(),
        version: plugin.manifest.version.clone(),
        vendor: plugin.manifest.vendor.clone(),
        digest: plugin.sha256()?.to_owned(),
    })
}

fn job_spec(id: &str, cluster: &str, options: Value, scratch: &Path, threads: usize) -> JobSpec {
    JobSpec {
        id: id.to_owned(),
        cluster: cluster.to_owned(),
        options,
        scratch: scratch.to_owned(),
        threads,
    }
}

/// A directory of a job's own, for its owner only; gone when it is dropped.
fn scratch(id: &str) -> Result<tempfile::TempDir> {
    make_scratch(&std::env::temp_dir(), &scratch_prefix(id))
}

/// The same, below a directory of a job that makes a private copy, with which it goes. Its name is short: there are sockets below it.
fn scratch_in(directory: &Path) -> Result<tempfile::TempDir> {
    make_scratch(directory, "s-")
}

fn make_scratch(directory: &Path, prefix: &str) -> Result<tempfile::TempDir> {
    tempfile::Builder::new()
        .prefix(prefix)
        .tempdir_in(directory)
        .map_err(|error| {
            Error::new(
                ErrorKind::Io,
                format!("can not make a scratch directory in {}", directory.display()),
            )
            .because(&error)
            .advise("make room there, or set TMPDIR to another directory")
        })
}

/// A time to the second, RFC 3339, UTC.
fn seconds(time: jiff::Timestamp) -> String {
    time.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

fn scratch_prefix(id: &str) -> String {
    format!("backstay-{id}-")
}

/// Removes the scratch directories of a job that was killed, if it ran on this machine. What can not be removed is in
/// nobody's way.
fn sweep_scratch(id: &str) {
    let prefix = scratch_prefix(id);
    let Ok(entries) = std::fs::read_dir(std::env::temp_dir()) else {
        return;
    };
    for entry in entries.flatten() {
        if entry.file_name().to_string_lossy().starts_with(&prefix) {
            let _ = std::fs::remove_dir_all(entry.path());
        }
    }
}

fn operations(manifest: &EngineManifest) -> String {
    let names: Vec<&str> = manifest.operations.iter().map(|operation| operation.name()).collect();
    if names.is_empty() {
        "none".to_owned()
    } else {
        names.join(", ")
    }
}
