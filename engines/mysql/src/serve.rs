//! A private server for as long as a job lasts: others load into it, or read what was recovered.

use std::fs;
use std::io;
use std::path::Path;
use std::thread;
use std::time::Duration;

use backstay_engine_api::job::ServeJob;
use backstay_engine_api::{EngineError, ErrorKind};

use crate::private_server::{Likeness, initialise, roll_back_prepared};

/// How often it is looked whether the server is wanted, and whether it is there.
const LOOK: Duration = Duration::from_millis(50);

/// Runs a private server until the job is cancelled, and stops it in order. See
/// [`Engine::serve`](backstay_engine_api::Engine::serve).
///
/// # Errors
/// There is no program for it, it does not start, ends by itself, or can not be stopped in order.
pub fn serve(job: &ServeJob) -> Result<(), EngineError> {
    let likeness = Likeness::of(job.source(), job.programs())?;
    let mariadb = likeness.program.flavour.is_mariadb();
    let mut arguments = vec![
        // What is on it has come from elsewhere, and comes from there again if this machine goes down.
        "--innodb-flush-log-at-trx-commit=0",
        "--max-allowed-packet=1073741824",
        "--local-infile=1",
    ];
    let new = is_empty(job.data_dir())?;
    let builder = if new {
        job.doing("making a private server");
        initialise(&likeness.program, job.data_dir(), &likeness.settings)?;
        // Not where there may be pages to be mended.
        arguments.push("--innodb-doublewrite=OFF");
        if !mariadb {
            arguments.extend(["--gtid-mode=ON", "--enforce-gtid-consistency=ON"]);
        }
        likeness.on(job.data_dir())
    } else {
        likeness.on(job.data_dir()).without_accounts()
    };
    job.doing("starting a private server");
    let server = builder.runtime_in(job.scratch()).args(arguments).start()?;
    if !new {
        roll_back_prepared(job, &mut server.session()?)?;
    }
    job.serving(server.server())?;
    while !job.cancelled() {
        server.check_runs()?;
        thread::sleep(LOOK);
    }
    server.stop()
}

fn is_empty(directory: &Path) -> Result<bool, EngineError> {
    match fs::read_dir(directory) {
        Ok(mut entries) => Ok(entries.next().is_none()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(true),
        Err(error) => {
            Err(EngineError::new(ErrorKind::Io, format!("{} can not be read", directory.display())).because(&error))
        }
    }
}
