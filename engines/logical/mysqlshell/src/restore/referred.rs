//! [`Referred`]: which columns of the tables that are made the target's foreign keys refer to.
//!
//! A foreign key stays when the table that it refers to is dropped, and when that is made again it must have a key on these columns, whatever
//! `foreign_key_checks` says. So such a key is not put off.

use std::collections::HashMap;

use backstay_engine_api::EngineError;
use backstay_mysql::quote_text;

use super::dump::{Dump, Table};
use super::pool::Worker;

/// By schema and name in lower case: the columns that each foreign key refers to, in its order.
#[derive(Debug, Default)]
pub(super) struct Referred(HashMap<(String, String), Vec<Vec<String>>>);

impl Referred {
    /// Before the tables are made.
    ///
    /// # Errors
    /// The server's.
    pub(super) fn read(worker: &mut Worker, dump: &Dump) -> Result<Self, EngineError> {
        let schemas: Vec<String> = dump.schemas.iter().map(|schema| quote_text(&schema.target)).collect();
        if schemas.is_empty() {
            return Ok(Self::default());
        }
        let rows = worker.session.texts(format!(
            "SELECT REFERENCED_TABLE_SCHEMA, REFERENCED_TABLE_NAME, CONSTRAINT_SCHEMA, TABLE_NAME, CONSTRAINT_NAME, \
             REFERENCED_COLUMN_NAME FROM information_schema.KEY_COLUMN_USAGE WHERE REFERENCED_TABLE_SCHEMA IN ({}) \
             ORDER BY 3, 4, 5, ORDINAL_POSITION",
            schemas.join(", ")
        ))?;
        let mut referred = Self::default();
        let mut last = None;
        for row in rows {
            let mut cells = row.into_iter().map(Option::unwrap_or_default);
            let mut next = || cells.next().unwrap_or_default();
            let table = (next().to_lowercase(), next().to_lowercase());
            let constraint = (next(), next(), next());
            let keys = referred.0.entry(table).or_default();
            if last.as_ref() != Some(&constraint) {
                keys.push(Vec::new());
                last = Some(constraint);
            }
            if let Some(columns) = keys.last_mut() {
                columns.push(next());
            }
        }
        Ok(referred)
    }

    /// What refers to a table.
    pub(super) fn columns_of(&self, table: &Table) -> &[Vec<String>] {
        let place = (table.target.to_lowercase(), table.name.to_lowercase());
        self.0.get(&place).map_or(&[], Vec::as_slice)
    }
}
