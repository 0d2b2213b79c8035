//! Tables: made, and given their indexes and foreign keys afterwards.

use std::collections::HashSet;

use backstay_engine_api::job::ChainLink;
use backstay_engine_api::{EngineError, ErrorKind};
use backstay_mysql::quote_text;

use super::ddl::{self, ForeignKey, Part, TableDdl};
use super::dump::Table;
use super::pool::Worker;
use super::scripts;
use crate::format::names;
use crate::options::DeferIndexes;

/// Makes a table without what is put off, which it returns; one that is there already stays. `referred`: what columns of it foreign keys
/// refer to.
///
/// # Errors
/// The server's; [`ErrorKind::Damaged`] if the file has no CREATE TABLE.
pub(super) fn create(
    worker: &mut Worker,
    link: &ChainLink,
    table: &Table,
    defer: DeferIndexes,
    referred: &[Vec<String>],
) -> Result<TableDdl, EngineError> {
    let file = names::sql(&table.base);
    let mut found = None;
    scripts::run_file(worker, link, &file, &table.target, |sql| {
        if !ddl::is_create_table(sql) {
            return Ok(None);
        }
        let ddl = TableDdl::parse(sql, defer, referred)?;
        let create = ddl.create.clone();
        found = Some(ddl);
        Ok(Some(create))
    })?;
    found.ok_or_else(|| {
        EngineError::new(ErrorKind::Damaged, format!("`{file}` of the dump has no CREATE TABLE"))
            .advise("restore another dump")
    })
}

/// Statements that empty a table. MariaDB truncates none that keeps its history.
pub(super) fn emptying(table: &Table, versioned: bool) -> Vec<String> {
    let name = table.quoted();
    match versioned {
        true => vec![format!("DELETE FROM {name}"), format!("DELETE HISTORY FROM {name}")],
        false => vec![format!("TRUNCATE TABLE {name}")],
    }
}

/// What a table still lacks of its keys. `resumed`: some may be there from before an interruption, and rows that were loaded twice may
/// have changed its next AUTO_INCREMENT.
///
/// # Errors
/// The server's.
pub(super) fn add_indexes(
    worker: &mut Worker,
    table: &Table,
    ddl: &TableDdl,
    resumed: bool,
) -> Result<(), EngineError> {
    let there = if resumed && !(ddl.indexes.is_empty() && ddl.fulltext.is_empty()) {
        existing(
            worker,
            table,
            "DISTINCT INDEX_NAME FROM information_schema.STATISTICS",
            "",
        )?
    } else {
        HashSet::new()
    };
    let missing = |parts: &[Part]| -> Vec<String> {
        parts
            .iter()
            .filter(|part| !there.contains(&part.name))
            .map(|part| part.definition.clone())
            .collect()
    };
    if resumed && let Some(next) = ddl.auto_increment {
        let sql = format!("ALTER TABLE {} AUTO_INCREMENT = {next}", table.quoted());
        worker.session.run(sql)?;
    }
    alter(worker, table, &missing(&ddl.indexes))?;
    for part in missing(&ddl.fulltext) {
        alter(worker, table, &[part])?;
    }
    Ok(())
}

/// Adds a table's foreign keys. What refers to one of the tables `moved` by its schema refers to the table's own schema then.
///
/// # Errors
/// The server's.
pub(super) fn add_foreign_keys(
    worker: &mut Worker,
    table: &Table,
    ddl: &TableDdl,
    resumed: bool,
    moved: &HashSet<(&str, &str)>,
) -> Result<(), EngineError> {
    let there = if resumed && !ddl.foreign_keys.is_empty() {
        // A key or a check may have the same name.
        let constraints = "CONSTRAINT_NAME FROM information_schema.TABLE_CONSTRAINTS";
        existing(worker, table, constraints, " AND CONSTRAINT_TYPE = 'FOREIGN KEY'")?
    } else {
        HashSet::new()
    };
    let definition = |key: &ForeignKey| match &key.schema {
        Some(schema) if moved.contains(&(schema.as_str(), key.table.as_str())) => key.referring_to(&table.target),
        _ => key.part.definition.clone(),
    };
    let missing = ddl.foreign_keys.iter().filter(|key| !there.contains(&key.part.name));
    alter(worker, table, &missing.map(definition).collect::<Vec<_>>())
}

fn alter(worker: &mut Worker, table: &Table, parts: &[String]) -> Result<(), EngineError> {
    if parts.is_empty() {
        return Ok(());
    }
    let sql = format!("ALTER TABLE {} ADD {}", table.quoted(), parts.join(", ADD "));
    worker.in_schema(&table.target)?;
    worker.session.run(sql)
}

/// Names of a table's parts: of a column of a view of the information schema.
fn existing(worker: &mut Worker, table: &Table, names: &str, condition: &str) -> Result<HashSet<String>, EngineError> {
    let sql = format!(
        "SELECT {names} WHERE TABLE_SCHEMA = {} AND TABLE_NAME = {}{condition}",
        quote_text(&table.target),
        quote_text(&table.name)
    );
    Ok(worker.session.texts(sql)?.into_iter().flatten().flatten().collect())
}
