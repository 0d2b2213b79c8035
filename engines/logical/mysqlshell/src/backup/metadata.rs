//! The JSON and SQL files of schemas, tables and views, in parallel: thousands of tables are thousands of round trips.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use backstay_engine_api::{Attributes, BackupJob, EngineError};
use backstay_mysql::Session;

use super::object;
use crate::catalogue::{Catalogue, Schema, Table, View};
use crate::definitions::Definitions;
use crate::format::{names, to_json};
use crate::options::{Content, Options};

/// The `kind` of JSON files about a schema or a table.
pub(crate) const METADATA: &str = "metadata";
/// The `kind`s of SQL files.
pub(crate) const SCHEMA: &str = "schema";
pub(crate) const TABLE: &str = "table";
pub(crate) const TRIGGERS: &str = "triggers";
pub(crate) const PLACEHOLDER: &str = "view-placeholder";
pub(crate) const VIEW: &str = "view";

/// So many files are not worth another session.
const FILES_OF_A_SESSION: usize = 32;

/// Something to be written.
#[derive(Clone, Copy)]
enum Item<'a> {
    Schema(&'a Schema),
    Table(&'a Table),
    View(&'a View),
}

/// How many objects it will be.
pub(super) fn objects(catalogue: &Catalogue, options: &Options) -> u64 {
    let definitions = u64::from(options.content != Content::Data);
    let triggers = catalogue
        .tables
        .iter()
        .filter(|table| !table.triggers.is_empty())
        .count();
    let json = catalogue.schemas.len() + catalogue.tables.len();
    json as u64 + definitions * (json + triggers + 2 * catalogue.views.len()) as u64
}

/// Writes all of them.
///
/// # Errors
/// The first that a thread met.
pub(super) fn write(
    job: &BackupJob,
    options: &Options,
    session: &Session,
    definitions: &Definitions,
    catalogue: &Catalogue,
) -> Result<(), EngineError> {
    let schemas = catalogue.schemas.iter().map(Item::Schema);
    let tables = catalogue.tables.iter().map(Item::Table);
    let items: Vec<Item<'_>> = schemas
        .chain(tables)
        .chain(catalogue.views.iter().map(Item::View))
        .collect();
    let writer = Writer {
        job,
        options,
        definitions,
        catalogue,
        items: &items,
        next: AtomicUsize::new(0),
        error: Mutex::new(None),
    };
    job.doing("reading definitions");
    let threads = items.len().div_ceil(FILES_OF_A_SESSION).min(super::threads(job));
    thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| writer.work(session));
        }
    });
    let error = writer
        .error
        .into_inner()
        .unwrap_or_else(std::sync::PoisonError::into_inner);
    error.map_or(Ok(()), Err)
}

struct Writer<'a> {
    job: &'a BackupJob,
    options: &'a Options,
    definitions: &'a Definitions,
    catalogue: &'a Catalogue,
    items: &'a [Item<'a>],
    next: AtomicUsize,
    error: Mutex<Option<EngineError>>,
}

impl Writer<'_> {
    fn work(&self, like: &Session) {
        if let Err(error) = self.all(like) {
            // The others have nothing left to take.
            self.next.store(self.items.len(), Ordering::Relaxed);
            let mut first = self.error.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
            first.get_or_insert(error);
        }
    }

    fn all(&self, like: &Session) -> Result<(), EngineError> {
        let mut session = like.another()?;
        self.definitions.prepare(&mut session)?;
        while let Some(item) = self.items.get(self.next.fetch_add(1, Ordering::Relaxed)) {
            self.job.check_cancelled()?;
            match item {
                Item::Schema(schema) => self.schema(&mut session, schema)?,
                Item::Table(table) => self.table(&mut session, table)?,
                Item::View(view) => self.view(&mut session, view)?,
            }
        }
        Ok(())
    }

    fn schema(&self, session: &mut Session, schema: &Schema) -> Result<(), EngineError> {
        let about = |kind: &str| Attributes::kind(kind).schema(&schema.name);
        let json = to_json(&self.catalogue.schema_file(schema, self.options.content))?;
        object(self.job, &names::json(&schema.base), about(METADATA), &json)?;
        if self.with_definitions() {
            let sql = self.definitions.schema(session, schema)?;
            object(self.job, &names::sql(&schema.base), about(SCHEMA), sql.as_bytes())?;
        }
        Ok(())
    }

    fn table(&self, session: &mut Session, table: &Table) -> Result<(), EngineError> {
        let about = |kind: &str| Attributes::kind(kind).schema(&table.schema).table(&table.name);
        let json = to_json(&table.file(self.options.content, self.options.compression))?;
        object(self.job, &names::json(&table.base), about(METADATA), &json)?;
        if self.with_definitions() {
            let sql = self.definitions.table(session, table)?;
            object(self.job, &names::sql(&table.base), about(TABLE), sql.as_bytes())?;
            if !table.triggers.is_empty() {
                let sql = self.definitions.triggers(session, table)?;
                object(
                    self.job,
                    &names::triggers_sql(&table.base),
                    about(TRIGGERS),
                    sql.as_bytes(),
                )?;
            }
        }
        Ok(())
    }

    fn view(&self, session: &mut Session, view: &View) -> Result<(), EngineError> {
        if !self.with_definitions() {
            return Ok(());
        }
        let about = |kind: &str| Attributes::kind(kind).schema(&view.schema).table(&view.name);
        let placeholder = self.definitions.placeholder(view);
        let name = names::placeholder_sql(&view.base);
        object(self.job, &name, about(PLACEHOLDER), placeholder.as_bytes())?;
        let sql = self.definitions.view(session, view)?;
        object(self.job, &names::sql(&view.base), about(VIEW), sql.as_bytes())
    }

    fn with_definitions(&self) -> bool {
        self.options.content != Content::Data
    }
}
