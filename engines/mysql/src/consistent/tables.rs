//! Locking the tables of a backup, for an account that may not lock everything.
//!
//! `LOCK TABLES … READ` on all of them, in one statement, waits until no transaction that wrote to one is open, and lets
//! nobody write to one: snapshots that are opened then show them at one moment, and a position that is read then is theirs.
//! What is written to other tables meanwhile is none of the backup's.
//!
//! UNLOCK TABLES would let DDL in. So before it, a transaction reads from each table and so has its metadata lock, to the
//! end. Whoever wants to alter a table then waits, and everybody who comes to that table later waits behind them; so all
//! sessions that are going to read have to do the same.

use std::time::Instant;

use backstay_engine_api::{EngineError, ErrorKind};

use super::TableList;
use super::wait::Watch;
use crate::session::{Session, quote_identifier};

/// How many tables one statement takes hold of.
const AT_ONCE: usize = 32;

/// A table's schema and name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TableName {
    /// Its schema.
    pub schema: String,
    /// Its name in it.
    pub name: String,
}

impl TableName {
    fn quoted(&self) -> String {
        format!("{}.{}", quote_identifier(&self.schema), quote_identifier(&self.name))
    }
}

/// Statements that take hold of tables: run in an open transaction, they keep DDL off them until it ends.
pub fn hold(tables: &[TableName]) -> impl Iterator<Item = String> {
    let read = |table: &TableName| format!("(SELECT 1 FROM {} LIMIT 0)", table.quoted());
    tables
        .chunks(AT_ONCE)
        .map(move |some| some.iter().map(read).collect::<Vec<_>>().join(" UNION ALL "))
}

/// Locks what `list` lists, until it lists just what is locked. `only` says that a global read lock is not to be had.
pub(super) fn lock(
    watch: &mut Watch<'_>,
    session: &mut Session,
    list: TableList<'_>,
    only: bool,
) -> Result<(Instant, Vec<TableName>), EngineError> {
    loop {
        let tables = list(watch.watcher)?;
        if !tables.is_empty() {
            let names: Vec<String> = tables.iter().map(|table| table.quoted() + " READ").collect();
            let locked = watch.lock(session, &format!("LOCK TABLES {}", names.join(", ")), |_| Ok(()));
            locked.map_err(|error| if only { error } else { explain(session, error) })?;
        }
        let locked_at = Instant::now();
        if list(watch.watcher)? == tables {
            return Ok((locked_at, tables));
        }
        session.run("UNLOCK TABLES")?;
        if !watch.pause()? {
            let seconds = watch.lock_wait.as_secs_f64();
            let message = format!("for {seconds:.0} s, tables were made or dropped each time they had been locked");
            return Err(EngineError::new(ErrorKind::Busy, message).advise("raise lock_wait, or try again later"));
        }
    }
}

fn explain(session: &Session, mut error: EngineError) -> EngineError {
    if error.kind == ErrorKind::Privilege {
        let advice = error.advice.unwrap_or_default();
        error.advice = Some(format!(
            "{advice}; or, for a global read lock instead: {}",
            session.grant("RELOAD")
        ));
    }
    error
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn some_tables_a_statement() {
        let table = |number: usize| TableName {
            schema: "s".into(),
            name: format!("t{number}"),
        };
        let tables: Vec<TableName> = (0..33).map(table).collect();
        let statements: Vec<String> = hold(&tables).collect();
        assert_eq!(statements.len(), 2);
        assert_eq!(statements[1], "(SELECT 1 FROM `s`.`t32` LIMIT 0)");
    }
}
