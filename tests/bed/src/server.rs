//! [`TestServer`]: a server for one test, gone with the test.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use backstay_engine_api::Server;
use backstay_mysql::mysql::{Conn, Opts, OptsBuilder};
use backstay_mysql::{Flavour, PrivateServer, PrivateServerBuilder, Session};
use tempfile::TempDir;

use crate::installed::installed;
use crate::{run, template, until};

/// What the servers of the test bed have in common: a binary log with GTIDs, small logs, room for large rows, and nothing
/// that waits for a disk.
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
    MYSQL_LOG,
    "--gtid-mode=ON",
    "--enforce-gtid-consistency=ON",
    "--secure-file-priv=",
];
const MYSQL_LOG: &str = "--innodb-redo-log-capacity=8M";
const MARIADB: &[&str] = &[MARIADB_LOG, "--gtid-strict-mode=ON"];
const MARIADB_LOG: &str = "--innodb-log-file-size=8M";
const FIXED: [&str; 2] = ["--innodb-page-size=", "--lower-case-table-names="];

/// A running server with a data directory of its own. It listens on a socket and on a port of 127.0.0.1.
#[derive(Debug)]
pub struct TestServer {
    /// Which.
    pub flavour: Flavour,
    /// The server.
    pub server: PrivateServer,
    /// What it was started with, beside what all servers of the test bed are.
    arguments: Vec<String>,
    // After the server, so that it is stopped before its directory goes.
    dir: TempDir,
}

impl TestServer {
    /// Starts an empty server.
    ///
    /// # Panics
    /// It can not be started.
    #[track_caller]
    pub fn start(flavour: Flavour) -> Self {
        Self::start_with::<&str>(flavour, &[])
    }

    /// Starts an empty server with more arguments; they are stronger than the test bed's own.
    ///
    /// # Panics
    /// It can not be started.
    #[track_caller]
    pub fn start_with<S: AsRef<str>>(flavour: Flavour, arguments: &[S]) -> Self {
        Self::start_in(flavour, &fast_folder(), arguments)
    }

    /// The same, with its directory below a folder of the caller's choice.
    ///
    /// # Panics
    /// It can not be started.
    #[track_caller]
    pub fn start_in<S: AsRef<str>>(flavour: Flavour, folder: &Path, arguments: &[S]) -> Self {
        let dir = tempfile::Builder::new()
            .prefix("backstay-test-")
            .tempdir_in(folder)
            .expect("a directory for the server");
        let data = dir.path().join("data");
        let log_size = if flavour.is_mariadb() { MARIADB_LOG } else { MYSQL_LOG };
        // These are fixed when the server is made, too.
        let mut made_with = vec![log_size];
        made_with.extend(
            arguments
                .iter()
                .map(AsRef::as_ref)
                .filter(|argument| FIXED.iter().any(|fixed| argument.starts_with(fixed))),
        );
        template::copy_to(flavour, &made_with, &data);
        let arguments: Vec<String> = arguments.iter().map(|argument| argument.as_ref().to_owned()).collect();
        let server = builder(flavour, &data, &arguments)
            .start()
            .unwrap_or_else(|error| panic!("{error}"));
        Self {
            flavour,
            server,
            arguments,
            dir,
        }
    }

    /// Ends it, in order or as a crash does, and starts it again on its data. Its socket and its port are others then.
    ///
    /// # Panics
    /// It can not be ended or started.
    #[track_caller]
    pub fn restart(&mut self, killed: bool) {
        let process = self.server.pid();
        if killed {
            let killed = Command::new("kill").args(["-9", &process.to_string()]).status();
            assert!(
                killed.expect("kill can be started").success(),
                "the server is not there"
            );
        } else {
            run(&mut self.session(), &["SHUTDOWN"]);
        }
        until("the server has ended", || {
            !Path::new(&format!("/proc/{process}")).exists()
        });
        self.server = builder(self.flavour, self.server.data_dir(), &self.arguments)
            .keep_identity()
            .start()
            .unwrap_or_else(|error| panic!("{error}"));
    }

    /// A directory beside the server's data, for the test's own files.
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// How an engine reaches it: as root over the socket.
    pub fn address(&self) -> Server {
        self.server.server()
    }

    /// A session as root over the socket.
    ///
    /// # Panics
    /// It can not be made.
    #[track_caller]
    pub fn session(&self) -> Session {
        self.server.session().unwrap_or_else(|error| panic!("{error}"))
    }

