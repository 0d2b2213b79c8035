//! MySQL: the machine's own where it has one, else one in a folder of ours.
//!
//! Debian's stable releases have no MySQL, and where MariaDB is installed a package of MySQL cannot be installed beside
//! it. So a private one is unpacked (see [`prefix`]) without touching the system.

use std::path::{Path, PathBuf};

use super::servers::{Server, version_in, version_of};
use super::{Piece, mirror, prefix};
use crate::error::Result;
use crate::process::{find, is_executable, version_line};
use crate::workspace;

/// The oldest MySQL (major, minor) that tests and demo are written for.
const AT_LEAST: (u32, u32) = (9, 7);

/// Server and client programs; what is below them comes with them.
const PACKAGES: [&str; 2] = ["mysql-server-core", "mysql-client-core"];

/// The client programs that the engines run.
const CLIENTS: [&str; 3] = ["mysql", "mysqldump", "mysqlbinlog"];

pub(crate) struct MySql;

impl Piece for MySql {
    fn name(&self) -> &str {
        "MySQL"
    }

    fn why(&self) -> &str {
        "is one of the two servers that are backed up; it goes into a folder of its own, the system is not touched"
    }

    fn is_present(&self) -> bool {
        server().is_some()
    }

    fn install(&self) -> Result<()> {
        let folder = folder();
        prefix::build(&folder, &PACKAGES, &mirror::newest_suite()?, |built| {
            version_of(&mysqld_in(built)).is_some()
        })?;
        let Some(version) = version_of(&mysqld_in(&folder)) else {
            return Ok(());
        };
        println!(
            "unpacked    MySQL {version} into {}; to get a newer one, delete that folder",
            folder.display()
        );
        Ok(())
    }
}

/// The MySQL to use, if there is one.
pub(crate) fn server() -> Option<Server> {
    of_the_system().or_else(of_our_own)
}

fn folder() -> PathBuf {
    workspace::servers_dir().join("mysql")
}

fn mysqld_in(prefix: &Path) -> PathBuf {
    prefix.join("usr/sbin/mysqld")
}

fn of_our_own() -> Option<Server> {
    let prefix = folder();
    let mysqld = mysqld_in(&prefix);
    let version = version_of(&mysqld)?;
    let usr = prefix.join("usr");
    let programs = usr.join("bin");
    if !CLIENTS.iter().all(|program| is_executable(&programs.join(program))) {
        return None;
    }
    let arguments = vec![
        format!("--basedir={}", usr.display()),
        format!("--lc-messages-dir={}", usr.join("share/mysql").display()),
        format!("--plugin-dir={}", usr.join("lib/mysql/plugin").display()),
    ];
    Some(Server {
        prefix,
        mysqld,
        version,
        programs,
        arguments,
        plugins: None,
    })
}

/// NOTE: where MariaDB is installed, `mysqld`, `mysqldump` and the rest are links to MariaDB's programs.
fn of_the_system() -> Option<Server> {
    let mysqld = find("mysqld")?;
    let said = version_line(&mysqld, &["--no-defaults", "--version"])?;
    if !is_mysql(&said) {
        return None;
    }
    let dump = find("mysqldump")?;
    if version_line(&dump, &["--no-defaults", "--version"])?.contains("MariaDB") {
        return None;
    }
    let programs = dump.parent()?.to_path_buf();
    let prefix = mysqld.parent()?.parent()?.to_path_buf();
    Some(Server {
        prefix,
        version: version_of(&mysqld)?,
        mysqld,
        programs,
        arguments: Vec::new(),
        plugins: None,
    })
}

/// Is a server that says this a MySQL that we can use?
fn is_mysql(said: &str) -> bool {
    !said.contains("MariaDB") && version_in(said).is_some_and(|(major, minor, _)| (major, minor) >= AT_LEAST)
}

#[cfg(test)]
mod tests {
    use super::is_mysql;

    #[test]
    fn neither_mariadb_nor_an_old_mysql_is_taken_for_mysql() {
        assert!(is_mysql("mysqld  Ver 9.7.4-2 for Linux on x86_64 ((Debian))"));
        assert!(!is_mysql(
            "mysqld  Ver 8.0.44 for Linux on x86_64 (MySQL Community Server - GPL)"
        ));
        assert!(!is_mysql(
            "mysqld  Ver 10.11.19-MariaDB-0+deb12u1 for debian-linux-gnu on x86_64 (Debian 12)"
        ));
    }
}
