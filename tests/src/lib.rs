//! For the end-to-end suites: the `backstay` program as a user runs it, data to back up, and comparisons; on the servers of
//! `backstay-bed`.
//!
//! Nothing here is a mock. A program or a plug-in that is missing is a failure that names the command that builds it; nothing
//! is skipped.

pub mod archived;
pub mod backstay;
pub mod bank;
pub mod bench;
pub mod compare;
pub mod ddl;
pub mod engines;
pub mod log;
pub mod on_volume;
pub mod plugins;
pub mod postgresql;
pub mod processes;
pub mod random_tables;
pub mod reference;
pub mod replicas;
pub mod sessions;
pub mod shop;
pub mod volumes;
pub mod zoo;

use std::path::PathBuf;

/// Where the programs and plug-ins of this build are: beside the folder of the test that runs.
pub fn build_dir() -> PathBuf {
    let mut dir = std::env::current_exe().unwrap_or_default();
    dir.pop();
    if dir.ends_with("deps") {
        dir.pop();
    }
    dir
}
