//! Whether the target may be restored to: before anything is changed.

use std::collections::HashMap;

use backstay_engine_api::{BackupRecord, EngineError, Position, PositionKind, RestoreJob};
use backstay_mysql::{Session, content, quote_text, target};

use super::dump::{Dump, Table};
use super::{control, load};
use crate::format::instance::InstanceFile;

/// The record with what only the dump knows: of a directory that Backstay did not make there is hardly one.
pub(super) fn record_of(record: &BackupRecord, instance: &InstanceFile) -> BackupRecord {
    let mut record = record.clone();
    let own = instance.backstay.as_ref();
    if record.server.version.is_empty() || record.server.flavour.is_empty() {
        record.server.flavour = own.map_or("mysql", |own| own.flavour.as_str()).to_owned();
        record.server.version = instance.version_of_server().to_owned();
        if let Some(own) = own {
            let setting = own.lower_case_table_names.to_string();
            record
                .server
                .facts
                .insert("lower_case_table_names".to_owned(), setting.into());
        }
    }
    if record.positions.is_empty() {
        record.positions = match own {
            Some(own) => own.positions.clone(),
            // Its GTIDs are not those of its rows.
            None if instance.is_inconsistent() || instance.gtids().is_empty() => Vec::new(),
            None => vec![Position::new(PositionKind::MYSQL_GTID, instance.gtids())],
        };
    }
    record
}

/// LOAD DATA LOCAL must be allowed.
pub(super) fn local_infile(session: &mut Session) -> Result<(), EngineError> {
    if session.variable("local_infile")?.as_deref() == Some("OFF") {
        return Err(EngineError::refused(format!(
            "the target {} takes no LOAD DATA LOCAL (local_infile is OFF)",
            session.address()
        ))
        .advise("run: SET GLOBAL local_infile = 1"));
    }
    Ok(())
}

/// Refuses a target that holds anything, unless it may be replaced. What an interrupted restore left for its progress is nothing.
pub(super) fn occupied(session: &mut Session, overwrite: bool) -> Result<(), EngineError> {
    if overwrite || !target::has_schema(session, control::SCHEMA)? {
        return target::refuse_occupied(session, overwrite);
    }
    let found = content(session)?;
    let others: Vec<String> = found
        .schemas
        .into_iter()
        .filter(|name| name != control::SCHEMA)
        .chain(found.objects)
        .collect();
    if others.is_empty() {
        return Ok(());
    }
    let message = format!(
        "the target {} is not empty: it has {}",
        session.address(),
        target::named(&others)
    );
    Err(EngineError::refused(message).advise(
        "restore to an empty server, or with --overwrite, which drops and replaces the schemas that are in the backup",
    ))
}

/// Refuses a target that would make one table of two, whose names differ in case alone.
pub(super) fn stay_apart(session: &mut Session, dump: &Dump) -> Result<(), EngineError> {
    if session.variable("lower_case_table_names")?.as_deref() == Some("0") {
        return Ok(());
    }
    let mut seen: HashMap<(String, String), &str> = HashMap::new();
    for schema in &dump.schemas {
        let file = &schema.file;
        for name in file.tables.iter().chain(&file.views).chain(&file.sequences) {
            let folded = (schema.target.to_lowercase(), name.to_lowercase());
            if let Some(other) = seen.insert(folded, name) {
                let message = format!(
                    "{target}.{other} and {target}.{name} would become one: the target {} takes upper and lower case for the same in names \
                     (lower_case_table_names)",
                    session.address(),
                    target = schema.target
                );
                return Err(EngineError::refused(message).advise(
                    "restore them one by one into different schemas (--tables, --as-schema), or to a server with \
                             lower_case_table_names = 0",
                ));
            }
        }
    }
    Ok(())
}

