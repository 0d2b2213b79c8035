//! [`Provider`]: a way of having all files of a data directory at one instant. One file each.

mod btrfs;
mod lvm;
mod mounts;
mod reflink;

use std::path::{Path, PathBuf};
use std::time::Duration;

use backstay_engine_api::job::{JobContext, Level, SessionGuard};
use backstay_engine_api::{EngineError, ErrorKind};

use crate::options::{Options, ProviderName};
use crate::source::Source;

/// A way of having all files at one instant.
pub(crate) trait Provider {
    /// Which it is.
    fn name(&self) -> ProviderName;

    /// Whether a data directory allows it. Changes nothing.
    ///
    /// # Errors
    /// Why it does not, and what the operator can do.
    fn allows(&self, source: &Source) -> Result<(), EngineError>;

    /// Gets everything ready that may take its time, before the lock.
    ///
    /// # Errors
    /// It can not be got ready; nothing is left.
    fn prepare(&self, source: &Source, job: &JobContext) -> Result<Box<dyn Snapshot>, EngineError>;

    /// Removes what a killed job may have left.
    ///
    /// # Errors
    /// Something is left.
    fn clean(&self, data_dir: &Path, job: &str) -> Result<(), EngineError>;
}

/// All files as they were at one instant, from before it is taken until it is removed. Whoever drops one that was not removed leaves
/// it behind: see [`Held`].
pub(crate) trait Snapshot {
    /// Takes it. Nobody can commit meanwhile: it does nothing else. Says how long the server's process was stopped, if it was.
    ///
    /// # Errors
    /// There is none then, but what [`remove`](Self::remove) removes.
    fn take(&mut self) -> Result<Option<Duration>, EngineError>;

    /// Makes it readable, and says where the data directory's files are.
    ///
    /// # Errors
    /// It can not be read.
    fn open(&mut self) -> Result<PathBuf, EngineError>;

    /// Whether it still shows that instant.
    ///
    /// # Errors
    /// It does not.
    fn check(&mut self) -> Result<(), EngineError> {
        Ok(())
    }

    /// Removes all that was made. May be called at any time, and again.
    ///
    /// # Errors
    /// Something is left; which is said.
    fn remove(&mut self) -> Result<(), EngineError>;
}

/// A snapshot that is removed whatever happens.
pub(crate) struct Held {
    snapshot: Box<dyn Snapshot>,
    /// Its trace with the host.
    guard: Option<SessionGuard>,
}

impl Held {
    pub(crate) fn new(snapshot: Box<dyn Snapshot>, guard: SessionGuard) -> Self {
        Self {
            snapshot,
            guard: Some(guard),
        }
    }

    /// The snapshot.
    pub(crate) fn get(&mut self) -> &mut dyn Snapshot {
        &mut *self.snapshot
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        // It has been removed already where all went well.
        if self.snapshot.remove().is_err() {
            // The host keeps the trace, and has it cleaned up again: at once, and by the next job.
            std::mem::forget(self.guard.take());
        }
    }
}

/// The provider of a name, unless it is one that stands for several or for none.
pub(crate) fn named(name: ProviderName, options: &Options) -> Option<Box<dyn Provider>> {
    match name {
        ProviderName::Btrfs => Some(Box::new(btrfs::Btrfs)),
        ProviderName::Lvm => Some(Box::new(lvm::Lvm::new(&options.lvm_size))),
        ProviderName::Reflink => Some(Box::new(reflink::Reflink::new(options.max_pause()))),
        ProviderName::Auto | ProviderName::Copy => None,
    }
}

/// A provider that was chosen, and why those before it were not.
pub(crate) struct Chosen {
    pub(crate) provider: Box<dyn Provider>,
    pub(crate) others: Vec<String>,
}

/// Chooses a provider for a running server: the one that the options name, or the first that the data directory allows.
///
/// # Errors
/// Why it is not allowed, or why none is.
pub(crate) fn choose(options: &Options, source: &Source, job: &JobContext) -> Result<Chosen, EngineError> {
    /// In the order of how little they hold the server up.
    const ALL: [ProviderName; 3] = [ProviderName::Btrfs, ProviderName::Lvm, ProviderName::Reflink];
    source.check_one_volume()?;
    if let Some(provider) = named(options.provider, options) {
        provider.allows(source)?;
        return Ok(Chosen {
            provider,
            others: Vec::new(),
        });
    }
    let mut others = Vec::new();
    for name in ALL {
        let Some(provider) = named(name, options) else { continue };
        match provider.allows(source) {
            Ok(()) => {
                job.log(Level::Info, format!("snapshots by the provider {}", show(name)));
                return Ok(Chosen { provider, others });
            }
            Err(error) => {
                let reason = format!("{}: {error}", show(name));
                job.log(Level::Info, format!("not by {reason}"));
                others.push(reason);
            }
        }
    }
    let message = format!(
        "there is no way of having all files of {} at one instant while the server runs",
        source.data_dir.display()
    );
    let mut error = EngineError::new(ErrorKind::Refused, message);
    error.causes = others;
    Err(error.advise(
        "mend what is said of one of them, stop the server and use the provider `copy`, or use the engine xtrabackup or a logical one",
    ))
}

/// A provider's name.
pub(crate) fn show(name: ProviderName) -> &'static str {
    match name {
        ProviderName::Auto => "auto",
        ProviderName::Btrfs => "btrfs",
        ProviderName::Lvm => "lvm",
        ProviderName::Reflink => "reflink",
        ProviderName::Copy => "copy",
    }
}

/// That only root can do it.
fn needs_root(what: &str) -> Result<(), EngineError> {
    if rustix::process::geteuid().is_root() {
        return Ok(());
    }
    Err(EngineError::refused(format!("only root can {what}")).advise("run Backstay as root, or use another provider"))
}
