//! [`Dump`]: what the JSON files of a dump say it has, checked against the files that there are.

mod complete;
mod select;

use std::collections::HashMap;
use std::io::Read;

use backstay_engine_api::job::ChainLink;
use backstay_engine_api::{EngineError, ErrorKind, RestoreJob};
use serde::de::DeserializeOwned;

use super::control::SCHEMA;
use super::pool::each;
use crate::format::done::DoneFile;
use crate::format::instance::InstanceFile;
use crate::format::schema::SchemaFile;
use crate::format::table::TableFile;
use crate::format::{from_json, names};
use crate::options::Content;
pub(super) use complete::Files;

/// The largest JSON or SQL file that is read into memory, in bytes.
const MAX_FILE: u64 = 256 << 20;

/// What to do about a file that is not what the format says.
const ANOTHER: &str = "take the file from wherever the dump was copied from, or restore another dump";

/// What of a dump is restored.
#[derive(Debug)]
pub(super) struct Dump {
    pub(super) instance: InstanceFile,
    pub(super) done: DoneFile,
    pub(super) schemas: Vec<Schema>,
    /// Whether there is `@.users.sql`.
    pub(super) has_users: bool,
}

/// A schema, and what is taken of it.
#[derive(Debug)]
pub(super) struct Schema {
    pub(super) name: String,
    /// The schema of the target.
    pub(super) target: String,
    pub(super) base: String,
    pub(super) file: SchemaFile,
    pub(super) tables: Vec<Table>,
    pub(super) views: Vec<View>,
}

/// A table.
#[derive(Debug, Clone)]
pub(super) struct Table {
    pub(super) schema: String,
    /// The schema of the target.
    pub(super) target: String,
    pub(super) name: String,
    pub(super) base: String,
    pub(super) file: TableFile,
    pub(super) chunks: Vec<Chunk>,
    /// Size of its rows before compression, or about that, in bytes.
    pub(super) bytes: u64,
}

impl Table {
    /// For SQL: its name on the target.
    pub(super) fn quoted(&self) -> String {
        use backstay_mysql::quote_identifier as quote;
        format!("{}.{}", quote(&self.target), quote(&self.name))
    }

    /// For people: its name on the target.
    pub(super) fn shown(&self) -> String {
        format!("{}.{}", self.target, self.name)
    }
}

/// A data file.
#[derive(Debug, Clone)]
pub(super) struct Chunk {
    pub(super) file: String,
    /// Its size before compression in bytes, if the dump says it.
    pub(super) bytes: Option<u64>,
    /// For ordering and progress: that, or its size as it is stored.
    pub(super) weight: u64,
}

/// A view.
#[derive(Debug, Clone)]
pub(super) struct View {
    pub(super) schema: String,
    /// The schema of the target.
    pub(super) target: String,
    pub(super) name: String,
    pub(super) base: String,
}

impl View {
    /// For people: its name on the target.
    pub(super) fn shown(&self) -> String {
        format!("{}.{}", self.target, self.name)
    }
}

impl Dump {
    /// Reads the JSON files of what the job selects, and checks that every file that is needed is there.
    ///
    /// # Errors
    /// [`ErrorKind::Damaged`] with the file and the rule if the dump is not whole; [`ErrorKind::Refused`] for a dump of a later
    /// format; [`ErrorKind::Usage`] for a selection that fits nothing.
    pub(super) fn read(job: &RestoreJob, link: &ChainLink, content: Content) -> Result<Self, EngineError> {
        let files = Files::list(link)?;
        let instance = json(link, &files, names::INSTANCE, "every dump has it")?;
        complete::check_instance(&instance)?;
        let done: DoneFile = json(
            link,
            &files,
            names::DONE,
            "it is written last, so that a dump without it is not whole",
        )?;
        let mut dump = Self {
            schemas: Vec::new(),
            has_users: files.has(names::USERS_SQL),
            instance,
            done,
        };
        let mut schemas = Vec::new();
        // How far a restore had come that was under way on the source is of no use here, and in the way of our own.
        let schemas_of_dump = dump.instance.schemas.iter().filter(|name| *name != SCHEMA);
        for name in schemas_of_dump {
            let base = base_of(&dump.instance.basenames, name, names::INSTANCE)?;
            let file: SchemaFile = json(link, &files, &names::json(&base), "each schema of `@.json` has one")?;
            complete::check_schema(&file, &base)?;
            schemas.push(Schema {
                name: name.clone(),
                target: job.selection().target_schema(name).to_owned(),
                base,
                file,
                tables: Vec::new(),
                views: Vec::new(),
            });
        }
        select::select(&mut schemas, job.selection())?;
        let wanted: Vec<(usize, String, String)> = tables_of(&schemas)?;
        let threads = job.threads().min(wanted.len());
        let tables = each(threads, &wanted, |(schema, name, base)| {
            job.check_cancelled()?;
            let file: TableFile = json(
                link,
                &files,
                &names::json(base),
                "each table of its schema's file has one",
            )?;
            let mut table = Table {
                schema: schemas[*schema].name.clone(),
                target: schemas[*schema].target.clone(),
                name: name.clone(),
                base: base.clone(),
                file,
                chunks: Vec::new(),
                bytes: 0,
            };
            complete::check_table(&mut table, &files, &dump.done, content)?;
            Ok(table)
        })?;
        for ((schema, ..), table) in wanted.iter().zip(tables) {
            schemas[*schema].tables.push(table);
        }
        for schema in &schemas {
            complete::check_sql(schema, &files, content)?;
        }
        dump.schemas = schemas;
        Ok(dump)
    }

