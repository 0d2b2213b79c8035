//! The plug-ins that are built out of tree, in a workspace with a lock file and an opt-level of its own.

use backstay_bed::{target_dir, workspace};
use std::fs::{self, File};
use std::path::PathBuf;
use std::process::Command;
use std::sync::OnceLock;

/// Builds them, if they are not, and gives the folder that they are in. Each test process builds once; a file lock keeps
/// several from doing so at once.
///
/// # Panics
/// The build fails.
pub fn built() -> PathBuf {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    BUILT.get_or_init(build).clone()
}

/// A folder with copies of some of them only, below a directory: a plug-in path of the test's own.
///
/// # Panics
/// There is no such plug-in, or it can not be copied.
pub fn only(dir: &std::path::Path, libraries: &[&str]) -> PathBuf {
    let folder = dir.join("plugins");
    fs::create_dir_all(&folder).expect("a folder for plug-ins");
    for library in libraries {
        fs::copy(built().join(library), folder.join(library)).unwrap_or_else(|error| panic!("{library}: {error}"));
    }
    folder
}

fn build() -> PathBuf {
    let target = target_dir().join("out-of-tree");
    fs::create_dir_all(&target).expect("the target directory");
    let lock = File::create(target.join("building.lock")).expect("a lock file");
    lock.lock().expect("the lock");
    let output = Command::new(env!("CARGO"))
        .args(["build", "--release", "--locked", "--manifest-path"])
        .arg(workspace().join("tests/plugins/Cargo.toml"))
        .env("CARGO_TARGET_DIR", &target)
        .output()
        .expect("cargo can be started");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    target.join("release")
}
