//! [`Serving`]: a private server that an engine runs while other jobs use it.

use std::path::{Path, PathBuf};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use backstay_engine_api::wire::Call;
use backstay_engine_api::{BackupKind, EngineError, Operation, Server, ServerFacts};
use jiff::Timestamp;
use serde_json::Value;
use tempfile::TempDir;
use tokio::sync::watch;

use super::super::restore::Private;
use super::super::{Workers, job_spec, plugin_file, scratch_in};
use crate::error::{Error, Result};
use crate::repository::new_backup_id;
use crate::worker::protocol::Assignment;
use crate::worker::supervisor::{self, Ended, Limits, Watcher};

/// How long a server may take to stop in order.
const STOP: Duration = Duration::from_secs(180);
/// How often it is looked whether the operator has given up.
const LOOK: Duration = Duration::from_millis(100);

/// A data directory.
#[derive(Debug, Clone, Copy)]
pub(in crate::jobs) struct Data<'a> {
    /// Whose cluster's.
    pub(in crate::jobs) cluster: &'a str,
    /// Where.
    pub(in crate::jobs) path: &'a Path,
    /// Directories of the server's programs.
    pub(in crate::jobs) programs: &'a [PathBuf],
    /// The server whose data it is.
    pub(in crate::jobs) source: &'a ServerFacts,
}

/// A private server that runs. It is stopped when dropped.
#[derive(Debug)]
pub(in crate::jobs) struct Serving {
    server: Server,
    stop: watch::Sender<u32>,
    /// Gone once it is waited for.
    thread: Option<JoinHandle<Result<Ended>>>,
    _scratch: TempDir,
}

impl Serving {
    /// How to reach it.
    pub(in crate::jobs) fn server(&self) -> &Server {
        &self.server
    }

    /// Stops it in order.
    ///
    /// # Errors
    /// It had ended by itself, or had to be killed: its data is not whole.
    pub(in crate::jobs) fn stop(mut self) -> Result<()> {
        self.end()
    }

    fn end(&mut self) -> Result<()> {
        self.stop.send_replace(1);
        match self.thread.take() {
            Some(thread) => outcome(thread),
            None => Ok(()),
        }
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        // Nobody needs its data any more.
        let _ = self.end();
    }
}

fn outcome(thread: JoinHandle<Result<Ended>>) -> Result<()> {
    let ended = thread
        .join()
        .map_err(|_| Error::other("the thread that watches the private server has panicked"))??;
    ended.result.map(|_| ())
}

impl Workers {
    /// Has an engine run a server on a data directory, which it makes if it is empty, and waits until it answers.
    ///
    /// # Errors
    /// There is no such engine, the server does not start, or the operator has given up.
    pub(in crate::jobs) fn serve(&self, private: &Private, data: Data<'_>) -> Result<Serving> {
        let plugin = self.engine(&private.serves, Operation::Serve)?;
        let id = new_backup_id(Timestamp::now(), BackupKind::Full, &plugin.manifest.name).replace("-full-", "-serve-");
        let scratch = scratch_in(&private.directory)?;
        let assignment = Assignment {
            plugin: plugin_file(plugin)?,
            call: Call::Serve {
                job: job_spec(
                    &id,
                    data.cluster,
                    Value::Object(serde_json::Map::new()),
                    scratch.path(),
                    1,
                ),
                data_dir: data.path.to_owned(),
                programs: data.programs.to_vec(),
                source: data.source.clone(),
            },
            repository: None,
            sink: None,
            pieces: None,
            sources: Vec::new(),
            threads: 1,
        };
        // The operator's interrupt stops whoever uses the server; that one is stopped after them.
        let (stop, interrupt) = watch::channel(0);
        let limits = Limits {
            deadline: None,
            interrupt,
            grace: STOP,
        };
        let (sender, answers) = mpsc::channel();
        let runtime = self.runtime.handle().clone();
        let thread = thread::Builder::new()
            .name("serving".to_owned())
            .spawn(move || runtime.block_on(supervisor::run(assignment, limits, &mut Herald { sender })))?;
        loop {
            match answers.recv_timeout(LOOK) {
                Ok(server) => {
                    return Ok(Serving {
                        server,
                        stop,
                        thread: Some(thread),
                        _scratch: scratch,
                    });
                }
                Err(RecvTimeoutError::Timeout) if *self.interrupt.borrow() == 0 => {}
                Err(RecvTimeoutError::Timeout) => {
                    stop.send_replace(1);
                    let _ = outcome(thread);
                    return Err(Error::cancelled());
                }
                Err(RecvTimeoutError::Disconnected) => {
                    outcome(thread)?;
                    return Err(Error::other("the engine has ended without running a server")
                        .advise("this is a fault of the engine's; report it to its vendor"));
                }
            }
        }
    }
}

/// Passes on where the server answers.
struct Herald {
    sender: mpsc::Sender<Server>,
}

impl Watcher for Herald {
    fn serving(&mut self, server: Server) -> Result<(), EngineError> {
        self.sender
            .send(server)
            .map_err(|_| EngineError::other("nobody waits for the server any more"))
    }
}
