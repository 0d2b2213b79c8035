//! Looking at a restore's target before it is changed, and what engines for dumps do to it alike.

use backstay_engine_api::job::JobContext;
use backstay_engine_api::{BackupRecord, EngineError};

use crate::facts::content;
use crate::session::{Session, quote_identifier, quote_text};
use crate::version::Flavour;

/// How many names an error lists.
const NAMED: usize = 5;
/// How like another a name must be to be meant instead: 1 is the same.
const ALIKE: f64 = 0.7;

/// Whether a record is of a MariaDB server.
pub fn is_of_mariadb(record: &BackupRecord) -> bool {
    record.server.flavour == Flavour::MariaDb.as_str()
}

/// Refuses a server of the other family for a whole backup: its accounts, system variables and collations are others. Single
/// tables may well fit; the server says so if not.
pub fn check_family(session: &Session, record: &BackupRecord, everything: bool) -> Result<(), EngineError> {
    let backup = &record.server;
    if !everything || is_of_mariadb(record) == session.flavour().is_mariadb() {
        return Ok(());
    }
    let message = format!(
        "the backup is of {} {}, and the target is {} {}",
        backup.flavour,
        backup.version,
        session.flavour(),
        session.version()
    );
    Err(EngineError::refused(message)
        .advise("restore to a server of the same family, or single schemas by --tables 'schema.*'"))
}

/// Refuses a target that has user schemas, unless they may be replaced.
pub fn refuse_occupied(session: &mut Session, overwrite: bool) -> Result<(), EngineError> {
    if overwrite {
        return Ok(());
    }
    let found = content(session)?;
    if found.is_empty() {
        return Ok(());
    }
    let all: Vec<String> = found.schemas.into_iter().chain(found.objects).collect();
    let message = format!("the target {} is not empty: it has {}", session.address(), named(&all));
    Err(EngineError::refused(message).advise(
        "restore to an empty server, or with --overwrite, which drops and replaces the schemas that are in the backup",
    ))
}

/// Drops schemas, so that nothing of theirs is mixed with the backup's. Other schemas' foreign keys to them stay.
/// What was granted on them stays, too.
pub fn drop_schemas(job: &JobContext, session: &mut Session, schemas: &[&str]) -> Result<(), EngineError> {
    session.run("SET SESSION foreign_key_checks = 0")?;
    for schema in schemas {
        job.check_cancelled()?;
        session.run(format!("DROP DATABASE IF EXISTS {}", quote_identifier(schema)))?;
    }
    Ok(())
}

/// Whether the target has a schema.
pub fn has_schema(session: &mut Session, schema: &str) -> Result<bool, EngineError> {
    let sql = format!(
        "SELECT 1 FROM information_schema.SCHEMATA WHERE SCHEMA_NAME = {}",
        quote_text(schema)
    );
    Ok(session.query_first::<u8>(sql)?.is_some())
}

/// Refuses a target that treats upper and lower case in names otherwise than the source did: two tables could become one, or a
/// view not find its table.
///
/// # Errors
/// [`ErrorKind::Refused`](backstay_engine_api::ErrorKind::Refused), before anything is changed.
pub fn check_names(session: &mut Session, record: &BackupRecord) -> Result<(), EngineError> {
    const SETTING: &str = "lower_case_table_names";
    let text = |value: &serde_json::Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let Some(source) = record.server.facts.get(SETTING).map(text) else {
        return Ok(());
    };
    match session.variable(SETTING)? {
        Some(target) if target != source => Err(EngineError::refused(format!(
            "the backup is of a server with {SETTING} = {source}, and the target has {target}"
        ))
        .advise(format!(
            "restore to a server that was initialised with {SETTING} = {source}, or single tables with --tables"
        ))),
        _ => Ok(()),
    }
}

/// The first names of a list, for a message.
pub fn named(names: &[String]) -> String {
    let more = if names.len() > NAMED {
        format!(" and {} more", names.len() - NAMED)
    } else {
        String::new()
    };
    format!("{}{more}", names[..names.len().min(NAMED)].join(", "))
}

/// What to say to somebody who has asked for a table that a backup has not: the names that are like it, or where to look.
pub fn it_has(wanted: &str, names: impl Iterator<Item = String>) -> String {
    alike(wanted, names).unwrap_or_else(|| "see `backstay show` for what the backup has".to_owned())
}

/// `it has …`: the names that are like one that is not there.
pub fn alike(wanted: &str, names: impl Iterator<Item = String>) -> Option<String> {
    let mut close: Vec<(f64, String)> = names
        .map(|name| (strsim::normalized_damerau_levenshtein(wanted, &name), name))
        .filter(|(likeness, _)| *likeness >= ALIKE)
        .collect();
    close.sort_by(|a, b| b.0.total_cmp(&a.0).then_with(|| a.1.cmp(&b.1)));
    let close: Vec<String> = close.into_iter().take(NAMED).map(|(_, name)| name).collect();
    (!close.is_empty()).then(|| format!("it has {}", close.join(", ")))
}
