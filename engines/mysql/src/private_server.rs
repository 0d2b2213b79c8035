//! [`PrivateServer`]: a server of our own on a data directory, that nobody else reaches and that does nothing by itself.
//!
//! It serves restores that need a server (to load into, to apply logs on, to check what was restored) and the test bed.
//! Whatever data it is started on, it is inert: it does not replicate, runs no events, joins no group, listens on a
//! socket in a directory of its own and at most on loopback, reads no option file, and has an identity of its own.

mod initialise;
mod like;
mod owner;
mod process;
mod recovered;
mod start;

use std::path::{Path, PathBuf};
use std::time::Duration;

use backstay_engine_api::{EngineError, Server};
use tempfile::TempDir;

use crate::programs::{self, Program, Tool};
use crate::session::Session;
use crate::version::Flavour;
pub use initialise::initialise;
pub use like::{Likeness, arguments_of, key_plugin};
pub use owner::give_back;
use process::Process;
pub use recovered::{roll_back_prepared, until_rolled_back};

/// How long [`PrivateServer::stop`] waits for a clean shutdown before it asks less politely.
const STOP_TIMEOUT: Duration = Duration::from_secs(120);
/// The same when a server is dropped, where nobody waits for its data.
const DROP_TIMEOUT: Duration = Duration::from_secs(15);

/// How to start a [`PrivateServer`].
#[derive(Debug, Clone)]
pub struct PrivateServerBuilder {
    program: Program,
    data_dir: PathBuf,
    args: Vec<String>,
    tcp: bool,
    keep_identity: bool,
    without_accounts: bool,
    user: Option<String>,
    runtime_in: Option<PathBuf>,
    ready_within: Duration,
}

impl PrivateServerBuilder {
    /// An argument for the server, after ours and so stronger: `--log-bin=binlog`.
    #[must_use]
    pub fn arg(mut self, arg: impl Into<String>) -> Self {
        self.args.push(arg.into());
        self
    }

    /// Several of them.
    #[must_use]
    pub fn args(mut self, args: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.args.extend(args.into_iter().map(Into::into));
        self
    }

    /// Listens on a free port of 127.0.0.1 too.
    #[must_use]
    pub fn tcp(mut self) -> Self {
        self.tcp = true;
        self
    }

    /// Keeps the `auto.cnf` of the data directory, and with it MySQL's `server_uuid`: for starting a server again that was
    /// ours before. Otherwise it is removed, and the server gives itself a new one.
    #[must_use]
    pub fn keep_identity(mut self) -> Self {
        self.keep_identity = true;
        self
    }

    /// Lets anyone who reaches the socket in, for restored data whose passwords are not ours to know.
    #[must_use]
    pub fn without_accounts(mut self) -> Self {
        self.without_accounts = true;
        self
    }

    /// Runs the server as this operating-system user, where we are root; root itself otherwise.
    #[must_use]
    pub fn user(mut self, user: impl Into<String>) -> Self {
        self.user = Some(user.into());
        self
    }

    /// Keeps its socket, its log and its temporary files below this directory, where the socket's path is not too long for that; in
    /// the system's directory for temporary files otherwise.
    #[must_use]
    pub fn runtime_in(mut self, directory: impl Into<PathBuf>) -> Self {
        self.runtime_in = Some(directory.into());
        self
    }

    /// How long it may take until it answers; crash recovery of much data takes a while. 120 s otherwise.
    #[must_use]
    pub fn ready_within(mut self, limit: Duration) -> Self {
        self.ready_within = limit;
        self
    }

    /// Starts it and waits until it answers.
    ///
    /// # Errors
    /// [`Program`](backstay_engine_api::ErrorKind::Program) with the last lines of its error log.
    pub fn start(self) -> Result<PrivateServer, EngineError> {
        start::start(&self)
    }
}

/// A running server. It is stopped when dropped.
///
/// Should this process be killed, the kernel ends the server too where util-linux's `setpriv` is installed (on Debian it
/// always is); elsewhere the server would go on alone.
#[derive(Debug)]
pub struct PrivateServer {
    process: Process,
    runtime: TempDir,
    program: Program,
    data_dir: PathBuf,
    port: Option<u16>,
}

impl PrivateServer {
    /// Finds the server's program.
    ///
    /// # Errors
    /// As [`programs::find`].
    pub fn program(flavour: Flavour, directories: &[PathBuf]) -> Result<Program, EngineError> {
        programs::find(Tool::Server, flavour, directories)
    }

