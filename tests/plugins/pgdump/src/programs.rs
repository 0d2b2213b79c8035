//! Where PostgreSQL's programs are.

use std::env;
use std::ffi::OsStr;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use backstay_engine_api::{EngineError, ErrorKind};

/// Where Debian and Ubuntu keep the programs of each major version, out of PATH.
const DEBIAN: &str = "/usr/lib/postgresql";

/// Finds a program: in the directories that the operator named, in PATH, in Debian's (newest version first).
pub(crate) fn find(name: &str, configured: &[PathBuf]) -> Result<PathBuf, EngineError> {
    let path = env::var_os("PATH").unwrap_or_default();
    configured
        .iter()
        .cloned()
        .chain(env::split_paths(&path))
        .chain(debian(Path::new(DEBIAN)))
        .map(|dir| dir.join(name))
        .find(|file| is_program(file))
        .ok_or_else(|| {
            EngineError::new(
                ErrorKind::Program,
                format!("{name} was not found in `programs`, in PATH or below {DEBIAN}"),
            )
            .advise(
                "install PostgreSQL's client programs (Debian: postgresql-client), or set `programs` for this server",
            )
        })
}

fn is_program(file: &Path) -> bool {
    fs::metadata(file).is_ok_and(|meta| meta.is_file() && meta.permissions().mode() & 0o111 != 0)
}

fn debian(root: &Path) -> Vec<PathBuf> {
    let version = |dir: &Path| {
        dir.file_name()
            .and_then(OsStr::to_str)
            .and_then(|name| name.parse::<u32>().ok())
    };
    let mut versions: Vec<(u32, PathBuf)> = fs::read_dir(root)
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| Some((version(&entry.path())?, entry.path().join("bin"))))
        .collect();
    versions.sort_by_key(|(version, _)| std::cmp::Reverse(*version));
    versions.into_iter().map(|(_, bin)| bin).collect()
}
