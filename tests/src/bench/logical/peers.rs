//! The programs that we are measured against, as an operator would start them, and Backstay itself.

use std::error::Error;
use std::fs::{self, File};
use std::path::Path;
use std::process::{Command, Stdio};

use backstay_bed::{Flavour, TestServer};

use super::super::usage::{Usage, measured};
use crate::backstay::Backstay;

/// The workflows of [`backstay`].
pub(super) const PLAIN: &str = "plain";
pub(super) const ZSTD: &str = "zstd";

/// Backstay with a repository in that directory, and workflows of the engine `mysqlshell`: what it stores is compressed fast, or not at
/// all.
pub(super) fn backstay(server: &TestServer, directory: &Path) -> Backstay {
    let workflow = |name: &str, compression: &str| {
        format!(
            "[workflow.{name}]\ncluster = \"main\"\nengine = \"mysqlshell\"\ncompression = \"{compression}\"\nlevel = 1\n\
             options = {{ compression = \"{compression}\" }}\n"
        )
    };
    let sections = [server.section("main"), workflow(PLAIN, "none"), workflow(ZSTD, "zstd")].join("\n");
    Backstay::new(directory, &[], &sections)
}

/// A server with the programs that work on it.
pub(super) struct Peers<'a> {
    pub(super) server: &'a TestServer,
}

impl Peers<'_> {
    fn socket(&self) -> String {
        self.server.server.socket().display().to_string()
    }

    fn measured(&self, command: &mut Command) -> Result<Usage, Box<dyn Error>> {
        let name = command.get_program().to_string_lossy().into_owned();
        command.stderr(Stdio::piped());
        measured(self.server.server.pid(), || Ok(command.spawn()?)).map_err(|error| format!("{name}: {error}").into())
    }

    /// `mysqldump` or `mariadb-dump` of some schemas, to a file.
    pub(super) fn mysqldump(&self, schemas: &[&str], to: &Path) -> Result<Usage, Box<dyn Error>> {
        let mut command = Command::new(self.server.program("mysqldump", "mariadb-dump"));
        command
            .arg("--no-defaults")
            .arg(format!("--socket={}", self.socket()))
            .args(["--user=root", "--single-transaction", "--hex-blob"])
            .args(["--routines", "--events", "--triggers"]);
        if self.server.flavour == Flavour::MySql {
            // A dump of some schemas is for another server, whose history it must not become.
            command.arg("--set-gtid-purged=OFF");
        }
        command.arg("--databases").args(schemas);
        command.stdin(Stdio::null()).stdout(File::create(to)?);
        self.measured(&mut command)
    }

    /// `mysql < dump.sql`.
    pub(super) fn mysql(&self, dump: &Path) -> Result<Usage, Box<dyn Error>> {
        let mut command = Command::new(self.server.program("mysql", "mariadb"));
        command
            .arg("--no-defaults")
            .arg(format!("--socket={}", self.socket()))
            .args(["--user=root", "--binary-mode", "--default-character-set=utf8mb4"])
            .stdin(File::open(dump)?)
            .stdout(Stdio::null());
        self.measured(&mut command)
    }

    /// `mydumper` of a schema into a directory, which is made anew. Debian's reads MariaDB's position and not MySQL 9.7's.
    pub(super) fn mydumper(
        &self,
        schema: &str,
        threads: usize,
        compress: bool,
        to: &Path,
    ) -> Result<Usage, Box<dyn Error>> {
        let _ = fs::remove_dir_all(to);
        let mut command = Command::new("mydumper");
        command
            .args(["--user=root", "--host=localhost", "--rows=100000", "--verbose=1"])
            .args([format!("--socket={}", self.socket()), format!("--threads={threads}")])
            .args(["--triggers", "--events", "--routines", "--database", schema])
            .arg("--outputdir")
            .arg(to)
            .stdin(Stdio::null())
            .stdout(Stdio::null());
        if compress {
            command.arg("--compress");
        }
        self.measured(&mut command)
    }

    /// `myloader` of such a directory.
    pub(super) fn myloader(&self, schema: &str, threads: usize, from: &Path) -> Result<Usage, Box<dyn Error>> {
        let mut command = Command::new("myloader");
        command
            .args(["--user=root", "--host=localhost", "--verbose=1"])
            .args([format!("--socket={}", self.socket()), format!("--threads={threads}")])
            .args(["--database", schema, "--directory"])
            .arg(from)
            .stdin(Stdio::null())
            .stdout(Stdio::null());
        self.measured(&mut command)
    }

    /// A backup by a workflow of [`backstay`], and how many bytes it has stored. The backups before it are deleted first.
    pub(super) fn backup(
        &self,
        backstay: &Backstay,
        workflow: &str,
        threads: usize,
    ) -> Result<(Usage, u64), Box<dyn Error>> {
        let _ = fs::remove_dir_all(backstay.backups("main"));
        let threads = threads.to_string();
        let mut command = backstay.command(&["backup", "--workflow", workflow, "--threads", &threads]);
        let usage = self.measured(command.stdout(Stdio::null()))?;
        let files = backstay.files();
        let stored = files.iter().filter(|(path, _)| path.iter().any(|part| part == "data"));
        Ok((usage, stored.map(|(_, size)| size).sum()))
    }

    /// A restore of the latest backup to this server.
    pub(super) fn restore(&self, backstay: &Backstay, threads: usize) -> Result<Usage, Box<dyn Error>> {
        let (threads, url) = (threads.to_string(), self.server.url());
        let mut command = backstay.command(&["restore", "latest", "--threads", &threads, "--to-server", &url]);
        self.measured(command.stdout(Stdio::null()))
    }
}
