//! The test bed: private servers, a private repository, and the `backstay` program as a user runs it.
//!
//! Nothing here is a mock. A server, a program or a plug-in that is missing is a failure that names the command that
//! installs or builds it; nothing is skipped.

pub mod backstay;
pub mod bank;
pub mod bench;
pub mod compare;
pub mod plugins;
pub mod postgresql;
pub mod reference;
pub mod servers;
pub mod shop;

use std::path::{Path, PathBuf};

/// The workspace's root.
pub fn workspace() -> PathBuf {
    let crate_dir = Path::new(env!("CARGO_MANIFEST_DIR"));
    crate_dir.parent().unwrap_or(crate_dir).to_path_buf()
}

/// Where cargo puts what it builds.
pub fn target_dir() -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| workspace().join("target"), |dir| workspace().join(dir))
}

/// Where the programs and plug-ins of this build are: beside the folder of the test that runs.
pub fn build_dir() -> PathBuf {
    let mut dir = std::env::current_exe().unwrap_or_default();
    dir.pop();
    if dir.ends_with("deps") {
        dir.pop();
    }
    dir
}