    /// How to connect as root over the socket.
    pub fn opts(&self) -> Opts {
        OptsBuilder::new()
            .socket(Some(self.server.socket().to_string_lossy()))
            .user(Some("root"))
            .prefer_socket(true)
            .into()
    }

    /// A plain connection of the driver's as root over the socket.
    ///
    /// # Panics
    /// It can not be made.
    #[track_caller]
    pub fn conn(&self) -> Conn {
        Conn::new(self.opts()).expect("a connection to the test's server")
    }

    /// Its URL for root over the socket.
    pub fn url(&self) -> String {
        format!(
            "{}://root@localhost/?socket={}",
            self.flavour.as_str(),
            self.server.socket().display()
        )
    }

    /// Its port on 127.0.0.1.
    ///
    /// # Panics
    /// It does not listen there.
    pub fn port(&self) -> u16 {
        self.server.port().expect("a port")
    }

    /// Its URL for an account over TCP.
    pub fn tcp_url(&self, user: &str) -> String {
        format!("{}://{user}@127.0.0.1:{}", self.flavour.as_str(), self.port())
    }

    /// A `[cluster.…]` section for it, with root over the socket.
    pub fn section(&self, cluster: &str) -> String {
        self.section_as(cluster, &self.url())
    }

    /// A `[cluster.…]` section for it by another URL.
    pub fn section_as(&self, cluster: &str, url: &str) -> String {
        format!(
            "[cluster.{cluster}]\nserver = \"{url}\"\ndata_dir = \"{}\"\nprograms = [\"{}\", \"{}\"]\n",
            self.server.data_dir().display(),
            self.programs().display(),
            self.server.running().path.parent().unwrap_or(Path::new("/")).display()
        )
    }

    /// The folder of its client programs.
    pub fn programs(&self) -> PathBuf {
        installed(self.flavour).programs
    }

    /// One of its client programs, which MySQL and MariaDB call by different names.
    ///
    /// # Panics
    /// There is none of that name.
    pub fn program(&self, mysqls: &str, mariadbs: &str) -> PathBuf {
        let path = self
            .programs()
            .join(if self.flavour.is_mariadb() { mariadbs } else { mysqls });
        assert!(
            path.exists(),
            "{} is missing; install it with: cargo xtask setup",
            path.display()
        );
        path
    }

    /// That no session is on it but those of these ids (a killed one takes a moment to be gone), nor any lock.
    ///
    /// # Panics
    /// It is not so.
    #[track_caller]
    pub fn assert_free(&self, but: &[u64]) {
        let mut session = self.session();
        let own = session.connection_id();
        let known = |id: &str| id.parse().is_ok_and(|id: u64| id == own || but.contains(&id));
        until("nobody else is on the server", || {
            let rows = session.query_named("SHOW FULL PROCESSLIST").expect("the sessions");
            rows.iter()
                .all(|row| row.get(&["Command"]) == Some("Daemon") || row.get(&["Id"]).is_some_and(known))
        });
        run(
            &mut session,
            &[
                "SET SESSION lock_wait_timeout = 1",
                "CREATE DATABASE free",
                "CREATE TABLE free.t (id INT)",
                "DROP DATABASE free",
            ],
        );
    }

    /// Feeds a script to the server's own client.
    ///
    /// # Panics
    /// The client fails.
    #[track_caller]
    pub fn script(&self, script: &str) {
        let mut client = Command::new(self.program("mysql", "mariadb"))
            .args([
                "--no-defaults",
                "--comments",
                "--batch",
                "--default-character-set=utf8mb4",
                "--user=root",
            ])
            .arg(format!("--socket={}", self.server.socket().display()))
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .spawn()
            .expect("the client can be started");
        let mut input = client.stdin.take().expect("the client's input");
        input.write_all(script.as_bytes()).expect("the client reads");
        drop(input);
        assert!(client.wait().expect("the client ends").success(), "the script failed");
    }
}

/// How a server of the test bed is started on a data directory.
fn builder(flavour: Flavour, data: &Path, arguments: &[String]) -> PrivateServerBuilder {
    let own = if flavour.is_mariadb() { MARIADB } else { MYSQL };
    PrivateServer::builder(installed(flavour).program(), data)
        .tcp()
        .args(COMMON.iter().chain(own).copied())
        .args(arguments)
}

/// Where servers live: in memory where the system has such a folder (proc(5) calls it shared memory), for what a test server
/// does most is waiting for a disk that nobody needs.
fn fast_folder() -> PathBuf {
    let memory = PathBuf::from("/dev/shm");
    if memory.is_dir() { memory } else { std::env::temp_dir() }
}
