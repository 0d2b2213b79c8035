//! A restore. First everything is looked at that could forbid it; only then something is changed.

use std::io::Read;

use backstay_engine_api::job::{ChainLink, Target};
use backstay_engine_api::{EngineError, ErrorKind, Notice, ObjectInfo, RestoreJob, Restored, Role};

use crate::backup::{DATABASE, GLOBALS, NAME};
use crate::connection::Connection;
use crate::options::Options;
use crate::{child, globals, psql, server};

/// `server_version_num` counts a major version as this many.
const MAJOR: u64 = 10_000;
/// From this version on DROP DATABASE ends the sessions of the database.
const DROPS_BY_FORCE: u64 = 130_000;
/// What a backup of ours holds.
struct Contents {
    globals: Option<ObjectInfo>,
    databases: Vec<(String, ObjectInfo)>,
}

pub(crate) fn run(job: &RestoreJob, options: &Options) -> Result<Restored, EngineError> {
    let Target::Server(target) = job.target() else {
        return Err(EngineError::unsupported("restoring to a data directory"));
    };
    if !job.selection().is_everything() {
        return Err(EngineError::unsupported("restoring single tables")
            .advise("`backstay export` the database's dump and use `pg_restore --table`"));
    }
    let [link] = job.chain() else {
        return Err(EngineError::unsupported("restoring incremental backups"));
    };
    let connection = Connection::new(job, target)?;
    let contents = read(link, target.database.as_deref())?;
    let version = fitting_version(link, &connection, options)?;
    let existing = existing(job, &contents, &connection, options)?;

    let _guard = job.guard(connection.application())?;
    let mut notices = restore_all(job, link, &contents, &connection, options, version, &existing)
        .inspect_err(|_| server::leave(job, &connection, &options.maintenance_database))?;
    let text = "the optimizer's statistics are not part of a dump; run `vacuumdb --all --analyze-in-stages`";
    notices.push(Notice::new("no-statistics", text));
    Ok(Restored {
        notices,
        ..Restored::default()
    })
}

fn restore_all(
    job: &RestoreJob,
    link: &ChainLink,
    contents: &Contents,
    connection: &Connection,
    options: &Options,
    version: u64,
    existing: &[String],
) -> Result<Vec<Notice>, EngineError> {
    let mut notices = Vec::new();
    if let (Some(object), true) = (&contents.globals, options.globals) {
        restore_globals(job, link, object, connection, options, &mut notices)?;
    }
    for (name, object) in &contents.databases {
        let base = if *name == options.maintenance_database {
            server::OTHER
        } else {
            &options.maintenance_database
        };
        job.doing(format!("restoring {name}"));
        if existing.contains(name) {
            let force = if job.overwrite() && version >= DROPS_BY_FORCE {
                " WITH (FORCE)"
            } else {
                ""
            };
            let drop = format!("DROP DATABASE {}{force}", psql::identifier(name));
            psql::execute(connection, base, &drop)?;
        }
        let mut command = connection.command("pg_restore", base)?;
        command.args(["--create", "--exit-on-error", "--no-tablespaces"]);
        let said = child::write_to(connection, &mut command, &mut link.open(&object.name)?)?;
        notices.extend(
            said.into_iter()
                .map(|line| Notice::new("program-warning", line).about(name)),
        );
    }
    Ok(notices)
}

/// The objects to be restored: of one database, if the target's URL names one, or all.
fn read(link: &ChainLink, only: Option<&str>) -> Result<Contents, EngineError> {
    let mut contents = Contents {
        globals: None,
        databases: Vec::new(),
    };
    let mut others = Vec::new();
    for object in link.objects() {
        let object = object?;
        let name = object
            .attributes
            .other
            .get(NAME)
            .and_then(|name| name.as_str())
            .map(str::to_owned);
        match (object.attributes.kind.as_deref(), name) {
            (Some(GLOBALS), _) => contents.globals = Some(object),
            (Some(DATABASE), Some(name)) if only.is_none_or(|only| only == name) => {
                contents.databases.push((name, object));
            }
            (Some(DATABASE), Some(name)) => others.push(name),
            _ => {
                return Err(EngineError::new(
                    ErrorKind::Damaged,
                    format!("object {} is none that this engine writes", object.name),
                ));
            }
        }
    }
    match only {
        Some(only) if contents.databases.is_empty() => Err(EngineError::new(
            ErrorKind::Usage,
            format!(
                "the target's URL names database {only}; backup {} has {}",
                link.record().id,
                others.join(", ")
            ),
        )
        .advise("name one of these, or none for all of them")),
        _ => Ok(contents),
    }
}

/// The target's version, if it is not older than the backup's.
fn fitting_version(link: &ChainLink, connection: &Connection, options: &Options) -> Result<u64, EngineError> {
    let source = &link.record().server;
    let target = server::facts(connection, &options.maintenance_database)?;
    let version = server::version(&target);
    if version / MAJOR < server::version(source) / MAJOR {
        return Err(EngineError::refused(format!(
            "{} is PostgreSQL {}, and the backup is of {}; a dump restores to its own major version or a later one",
            connection.name(),
            target.version,
            source.version
        ))
        .advise("restore to a newer server"));
    }
    if target.role == Some(Role::Replica) {
        return Err(
            EngineError::refused(format!("{} is a standby and takes no writes", connection.name()))
                .advise("restore to its primary, or promote it"),
        );
    }
    Ok(version)
}

/// The databases of the backup that the target has already, if they may go: because they are empty, as `postgres` is on a
/// new server, or because the operator said so.
fn existing(
    job: &RestoreJob,
    contents: &Contents,
    connection: &Connection,
    options: &Options,
) -> Result<Vec<String>, EngineError> {
    let (mut existing, mut full) = (Vec::new(), Vec::new());
    for database in server::databases(connection, &options.maintenance_database)? {
        if contents.databases.iter().any(|(name, _)| *name == database.name) {
            let may_go = job.overwrite() || (database.connectable && server::is_empty(connection, &database.name)?);
            if !may_go {
                full.push(database.name.clone());
            }
            existing.push(database.name);
        }
    }
    if full.is_empty() {
        return Ok(existing);
    }
    Err(EngineError::refused(format!(
        "{} has {} of the backup's databases already, and not empty: {}",
        connection.name(),
        full.len(),
        full.join(", ")
    ))
    .advise("restore to another server, or replace them with --overwrite"))
}

fn restore_globals(
    job: &RestoreJob,
    link: &ChainLink,
    object: &ObjectInfo,
    connection: &Connection,
    options: &Options,
    notices: &mut Vec<Notice>,
) -> Result<(), EngineError> {
    job.doing("restoring roles");
    let mut script = Vec::new();
    link.open(&object.name)?.read_to_end(&mut script)?;
    let script = String::from_utf8(script).map_err(|error| {
        EngineError::new(ErrorKind::Damaged, format!("object {} is not UTF-8", object.name)).because(&error)
    })?;
    let roles = server::roles(connection, &options.maintenance_database)?;
    let (script, met) = globals::adapt(&script, &roles, job.overwrite());
    psql::run(connection, &options.maintenance_database, script.as_bytes())?;
    let (code, text) = if job.overwrite() {
        (
            "role-replaced",
            "the target had this role; it is as in the backup, beside the memberships that it had",
        )
    } else {
        ("role-kept", "the target had this role already; it is as it was")
    };
    notices.extend(met.into_iter().map(|role| Notice::new(code, text).about(role)));
    Ok(())
}
