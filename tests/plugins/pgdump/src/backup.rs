//! A full backup.

use backstay_engine_api::{Attributes, BackupJob, EngineError, ErrorKind, Notice, ServerFacts, Storage, Usable};

use crate::connection::Connection;
use crate::options::Options;
use crate::server::{self, Database};
use crate::{child, names};

/// The kind of the object with the roles.
pub(crate) const GLOBALS: &str = "globals";
/// The kind of a database's object.
pub(crate) const DATABASE: &str = "database";
/// The attribute of a database's object that says which one.
pub(crate) const NAME: &str = "database";

/// Templates that every server has; what an operator put into template1 is not backed up by `pg_dumpall` either, but for
/// its being there.
const STANDARD_TEMPLATES: [&str; 2] = ["template0", "template1"];

pub(crate) fn run(job: &BackupJob, options: &Options) -> Result<Usable, EngineError> {
    let connection = Connection::new(job, job.server())?;
    let maintenance = &options.maintenance_database;
    job.doing(format!("looking at {}", connection.name()));
    let facts = server::facts(&connection, maintenance)?;
    let all = server::databases(&connection, maintenance)?;
    let mut notices = Vec::new();
    let chosen = choose(all, job.server().database.as_deref(), &connection, &mut notices)?;
    let objects = chosen.len() as u64 + u64::from(options.globals);
    job.expect(Some(chosen.iter().map(|database| database.bytes).sum()), Some(objects));
    for tablespace in server::tablespaces(&connection, maintenance)? {
        let text = "this tablespace is not backed up; what is in it is restored into the default one";
        notices.push(Notice::new("tablespace-left-out", text).about(tablespace));
    }

    // Of pg_dump's session nobody knows the process id before it holds its locks; its name we choose ourselves.
    let _guard = job.guard(connection.application())?;
    dump_all(job, &connection, options, &chosen, &mut notices)
        .inspect_err(|_| server::leave(job, &connection, maintenance))?;
    if chosen.len() > 1 {
        let text = "each database is consistent in itself; they were read one after the other, since PostgreSQL's databases \
                    have no common snapshot";
        notices.push(Notice::new("separate-snapshots", text));
    }
    Ok(Usable {
        server: with_databases(facts, &chosen),
        notices,
        ..Usable::default()
    })
}

/// The databases to be dumped: the one of the server's URL, or all that are no templates.
fn choose(
    all: Vec<Database>,
    named: Option<&str>,
    connection: &Connection,
    notices: &mut Vec<Notice>,
) -> Result<Vec<Database>, EngineError> {
    if let Some(named) = named {
        return match all.into_iter().find(|database| database.name == named) {
            Some(database) if database.connectable => Ok(vec![database]),
            Some(_) => Err(EngineError::refused(format!(
                "database {named} on {} takes no connections",
                connection.name()
            ))
            .advise(format!("ALTER DATABASE \"{named}\" ALLOW_CONNECTIONS true"))),
            None => Err(EngineError::new(
                ErrorKind::Usage,
                format!("there is no database {named} on {}", connection.name()),
            )
            .advise("name another one in the server's URL, or none for all of them")),
        };
    }
    let mut chosen = Vec::new();
    for database in all {
        if database.connectable && !database.template {
            chosen.push(database);
        } else if !STANDARD_TEMPLATES.contains(&database.name.as_str()) {
            let why = if database.template {
                "is a template"
            } else {
                "takes no connections"
            };
            let text = format!("this database {why} and is not backed up");
            notices.push(Notice::new("database-left-out", text).about(database.name));
        }
    }
    Ok(chosen)
}

fn dump_all(
    job: &BackupJob,
    connection: &Connection,
    options: &Options,
    databases: &[Database],
    notices: &mut Vec<Notice>,
) -> Result<(), EngineError> {
    if options.globals {
        dump_globals(job, connection, options, notices)?;
    }
    databases
        .iter()
        .try_for_each(|database| dump(job, connection, options, &database.name, notices))
}

fn dump_globals(
    job: &BackupJob,
    connection: &Connection,
    options: &Options,
    notices: &mut Vec<Notice>,
) -> Result<(), EngineError> {
    job.doing("reading roles");
    let mut command = connection.command("pg_dumpall", &options.maintenance_database)?;
    command.args(["--globals-only", "--no-tablespaces"]);
    command.arg(format!("--database={}", options.maintenance_database));
    if !options.role_passwords {
        command.arg("--no-role-passwords");
        notices.push(Notice::new(
            "role-passwords-left-out",
            "roles are backed up without their passwords",
        ));
    }
    let mut object = job.create(names::GLOBALS, Attributes::kind(GLOBALS), Storage::Compress)?;
    let said = child::read_from(connection, &mut command, &mut object)?;
    notices.extend(
        said.into_iter()
            .map(|line| Notice::new("program-warning", line).about("roles")),
    );
    object.finish().map(drop)
}

fn dump(
    job: &BackupJob,
    connection: &Connection,
    options: &Options,
    database: &str,
    notices: &mut Vec<Notice>,
) -> Result<(), EngineError> {
    job.doing(format!("reading {database}"));
    let mut command = connection.command("pg_dump", database)?;
    command.args(["--format=custom", "--compress=0"]);
    command.arg(format!("--lock-wait-timeout={}s", options.lock_wait_seconds));
    let attributes = Attributes::kind(DATABASE)
        .with(NAME, database)
        .with("format", "pg_dump custom");
    let mut object = job.create(&names::dump(database), attributes, Storage::Compress)?;
    let said = child::read_from(connection, &mut command, &mut object)?;
    notices.extend(
        said.into_iter()
            .map(|line| Notice::new("program-warning", line).about(database)),
    );
    object.finish().map(drop)
}

fn with_databases(mut facts: ServerFacts, databases: &[Database]) -> ServerFacts {
    let names: Vec<&str> = databases.iter().map(|database| database.name.as_str()).collect();
    facts.facts.insert("databases".to_owned(), names.into());
    facts
}
