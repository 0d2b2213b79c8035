//! Private MySQL and MariaDB servers: one for each test that asks, gone with the test.
//!
//! A data directory is initialised once, kept as a template below the target directory, and copied for each server.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;

use backstay_mysql::private_server::initialise;
use backstay_mysql::{Flavour, PrivateServer, Program};
use mysql::{Conn, Opts, OptsBuilder};
use serde::Deserialize;
use tempfile::TempDir;

use crate::target_dir;

/// What the servers of the test bed have in common: small logs, a binary log with GTIDs, nothing that waits for a disk.
const COMMON: &[&str] = &[
    "--server-id=1",
    "--log-bin=binlog",
    "--binlog-format=ROW",
    "--innodb-buffer-pool-size=64M",
    "--innodb-flush-log-at-trx-commit=2",
    "--sync-binlog=0",
    "--max-allowed-packet=256M",
    "--local-infile=1",
];
const MYSQL: &[&str] = &[
    "--gtid-mode=ON",
    "--enforce-gtid-consistency=ON",
    "--innodb-redo-log-capacity=8M",
    "--secure-file-priv=",
];
const MARIADB: &[&str] = &["--innodb-log-file-size=8M", "--gtid-strict-mode=ON"];

/// Both servers that everything is tested on.
pub const BOTH: [Kind; 2] = [Kind::MySql, Kind::MariaDb];

/// A server of the test bed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// MySQL 9.7.
    MySql,
    /// MariaDB 10.11.
    MariaDb,
}

impl Kind {
    /// Its name in `servers.json`.
    pub fn name(self) -> &'static str {
        match self {
            Self::MySql => "mysql",
            Self::MariaDb => "mariadb",
        }
    }

    /// Its flavour.
    pub fn flavour(self) -> Flavour {
        match self {
            Self::MySql => Flavour::MySql,
            Self::MariaDb => Flavour::MariaDb,
        }
    }

    fn arguments(self) -> impl Iterator<Item = &'static str> {
        let own = match self {
            Self::MySql => MYSQL,
            Self::MariaDb => MARIADB,
        };
        COMMON.iter().chain(own).copied()
    }
}

/// A server as `cargo xtask setup` has found or installed it.
#[derive(Debug, Clone, Deserialize)]
pub struct Installed {
    /// The server program.
    pub mysqld: PathBuf,
    /// As `major.minor.patch`.
    pub version: String,
    /// The folder of its client programs.
    pub programs: PathBuf,
    /// What has to be on its command line.
    pub arguments: Vec<String>,
}

/// A server as `cargo xtask setup` has found or installed it.
///
/// # Panics
/// It is not there; the message says which command installs it.
pub fn installed(kind: Kind) -> Installed {
    let dir = std::env::var_os("BACKSTAY_SERVERS_DIR").map_or_else(|| target_dir().join("servers"), PathBuf::from);
    let path = dir.join("servers.json");
    let text = fs::read_to_string(&path).unwrap_or_else(|error| {
        panic!(
            "{}: {error}; install the servers with: cargo xtask setup",
            path.display()
        )
    });
    let mut servers: serde_json::Value = serde_json::from_str(&text).expect("servers.json");
    serde_json::from_value(servers[kind.name()].take())
        .unwrap_or_else(|_| panic!("{} is not installed; install it with: cargo xtask setup", kind.name()))
}

/// A running server with a data directory of its own.
#[derive(Debug)]
pub struct TestServer {
    /// Which.
    pub kind: Kind,
    /// The server.
    pub server: PrivateServer,
    // After the server, so that it is stopped before its directory goes.
    dir: TempDir,
}

impl TestServer {
    /// Starts an empty server.
    ///
    /// # Panics
    /// It can not be started.
    pub fn start(kind: Kind) -> Self {
        Self::start_with(kind, &[])
    }

    /// Starts an empty server with more arguments.
    ///
    /// # Panics
    /// It can not be started.
    pub fn start_with(kind: Kind, arguments: &[&str]) -> Self {
        let dir = tempfile::Builder::new()
            .prefix("backstay-test-")
            .tempdir_in(fast_folder())
            .expect("a directory for the server");
        let data = dir.path().join("data");
        copy(&template(kind), &data);
        let installed = installed(kind);
        let program = Program::inspect(&installed.mysqld).expect("the server's program");
        let server = PrivateServer::builder(program, &data)
            .tcp()
            .args(&installed.arguments)
            .args(kind.arguments())
            .args(arguments.iter().copied())
            .start()
            .unwrap_or_else(|error| panic!("{error}"));
        Self { kind, server, dir }
    }

