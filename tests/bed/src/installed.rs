//! Which servers there are: what `cargo xtask setup` has found or installed, and wrote into `servers.json`.

use std::fs;
use std::path::PathBuf;

use backstay_mysql::{Flavour, Program};
use serde::Deserialize;

use crate::{target_dir, workspace};

/// A server as `cargo xtask setup` has found or installed it.
#[derive(Debug, Clone, Deserialize)]
pub struct Installed {
    /// The server program.
    pub mysqld: PathBuf,
    /// As `major.minor.patch`.
    pub version: String,
    /// The folder of its client programs.
    pub programs: PathBuf,
    /// What has to be on its command line.
    pub arguments: Vec<String>,
    /// The folder of MariaDB's plug-ins, which a server of a test is told of where it needs one.
    pub plugins: Option<PathBuf>,
}

impl Installed {
    /// The server program.
    ///
    /// # Panics
    /// It does not run.
    pub fn program(&self) -> Program {
        Program::inspect(&self.mysqld).unwrap_or_else(|error| panic!("{error}"))
    }
}

/// A server as `cargo xtask setup` has found or installed it.
///
/// # Panics
/// It is not there; the message says which command installs it.
pub fn installed(flavour: Flavour) -> Installed {
    let path = servers_dir().join("servers.json");
    let text = fs::read_to_string(&path).unwrap_or_else(|error| {
        panic!(
            "{}: {error}; install the servers with: cargo xtask setup",
            path.display()
        )
    });
    let mut servers: serde_json::Value = serde_json::from_str(&text).expect("servers.json");
    serde_json::from_value(servers[flavour.as_str()].take())
        .unwrap_or_else(|_| panic!("{flavour} is not installed; install it with: cargo xtask setup"))
}

/// Where `cargo xtask` keeps servers; it says so to the tests that it starts.
fn servers_dir() -> PathBuf {
    match std::env::var_os("BACKSTAY_SERVERS_DIR").filter(|folder| !folder.is_empty()) {
        Some(folder) => workspace().join(folder),
        None => target_dir().join("servers"),
    }
}
