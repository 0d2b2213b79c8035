//! Whether every file that is needed is there, before anything is changed.

use backstay_engine_api::job::ChainLink;
use backstay_engine_api::{EngineError, ErrorKind};

use super::{ANOTHER, Chunk, Schema, Sizes, Table};
use crate::format::done::DoneFile;
use crate::format::instance::InstanceFile;
use crate::format::names;
use crate::format::schema::SchemaFile;
use crate::options::Content;

/// The greatest version of the format that is understood: a later one of the same major number may have more in it.
const FORMAT: (u64, u64) = (2, 0);
/// What a reader must know, and we do.
const CAPABILITIES: [&str; 1] = ["partition_awareness"];
/// How the server knows the character set of data files; all are the same as far as bytes go.
const CHARACTER_SETS: [&str; 4] = ["utf8mb4", "utf8mb3", "utf8", ""];

/// The files of a dump.
#[derive(Debug)]
pub(in crate::restore) struct Files {
    sizes: Sizes,
}

impl Files {
    /// Lists them.
    ///
    /// # Errors
    /// The repository failed.
    pub(in crate::restore) fn list(link: &ChainLink) -> Result<Self, EngineError> {
        let sizes = link
            .objects()
            .map(|object| object.map(|object| (object.name, object.size)))
            .collect::<Result<_, _>>()?;
        Ok(Self { sizes })
    }

    pub(in crate::restore) fn has(&self, name: &str) -> bool {
        self.sizes.contains_key(name)
    }

    /// # Errors
    /// [`ErrorKind::Damaged`] if it is not there.
    pub(super) fn need(&self, name: &str, rule: &str) -> Result<(), EngineError> {
        if self.has(name) {
            return Ok(());
        }
        Err(EngineError::new(
            ErrorKind::Damaged,
            format!("the dump is not whole: it has no `{name}`; {rule}"),
        )
        .advise(ANOTHER))
    }
}

fn later(what: String) -> EngineError {
    EngineError::refused(what)
        .advise("restore it with a later version of this engine, or with a MySQL Shell of that format")
}

/// The format's version, and what else a reader must know.
pub(super) fn check_instance(file: &InstanceFile) -> Result<(), EngineError> {
    let mut numbers = file.version.split('.').map(str::parse::<u64>);
    let (Some(Ok(major)), Some(Ok(minor))) = (numbers.next(), numbers.next()) else {
        let message = format!("`@.json` of the dump says no version of the format: `{}`", file.version);
        return Err(EngineError::new(ErrorKind::Damaged, message).advise(ANOTHER));
    };
    if (major, minor) > FORMAT {
        return Err(later(format!(
            "the dump is of version {} of the format, and this engine knows up to {}.{}",
            file.version, FORMAT.0, FORMAT.1
        )));
    }
    match file
        .capabilities
        .iter()
        .find(|capability| !CAPABILITIES.contains(&capability.id.as_str()))
    {
        Some(unknown) => Err(later(format!(
            "the dump needs a reader that knows `{}` ({}), which this engine does not",
            unknown.id, unknown.description
        ))),
        None => Ok(()),
    }
}

pub(super) fn check_schema(file: &SchemaFile, base: &str) -> Result<(), EngineError> {
    if file.multifile_ddl {
        let message = format!(
            "`{}` says multifileDdl, which this engine does not know",
            names::json(base)
        );
        return Err(later(message));
    }
    Ok(())
}

/// Whether a schema's SQL files are there.
pub(super) fn check_sql(schema: &Schema, files: &Files, content: Content) -> Result<(), EngineError> {
    if content == Content::Data {
        return Ok(());
    }
    if schema.file.includes_ddl {
        files.need(&names::sql(&schema.base), "each schema with includesDdl has one")?;
    }
    for table in schema.tables.iter().filter(|table| table.file.includes_ddl) {
        files.need(&names::sql(&table.base), "each table with includesDdl has one")?;
        if !table.file.triggers.is_empty() {
            files.need(&names::triggers_sql(&table.base), "each table with triggers has one")?;
        }
    }
    for view in &schema.views {
        files.need(&names::placeholder_sql(&view.base), "each view has one")?;
        files.need(&names::sql(&view.base), "each view has one")?;
    }
    Ok(())
}

/// Finds a table's data files.
pub(super) fn check_table(
    table: &mut Table,
    files: &Files,
    done: &DoneFile,
    content: Content,
) -> Result<(), EngineError> {
    if content == Content::Definitions || !table.file.includes_data {
        return Ok(());
    }
    let options = &table.file.options;
    let usual = options.fields_terminated_by == "\t"
        && options.fields_enclosed_by.is_empty()
        && options.fields_escaped_by == "\\"
        && options.lines_terminated_by == "\n";
    let charset = options.default_character_set.as_str();
    if !usual || !CHARACTER_SETS.contains(&charset) {
        return Err(EngineError::refused(format!(
            "the data files of {}.{} are not tab-separated utf8mb4 text; `{}` says how they were dumped (dialect, fieldsTerminatedBy, \
             fieldsEnclosedBy, fieldsEscapedBy, linesTerminatedBy, defaultCharacterSet)",
            table.schema,
            table.name,
            names::json(&table.base)
        ))
        .advise("load it with MySQL Shell's util.loadDump(), or dump again without these options"));
    }
    if let Some((column, function)) = options
        .decode_columns
        .iter()
        .find(|(_, function)| !["FROM_BASE64", "UNHEX"].contains(&function.as_str()))
    {
        return Err(later(format!(
            "column {column} of {}.{} is to be decoded by `{function}`, which this engine does not know",
            table.schema, table.name
        )));
    }
    let mut bases: Vec<&str> = table.file.basenames.iter().map(|(_, base)| base.as_str()).collect();
    if bases.is_empty() {
        bases.push(&table.base);
    }
    let extension = table.file.extension.as_str();
    let mut chunks = Vec::new();
    for base in bases {
        if table.file.chunking {
            for number in 0.. {
                let last = names::chunk(base, number, true, extension);
                if files.has(&last) {
                    chunks.push(last);
                    break;
                }
                let whole = names::whole(base, extension);
                // Old shells do not cut an empty table that was to be cut.
                if number == 0 && files.has(&whole) {
                    chunks.push(whole);
                    break;
                }
                let next = names::chunk(base, number, false, extension);
                files.need(
                    &next,
                    &format!("data files are numbered without a gap, and only the last has `@@`: `{last}`"),
                )?;
                chunks.push(next);
            }
        } else {
            let whole = names::whole(base, extension);
            files.need(&whole, "a table that is not cut into chunks has one data file")?;
            chunks.push(whole);
        }
    }
    table.chunks = chunks
        .into_iter()
        .map(|file| {
            let bytes = done.chunk_file_bytes.get(&file).copied();
            let weight = bytes.or_else(|| files.sizes.get(&file).copied()).unwrap_or_default();
            Chunk { file, bytes, weight }
        })
        .collect();
    table.bytes = table.chunks.iter().map(|chunk| chunk.weight).sum();
    Ok(())
}
