//! `servers.json`: which database servers there are, for tests, demo and benchmarks.

use std::fs;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::{mariadb_plugins, mysql};
use crate::error::{Context, Result};
use crate::process::{find, version_line};
use crate::workspace;

/// The file in [`workspace::servers_dir`].
pub(crate) const FILE: &str = "servers.json";

/// What is in the file. A server that has not been installed is null.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Servers {
    pub(crate) mysql: Option<Server>,
    pub(crate) mariadb: Option<Server>,
}

/// A server that can be started.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Server {
    /// The folder that it is installed below.
    pub(crate) prefix: PathBuf,
    /// The server program, also for MariaDB.
    pub(crate) mysqld: PathBuf,
    /// As `major.minor.patch`.
    pub(crate) version: String,
    /// The folder of its client programs (`mysqldump`, `mariadb-dump`, …).
    pub(crate) programs: PathBuf,
    /// What has to be on its command line, after `--no-defaults` and before all else, so that it finds its own files.
    pub(crate) arguments: Vec<String>,
    /// The folder of plug-ins that it need not find by itself, for tests of these.
    pub(crate) plugins: Option<PathBuf>,
}

/// Looks which servers there are and writes the file, if it says anything else.
pub(crate) fn record(quiet: bool) -> Result<()> {
    let servers = Servers {
        mysql: mysql::server(),
        mariadb: mariadb(),
    };
    let path = workspace::servers_dir().join(FILE);
    let mut text = serde_json::to_string_pretty(&servers).context(|| format!("cannot write {FILE}"))?;
    text.push('\n');
    if !quiet {
        for (name, server) in [("MySQL", &servers.mysql), ("MariaDB", &servers.mariadb)] {
            if let Some(server) = server {
                println!("server      {name} {} at {}", server.version, server.mysqld.display());
            }
        }
    }
    if fs::read_to_string(&path).is_ok_and(|found| found == text) {
        return Ok(());
    }
    // Tests may be reading it: they see the old file or the new one.
    let doing = || format!("cannot write {}", path.display());
    let new = path.with_extension("json.new");
    fs::write(&new, text).context(doing)?;
    fs::rename(&new, &path).context(doing)
}

fn mariadb() -> Option<Server> {
    let mysqld = find("mariadbd")?;
    let version = version_of(&mysqld)?;
    let programs = find("mariadb-dump")?.parent()?.to_path_buf();
    let prefix = mysqld.parent()?.parent()?.to_path_buf();
    Some(Server {
        prefix,
        mysqld,
        version,
        programs,
        arguments: Vec::new(),
        plugins: mariadb_plugins::folder(),
    })
}

/// What a server says its version is; `None` where it does not run.
pub(crate) fn version_of(mysqld: &Path) -> Option<String> {
    let (major, minor, patch) = version_in(&version_line(mysqld, &["--no-defaults", "--version"])?)?;
    Some(format!("{major}.{minor}.{patch}"))
}

/// The first `a.b.c` in a text.
pub(crate) fn version_in(text: &str) -> Option<(u32, u32, u32)> {
    text.split(|c: char| !c.is_ascii_digit() && c != '.').find_map(|word| {
        let mut numbers = word.split('.').map(str::parse);
        match (numbers.next(), numbers.next(), numbers.next()) {
            (Some(Ok(major)), Some(Ok(minor)), Some(Ok(patch))) => Some((major, minor, patch)),
            _ => None,
        }
    })
}

#[cfg(test)]
mod tests {
    use super::version_in;

    #[test]
    fn versions_are_found_in_what_programs_print() {
        for (said, version) in [
            (
                "/opt/2/usr/sbin/mysqld  Ver 9.7.4-2 for Linux on x86_64 ((Debian))",
                Some((9, 7, 4)),
            ),
            (
                "mysqld  Ver 8.4.6 for Linux on x86_64 (MySQL Community Server - GPL)",
                Some((8, 4, 6)),
            ),
            (
                "mariadbd  Ver 10.11.19-MariaDB-0+deb12u1 for debian-linux-gnu on x86_64 (Debian 12)",
                Some((10, 11, 19)),
            ),
            ("cargo-deny 0.20.2", Some((0, 20, 2))),
            ("no such command: `deny`", None),
        ] {
            assert_eq!(version_in(said), version, "{said}");
        }
    }
}
