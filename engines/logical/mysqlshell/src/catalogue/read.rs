//! Reading the catalogue: a few queries for everything, however many tables there are.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use backstay_engine_api::{EngineError, Notice};
use backstay_mysql::{Session, facts, quote_identifier, quote_text};

use super::columns::{ColumnRow, zoned};
use super::key::{Candidate, best};
use super::losses;
use super::rows::{IndexColumn, PartitionRow, Reader, TableRow};
use super::{Catalogue, Column, Encoding, Filter, KeyColumn, Partition, Schema, Table, View};
use crate::format::names::BaseNames;
use crate::restore::CONTROL_SCHEMA;

impl Catalogue {
    /// Reads it.
    ///
    /// # Errors
    /// [`Usage`](backstay_engine_api::ErrorKind::Usage) if a pattern of `filter` matches nothing; as [`Session::query`].
    pub(crate) fn read(session: &mut Session, filter: &Filter) -> Result<Self, EngineError> {
        if !session.flavour().is_mariadb() {
            // Else sizes can be a day old. The server takes them from its tables' statistics, which is fast.
            session.run("SET SESSION information_schema_stats_expiry = 0")?;
            if session.version().at_least(8, 0, 30) {
                session.run("SET SESSION show_gipk_in_create_table_and_information_schema = ON")?;
            }
        }
        let mut bases = BaseNames::default();
        let own = facts::SYSTEM_SCHEMAS.map(quote_text).join(", ");
        // MariaDB shows a file system's `lost+found` as a schema.
        let mut names: Vec<String> = session.query(format!(
            "SELECT SCHEMA_NAME FROM information_schema.SCHEMATA WHERE LOWER(SCHEMA_NAME) NOT IN ({own}, \
             '#mysql50#lost+found')"
        ))?;
        names.retain(|name| filter.schema(name));
        names.sort();
        let mut catalogue = Self::default();
        if let Some(at) = names.iter().position(|name| name == CONTROL_SCHEMA) {
            names.remove(at);
            let text = "the schema was left out: a restore to the server is under way or was interrupted, and what it restores is not whole";
            catalogue
                .notices
                .push(Notice::new("restore-unfinished", text).about(CONTROL_SCHEMA));
        }
        catalogue.schemas = names
            .iter()
            .map(|name| Schema {
                base: bases.schema(name),
                name: name.clone(),
                ..Schema::default()
            })
            .collect();
        if !names.is_empty() {
            let list = names.iter().map(|name| quote_text(name)).collect::<Vec<_>>().join(", ");
            let mut reader = Reader {
                session,
                filter,
                list,
                bases,
            };
            reader.tables(&mut catalogue)?;
            reader.programs(&mut catalogue)?;
        }
        filter.all_hit()?;
        losses::add(&mut catalogue, session.flavour());
        Ok(catalogue)
    }

    /// The schema of that name, if it is dumped.
    pub(super) fn schema_mut(&mut self, name: &str) -> Option<&mut Schema> {
        let at = self
            .schemas
            .binary_search_by(|schema| schema.name.as_str().cmp(name))
            .ok()?;
        self.schemas.get_mut(at)
    }
}

