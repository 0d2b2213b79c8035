//! Starting a private server, and waiting until it answers.

use std::fs;
use std::io;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use backstay_engine_api::{EngineError, ErrorKind};
use tempfile::TempDir;

use super::initialise::{layout_args, user_arg};
use super::process::{self, Process};
use super::{PrivateServer, PrivateServerBuilder, log_in, server_at, socket_in};
use crate::programs;
use crate::running::server_on;
use crate::session::Session;

/// The kernel's limit for a socket's path is 108 bytes with the closing zero.
const MAX_SOCKET_PATH: usize = 107;
/// How often a port is tried: another process may take a free one before the server does.
const PORT_ATTEMPTS: usize = 5;
/// How long a server that was killed a moment ago, with the process that it belonged to, may take to be gone.
const GONE_WITHIN: Duration = Duration::from_secs(5);
/// How often it is looked whether something is so by now.
const LOOK: Duration = Duration::from_millis(50);

pub(super) fn start(builder: &PrivateServerBuilder) -> Result<PrivateServer, EngineError> {
    let io_error = |error: io::Error| {
        let message = format!("a private server on {} can not be prepared", builder.data_dir.display());
        EngineError::new(ErrorKind::Io, message).because(&error)
    };
    if !builder.data_dir.join("mysql").exists() && !builder.data_dir.join("mysql.ibd").exists() {
        let message = format!(
            "{} is no data directory: it has no `mysql` in it",
            builder.data_dir.display()
        );
        return Err(EngineError::new(ErrorKind::Usage, message).advise("initialise or restore it first"));
    }
    let data_dir = fs::canonicalize(&builder.data_dir).map_err(io_error)?;
    if !builder.keep_identity {
        check_unused(&data_dir)?;
        match fs::remove_file(data_dir.join("auto.cnf")) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(io_error(error)),
            _ => {}
        }
    }
    let mut attempt = 1;
    loop {
        let runtime = runtime_directory(builder.runtime_in.as_deref()).map_err(io_error)?;
        let port = if builder.tcp {
            Some(free_port().map_err(io_error)?)
        } else {
            None
        };
        let mut command = programs::command(&builder.program.path);
        command
            .args(arguments(builder, &data_dir, runtime.path(), port))
            .current_dir(&data_dir);
        process::log_to(&mut command, &log_in(runtime.path())).map_err(io_error)?;
        let process = Process::start(command).map_err(|error| {
            EngineError::new(
                ErrorKind::Program,
                format!("{} can not be run", builder.program.path.display()),
            )
            .because(&error)
        })?;
        let server = PrivateServer {
            process,
            runtime,
            program: builder.program.clone(),
            data_dir: data_dir.clone(),
            port,
        };
        match wait(&server, builder.ready_within) {
            Ok(()) => return Ok(server),
            Err(_) if port.is_some() && attempt < PORT_ATTEMPTS && port_was_taken(&server) => attempt += 1,
            Err(error) => return Err(error),
        }
    }
}

/// Refuses a directory on which a server runs: its identity is not ours to remove, and no second one starts there.
fn check_unused(data_dir: &Path) -> Result<(), EngineError> {
    let deadline = Instant::now() + GONE_WITHIN;
    while let Some(found) = server_on(data_dir) {
        if Instant::now() >= deadline {
            let message = format!("the data directory {} is in use: {found}", data_dir.display());
            return Err(EngineError::refused(message)
                .advise("stop the server first, or name the directory that a backup was restored to"));
        }
        thread::sleep(LOOK);
    }
    Ok(())
}

/// A short path for the socket, whatever TMPDIR is; only we may enter it.
fn runtime_directory(within: Option<&Path>) -> io::Result<TempDir> {
    let directory = match within {
        Some(within) => tempfile::Builder::new().prefix("bs-").tempdir_in(within)?,
        None => tempfile::Builder::new().prefix("bs-").tempdir()?,
    };
    if socket_in(directory.path()).as_os_str().len() <= MAX_SOCKET_PATH {
        return Ok(directory);
    }
    tempfile::Builder::new().prefix("bs-").tempdir_in("/tmp")
}

fn free_port() -> io::Result<u16> {
    Ok(TcpListener::bind(("127.0.0.1", 0))?.local_addr()?.port())
}

fn port_was_taken(server: &PrivateServer) -> bool {
    server.error_log().contains("Address already in use")
}

fn arguments(builder: &PrivateServerBuilder, data_dir: &Path, runtime: &Path, port: Option<u16>) -> Vec<String> {
    let mariadb = builder.program.flavour.is_mariadb();
    let path = |option: &str, path: PathBuf| format!("--{option}={}", path.display());
    let mut args = vec!["--no-defaults".to_owned()];
    args.extend(user_arg(builder.user.as_deref()));
    args.extend(layout_args(&builder.program));
    args.push(path("datadir", data_dir.to_owned()));
    args.push(path("socket", socket_in(runtime)));
    args.push(path("pid-file", runtime.join("pid")));
    // Not the one that everybody uses: a server that starts deletes what others have there (`#sql…`).
    args.push(path("tmpdir", runtime.to_owned()));
    // `loose`: not every version has each of them, and none may be the reason not to start.
    let inert: &[&str] = if mariadb {
        &["--skip-slave-start", "--event-scheduler=OFF", "--loose-wsrep-on=OFF"]
    } else {
        &[
            "--loose-skip-replica-start",
            "--loose-skip-slave-start",
            "--event-scheduler=OFF",
            "--loose-group-replication-start-on-boot=OFF",
            "--loose-mysqlx=OFF",
            // What `SET PERSIST` has kept is stronger than these arguments.
            "--loose-persisted-globals-load=OFF",
            "--secure-file-priv=NULL",
        ]
    };
    args.extend(inert.iter().map(|arg| (*arg).to_owned()));
    match port {
        Some(port) => args.extend(["--bind-address=127.0.0.1".to_owned(), format!("--port={port}")]),
        None => args.push("--skip-networking".to_owned()),
    }
    if builder.without_accounts {
        args.push("--skip-grant-tables".to_owned());
    }
    let logs = |arg: &String| arg.starts_with("--log-bin") || arg.starts_with("--log_bin");
    if !builder.args.iter().any(logs) {
        // MySQL writes a binary log unless it is told not to.
        args.push("--skip-log-bin".to_owned());
    }
    args.extend(builder.args.iter().cloned());
    args
}

fn wait(server: &PrivateServer, limit: Duration) -> Result<(), EngineError> {
    let deadline = Instant::now() + limit;
    let log = log_in(server.runtime.path());
    let address = server_at(&server.socket(), &server.program, &server.data_dir);
    loop {
        if let Some(status) = server.process.ended() {
            let what = format!("ended with {status} before it answered");
            return Err(process::failure(&server.program, &what, &log));
        }
        let problem = match server.socket().exists().then(|| Session::connect(&address)) {
            Some(Ok(_)) => return Ok(()),
            Some(Err(error)) => error.to_string(),
            None => "it has not opened its socket".to_owned(),
        };
        // Passwords do not change by waiting.
        let refused = problem.contains("refused the account");
        if refused || Instant::now() >= deadline {
            let what = format!("is not ready after {} seconds: {problem}", limit.as_secs());
            let what = if refused {
                format!("does not let us in: {problem}")
            } else {
                what
            };
            return Err(process::failure(&server.program, &what, &log));
        }
        thread::sleep(LOOK);
    }
}