/// Refuses what is in the way of selected tables and views, unless it may be replaced. A table in a view's place, or the other
/// way round, is not replaced.
pub(super) fn in_the_way(session: &mut Session, job: &RestoreJob, dump: &Dump) -> Result<(), EngineError> {
    let mut there = Vec::new();
    let mut another = Vec::new();
    let tables = dump.tables().map(|table| (&table.target, &table.name, "table"));
    let views = dump.views().map(|view| (&view.target, &view.name, "view"));
    let sequences = dump.schemas.iter().flat_map(|schema| {
        let names = schema.file.sequences.iter();
        names.map(|name| (&schema.target, name, "sequence"))
    });
    for (schema, name, kind) in tables.chain(views).chain(sequences) {
        let found = match kind_of(session, schema, name)?.as_deref() {
            None => continue,
            Some("VIEW" | "SYSTEM VIEW") => "view",
            Some("SEQUENCE") => "sequence",
            Some(_) => "table",
        };
        if found == kind {
            there.push(format!("{schema}.{name}"));
        } else {
            another.push(format!("{schema}.{name} is a {found}"));
        }
    }
    if !another.is_empty() {
        let message = format!(
            "the target {} has something else of the same name: {}",
            session.address(),
            target::named(&another)
        );
        return Err(EngineError::refused(message).advise("drop or rename it, or restore beside it with --as-schema"));
    }
    if there.is_empty() || job.overwrite() {
        return Ok(());
    }
    let beside = if job.selection().into_schema.is_some() {
        "another schema"
    } else {
        "a schema beside it (--as-schema)"
    };
    let message = format!("the target {} already has {}", session.address(), target::named(&there));
    Err(EngineError::refused(message).advise(format!(
        "restore into {beside}, or with --overwrite, which replaces what is there"
    )))
}

/// For rows alone the tables must be there with the columns of the rows, be empty unless they may be emptied, and have no triggers: these would change the
/// rows.
pub(super) fn takes_rows(session: &mut Session, table: &Table, overwrite: bool) -> Result<(), EngineError> {
    if kind_of(session, &table.target, &table.name)?.is_none() {
        return Err(EngineError::refused(format!(
            "the target {} has no table {}, and only rows are restored",
            session.address(),
            table.shown()
        ))
        .advise("make the table first, or restore a dump with definitions and content = \"all\""));
    }
    let rows: Vec<(String, String, Option<String>, bool)> = session.query(load::columns_of(table))?;
    let columns = rows
        .into_iter()
        .map(|(name, data_type, charset, _)| (name, (data_type, charset)));
    load::check(table, &columns.collect())?;
    let trigger: Option<String> = session.query_first(format!(
        "SELECT TRIGGER_NAME FROM information_schema.TRIGGERS WHERE EVENT_OBJECT_SCHEMA = {} AND EVENT_OBJECT_TABLE = {} LIMIT 1",
        quote_text(&table.target),
        quote_text(&table.name)
    ))?;
    if let Some(trigger) = trigger {
        return Err(EngineError::refused(format!(
            "{} has the trigger {trigger}, which would change the rows that are restored",
            table.shown()
        ))
        .advise("drop its triggers and make them again afterwards, or restore definitions and rows together"));
    }
    let row: Option<u8> = session.query_first(format!("SELECT 1 FROM {} LIMIT 1", table.quoted()))?;
    if row.is_some() && !overwrite {
        return Err(EngineError::refused(format!("{} is not empty", table.shown()))
            .advise("empty it, or restore with --overwrite, which does so"));
    }
    Ok(())
}

/// Whether a table is there and has a row.
pub(super) fn has_rows(session: &mut Session, table: &Table) -> Result<bool, EngineError> {
    if kind_of(session, &table.target, &table.name)?.is_none() {
        return Ok(false);
    }
    let history = if table.file.history { " FOR SYSTEM_TIME ALL" } else { "" };
    let found: Option<u8> = session.query_first(format!("SELECT 1 FROM {}{history} LIMIT 1", table.quoted()))?;
    Ok(found.is_some())
}

/// Whether a table of the target keeps its history (MariaDB).
pub(super) fn is_versioned(session: &mut Session, table: &Table) -> Result<bool, EngineError> {
    Ok(kind_of(session, &table.target, &table.name)?.as_deref() == Some("SYSTEM VERSIONED"))
}

fn kind_of(session: &mut Session, schema: &str, name: &str) -> Result<Option<String>, EngineError> {
    session.query_first(format!(
        "SELECT TABLE_TYPE FROM information_schema.TABLES WHERE TABLE_SCHEMA = {} AND TABLE_NAME = {}",
        quote_text(schema),
        quote_text(name)
    ))
}
