//! Private servers for tests: found, initialised once for all tests, copied.

use std::fs::{self, File};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use backstay_engine_api::Server;
use backstay_mysql::programs::{self, Tool};
use backstay_mysql::{Flavour, PrivateServer, PrivateServerBuilder, Program, Session, private_server};
use rustix::fs::{FlockOperation, flock};
use tempfile::TempDir;

/// A server and its data directory, both gone when dropped.
pub(crate) struct Bed {
    pub(crate) server: PrivateServer,
    _data: TempDir,
}

impl Bed {
    /// With a binary log, and GTIDs on MySQL.
    pub(crate) fn with(flavour: Flavour, change: impl FnOnce(PrivateServerBuilder) -> PrivateServerBuilder) -> Self {
        let program = server_program(flavour);
        let data = tempfile::Builder::new().prefix("backstay-bed-").tempdir().unwrap();
        let data_dir = data.path().join("data");
        copy(&template(&program), &data_dir);
        let mut builder = PrivateServer::builder(program, data_dir).args(["--server-id=7", "--log-bin=binlog"]);
        if !flavour.is_mariadb() {
            builder = builder.args(["--gtid-mode=ON", "--enforce-gtid-consistency=ON"]);
        }
        let server = change(builder).start().unwrap_or_else(|error| panic!("{error}"));
        Self { server, _data: data }
    }

    pub(crate) fn session(&self) -> Session {
        self.server.session().unwrap_or_else(|error| panic!("{error}"))
    }

    /// How an engine reaches it, and where the clients of its family are.
    pub(crate) fn address(&self) -> Server {
        let mut server = self.server.server();
        if !self.server.running().flavour.is_mariadb() {
            server.programs.extend(mysql_directories());
        }
        server
    }

    /// Feeds a script to the server's own client.
    pub(crate) fn script(&self, script: &str) {
        let server = self.address();
        let program = programs::find(Tool::Client, self.server.running().flavour, &server.programs).unwrap();
        let mut client = Command::new(&program.path)
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
            .unwrap();
        client.stdin.take().unwrap().write_all(script.as_bytes()).unwrap();
        assert!(client.wait().unwrap().success(), "the script failed");
    }
}

/// Runs statements, or fails the test with the one that did not work.
pub(crate) fn run(session: &mut Session, statements: &[&str]) {
    for sql in statements {
        session.run(sql).unwrap_or_else(|error| panic!("{sql}: {error}"));
    }
}

pub(crate) fn server_program(flavour: Flavour) -> Program {
    let directories = if flavour.is_mariadb() {
        Vec::new()
    } else {
        mysql_directories()
    };
    PrivateServer::program(flavour, &directories).unwrap_or_else(|error| panic!("{error}\nrun: cargo xtask setup"))
}

/// Where MySQL was unpacked, if it is not installed.
fn mysql_directories() -> Vec<PathBuf> {
    let listed = || {
        let list = std::env::var_os("BACKSTAY_SERVERS_DIR")
            .map_or_else(
                || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../target/servers"),
                PathBuf::from,
            )
            .join("servers.json");
        let list: serde_json::Value = serde_json::from_slice(&fs::read(list).ok()?).ok()?;
        Some(PathBuf::from(list["mysql"]["prefix"].as_str()?))
    };
    let prefix = std::env::var_os("BACKSTAY_MYSQL_PREFIX")
        .map(PathBuf::from)
        .or_else(listed);
    let below = |prefix: PathBuf| {
        ["usr/sbin", "sbin", "usr/bin", "bin"]
            .map(|directory| prefix.join(directory))
            .to_vec()
    };
    prefix.map(below).unwrap_or_default()
}

/// A data directory as it was initialised; made by whichever test process comes first.
fn template(program: &Program) -> PathBuf {
    let root = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let name = format!(
        "template-{}-{}",
        program.flavour.as_str(),
        program.version.raw.replace('/', "_")
    );
    let lock = File::create(root.join(format!("{name}.lock"))).unwrap();
    flock(&lock, FlockOperation::LockExclusive).unwrap();
    let ready = root.join(&name);
    if !ready.exists() {
        let half = root.join(format!("{name}.half"));
        let _ = fs::remove_dir_all(&half);
        private_server::initialise(program, &half, &[]).unwrap_or_else(|error| panic!("{error}"));
        fs::rename(&half, &ready).unwrap();
    }
    ready
}

fn copy(from: &Path, to: &Path) {
    let status = Command::new("cp")
        .args(["-r", "--reflink=auto", "--sparse=always"])
        .args([from, to])
        .status()
        .unwrap();
    assert!(status.success(), "copying {} failed", from.display());
}
