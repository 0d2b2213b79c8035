//! Names that a schema has but once, whatever table they belong to: those of triggers, of foreign keys, and on MySQL of checks. A table that was
//! renamed keeps them, so that they may be in the way of the table that is restored in its place.

use std::collections::HashSet;

use backstay_engine_api::EngineError;
use backstay_mysql::{quote_text, target};

use super::Restore;
use super::ddl::{TableDdl, is_create_table};
use super::dump::{Schema, Table, bytes_of};
use super::lost::forms;
use super::scripts::in_sections;
use crate::format::names;
use crate::options::DeferIndexes;

impl Restore<'_> {
    /// Refuses to restore tables next to others that have triggers or constraints of theirs: a trigger's file would drop the one that is there.
    ///
    /// # Errors
    /// [`ErrorKind::Refused`](backstay_engine_api::ErrorKind::Refused), with what is in the way.
    pub(super) fn check_names(&mut self) -> Result<(), EngineError> {
        let mut taken = Vec::new();
        for at in 0..self.dump.schemas.len() {
            taken.extend(self.triggers_taken(at)?);
            taken.extend(self.constraints_taken(at)?);
        }
        if taken.is_empty() {
            return Ok(());
        }
        let message = format!(
            "the target {} has names on other tables that a schema can have but once: {}",
            self.session.address(),
            target::named(&taken)
        );
        Err(EngineError::refused(message).advise(
            "drop them, or rename the constraints; or restore into another schema, without triggers (--as-schema)",
        ))
    }

    fn triggers_taken(&mut self, at: usize) -> Result<Vec<String>, EngineError> {
        let schema = &self.dump.schemas[at];
        if schema.name != schema.target || schema.tables.iter().all(|table| table.file.triggers.is_empty()) {
            return Ok(Vec::new());
        }
        let there: Vec<(String, String)> = self.session.query(format!(
            "SELECT TRIGGER_NAME, EVENT_OBJECT_TABLE FROM information_schema.TRIGGERS WHERE TRIGGER_SCHEMA = {} ORDER BY 1",
            quote_text(&schema.target)
        ))?;
        let triggers = schema.tables.iter().flat_map(|table| &table.file.triggers);
        let ours: HashSet<String> = triggers.clone().flat_map(|name| forms(name)).collect();
        let exact: HashSet<&String> = triggers.collect();
        // Those of MariaDB are files.
        let have_case = self.session.flavour().is_mariadb()
            && self.session.variable("lower_case_table_names")?.as_deref() == Some("0");
        let taken = there.into_iter().filter(|(name, table)| {
            let is_ours = if have_case {
                exact.contains(name)
            } else {
                ours.contains(&name.to_lowercase())
            };
            is_ours && !has(schema, table)
        });
        Ok(taken
            .map(|(name, table)| format!("trigger {}.{name} of {table}", schema.target))
            .collect())
    }

    fn constraints_taken(&mut self, at: usize) -> Result<Vec<String>, EngineError> {
        let schema = &self.dump.schemas[at];
        let mariadb = self.session.flavour().is_mariadb();
        if mariadb && self.session.version().at_least(12, 1, 0) {
            // A foreign key's name is its table's own there, as that of a check is before.
            return Ok(Vec::new());
        }
        let kinds = if mariadb {
            "'FOREIGN KEY'"
        } else {
            "'FOREIGN KEY', 'CHECK'"
        };
        let there: Vec<(String, String, String)> = self.session.query(format!(
            "SELECT CONSTRAINT_NAME, TABLE_NAME, LOWER(CONSTRAINT_TYPE) FROM information_schema.TABLE_CONSTRAINTS \
             WHERE CONSTRAINT_SCHEMA = {} AND CONSTRAINT_TYPE IN ({kinds}) ORDER BY 1",
            quote_text(&schema.target)
        ))?;
        let mut others: Vec<(String, String, String)> =
            there.into_iter().filter(|(_, table, _)| !has(schema, table)).collect();
        if others.is_empty() {
            return Ok(Vec::new());
        }
        let mut ours = HashSet::new();
        for table in schema.tables.iter().filter(|table| table.file.includes_ddl) {
            self.job.check_cancelled()?;
            ours.extend(self.constraints(table)?);
        }
        others.retain(|(name, _, kind)| ours.contains(&(kind == "check", name.to_lowercase())));
        Ok(others
            .into_iter()
            .map(|(name, table, kind)| format!("{kind} {name} of {}.{table}", schema.target))
            .collect())
    }

    /// The names of a table's constraints in lower case, and whether they are those of checks.
    fn constraints(&self, table: &Table) -> Result<Vec<(bool, String)>, EngineError> {
        let text = bytes_of(self.link, &names::sql(&table.base))?;
        let statements = in_sections(&text);
        let mut create = statements.iter().filter_map(|one| str::from_utf8(one.sql).ok());
        let Some(create) = create.find(|sql| is_create_table(sql)) else {
            return Ok(Vec::new());
        };
        let ddl = TableDdl::parse(create, DeferIndexes::None, &[])?;
        let checks = ddl.checks.iter().map(|name| (true, name.to_lowercase()));
        let keys = ddl.foreign_keys.iter().filter(|_| !self.options.beside);
        Ok(checks
            .chain(keys.map(|key| (false, key.part.name.to_lowercase())))
            .collect())
    }
}

/// Whether a table is one of those that are restored, and if it is there it is replaced.
fn has(schema: &Schema, table: &str) -> bool {
    schema.tables.iter().any(|ours| ours.name.eq_ignore_ascii_case(table))
}