    /// All tables.
    pub(super) fn tables(&self) -> impl Iterator<Item = &Table> {
        self.schemas.iter().flat_map(|schema| &schema.tables)
    }

    /// All views.
    pub(super) fn views(&self) -> impl Iterator<Item = &View> {
        self.schemas.iter().flat_map(|schema| &schema.views)
    }
}

/// The tables that are selected: the schema's place, name and base name.
fn tables_of(schemas: &[Schema]) -> Result<Vec<(usize, String, String)>, EngineError> {
    let mut all = Vec::new();
    for (at, schema) in schemas.iter().enumerate() {
        for name in &schema.file.tables {
            let base = base_of(&schema.file.basenames, name, &names::json(&schema.base))?;
            all.push((at, name.clone(), base));
        }
    }
    Ok(all)
}

/// A name's base name, as the file `of` says it.
fn base_of(
    basenames: &std::collections::BTreeMap<String, String>,
    name: &str,
    of: &str,
) -> Result<String, EngineError> {
    basenames.get(name).cloned().ok_or_else(|| {
        EngineError::new(
            ErrorKind::Damaged,
            format!("`{of}` of the dump names `{name}`, and has no base name for it under `basenames`"),
        )
        .advise(ANOTHER)
    })
}

fn json<T: DeserializeOwned>(link: &ChainLink, files: &Files, name: &str, rule: &str) -> Result<T, EngineError> {
    files.need(name, rule)?;
    from_json(name, &bytes_of(link, name)?)
}

/// A small file.
///
/// # Errors
/// It can not be read; [`ErrorKind::Damaged`] if it is larger than any that a dump should have.
pub(super) fn bytes_of(link: &ChainLink, name: &str) -> Result<Vec<u8>, EngineError> {
    whole(name, link.open(name)?, MAX_FILE)
}

fn whole(name: &str, reader: impl Read, most: u64) -> Result<Vec<u8>, EngineError> {
    let mut bytes = Vec::new();
    // One more shows that there is more.
    reader.take(most + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 <= most {
        return Ok(bytes);
    }
    let message = format!(
        "`{name}` of the dump has more than {most} bytes, which is the most that is read of a JSON or SQL file"
    );
    Err(EngineError::new(ErrorKind::Damaged, message).advise(format!(
        "{ANOTHER}; one that is whole is loaded by MySQL Shell (util.loadDump)"
    )))
}

/// A small file of text.
///
/// # Errors
/// It can not be read; [`ErrorKind::Damaged`] if it is not UTF-8.
pub(super) fn text_of(link: &ChainLink, name: &str) -> Result<String, EngineError> {
    String::from_utf8(bytes_of(link, name)?).map_err(|error| {
        EngineError::new(ErrorKind::Damaged, format!("`{name}` of the dump is not UTF-8"))
            .because(&error)
            .advise(ANOTHER)
    })
}

/// Sizes of files by name.
pub(super) type Sizes = HashMap<String, u64>;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_file_is_cut() {
        assert_eq!(whole("a.sql", &b"SET x"[..], 5).unwrap(), b"SET x");
        let error = whole("a.sql", &b"SET x"[..], 4).unwrap_err();
        assert_eq!(error.kind, ErrorKind::Damaged);
        assert!(
            error.message.starts_with("`a.sql` of the dump has more than 4 bytes"),
            "{error}"
        );
        assert!(error.advice.is_some());
    }
}
