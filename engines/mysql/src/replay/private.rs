//! Replaying into a data directory: a private server is started on it, and stopped again.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use backstay_engine_api::job::RecoverJob;
use backstay_engine_api::{EngineError, ErrorKind, Notice, PositionKind, Recovered};

use super::plan::Plan;
use super::{ReplayOptions, replicate, target};
use crate::private_server::{
    Likeness, PrivateServer, PrivateServerBuilder, arguments_of, give_back, until_rolled_back,
};
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
    let builder = PrivateServer::builder(program, path).args(arguments_of(job.source()));
    let gtids = plan.has_gtids();
    on(job, (flavour, builder), gtids, options, path, |session| {
        // What was open at the backup's instant is in the logs too, if it was committed later, and would wait for its own rows.
        until_rolled_back(job, session)?;
        replicate::replay(job, plan, options, session)
    })
}

/// Sees to it that a server on a directory on which nothing is to be replayed replicates from nowhere.
///
/// # Errors
/// It is not known what server's files these are, there is no such server program, or as [`recover`](super::recover).
pub(super) fn forget_sources(
    job: &RecoverJob,
    plan: Option<&Plan>,
    options: &ReplayOptions,
    path: &Path,
    programs: &[PathBuf],
) -> Result<Vec<Notice>, EngineError> {
    let mut like = job.source().clone();
    if let (Some(plan), true) = (plan, like.flavour.is_empty()) {
        like.version = replicate::first_format(job, plan)?.format.server_version;
        like.flavour = Flavour::of(&like.version, "").as_str().to_owned();
    }
    if like.flavour.is_empty() {
        let message = format!("it is not known of which server the files in {} are", path.display());
        return Err(EngineError::refused(message).advise("restore the backup again, and recover from there"));
    }
    let likeness = Likeness::of(&like, programs)?;
    let server = (likeness.program.flavour, likeness.on(path));
    let gtids = job
        .from()
        .iter()
        .any(|position| position.kind == PositionKind::MYSQL_GTID);
    on(job, server, gtids, options, path, target::forget_sources)
}

/// Does something on a private server.
fn on<T>(
    job: &RecoverJob,
    (flavour, builder): (Flavour, PrivateServerBuilder),
    gtids: bool,
    options: &ReplayOptions,
    path: &Path,
    work: impl FnOnce(&mut Session) -> Result<T, EngineError>,
) -> Result<T, EngineError> {
    let owner = fs::metadata(path).map_err(|error| {
        EngineError::new(ErrorKind::Usage, format!("{} can not be looked at", path.display())).because(&error)
    })?;
    job.doing("starting a private server");
    let mut builder = builder.without_accounts().arg("--relay-log=backstay-relay");
    if !flavour.is_mariadb() {
        let mode = if gtids { "ON" } else { "OFF" };
        builder = builder.args([
            format!("--gtid-mode={mode}"),
            "--enforce-gtid-consistency=ON".to_owned(),
            // What was received and not yet applied when an earlier replay was killed is received again.
            "--relay-log-recovery=ON".to_owned(),
        ]);
    }
    let server = builder.args(options.server_args.iter().cloned()).start()?;
    let worked = server.session().and_then(|mut session| {
        // A server without accounts refuses statements that are about accounts; this session stays what it is.
        session.run("FLUSH NO_WRITE_TO_BINLOG PRIVILEGES")?;
        work(&mut session)
    });
    let stopped = server.stop();
    // The private server runs as we do, and what it has made is the owner's.
    give_back(path, owner.uid(), owner.gid())?;
    let worked = worked?;
    stopped?;
    Ok(worked)
}
