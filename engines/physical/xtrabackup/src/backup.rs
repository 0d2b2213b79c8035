//! Taking a backup: the tool's stream, file by file into objects.

mod ddl;
mod imported;
mod locks;
mod objects;
mod parent;

use std::collections::BTreeSet;
use std::fmt::Display;
use std::path::Path;
use std::process::Stdio;

use backstay_engine_api::{
    Attributes, BackupJob, BackupRecord, EngineError, ErrorKind, Notice, Outcome, Position, ServerFacts, Storage,
    Usable,
};
use backstay_mysql::facts::non_transactional;
use backstay_mysql::{Session, facts};
use backstay_physical::{Names, data_dir, lineage, size_of};
use serde_json::json;
use std::io::Write as _;

use crate::files::{Files, LAYOUT, LAYOUT_NAME, Written};
use crate::info::{self, Info};
use crate::options::Options;
use crate::program::{OptionFile, Running};
use crate::tool::Tool;
use crate::xbstream::{Dialect, Reader};
use imported::Tables;
use locks::LockWatch;
use objects::Objects;
use parent::Began;
pub(crate) use parent::State;

/// The pipe's size, in bytes: fewer switches between the tool and us.
const PIPE: usize = 1 << 20;
/// The most threads that the tool is given; each has a file open in the stream.
const MAX_PARALLEL: usize = 32;

/// How many tables an error names.
const NAMED: usize = 10;

/// Takes a full backup, or what has changed since a parent.
///
/// # Errors
/// Whatever keeps it from being whole.
pub(crate) fn take(job: &BackupJob, parent: Option<&BackupRecord>) -> Result<Outcome, EngineError> {
    let options: Options = job.options()?;
    let mut session = Session::connect(job.server())?;
    let tool = Tool::find(session.flavour(), session.version(), &job.server().programs)?;
    let server = facts(&mut session)?;
    let data_dir = data_dir(job.server(), &server)?;
    let since = parent
        .map(|parent| parent::check(parent, &server, &tool, &data_dir))
        .transpose()?;
    let args = arguments(job, &options, &tool, &server, &data_dir, since.as_ref())?;
    job.expect(since.is_none().then(|| size_of(&data_dir)), None);

    job.doing(format!("{} is starting", tool.name()));
    let mut names = Names::new(session.another()?);
    let is_mariadb = tool.dialect == Dialect::MariaDb;
    let before = is_mariadb
        .then(|| ddl::Before::look(&data_dir, &mut names))
        .transpose()?;
    let began = Began {
        lineage: lineage(&data_dir).ok(),
        tables: is_mariadb.then(|| Tables::look(&mut session, &data_dir)).transpose()?,
    };
    let then = since.as_ref().and_then(|state| state.began.tables.as_ref());
    if let (Some(parent), Some(then)) = (parent, then) {
        then.check_since(parent, &mut session, &data_dir, &mut names)?;
    }
    let watch = LockWatch::prepare(job, &session, options.lock_wait)?;
    let mut running = Running::start(job, &tool, &OptionFile::Login(&session), &args, Stdio::piped())?;
    let stdout = running
        .stdout()
        .ok_or_else(|| EngineError::other("the tool has no stdout"))?;
    // A smaller pipe is slower, not wrong: unprivileged users may have used up their share.
    let _ = rustix::pipe::fcntl_setpipe_size(&stdout, PIPE);
    let watch = watch.start(running.killer());
    let mut files = Files::new(Objects::new(job, names), info::is_read);
    let read = Reader::new(stdout, tool.dialect).read_all(&mut files);
    // A stream that is wrong is mostly the consequence of what the tool says; what we could not store is not the tool's fault.
    if let Err(error) = &read
        && error.kind != ErrorKind::Damaged
    {
        drop(running);
        watch.finish()?;
        return Err(job.check_cancelled().err().unwrap_or_else(|| error.clone()));
    }
    if read.is_err() {
        // It would wait for a reader otherwise, if it is still there.
        std::thread::sleep(std::time::Duration::from_millis(100));
    }
    let ended = running.wait(if parent.is_some() {
        "take an incremental backup"
    } else {
        "take a backup"
    });
    // Who waits too long for a lock is killed by the watch, which says so better than the tool can.
    watch.finish()?;
    if let Err(error) = ended {
        return Err(match before {
            Some(before) if error.kind == ErrorKind::Program => before.explain(error, &session),
            _ => error,
        });
    }
    read?;
    let (written, mut objects) = files.finish()?;
    if let Some(before) = before {
        before.check(objects.names())?;
    }
    if let Some(tables) = &began.tables {
        tables.check_meanwhile(&mut session, &data_dir, objects.names())?;
        tables.check_taken(&mut session, &written.paths, objects.names())?;
    }
    finish(job, parent, &tool, server, &mut session, began, written)
}

