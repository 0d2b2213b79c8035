//! A private PostgreSQL server: for the engine that tests whether the contract holds for another database.

use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

/// A running PostgreSQL, stopped when it is dropped. It refuses to run as root, and runs as Debian's `postgres` then.
#[derive(Debug)]
pub struct PostgreSql {
    dir: TempDir,
    programs: PathBuf,
    port: u16,
}

impl PostgreSql {
    /// Starts an empty server.
    ///
    /// # Panics
    /// It can not be started.
    pub fn start() -> Self {
        let dir = tempfile::Builder::new()
            .prefix("backstay-pg-")
            .tempdir()
            .expect("a directory for PostgreSQL");
        let port = TcpListener::bind("127.0.0.1:0")
            .and_then(|free| free.local_addr())
            .expect("a free port")
            .port();
        let server = Self {
            dir,
            programs: programs(),
            port,
        };
        if rustix::process::geteuid().is_root() {
            succeed(Command::new("chown").arg("postgres:").arg(server.dir()));
        }
        let data = server.dir().join("data");
        succeed(
            server
                .as_postgres("initdb")
                .args(["--no-sync", "--encoding=UTF8", "--locale=C.UTF-8"])
                .args([
                    "--username=postgres",
                    "--auth=trust",
                    "--pgdata",
                    &data.display().to_string(),
                ]),
        );
        let settings = format!(
            "port = {port}\nunix_socket_directories = '{}'\nlisten_addresses = '127.0.0.1'\nfsync = off\n",
            server.dir().display()
        );
        let file = data.join("postgresql.auto.conf");
        fs::write(file, settings).expect("PostgreSQL's settings");
        server.control("start");
        server
    }

    /// Its directory.
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// Its URL.
    pub fn url(&self) -> String {
        format!("postgresql://postgres@127.0.0.1:{}", self.port)
    }

    /// Runs SQL, and gives back what it prints.
    ///
    /// # Panics
    /// It fails.
    pub fn sql(&self, database: &str, sql: &str) -> String {
        let mut command = Command::new(self.programs.join("psql"));
        command.args([
            "-XAtq",
            "--set=ON_ERROR_STOP=1",
            "--host=127.0.0.1",
            "--username=postgres",
        ]);
        succeed(
            command
                .arg(format!("--port={}", self.port))
                .args(["--dbname", database, "--command", sql]),
        )
    }

    fn control(&self, action: &str) {
        let (data, log) = (self.dir().join("data"), self.dir().join("log"));
        // pg_ctl's own output would keep a pipe of ours open in the server.
        let status = self
            .as_postgres("pg_ctl")
            .args(
                ["--wait", "--mode=immediate", "--pgdata"]
                    .iter()
                    .filter(|argument| action == "stop" || **argument != "--mode=immediate"),
            )
            .arg(data)
            .arg("--log")
            .arg(log)
            .arg(action)
            .stdout(std::process::Stdio::null())
            .stderr(std::process::Stdio::null())
            .status();
        assert!(
            status.is_ok_and(|status| status.success()),
            "pg_ctl {action} failed; see {}/log",
            self.dir().display()
        );
    }

    fn as_postgres(&self, program: &str) -> Command {
        let program = self.programs.join(program);
        let mut command;
        if rustix::process::geteuid().is_root() {
            command = Command::new("setpriv");
            command
                .args(["--reuid=postgres", "--regid=postgres", "--init-groups"])
                .arg(program);
        } else {
            command = Command::new(program);
        }
        command.current_dir(self.dir());
        command
    }
}

impl Drop for PostgreSql {
    fn drop(&mut self) {
        if self.dir().join("data/postmaster.pid").exists() {
            self.control("stop");
        }
    }
}

/// Where Debian has the programs of the newest version that is installed.
fn programs() -> PathBuf {
    let mut versions: Vec<PathBuf> = fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| entry.path().join("bin"))
        .filter(|bin| bin.join("initdb").exists())
        .collect();
    versions.sort();
    versions
        .pop()
        .expect("PostgreSQL is not installed; install it with: cargo xtask setup")
}

fn succeed(command: &mut Command) -> String {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    assert!(
        output.status.success(),
        "{command:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8_lossy(&output.stdout).into_owned()
}
