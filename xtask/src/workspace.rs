//! Where things are.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Names the folder of the database servers that [`crate::setup`] makes; tests and demo look there as well.
pub(crate) const SERVERS_DIR: &str = "BACKSTAY_SERVERS_DIR";

/// The workspace's root.
pub(crate) fn root() -> PathBuf {
    // Cargo sets the variable for `cargo run`; what was compiled in is for a binary that is started by itself.
    let manifest_dir = env::var_os("CARGO_MANIFEST_DIR").unwrap_or_else(|| env!("CARGO_MANIFEST_DIR").into());
    Path::new(&manifest_dir)
        .parent()
        .map_or_else(PathBuf::new, Path::to_path_buf)
}

/// Cargo's target folder.
pub(crate) fn target_dir() -> PathBuf {
    root().join(env::var_os("CARGO_TARGET_DIR").unwrap_or_else(|| "target".into()))
}

/// Where private database servers are kept: `$BACKSTAY_SERVERS_DIR`, else `target/servers`. An absolute path.
pub(crate) fn servers_dir() -> PathBuf {
    match env::var_os(SERVERS_DIR).filter(|value| !value.is_empty()) {
        Some(folder) => root().join(folder),
        None => target_dir().join("servers"),
    }
}

/// The cargo that started us, to be run in the workspace's root.
pub(crate) fn cargo() -> Command {
    let mut command = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(root());
    command
}