impl Reader<'_> {
    fn tables(&mut self, catalogue: &mut Catalogue) -> Result<(), EngineError> {
        let mut found = self.table_rows(catalogue)?;
        found.sort_by(|a, b| (&a.schema, &a.name).cmp(&(&b.schema, &b.name)));
        let mut columns = self.columns()?;
        let mut indexes = self.unique_indexes()?;
        let mut triggers = self.triggers()?;
        let mut histograms = self.histograms()?;
        let mut partitions = if found.iter().any(|row| row.partitioned) {
            self.partitions()?
        } else {
            HashMap::new()
        };
        for row in found {
            let place = (row.schema.clone(), row.name.clone());
            let columns = columns.remove(&place).unwrap_or_default();
            match row.table_type.as_str() {
                kind @ ("BASE TABLE" | "SYSTEM VERSIONED") => {
                    let versioned = kind == "SYSTEM VERSIONED";
                    let in_zone = zoned(&columns);
                    let mut table = self.table(
                        row,
                        &columns,
                        indexes.remove(&place).unwrap_or_default(),
                        triggers.remove(&place).unwrap_or_default(),
                        partitions.remove(&place).unwrap_or_default(),
                    );
                    table.histograms = histograms.remove(&place).unwrap_or_default();
                    if versioned && !table.system_versioned {
                        catalogue.notices.push(losses::without_history(&table));
                    }
                    if !in_zone.is_empty() {
                        catalogue.notices.push(losses::computed_in_utc(&table, &in_zone));
                    }
                    catalogue.tables.push(table);
                }
                "VIEW" => {
                    if row.comment != "VIEW" {
                        let text = "the view does not work on the server, and may be refused where it is restored";
                        catalogue
                            .notices
                            .push(Notice::new("view-broken", text).about(format!("{}.{}", row.schema, row.name)));
                    }
                    catalogue.views.push(View {
                        base: self.bases.table(&row.schema, &row.name),
                        schema: row.schema,
                        name: row.name,
                        columns: columns.into_iter().map(|column| column.name).collect(),
                    });
                }
                "SEQUENCE" => {
                    if let Some(schema) = catalogue.schema_mut(&row.schema) {
                        schema.sequences.push(row.name);
                    }
                }
                other => {
                    let message = format!(
                        "`{}`.`{}` is a {other}, which this engine does not know",
                        row.schema, row.name
                    );
                    return Err(EngineError::other(message).advise("leave it out (exclude_tables)"));
                }
            }
        }
        Ok(())
    }

    fn table(
        &mut self,
        row: TableRow,
        columns: &[ColumnRow],
        indexes: BTreeMap<String, Vec<IndexColumn>>,
        triggers: Vec<String>,
        partitions: Vec<PartitionRow>,
    ) -> Table {
        let TableRow { schema, name, .. } = row;
        let stored = columns.iter().filter(|column| column.is_stored());
        let mut dumped: Vec<Column> = stored.map(ColumnRow::column).collect();
        let versioned = row.table_type == "SYSTEM VERSIONED" && self.keeps_history(columns);
        if versioned {
            dumped.extend(period(columns));
        }
        let innodb = row.engine.eq_ignore_ascii_case("InnoDB");
        let clustered = innodb.then(|| clustered_by(&indexes, columns)).flatten();
        let candidates = indexes.into_iter().filter_map(|(name, parts)| {
            let clustered = clustered.as_ref() == Some(&name);
            candidate(name, &parts, columns, clustered)
        });
        let (key_name, key, clustered) = match best(candidates.collect()) {
            Some(key) => (Some(key.name), key.columns, key.clustered),
            None => (None, Vec::new(), false),
        };
        // Read by partition, one that holds history gives all of that, as if it were rows of now.
        let partitions = match row.table_type.as_str() {
            "SYSTEM VERSIONED" => Vec::new(),
            _ => partitions,
        };
        Table {
            base: self.bases.table(&schema, &name),
            engine: row.engine,
            columns: dumped,
            key_name,
            key,
            clustered,
            partitions: partitions
                .into_iter()
                .map(|partition| Partition {
                    base: self.bases.partition(&schema, &name, &partition.name),
                    name: partition.name,
                    rows: partition.rows,
                    bytes: partition.bytes,
                })
                .collect(),
            rows: row.rows,
            bytes: row.bytes,
            triggers,
            histograms: Vec::new(),
            system_versioned: versioned,
            condition: self.filter.condition(&schema, &name),
            schema,
            name,
        }
    }

    /// Whether the history of a system-versioned table can be put back: a server takes times for its period, from 10.11 on,
    /// and no numbers of transactions.
    fn keeps_history(&self, columns: &[ColumnRow]) -> bool {
        let times = columns
            .iter()
            .filter(|column| column.is_period())
            .all(|column| column.data_type == "timestamp");
        self.session.version().at_least(10, 11, 0) && times
    }

    fn programs(&mut self, catalogue: &mut Catalogue) -> Result<(), EngineError> {
        let events: Vec<(String, String)> = self.query(
            "SELECT EVENT_SCHEMA, EVENT_NAME FROM information_schema.EVENTS",
            "EVENT_SCHEMA",
            "",
        )?;
        for (schema, name) in events {
            if let Some(schema) = catalogue.schema_mut(&schema) {
                schema.events.push(name);
            }
        }
        let routines: Vec<(String, String, String)> = self.query(
            "SELECT ROUTINE_SCHEMA, ROUTINE_NAME, ROUTINE_TYPE FROM information_schema.ROUTINES",
            "ROUTINE_SCHEMA",
            "",
        )?;
        for (schema, name, kind) in routines {
            let Some(found) = catalogue.schema_mut(&schema) else {
                continue;
            };
            match kind.as_str() {
                "FUNCTION" => found.functions.push(name),
                "PROCEDURE" => found.procedures.push(name),
                "PACKAGE" => found.packages.push(name),
                "PACKAGE BODY" => found.package_bodies.push(name),
                // These have a table of their own.
                "LIBRARY" => {}
                other => {
                    let routine = format!("{}.{}", quote_identifier(&schema), quote_identifier(&name));
                    let message = format!("{routine} is a {other}, which this engine does not know");
                    return Err(EngineError::other(message).advise("leave its schema out (exclude_schemas)"));
                }
            }
        }
        if !self.session.flavour().is_mariadb() && self.session.version().at_least(9, 2, 0) {
            let libraries: Vec<(String, String)> = self.query(
                "SELECT LIBRARY_SCHEMA, LIBRARY_NAME FROM information_schema.LIBRARIES",
                "LIBRARY_SCHEMA",
                "",
            )?;
            for (schema, name) in libraries {
                if let Some(schema) = catalogue.schema_mut(&schema) {
                    schema.libraries.push(name);
                }
            }
        }
        for schema in &mut catalogue.schemas {
            for names in [
                &mut schema.events,
                &mut schema.functions,
                &mut schema.procedures,
                &mut schema.libraries,
                &mut schema.sequences,
                &mut schema.packages,
                &mut schema.package_bodies,
            ] {
                names.sort();
            }
        }
        Ok(())
    }
}