    /// How to start a server on an initialised (see [`initialise`]) or restored data directory.
    pub fn builder(program: Program, data_dir: impl Into<PathBuf>) -> PrivateServerBuilder {
        PrivateServerBuilder {
            program,
            data_dir: data_dir.into(),
            args: Vec::new(),
            tcp: false,
            keep_identity: false,
            without_accounts: false,
            user: None,
            runtime_in: None,
            ready_within: Duration::from_secs(120),
        }
    }

    /// A session as root over the socket.
    ///
    /// # Errors
    /// As [`Session::connect`].
    pub fn session(&self) -> Result<Session, EngineError> {
        Session::connect(&self.server())
    }

    /// How to reach it: root, over the socket, without a password.
    pub fn server(&self) -> Server {
        server_at(&self.socket(), &self.program, &self.data_dir)
    }

    /// Its socket.
    pub fn socket(&self) -> PathBuf {
        socket_in(self.runtime.path())
    }

    /// Its port on 127.0.0.1, if it listens there.
    pub fn port(&self) -> Option<u16> {
        self.port
    }

    /// Its data directory.
    pub fn data_dir(&self) -> &Path {
        &self.data_dir
    }

    /// The program that runs.
    pub fn running(&self) -> &Program {
        &self.program
    }

    /// Its process.
    pub fn pid(&self) -> u32 {
        self.process.pid()
    }

    /// That it has not ended.
    ///
    /// # Errors
    /// [`Program`](backstay_engine_api::ErrorKind::Program) with the last lines of its error log.
    pub fn check_runs(&self) -> Result<(), EngineError> {
        match self.process.ended() {
            None => Ok(()),
            Some(status) => {
                let what = format!("ended by itself with {status}");
                Err(process::failure(&self.program, &what, &log_in(self.runtime.path())))
            }
        }
    }

    /// What it wrote into its error log so far.
    pub fn error_log(&self) -> String {
        process::read_log(&log_in(self.runtime.path()))
    }

    /// Stops it cleanly: by SHUTDOWN, else by SIGTERM, in the end by SIGKILL.
    ///
    /// # Errors
    /// [`Program`](backstay_engine_api::ErrorKind::Program) if it had to be killed or failed while it stopped: the data
    /// directory is not clean then.
    pub fn stop(self) -> Result<(), EngineError> {
        let asked = self.session().and_then(|mut session| session.run("SHUTDOWN"));
        if asked.is_err() {
            self.process.terminate();
        }
        let log = log_in(self.runtime.path());
        match self.process.wait(STOP_TIMEOUT) {
            Some(status) if status.success() => Ok(()),
            Some(status) => Err(process::failure(
                &self.program,
                &format!("ended with {status} while it stopped"),
                &log,
            )),
            None => {
                self.process.kill();
                let what = format!("did not stop within {} seconds and was killed", STOP_TIMEOUT.as_secs());
                Err(process::failure(&self.program, &what, &log))
            }
        }
    }

    /// Kills it, as a crash would.
    pub fn kill(self) {
        self.process.kill();
    }
}

impl Drop for PrivateServer {
    fn drop(&mut self) {
        self.process.terminate();
        if self.process.wait(DROP_TIMEOUT).is_none() {
            self.process.kill();
        }
    }
}

fn socket_in(runtime: &Path) -> PathBuf {
    runtime.join("s.sock")
}

fn log_in(runtime: &Path) -> PathBuf {
    runtime.join("error.log")
}

fn server_at(socket: &Path, program: &Program, data_dir: &Path) -> Server {
    Server {
        name: format!("private server on {}", data_dir.display()),
        scheme: if program.flavour.is_mariadb() {
            "mariadb"
        } else {
            "mysql"
        }
        .to_owned(),
        socket: Some(socket.to_owned()),
        user: Some("root".to_owned()),
        data_dir: Some(data_dir.to_owned()),
        programs: program_directories(program),
        ..Server::default()
    }
}

/// The directories beside the server's own, where its clients are.
fn program_directories(program: &Program) -> Vec<PathBuf> {
    let Some(own) = program.path.parent() else {
        return Vec::new();
    };
    let mut directories = vec![own.to_owned()];
    directories.extend(
        own.parent()
            .map(|base| base.join("bin"))
            .filter(|bin| bin != own && bin.is_dir()),
    );
    directories
}
