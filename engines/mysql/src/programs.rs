//! The servers' own programs: finding them, telling the families apart, giving them credentials.
//!
//! MySQL's and MariaDB's programs share names (`mysqldump` is MariaDB's on many systems) and differ in options and in what
//! they write, so that a program is taken only if its `--version` says that it is of the server's family.

mod child;
mod option_text;

use std::env;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use backstay_engine_api::{EngineError, ErrorKind};

use crate::version::{Flavour, Version};
pub(crate) use child::command;
pub use child::{Child, Killer, OptionFile};
pub use option_text::client_option_file;

/// Where programs are looked for after the configured directories and PATH: `sbin` is on few users' PATH.
const USUAL_DIRECTORIES: [&str; 8] = [
    "/usr/bin",
    "/usr/sbin",
    "/usr/local/bin",
    "/usr/local/sbin",
    "/usr/libexec",
    "/usr/local/mysql/bin",
    "/opt/mysql/bin",
    "/opt/mariadb/bin",
];

/// A program that Backstay runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Tool {
    /// The server.
    Server,
    /// The logical dump.
    Dump,
    /// The command-line client.
    Client,
    /// The reader of binary logs.
    Binlog,
}

impl Tool {
    /// Its names, the preferred one first.
    pub fn names(self, flavour: Flavour) -> &'static [&'static str] {
        match (self, flavour.is_mariadb()) {
            (Self::Server, true) => &["mariadbd", "mysqld"],
            (Self::Server, false) => &["mysqld"],
            (Self::Dump, true) => &["mariadb-dump", "mysqldump"],
            (Self::Dump, false) => &["mysqldump"],
            (Self::Client, true) => &["mariadb", "mysql"],
            (Self::Client, false) => &["mysql"],
            (Self::Binlog, true) => &["mariadb-binlog", "mysqlbinlog"],
            (Self::Binlog, false) => &["mysqlbinlog"],
        }
    }

    /// Debian's package that has it.
    pub fn package(self, flavour: Flavour) -> &'static str {
        match (self, flavour.is_mariadb()) {
            (Self::Server, true) => "mariadb-server",
            (_, true) => "mariadb-client",
            (Self::Server, false) => "mysql-server-core",
            (_, false) => "mysql-client-core",
        }
    }
}

/// A program that was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Program {
    /// Where it is.
    pub path: PathBuf,
    /// Whose it is.
    pub flavour: Flavour,
    /// Its version; for MariaDB's clients that of the distribution, not the client's own. `mariadb-binlog` prints only its
    /// own.
    pub version: Version,
}

impl Program {
    /// What the program at `path` says of itself.
    ///
    /// # Errors
    /// [`ErrorKind::Program`] if it can not be run or does not print a version.
    pub fn inspect(path: &Path) -> Result<Self, EngineError> {
        let wrong = |what: &str| EngineError::new(ErrorKind::Program, format!("`{} --version` {what}", path.display()));
        let output = Command::new(path)
            .args(["--no-defaults", "--version"])
            .stdin(Stdio::null())
            .output()
            .map_err(|error| wrong("can not be run").because(&error))?;
        let text = String::from_utf8_lossy(&output.stdout).trim().to_owned();
        if !output.status.success() {
            let stderr = String::from_utf8_lossy(&output.stderr).trim().to_owned();
            return Err(wrong(&format!("failed: {}", output.status)).detail(stderr));
        }
        let version = version_in(&text).ok_or_else(|| wrong("prints no version").detail(text.clone()))?;
        Ok(Self {
            path: path.to_owned(),
            flavour: family_of(&text, version),
            version: Version::parse(version),
        })
    }
}

/// The version in what `--version` prints: `… Distrib 10.11.14-MariaDB, for …`, `… from 11.4.2-MariaDB, client …`, or
/// `… Ver 9.7.0 for …`.
fn version_in(text: &str) -> Option<&str> {
    ["Distrib ", " from ", "Ver "].iter().find_map(|before| {
        let rest = text.split_once(before)?.1.trim_start();
        let word = rest.split([' ', ',']).next()?;
        word.starts_with(|c: char| c.is_ascii_digit()).then_some(word)
    })
}

/// Whose program prints that. Its path stands first, and may have anything in it.
fn family_of(text: &str, version: &str) -> Flavour {
    let name = text.split_whitespace().next().unwrap_or_default();
    let said = &text[name.rfind('/').map_or(0, |slash| slash + 1)..];
    // MariaDB's mysqlbinlog does not say whose it is; MySQL's has had the server's version since 8.0.
    if said.starts_with("mysqlbinlog") && version.starts_with("3.") {
        return Flavour::MariaDb;
    }
    Flavour::of(said, "")
}