/// The period's columns: `row_start` and `row_end`, which are not shown, unless the table says otherwise.
fn period(columns: &[ColumnRow]) -> [Column; 2] {
    [("ROW START", "row_start"), ("ROW END", "row_end")].map(|(what, usual)| {
        let shown = columns.iter().find(|column| column.generated == what);
        Column {
            name: shown.map_or_else(|| usual.to_owned(), |column| column.name.clone()),
            data_type: "timestamp".to_owned(),
            encoding: Encoding::Plain,
            inexact: None,
            empty_member: None,
        }
    })
}

/// The index that InnoDB keeps the rows by: PRIMARY; without one, the unique index whose columns the server shows as those of a primary
/// key, and no others. `None` if there are two of them, of which it is the first: the server does not show which that is.
fn clustered_by(indexes: &BTreeMap<String, Vec<IndexColumn>>, columns: &[ColumnRow]) -> Option<String> {
    if indexes.contains_key("PRIMARY") {
        return Some("PRIMARY".to_owned());
    }
    let primary = columns
        .iter()
        .filter(|column| column.primary)
        .map(|column| &column.name);
    let primary: BTreeSet<&String> = primary.collect();
    let is_that = |parts: &[IndexColumn]| {
        let names: Option<BTreeSet<&String>> = parts.iter().map(|part| part.name.as_ref()).collect();
        names.as_ref() == Some(&primary)
    };
    let mut found = indexes.iter().filter(|(_, parts)| is_that(parts));
    match (found.next(), found.next()) {
        (Some((name, _)), None) => Some(name.clone()),
        _ => None,
    }
}

/// An index as a key, if it can be one. A period's end, which is in the keys of tables that keep their history, is left out.
fn candidate(name: String, parts: &[IndexColumn], columns: &[ColumnRow], clustered: bool) -> Option<Candidate> {
    let mut key = Vec::with_capacity(parts.len());
    for part in parts {
        let column = columns.iter().find(|column| Some(&column.name) == part.name.as_ref())?;
        if column.is_period() {
            continue;
        }
        if column.nullable {
            return None;
        }
        key.push(KeyColumn {
            name: column.name.clone(),
            data_type: column.data_type.clone(),
            column_type: column.column_type.clone(),
            collation: column.collation.clone(),
            descending: part.descending,
        });
    }
    (!key.is_empty()).then_some(Candidate {
        name,
        columns: key,
        clustered,
    })
}
