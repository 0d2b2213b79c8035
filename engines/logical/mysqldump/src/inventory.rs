//! [`Inventory`]: what the server has to dump, as its own catalogue says; read while DDL is blocked.

use backstay_engine_api::{EngineError, Notice};
use backstay_mysql::{Session, quote_text};

use crate::section::Kind;

/// Columns that a notice names; a schema can have thousands.
const NAMED_COLUMNS: usize = 20;

/// A table, view or sequence.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Table {
    pub(crate) schema: String,
    pub(crate) name: String,
    /// `Table`, `View` or `Sequence`.
    pub(crate) kind: Kind,
}

/// What there is to dump.
#[derive(Debug, Default)]
pub(crate) struct Inventory {
    /// In the order in which they are dumped.
    pub(crate) schemas: Vec<String>,
    pub(crate) tables: Vec<Table>,
    /// Size of all rows, in bytes, as the server estimates it.
    pub(crate) bytes: u64,
}

impl Inventory {
    /// Reads it.
    ///
    /// # Errors
    /// As [`Session::query`].
    pub(crate) fn read(session: &mut Session, schemas: &[String]) -> Result<Self, EngineError> {
        let mut inventory = Self {
            schemas: schemas.to_vec(),
            ..Self::default()
        };
        if schemas.is_empty() {
            return Ok(inventory);
        }
        let rows: Vec<(String, String, String, Option<u64>)> = session.query(format!(
            "SELECT TABLE_SCHEMA, TABLE_NAME, TABLE_TYPE, CAST(DATA_LENGTH AS UNSIGNED) FROM information_schema.TABLES \
             WHERE TABLE_SCHEMA IN ({}) AND TABLE_TYPE <> 'TEMPORARY'",
            list(schemas)
        ))?;
        for (schema, name, table_type, bytes) in rows {
            let kind = match table_type.as_str() {
                "BASE TABLE" | "SYSTEM VERSIONED" => Kind::Table,
                "VIEW" => Kind::View,
                "SEQUENCE" => Kind::Sequence,
                other => {
                    let message = format!("`{schema}`.`{name}` is a {other}, which this engine does not know");
                    return Err(EngineError::other(message).advise("leave its schema out (exclude_schemas)"));
                }
            };
            inventory.bytes += bytes.unwrap_or(0);
            inventory.tables.push(Table { schema, name, kind });
        }
        Ok(inventory)
    }

    /// How many objects it makes: a view is two, and each schema has its definition, events, routines and views.
    pub(crate) fn objects(&self) -> u64 {
        let tables: u64 = self
            .tables
            .iter()
            .map(|table| if table.kind == Kind::View { 2 } else { 1 })
            .sum();
        tables + 4 * self.schemas.len() as u64 + 2
    }
}

/// The server's schemas that are not its own.
///
/// # Errors
/// As [`Session::query`].
pub(crate) fn schemas(session: &mut Session) -> Result<Vec<String>, EngineError> {
    let own = backstay_mysql::facts::SYSTEM_SCHEMAS.map(quote_text).join(", ");
    session.query(format!(
        "SELECT SCHEMA_NAME FROM information_schema.SCHEMATA WHERE LOWER(SCHEMA_NAME) NOT IN ({own}) ORDER BY SCHEMA_NAME"
    ))
}

/// Whether there are tables that keep the history of their rows (MariaDB).
///
/// # Errors
/// As [`Session::query`].
pub(crate) fn has_history(session: &mut Session, schemas: &[String]) -> Result<bool, EngineError> {
    let found: Option<String> = session.query_first(format!(
        "SELECT TABLE_NAME FROM information_schema.TABLES WHERE TABLE_TYPE = 'SYSTEM VERSIONED' AND TABLE_SCHEMA IN ({}) LIMIT 1",
        list(schemas)
    ))?;
    Ok(found.is_some())
}

/// Refuses what makes the dump tools run for ever: the delimiter for an event whose text has `;;` in it is looked for in
/// an endless loop (`create_delimiter` in mysqldump's source; both flavours, all versions).
///
/// # Errors
/// Such an event exists.
pub(crate) fn refuse_endless_events(session: &mut Session, schemas: &[String]) -> Result<(), EngineError> {
    let found: Option<(String, String)> = session.query_first(format!(
        "SELECT EVENT_SCHEMA, EVENT_NAME FROM information_schema.EVENTS WHERE EVENT_SCHEMA IN ({}) AND \
         CONCAT_WS(' ', EVENT_NAME, EVENT_DEFINITION, EVENT_COMMENT, DEFINER) LIKE '%;;%' LIMIT 1",
        list(schemas)
    ))?;
    match found {
        None => Ok(()),
        Some((schema, event)) => Err(EngineError::refused(format!(
            "event `{schema}`.`{event}` has `;;` in its text, on which mysqldump and mariadb-dump run for ever"
        ))
        .advise("write it without two semicolons in a row (ALTER EVENT), or leave its schema out (exclude_schemas)")),
    }
}

/// What the tools lose, by table: FLOAT columns are printed with six digits; MySQL's JSON is printed as text, in which a
/// DATE, DECIMAL or BLOB inside a document is a string or a number.
///
/// # Errors
/// As [`Session::query`].
pub(crate) fn losses(session: &mut Session, schemas: &[String]) -> Result<Vec<Notice>, EngineError> {
    if schemas.is_empty() {
        return Ok(Vec::new());
    }
    let json = if session.flavour().is_mariadb() { "" } else { ", 'json'" };
    let columns: Vec<(String, String, String, String)> = session.query(format!(
        "SELECT c.TABLE_SCHEMA, c.TABLE_NAME, LOWER(c.DATA_TYPE), c.COLUMN_NAME FROM information_schema.COLUMNS c \
         JOIN information_schema.TABLES t ON t.TABLE_SCHEMA = c.TABLE_SCHEMA AND t.TABLE_NAME = c.TABLE_NAME \
         WHERE c.TABLE_SCHEMA IN ({}) AND c.DATA_TYPE IN ('float'{json}) AND t.TABLE_TYPE IN ('BASE TABLE', 'SYSTEM VERSIONED') \
         AND COALESCE(c.GENERATION_EXPRESSION, '') = '' ORDER BY 1, 2, 3, c.ORDINAL_POSITION",
        list(schemas)
    ))?;
    let mut notices = Vec::new();
    let same = |a: &(String, String, String, String), b: &(String, String, String, String)| {
        (&a.0, &a.1, &a.2) == (&b.0, &b.1, &b.2)
    };
    for group in columns.chunk_by(same) {
        let (schema, table, data_type, _) = &group[0];
        let names: Vec<&str> = group
            .iter()
            .take(NAMED_COLUMNS)
            .map(|column| column.3.as_str())
            .collect();
        let more = if group.len() > NAMED_COLUMNS { " and more" } else { "" };
        let names = format!("{}{more}", names.join(", "));
        let (code, text) = if data_type == "float" {
            (
                "float-precision",
                format!("FLOAT columns are dumped with six significant digits: {names}"),
            )
        } else {
            (
                "json-scalars",
                format!(
                    "dates, times, decimals and binary strings inside JSON documents come back as strings or numbers: {names}"
                ),
            )
        };
        notices.push(Notice::new(code, text).about(format!("{schema}.{table}")));
    }
    Ok(notices)
}

fn list(schemas: &[String]) -> String {
    schemas
        .iter()
        .map(|schema| quote_text(schema))
        .collect::<Vec<_>>()
        .join(", ")
}
