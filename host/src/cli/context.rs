//! What verbs need: the configuration, the repository and the plug-ins, each opened when it is asked for.

use tokio::runtime::Runtime;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

use super::Common;
use super::progress::Display;
use crate::config::{Config, ConfigError};
use crate::error::{Error, ErrorKind, Result};
use crate::jobs::{Host, Workers};
use crate::plugin::{Discovery, SearchPath};
use crate::repository::Repository;
use crate::worker::supervisor::Interrupt;

/// The verbs' surroundings.
pub(super) struct Context {
    common: Common,
}

impl Context {
    pub(super) fn new(common: Common) -> Self {
        Self { common }
    }

    /// Whether the result is to be JSON.
    pub(super) fn json(&self) -> bool {
        self.common.json
    }

    /// The file that `--config` names.
    pub(super) fn config_file(&self) -> Option<&std::path::Path> {
        self.common.config.as_deref()
    }

    /// The configuration.
    pub(super) fn config(&self) -> Result<Config> {
        Ok(Config::load(&Config::find(self.common.config.as_deref())?)?)
    }

    /// The configuration, where there is one: a file that is named, here or by a variable, must be there and right.
    pub(super) fn config_if_any(&self) -> Result<Option<Config>> {
        match Config::find(self.common.config.as_deref()) {
            Ok(path) => Ok(Some(Config::load(&path)?)),
            Err(ConfigError::None { .. }) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// The plug-ins of a configuration; without one, those of the usual places.
    pub(super) fn plugins(&self, config: Option<&Config>) -> Result<Discovery> {
        let configured = config.map_or(&[][..], |config| &config.plugins.path);
        Ok(SearchPath::new(configured).discover()?)
    }

    /// All that a job works with. From here on, Ctrl-C stops the job and not the process.
    pub(super) fn host(&self, stoppable: Stoppable) -> Result<Host> {
        let config = self.config()?;
        let runtime = runtime()?;
        let repository = Repository::open(&config.repository.url, runtime.handle())?;
        let workers = self.workers_on(runtime, Some(&config), stoppable)?;
        Ok(Host {
            config,
            repository,
            workers,
        })
    }

    /// What a job works with that needs no repository. From here on, Ctrl-C stops the job and not the process.
    pub(super) fn workers(&self, config: Option<&Config>) -> Result<Workers> {
        self.workers_on(runtime()?, config, Stoppable::ByJob)
    }

    fn workers_on(&self, runtime: Runtime, config: Option<&Config>, stoppable: Stoppable) -> Result<Workers> {
        let plugins = self.plugins(config)?;
        let interrupt = match stoppable {
            Stoppable::ByJob => interrupts(&runtime)?,
            Stoppable::AtOnce => watch::channel(0).1,
        };
        Ok(Workers {
            plugins,
            runtime,
            interrupt,
        })
    }

    /// Shows how far a job is.
    pub(super) fn display(&self) -> Display {
        Display::new()
    }
}

/// What Ctrl-C does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stoppable {
    /// The job is asked to stop, and puts things in order.
    ByJob,
    /// The process ends at once: it changes nothing.
    AtOnce,
}

pub(super) fn runtime() -> Result<Runtime> {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .map_err(|error| Error::new(ErrorKind::Io, "can not start the runtime").because(&error))
}

/// Counts SIGINT, SIGTERM and SIGHUP; those that whoever started the process has it ignore, as `nohup` does, stay ignored.
fn interrupts(runtime: &Runtime) -> Result<Interrupt> {
    let (sender, receiver) = watch::channel(0);
    let _inside = runtime.enter();
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    for kind in [SignalKind::interrupt(), SignalKind::terminate(), SignalKind::hangup()] {
        if is_ignored(&status, kind.as_raw_value()) {
            continue;
        }
        let failed = |error: std::io::Error| Error::new(ErrorKind::Io, "can not listen for signals").because(&error);
        let mut signals = signal(kind).map_err(failed)?;
        let sender = sender.clone();
        runtime.spawn(async move {
            while signals.recv().await.is_some() {
                sender.send_modify(|count| *count += 1);
                tracing::warn!("stopping; interrupt again to stop at once");
            }
        });
    }
    Ok(receiver)
}

/// Whether a process ignores a signal, by its `status` in /proc (proc(5)): `SigIgn` is a mask in hexadecimal, the first signal its lowest bit.
fn is_ignored(status: &str, signal: i32) -> bool {
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let mask = mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    mask.is_some_and(|mask| mask >> (signal - 1) & 1 == 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signals_that_are_ignored() {
        let status =
            "Name:\tbackstay\nSigBlk:\t0000000000000000\nSigIgn:\t0000000000001001\nSigCgt:\t0000000000004002\n";
        let ignored: Vec<i32> = (1..=64).filter(|signal| is_ignored(status, *signal)).collect();
        assert_eq!(ignored, [1, 13]);
        assert!(!is_ignored("", 1));
    }
}
