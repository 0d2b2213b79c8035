//! Replaying into a data directory: a private server is started on it, and stopped again.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use backstay_engine_api::job::RecoverJob;
use backstay_engine_api::{EngineError, ErrorKind, Recovered};

use super::ReplayOptions;
use super::plan::Plan;
use super::replicate;
use crate::private_server::{PrivateServer, arguments_of, give_back};
use crate::session::Session;
use crate::version::{Flavour, Version};

/// Replays on a server of the logs' series on a directory.
///
/// # Errors
/// There is no such server program, or as [`recover`](super::recover).
pub(super) fn replay(
    job: &RecoverJob,
    plan: Plan,
    options: &ReplayOptions,
    path: &Path,
    programs: &[PathBuf],
) -> Result<Recovered, EngineError> {
    let wrote = replicate::first_format(job, &plan)?.format.server_version;
    let flavour = Flavour::of(&wrote, "");
    let program = PrivateServer::program(flavour, programs)?;
    let wanted = Version::parse(&wrote);
    let series = |version: &Version| (version.number.0, version.number.1);
    if series(&wanted) != series(&program.version) {
        return Err(EngineError::refused(format!(
            "the logs are of {flavour} {wanted}, and {} is {}: a server would change the files to its own series",
            program.path.display(),
            program.version
        ))
        .advise("install the server's programs of the same series, or name their directory in the configuration (`programs`)"));
    }
    let owner = fs::metadata(path).map_err(|error| {
        EngineError::new(ErrorKind::Usage, format!("{} can not be looked at", path.display())).because(&error)
    })?;
    job.doing("starting a private server");
    let mut builder = PrivateServer::builder(program, path)
        .without_accounts()
        .args(arguments_of(job.source()))
        .arg("--relay-log=backstay-relay");
    if !flavour.is_mariadb() {
        let mode = if plan.has_gtids() { "ON" } else { "OFF" };
        builder = builder.args([
            format!("--gtid-mode={mode}"),
            "--enforce-gtid-consistency=ON".to_owned(),
            // What was received and not yet applied when an earlier replay was killed is received again.
            "--relay-log-recovery=ON".to_owned(),
        ]);
    }
    let server = builder.args(options.server_args.iter().cloned()).start()?;
    let replayed = server.session().and_then(|session| on(job, plan, options, session));
    let stopped = server.stop();
    // The private server runs as we do, and what it has made is the owner's.
    give_back(path, owner.uid(), owner.gid())?;
    let recovered = replayed?;
    stopped?;
    Ok(recovered)
}

fn on(job: &RecoverJob, plan: Plan, options: &ReplayOptions, mut session: Session) -> Result<Recovered, EngineError> {
    // A server without accounts refuses statements that are about accounts; this session stays what it is.
    session.run("FLUSH NO_WRITE_TO_BINLOG PRIVILEGES")?;
    replicate::replay(job, plan, options, &mut session)
}
