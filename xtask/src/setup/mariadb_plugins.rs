//! MariaDB's plug-ins for logging in, which tests log in with.
//!
//! They are in the package of the system's service, which is not installed: the package is unpacked into a folder of ours, and test
//! servers are told of it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::{Piece, apt};
use crate::error::{Context, Result};
use crate::process::capture;
use crate::workspace;

/// The package that has them.
const PACKAGE: &str = "mariadb-server";
/// Where they are below the folder that it is unpacked into, and where they are on a machine that has it installed.
const FOLDER: &str = "usr/lib/mysql/plugin";
/// One of them.
const PLUGIN: &str = "auth_ed25519.so";

pub(crate) struct MariaDbPlugins;

impl Piece for MariaDbPlugins {
    fn name(&self) -> &str {
        "MariaDB's plug-ins"
    }

    fn why(&self) -> &str {
        "are ways of logging in that are tested; they go into a folder of their own"
    }

    fn is_present(&self) -> bool {
        folder().is_some()
    }

    fn install(&self) -> Result<()> {
        let parent = workspace::servers_dir();
        // In the same folder, so that renaming is atomic; gone again whatever happens.
        let work = tempfile::Builder::new()
            .prefix(".building-")
            .tempdir_in(&parent)
            .context(|| format!("cannot create a folder in {}", parent.display()))?;
        apt::update()?;
        capture(
            Command::new("apt-get")
                .args(["download", PACKAGE])
                .current_dir(work.path()),
        )?;
        let unpacked = work.path().join("mariadb");
        let entries = fs::read_dir(work.path()).context(|| format!("cannot read {}", work.path().display()))?;
        for deb in entries.flatten().map(|entry| entry.path()) {
            capture(Command::new("dpkg").arg("-x").arg(deb).arg(&unpacked))?;
        }
        let target = unpacked_into();
        fs::rename(&unpacked, &target).context(|| format!("cannot make {}", target.display()))
    }
}

fn unpacked_into() -> PathBuf {
    workspace::servers_dir().join("mariadb")
}

/// The folder of the plug-ins: the system's own, or ours.
pub(crate) fn folder() -> Option<PathBuf> {
    let folders = [Path::new("/").join(FOLDER), unpacked_into().join(FOLDER)];
    folders.into_iter().find(|folder| folder.join(PLUGIN).exists())
}