/// Finds a tool of the family that fits a server: MariaDB's own for MariaDB; Oracle's or Percona's for the other two.
///
/// `directories` (the configuration's `programs`) come first, then PATH, then the usual ones.
///
/// # Errors
/// [`ErrorKind::Program`], with what was looked for, where, what was found instead, and the package that has it.
pub fn find(tool: Tool, flavour: Flavour, directories: &[PathBuf]) -> Result<Program, EngineError> {
    let mut refused = Vec::new();
    for path in candidates(tool.names(flavour), directories) {
        match Program::inspect(&path) {
            Ok(program) if program.flavour.is_mariadb() == flavour.is_mariadb() => return Ok(program),
            Ok(program) => refused.push(format!(
                "{} is {}'s {}",
                path.display(),
                program.flavour,
                program.version
            )),
            Err(error) => refused.push(error.to_string()),
        }
    }
    let names = tool.names(flavour).join(" or ");
    let looked: Vec<String> = search_path(directories)
        .iter()
        .map(|path| path.display().to_string())
        .collect();
    let mut error = EngineError::new(
        ErrorKind::Program,
        format!("{flavour}'s {names} was not found in {}", looked.join(", ")),
    );
    error.causes = refused;
    Err(error.advise(format!(
        "install the package {}, or name the program's directory in the configuration (`programs`)",
        tool.package(flavour)
    )))
}

/// Finds a program by its names alone, such as a script that has no `--version`.
pub fn find_by_name(names: &[&str], directories: &[PathBuf]) -> Option<PathBuf> {
    candidates(names, directories).into_iter().next()
}

/// Finds every program of these names: by name first, so that a preferred name wins over a nearer directory. For programs
/// that are told apart by more than [`find`] knows.
pub fn find_all_by_name(names: &[&str], directories: &[PathBuf]) -> Vec<PathBuf> {
    candidates(names, directories)
}

/// Every file of these names that can be run: by name first, so that a preferred name wins over a nearer directory.
fn candidates(names: &[&str], directories: &[PathBuf]) -> Vec<PathBuf> {
    let path = search_path(directories);
    let mut found = Vec::new();
    for name in names {
        found.extend(
            path.iter()
                .map(|directory| directory.join(name))
                .filter(|file| runnable(file)),
        );
    }
    found
}

fn search_path(directories: &[PathBuf]) -> Vec<PathBuf> {
    let on_path: Vec<PathBuf> = env::var_os("PATH")
        .map(|path| env::split_paths(&path).collect())
        .unwrap_or_default();
    let mut all: Vec<PathBuf> = Vec::new();
    for directory in directories
        .iter()
        .cloned()
        .chain(on_path)
        .chain(USUAL_DIRECTORIES.map(PathBuf::from))
    {
        if directory.is_absolute() && !all.contains(&directory) {
            all.push(directory);
        }
    }
    all
}

fn runnable(path: &Path) -> bool {
    path.metadata()
        .is_ok_and(|meta| meta.is_file() && meta.permissions().mode() & 0o111 != 0)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn versions_that_programs_print() {
        for (text, version, flavour) in [
            (
                "mysqldump  Ver 9.7.0 for Linux on x86_64 ((Debian))",
                "9.7.0",
                Flavour::MySql,
            ),
            (
                "mysqldump  Ver 10.19 Distrib 10.11.14-MariaDB, for debian-linux-gnu (x86_64)",
                "10.11.14-MariaDB",
                Flavour::MariaDb,
            ),
            (
                "mariadb-dump from 11.4.2-MariaDB, client 10.19 for debian-linux-gnu (x86_64)",
                "11.4.2-MariaDB",
                Flavour::MariaDb,
            ),
            (
                "mysqld  Ver 8.0.36-28 for Linux on x86_64 (Percona Server (GPL))",
                "8.0.36-28",
                Flavour::Percona,
            ),
            (
                "mysqlbinlog Ver 3.5 for debian-linux-gnu at x86_64",
                "3.5",
                Flavour::MariaDb,
            ),
            (
                "mariadb-binlog Ver 3.5 for debian-linux-gnu at x86_64",
                "3.5",
                Flavour::MariaDb,
            ),
            (
                "/srv/not-mariadb/bin/mysql  Ver 9.7.4-2 for Linux on x86_64 ((Debian))",
                "9.7.4-2",
                Flavour::MySql,
            ),
        ] {
            assert_eq!(version_in(text), Some(version));
            assert_eq!(family_of(text, version), flavour);
        }
        assert_eq!(version_in("Version unknown"), None);
    }

    #[test]
    fn the_other_familys_program_is_refused_by_name() {
        let directory = tempfile::tempdir().unwrap();
        let script = directory.path().join("mysqldump");
        fs::write(
            &script,
            "#!/bin/sh\necho 'mysqldump  Ver 10.19 Distrib 10.11.14-MariaDB, for x'\n",
        )
        .unwrap();
        fs::set_permissions(&script, fs::Permissions::from_mode(0o755)).unwrap();
        let directories = [directory.path().to_owned()];
        let found = find(Tool::Dump, Flavour::MariaDb, &directories).unwrap();
        assert!(found.flavour.is_mariadb());
        match find(Tool::Dump, Flavour::MySql, &directories) {
            // A machine that has MySQL's own.
            Ok(program) => assert!(!program.flavour.is_mariadb()),
            Err(error) => {
                let text = error.to_string();
                assert!(text.contains("is MariaDB's 10.11.14-MariaDB"), "{text}");
                assert!(text.contains("install the package mysql-client-core"), "{text}");
            }
        }
    }
}
