//! Looking at the target before it is changed.

use backstay_engine_api::{BackupRecord, EngineError, RestoreJob, Selection};
use backstay_mysql::{Session, content, quote_identifier, quote_text};

use super::is_mariadb;
use super::plan::Part;
use crate::section::Kind;

/// How many names an error lists.
const NAMED: usize = 5;

/// Refuses a server of the other family for a whole backup: its accounts, system variables and collations are others. Single
/// tables may well fit; the server says so if not.
pub(super) fn check_family(session: &Session, record: &BackupRecord, everything: bool) -> Result<(), EngineError> {
    let backup = &record.server;
    if !everything || is_mariadb(&backup.flavour) == session.flavour().is_mariadb() {
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
pub(super) fn refuse_occupied(session: &mut Session, overwrite: bool) -> Result<(), EngineError> {
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
pub(super) fn drop_schemas(job: &RestoreJob, session: &mut Session, schemas: &[&str]) -> Result<(), EngineError> {
    session.run("SET SESSION foreign_key_checks = 0")?;
    for schema in schemas {
        job.check_cancelled()?;
        session.run(format!("DROP DATABASE IF EXISTS {}", quote_identifier(schema)))?;
    }
    Ok(())
}

/// Whether the target has a schema.
pub(super) fn has_schema(session: &mut Session, schema: &str) -> Result<bool, EngineError> {
    let sql = format!(
        "SELECT 1 FROM information_schema.SCHEMATA WHERE SCHEMA_NAME = {}",
        quote_text(schema)
    );
    Ok(session.query_first::<u8>(sql)?.is_some())
}

/// Refuses what is in the way of selected tables, unless it may be replaced. A table in a view's place, or the other way
/// round, is not replaced.
pub(super) fn refuse_in_the_way(
    session: &mut Session,
    chosen: &[(&str, &Part)],
    selection: &Selection,
    overwrite: bool,
) -> Result<(), EngineError> {
    let mut there = Vec::new();
    let mut another = Vec::new();
    for (target, part) in chosen.iter().filter(|(_, part)| part.section.kind != Kind::ViewStub) {
        let name = &part.section.name;
        let found: Option<String> = session.query_first(format!(
            "SELECT TABLE_TYPE FROM information_schema.TABLES WHERE TABLE_SCHEMA = {} AND TABLE_NAME = {}",
            quote_text(target),
            quote_text(name)
        ))?;
        let kind = match found.as_deref() {
            None => continue,
            Some("VIEW" | "SYSTEM VIEW") => Kind::View,
            Some("SEQUENCE") => Kind::Sequence,
            Some(_) => Kind::Table,
        };
        if kind == part.section.kind {
            there.push(format!("{target}.{name}"));
        } else {
            another.push(format!("{target}.{name} is a {}", kind.name()));
        }
    }
    if !another.is_empty() {
        let message = format!(
            "the target {} has something else of the same name: {}",
            session.address(),
            named(&another)
        );
        return Err(EngineError::refused(message).advise("drop or rename it, or restore beside it with --into-schema"));
    }
    if there.is_empty() || overwrite {
        return Ok(());
    }
    let beside = if selection.into_schema.is_some() {
        "another schema"
    } else {
        "a schema beside it (--into-schema)"
    };
    let message = format!("the target {} already has {}", session.address(), named(&there));
    Err(EngineError::refused(message).advise(format!(
        "restore into {beside}, or with --overwrite, which replaces what is there"
    )))
}

fn named(names: &[String]) -> String {
    let more = if names.len() > NAMED {
        format!(" and {} more", names.len() - NAMED)
    } else {
        String::new()
    };
    format!("{}{more}", names[..names.len().min(NAMED)].join(", "))
}
/// Refuses a target that treats upper and lower case in names otherwise than the source did: two tables could become one, or a
/// view not find its table.
///
/// # Errors
/// [`ErrorKind::Refused`](backstay_engine_api::ErrorKind::Refused), before anything is changed.
pub(super) fn check_names(session: &mut Session, record: &BackupRecord) -> Result<(), EngineError> {
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
