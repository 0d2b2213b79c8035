//! [`Tool`]: the backup program that fits a server.
//!
//! A physical backup is made of a server's own structures: `mariadb-backup` says that it must be of the server's own series
//! (10.11 for 10.11), `xtrabackup` 8.0, 8.4 and 9.x read data of MySQL and Percona Server of the same series. The other's tool may
//! well start, and what it makes may well be no backup.

use std::fmt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use backstay_engine_api::{EngineError, ErrorKind};
use backstay_mysql::programs::find_all_by_name;
use backstay_mysql::{Flavour, Version};

use crate::xbstream::Dialect;

/// A backup program.
#[derive(Debug, Clone)]
pub(crate) struct Tool {
    pub(crate) path: PathBuf,
    pub(crate) dialect: Dialect,
    /// The version of the server that it is made for.
    pub(crate) version: Version,
}

impl Tool {
    /// The family of servers that it is for.
    pub(crate) fn flavour(&self) -> Flavour {
        match self.dialect {
            Dialect::MariaDb => Flavour::MariaDb,
            Dialect::Percona => Flavour::MySql,
        }
    }

    /// Finds the one that fits a server of this flavour and version; `directories` come before PATH.
    ///
    /// # Errors
    /// [`ErrorKind::Refused`] with both versions if there is only one that does not fit, [`ErrorKind::Program`] with the package
    /// if there is none.
    pub(crate) fn find(flavour: Flavour, server: &Version, directories: &[PathBuf]) -> Result<Self, EngineError> {
        let dialect = if flavour.is_mariadb() {
            Dialect::MariaDb
        } else {
            Dialect::Percona
        };
        let (names, package): (&[&str], String) = match dialect {
            Dialect::MariaDb => (&["mariadb-backup", "mariabackup"], "mariadb-backup".to_owned()),
            Dialect::Percona => (&["xtrabackup"], package(server)),
        };
        let mut unfit = Vec::new();
        let mut broken = Vec::new();
        for path in find_all_by_name(names, directories) {
            match Self::inspect(&path) {
                Ok(tool) if tool.dialect == dialect && series(&tool.version) == series(server) => return Ok(tool),
                Ok(tool) => unfit.push(tool.to_string()),
                Err(error) => broken.push(error.to_string()),
            }
        }
        let advice = format!(
            "install the package {package} of series {}, or name its directory in the configuration (`programs`)",
            series_text(server)
        );
        let mut error = match unfit.first() {
            Some(tool) => EngineError::refused(format!(
                "the server is {flavour} {server}, and the tool is {tool}: they must be of the same series"
            )),
            None => EngineError::new(
                ErrorKind::Program,
                format!("{} for {flavour} {server} was not found", names.join(" or ")),
            ),
        };
        error.causes = unfit.into_iter().skip(1).chain(broken).collect();
        Err(error.advise(advice))
    }

    /// Its name, without the directory.
    pub(crate) fn name(&self) -> String {
        self.path
            .file_name()
            .unwrap_or(self.path.as_os_str())
            .to_string_lossy()
            .into_owned()
    }

    fn inspect(path: &Path) -> Result<Self, EngineError> {
        let wrong = |what: &str| EngineError::new(ErrorKind::Program, format!("`{} --version` {what}", path.display()));
        let output = Command::new(path)
            .args(["--no-defaults", "--version"])
            .stdin(Stdio::null())
            .output()
            .map_err(|error| wrong("can not be run").because(&error))?;
        // Which of the two it writes to differs by version.
        let text = [output.stdout, output.stderr].concat();
        let text = String::from_utf8_lossy(&text);
        let (dialect, version) =
            said(&text).ok_or_else(|| wrong("prints no version").detail(text.trim().to_owned()))?;
        Ok(Self {
            path: path.to_owned(),
            dialect,
            version: Version::parse(version),
        })
    }
}

impl fmt::Display for Tool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let of = match self.dialect {
            Dialect::MariaDb => "MariaDB",
            Dialect::Percona => "MySQL",
        };
        write!(f, "{} for {of} {}", self.path.display(), self.version)
    }
}

/// `mariadb-backup based on MariaDB server 10.11.19-MariaDB debian-linux-gnu (x86_64)`, or
/// `xtrabackup version 8.4.0-1 based on MySQL server 8.4.0 Linux (x86_64) (revision id: …)`.
fn said(text: &str) -> Option<(Dialect, &str)> {
    text.lines().find_map(|line| {
        let (_, based) = line.split_once("based on ")?;
        let (server, version) = based.split_once(" server ")?;
        let dialect = match server {
            "MariaDB" => Dialect::MariaDb,
            "MySQL" => Dialect::Percona,
            _ => return None,
        };
        let version = version.split_whitespace().next()?;
        version
            .starts_with(|c: char| c.is_ascii_digit())
            .then_some((dialect, version))
    })
}

/// What must be equal: 10.11, 8.0, 8.4, 9.7.
fn series(version: &Version) -> (u32, u32) {
    (version.number.0, version.number.1)
}

fn series_text(version: &Version) -> String {
    format!("{}.{}", version.number.0, version.number.1)
}

/// Percona's package: `percona-xtrabackup-80`, `percona-xtrabackup-84`, `percona-xtrabackup-97`.
fn package(server: &Version) -> String {
    let (major, minor) = series(server);
    format!("percona-xtrabackup-{major}{minor} (from Percona's repository)")
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn versions_that_tools_print() {
        for (text, expected) in [
            (
                "mariadb-backup based on MariaDB server 10.11.19-MariaDB debian-linux-gnu (x86_64)\n",
                Some((Dialect::MariaDb, "10.11.19-MariaDB")),
            ),
            (
                "2024-01-01T00:00:00.0-00:00 0 [Note] [MY-011825] [Xtrabackup] recognized server arguments: --x=1\n\
                 xtrabackup version 8.0.35-31 based on MySQL server 8.0.35 Linux (x86_64) (revision id: 55ec21d7)\n",
                Some((Dialect::Percona, "8.0.35")),
            ),
            ("something else 1.2.3\n", None),
        ] {
            assert_eq!(said(text), expected);
        }
    }

    #[test]
    fn another_series_is_refused_with_both_versions() {
        let directory = tempfile::tempdir().unwrap();
        let script = directory.path().join("xtrabackup");
        fs::write(
            &script,
            "#!/bin/sh\necho 'xtrabackup version 8.0.35-31 based on MySQL server 8.0.35 Linux (x86_64) (revision id: 1)' >&2\n",
        )
        .unwrap();
        fs::set_permissions(&script, fs::Permissions::from_mode(0o755)).unwrap();
        let directories = [directory.path().to_owned()];
        let find = |version: &str| Tool::find(Flavour::Percona, &Version::parse(version), &directories);
        assert_eq!(find("8.0.36-28").unwrap().dialect, Dialect::Percona);
        let error = find("8.4.0").unwrap_err();
        assert_eq!(error.kind, ErrorKind::Refused);
        assert!(
            error.message.contains("Percona Server 8.4.0") && error.message.contains("MySQL 8.0.35"),
            "{error}"
        );
        assert!(error.to_string().contains("percona-xtrabackup-84"), "{error}");
    }
}