fn finish(
    job: &BackupJob,
    parent: Option<&BackupRecord>,
    tool: &Tool,
    mut server: ServerFacts,
    session: &mut Session,
    began: Began,
    written: Written,
) -> Result<Outcome, EngineError> {
    let info = Info::new(written.kept);
    let checkpoints = info.checkpoints()?;
    let mut positions = info.positions(tool.dialect)?;
    positions.push(Position::innodb_lsn(checkpoints.last_lsn));
    let mut from = Vec::new();
    if let Some(parent) = parent {
        parent::check_follows(parent, &checkpoints, &positions)?;
        from.clone_from(&parent.positions);
    }
    let mut object = job.create(LAYOUT_NAME, Attributes::kind(LAYOUT), Storage::Compress)?;
    let text = serde_json::to_vec_pretty(&written.layout)
        .map_err(|error| EngineError::other("the layout is no JSON").because(&error))?;
    object.write_all(&text)?;
    object.finish()?;
    if let Some(statement) = info.replica() {
        server.replication.insert("at_backup".to_owned(), json!(statement));
    }
    let mut notices = Vec::new();
    if parent.is_none() {
        notices.extend(non_transactional(session, 1)?.into_iter().map(|(table, _)| {
            Notice::new(
                "writers-blocked",
                "there are tables without transactions: while the tool copies them, nobody can write to them",
            )
            .about(table)
        }));
    }
    let state = State {
        tool: tool.name(),
        tool_version: tool.version.raw.clone(),
        from_lsn: checkpoints.from_lsn,
        to_lsn: checkpoints.to_lsn,
        last_lsn: checkpoints.last_lsn,
        files: written.count,
        began,
    };
    Ok(Outcome::Usable(Usable {
        server,
        positions,
        from,
        partial: false,
        notices,
        log: None,
        state: json!(state),
    }))
}

fn arguments(
    job: &BackupJob,
    options: &Options,
    tool: &Tool,
    server: &ServerFacts,
    data_dir: &Path,
    since: Option<&State>,
) -> Result<Vec<String>, EngineError> {
    let parallel = options.parallel.unwrap_or_else(|| job.threads()).clamp(1, MAX_PARALLEL);
    let target = job.scratch().join("target");
    let temporary = job.scratch().join("tmp");
    for directory in [&target, &temporary] {
        std::fs::create_dir_all(directory)?;
    }
    let mut args = vec![
        "--backup".to_owned(),
        "--stream=xbstream".to_owned(),
        format!("--target-dir={}", target.display()),
        format!("--tmpdir={}", temporary.display()),
        format!("--datadir={}", data_dir.display()),
        format!("--parallel={parallel}"),
    ];
    match tool.dialect {
        // Its own name for it came with 10.11; this one all versions know.
        Dialect::MariaDb => args.push(format!("--ftwrl-wait-timeout={}", options.lock_wait)),
        // The first is for LOCK INSTANCE and LOCK TABLES FOR BACKUP, the second for FLUSH TABLES WITH READ LOCK.
        Dialect::Percona => args.extend([
            format!("--backup-lock-timeout={}", options.lock_wait),
            format!("--ftwrl-wait-timeout={}", options.lock_wait),
            "--no-server-version-check".to_owned(),
        ]),
    }
    if options.throttle > 0 {
        args.push(format!("--throttle={}", options.throttle));
    }
    if !server.replication.is_empty() {
        args.push("--slave-info".to_owned());
    }
    if let Some(state) = since {
        args.push(format!("--incremental-lsn={}", state.to_lsn));
    }
    args.extend(options.extra_args()?.iter().cloned());
    Ok(args)
}

/// Tables, for an error.
fn listed(tables: &BTreeSet<impl Display>) -> String {
    let named: Vec<String> = tables.iter().take(NAMED).map(ToString::to_string).collect();
    let more = match tables.len().saturating_sub(NAMED) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    named.join(", ") + &more
}