    /// A directory beside the server's data, for the test's own files.
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// Its URL for root over the socket.
    pub fn url(&self) -> String {
        format!(
            "{}://root@localhost/?socket={}",
            self.kind.name(),
            self.server.socket().display()
        )
    }

    /// Its URL for an account over TCP.
    ///
    /// # Panics
    /// It does not listen there.
    pub fn tcp_url(&self, user: &str) -> String {
        format!(
            "{}://{user}@127.0.0.1:{}",
            self.kind.name(),
            self.server.port().expect("a port")
        )
    }

    /// A `[cluster.…]` section for it, with root over the socket.
    pub fn section(&self, cluster: &str) -> String {
        self.section_as(cluster, &self.url())
    }

    /// A `[cluster.…]` section for it by another URL.
    pub fn section_as(&self, cluster: &str, url: &str) -> String {
        format!(
            "[cluster.{cluster}]\nserver = \"{url}\"\ndata_dir = \"{}\"\nprograms = [\"{}\"]\n",
            self.server.data_dir().display(),
            self.programs().display()
        )
    }

    /// The folder of its client programs.
    pub fn programs(&self) -> PathBuf {
        installed(self.kind).programs
    }

    /// One of its client programs.
    ///
    /// # Panics
    /// There is none of that name.
    pub fn program(&self, mysqls: &str, mariadbs: &str) -> PathBuf {
        let path = self.programs().join(match self.kind {
            Kind::MySql => mysqls,
            Kind::MariaDb => mariadbs,
        });
        assert!(
            path.exists(),
            "{} is missing; install it with: cargo xtask setup",
            path.display()
        );
        path
    }

    /// How to connect as root over the socket.
    pub fn opts(&self) -> Opts {
        OptsBuilder::new()
            .socket(Some(self.server.socket().to_string_lossy()))
            .user(Some("root"))
            .prefer_socket(true)
            .into()
    }

    /// A connection as root over the socket.
    ///
    /// # Panics
    /// It can not be made.
    pub fn conn(&self) -> Conn {
        Conn::new(self.opts()).expect("a connection to the test's server")
    }
}

/// Where servers live: in memory where the system has such a folder (proc(5) calls it shared memory), for what a test server
/// does most is waiting for a disk that nobody needs.
fn fast_folder() -> PathBuf {
    let memory = PathBuf::from("/dev/shm");
    if memory.is_dir() { memory } else { std::env::temp_dir() }
}

/// The directory of an initialised, empty server; made when it is asked for first.
fn template(kind: Kind) -> PathBuf {
    let installed = installed(kind);
    let folder = target_dir().join("templates");
    fs::create_dir_all(&folder).expect("a folder for templates");
    let data = folder.join(format!("{}-{}", kind.name(), installed.version));
    let lock = File::create(folder.join(format!("{}.lock", kind.name()))).expect("a lock file");
    lock.lock().expect("the lock");
    if !data.exists() {
        let making = tempfile::Builder::new()
            .prefix("making-")
            .tempdir_in(&folder)
            .expect("a folder for the template");
        let new = making.path().join("data");
        let program = Program::inspect(&installed.mysqld).expect("the server's program");
        // The size of the log is fixed when the server is made; the rest is said at each start.
        let log = kind
            .arguments()
            .filter(|argument| argument.starts_with("--innodb-") && argument.contains("-log-"));
        let log = log.filter(|argument| !argument.contains("flush")).map(str::to_owned);
        let arguments: Vec<String> = installed.arguments.iter().cloned().chain(log).collect();
        initialise(&program, &new, &arguments).unwrap_or_else(|error| panic!("{error}"));
        fs::rename(new, &data).expect("the template's place");
    }
    data
}

fn copy(from: &Path, to: &Path) {
    // cp keeps holes and owners, and shares blocks where the file system can.
    let status = Command::new("cp")
        .args(["-a", "--reflink=auto", "--sparse=always"])
        .arg(from)
        .arg(to)
        .status();
    assert!(
        status.expect("cp can be started").success(),
        "cp of {} failed",
        from.display()
    );
}
