//! [`PluginError`]: why a file is not used as an engine. Each prints as one line.

use std::io;
use std::path::{Path, PathBuf};

/// Why a file is not used as an engine, or why there is no engine of that name.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PluginError {
    /// The file or directory can not be read.
    #[error("{} can not be read: {source}", path.display())]
    Read {
        /// The file or directory.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// It is something else than a plug-in of ours.
    #[error("{} is no engine: {reason}", path.display())]
    NoPlugin {
        /// The file.
        path: PathBuf,
        /// How one can tell.
        reason: String,
    },
    /// A part of it is missing.
    #[error("{} is truncated: its headers speak of {expected} bytes, it has {found}; copy it again", path.display())]
    Truncated {
        /// The file.
        path: PathBuf,
        /// How long it must at least be, in bytes.
        expected: u64,
        /// How long it is, in bytes.
        found: u64,
    },
    /// It is for another machine.
    #[error("{} is built for {found}; this host runs on {expected}", path.display())]
    Machine {
        /// The file.
        path: PathBuf,
        /// This host's architecture.
        expected: &'static str,
        /// What it is built for.
        found: String,
    },
    /// It was built against another major version of the contract.
    #[error(
        "{} was built against contract {found}; this host runs engines of contract {expected}; get a build of the engine for it",
        path.display()
    )]
    Contract {
        /// The file.
        path: PathBuf,
        /// This host's version of the contract.
        expected: &'static str,
        /// The file's.
        found: String,
    },
    /// What it says of itself makes no sense.
    #[error("{} has a broken manifest: {reason}", path.display())]
    Manifest {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// It is another engine than was asked for.
    #[error("{} is the engine `{found}`, and not `{expected}`", path.display())]
    OtherName {
        /// The file.
        path: PathBuf,
        /// The engine that was asked for.
        expected: String,
        /// The one that its manifest names.
        found: String,
    },
    /// Its file has another name than the engine.
    #[error(
        "{} is the engine `{name}`, which its file's name does not say; if it is meant to be here, rename it to lib{}.so",
        path.display(),
        name.replace('-', "_")
    )]
    Misnamed {
        /// The file.
        path: PathBuf,
        /// The engine that its manifest names.
        name: String,
    },
    /// It is not the file that was inspected any more.
    #[error("{} has changed since it was inspected: SHA-256 was {expected}, is {found}", path.display())]
    Changed {
        /// The file.
        path: PathBuf,
        /// The digest that it had.
        expected: String,
        /// The digest that it has.
        found: String,
    },
    /// Another file took its place, or it was written to, while a job began.
    #[error("{} has changed since it was inspected, a moment ago; run the command again", path.display())]
    Replaced {
        /// The file.
        path: PathBuf,
    },
    /// The system can not load it.
    #[error("{} can not be loaded: {reason}", path.display())]
    Load {
        /// The file.
        path: PathBuf,
        /// What the system says.
        reason: String,
    },
    /// Its binary contract is not ours, whatever its version says.
    #[error("{} can not be used: {reason}; it must be built anew against contract {expected}", path.display())]
    Layout {
        /// The file.
        path: PathBuf,
        /// The first difference.
        reason: String,
        /// This host's version of the contract.
        expected: &'static str,
    },
    /// Two files of a directory are the same engine.
    #[error("the engine `{name}` is there twice: {} and {}; remove one of them", first.display(), second.display())]
    Ambiguous {
        /// The engine.
        name: String,
        /// One file.
        first: PathBuf,
        /// The other.
        second: PathBuf,
    },
    /// No directory of the plug-in path exists.
    #[error(
        "no directory of the plug-in path exists: {}; set [plugins] path or {}",
        list(directories),
        super::PLUGINS_ENV
    )]
    NoDirectory {
        /// The path.
        directories: Vec<PathBuf>,
    },
    /// There is no engine of that name.
    #[error("there is no engine `{name}` in {}; {help}{}", list(directories), broken(unusable))]
    Unknown {
        /// The engine that was asked for.
        name: String,
        /// The nearest name, or all of them.
        help: String,
        /// Where was looked.
        directories: Vec<PathBuf>,
        /// What is wrong with files that were found there.
        unusable: Vec<String>,
    },
}

impl PluginError {
    /// Whether the host refuses a working engine for safety's sake (exit code 3), rather than there being no engine (2).
    pub fn refused(&self) -> bool {
        matches!(
            self,
            Self::Contract { .. }
                | Self::Machine { .. }
                | Self::Layout { .. }
                | Self::OtherName { .. }
                | Self::Misnamed { .. }
                | Self::Changed { .. }
                | Self::Replaced { .. }
                | Self::Ambiguous { .. }
        )
    }

    pub(super) fn no_plugin(path: &Path, reason: impl Into<String>) -> Self {
        Self::NoPlugin {
            path: path.to_owned(),
            reason: reason.into(),
        }
    }

    pub(super) fn manifest(path: &Path, reason: impl Into<String>) -> Self {
        Self::Manifest {
            path: path.to_owned(),
            reason: reason.into(),
        }
    }
}

pub(super) fn ambiguous(name: &str, first: &Path, second: &Path) -> PluginError {
    PluginError::Ambiguous {
        name: name.to_owned(),
        first: first.to_owned(),
        second: second.to_owned(),
    }
}

fn list(paths: &[PathBuf]) -> String {
    let names: Vec<_> = paths.iter().map(|path| path.display().to_string()).collect();
    names.join(", ")
}

fn broken(unusable: &[String]) -> String {
    match unusable {
        [] => String::new(),
        all => format!("; not usable: {}", all.join("; ")),
    }
}
