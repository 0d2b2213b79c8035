//! [`Layout`]: how LOAD DATA is to read the columns of a table's files.

use std::collections::HashMap;
use std::fmt::Write as _;

use backstay_engine_api::EngineError;
use backstay_mysql::{quote_identifier, quote_text};

use super::decode::Decoding;
use crate::restore::dump::Table;
use crate::restore::pool::Worker;

/// Engines whose rows are rolled back with their transaction.
const TRANSACTIONAL: [&str; 3] = ["InnoDB", "ROCKSDB", "TokuDB"];

/// Types without a character set that read their values from bytes as they are.
const AS_BYTES: [&str; 37] = [
    "tinyint",
    "smallint",
    "mediumint",
    "int",
    "integer",
    "bigint",
    "decimal",
    "numeric",
    "float",
    "double",
    "real",
    "bit",
    "year",
    "date",
    "time",
    "datetime",
    "timestamp",
    "binary",
    "varbinary",
    "tinyblob",
    "blob",
    "mediumblob",
    "longblob",
    "geometry",
    "point",
    "linestring",
    "polygon",
    "multipoint",
    "multilinestring",
    "multipolygon",
    "geometrycollection",
    "geomcollection",
    "vector",
    "bool",
    "boolean",
    "dec",
    "fixed",
];

/// Warnings that computing a value may give, and taking one from a file does not: of a CAST, of a division by zero, of a function's
/// argument, of a date out of range.
const IN_EXPRESSIONS: [&str; 4] = ["1292", "1365", "1411", "1441"];

/// What MariaDB has for the end of a row of now, in UTC: the last TIMESTAMP that there is, before 11.5 and from then on (on 64 bits). A row
/// with the other one would be a row of the past.
const NOW_ENDS: [&str; 2] = ["2038-01-19 03:14:07.999999", "2106-02-07 06:28:15.999999"];

/// How the files of a table are read.
#[derive(Debug)]
pub(in crate::restore) struct Layout {
    columns: Vec<Column>,
    /// Whether the file is read as bytes and not as utf8mb4 text.
    as_bytes: bool,
    decodings: Vec<Decoding>,
    /// Columns of type ENUM.
    enums: Vec<String>,
    /// Columns that the server computes.
    computed: Vec<String>,
    /// When the rows of now end, as the target has it: of a system-versioned table, whose last column that is.
    now_ends: Option<&'static str>,
    /// Whether a row may hold a value of any size.
    large: bool,
    /// `InnoDB`, `MyISAM`, ….
    engine: String,
}

#[derive(Debug)]
struct Column {
    name: String,
    /// Whether its bytes are utf8mb4 text that the server has to turn into something else.
    converted: bool,
    /// Whether its bytes are taken as they are, for they are those of a column of ASCII.
    ascii: bool,
}

impl Layout {
    /// Of a table as it is on the target.
    ///
    /// # Errors
    /// The table is not there, or lacks a column.
    pub(in crate::restore) fn of(worker: &mut Worker, table: &Table) -> Result<Self, EngineError> {
        let here = format!(
            "TABLE_SCHEMA = {} AND TABLE_NAME = {}",
            quote_text(&table.target),
            quote_text(&table.name)
        );
        let engine = worker
            .session
            .texts(format!("SELECT ENGINE FROM information_schema.TABLES WHERE {here}"))?;
        let engine = engine.into_iter().flatten().flatten().next().unwrap_or_default();
        let now_ends = match table.file.history {
            true => Some(now_ends(worker)?),
            false => None,
        };
        let rows = worker.session.texts(columns_of(table))?;
        let mut known = Known::new();
        let mut computed = Vec::new();
        for row in rows {
            let mut cells = row.into_iter();
            if let (Some(Some(name)), Some(Some(data_type)), Some(charset), Some(Some(generated))) =
                (cells.next(), cells.next(), cells.next(), cells.next())
            {
                if generated == "1" {
                    computed.push(name.clone());
                }
                known.insert(name, (data_type, charset));
            }
        }
        check(table, &known)?;
        let options = &table.file.options;
        // Those of a period are in the file.
        computed.retain(|name| !options.columns.contains(name));
        // Period columns of system-versioned tables may be invisible to information_schema.
        let columns: Vec<Column> = options
            .columns
            .iter()
            .map(|name| {
                let decoded = options.decode_columns.get(name).is_some();
                // Text whose bytes are dumped as they are.
                let own = table.file.character_sets.get(name).is_some();
                let known = known.get(name);
                Column {
                    name: name.clone(),
                    converted: !own
                        && known.is_some_and(|(data_type, charset)| !reads_bytes(data_type, charset.as_deref())),
                    ascii: !decoded && known.is_some_and(|(_, charset)| charset.as_deref() == Some("ascii")),
                }
            })
            .collect();
        let decoding = |name: &String| match options.decode_columns.get(name).map(String::as_str) {
            None => Decoding::None,
            Some("UNHEX") => Decoding::Hex,
            Some(_) => Decoding::Base64,
        };
        let decodings: Vec<Decoding> = options.columns.iter().map(decoding).collect();
        let has_ascii = columns.iter().any(|column| column.ascii);
        let decodes = decodings.iter().any(|decoding| *decoding != Decoding::None);
        Ok(Self {
            // Text of other character sets is turned into them by the server as it reads, if it reads text. A column of ASCII can have
            // bytes that are no text.
            as_bytes: decodes || has_ascii || !columns.iter().any(|column| column.converted),
            large: known.values().any(|(data_type, _)| is_large(data_type)),
            computed,
            now_ends,
            enums: columns
                .iter()
                .filter(|column| {
                    known
                        .get(&column.name)
                        .is_some_and(|(data_type, _)| data_type == "enum")
                })
                .map(|column| column.name.clone())
                .collect(),
            columns,
            decodings,
            engine,
        })
    }

    /// The same for a table that was not made of the dump's definition: an ENUM of it may lack a member that a row has, and a column of
    /// ASCII may have been one of other text.
    pub(in crate::restore) fn of_another_definition(mut self) -> Self {
        self.enums.clear();
        self.computed.clear();
        for column in &mut self.columns {
            column.converted |= column.ascii;
        }
        self
    }

    pub(super) fn decodings(&self) -> &[Decoding] {
        &self.decodings
    }

    /// Whether the table's rows are rolled back with their transaction.
    pub(in crate::restore) fn transactional(&self) -> bool {
        TRANSACTIONAL.iter().any(|name| name.eq_ignore_ascii_case(&self.engine))
    }

    /// Whether several sessions may load it at once: engines that lock the whole table make the others wait.
    pub(in crate::restore) fn innodb(&self) -> bool {
        self.engine.eq_ignore_ascii_case("InnoDB")
    }

    /// Whether a warning says nothing but what the source said too: an ENUM that holds no member of its type, which reads as
    /// an empty text, is taken for one again; and what the server computes of the row is clipped, or fails, again.
    pub(super) fn expects(&self, warning: &str) -> bool {
        let of = |name: &String| warning.contains(&format!(" for column '{name}' at row "));
        // `Warning 1265: Data truncated for column …`
        let code = warning.split(": ").next().and_then(|head| head.split(' ').next_back());
        let code = code.unwrap_or_default();
        // Of a column the servers say so, some in quotes and some in backticks.
        let in_expression = IN_EXPRESSIONS.contains(&code) && !warning.contains(" for column ");
        (code == "1265" && self.enums.iter().any(of))
            || self.computed.iter().any(of)
            || (in_expression && !self.computed.is_empty())
    }

    /// What the session is to be set to before the table's rows are loaded.
    ///
    /// MariaDB builds an empty table in bulk where neither unique keys nor foreign keys are checked, which is much faster; but a
    /// row of more bytes than the redo log holds makes that run for ever (10.11, without an error). So it is
    /// kept from tables that can have such a row. To MySQL the setting hardly matters.
    pub(super) fn setting(&self) -> String {
        format!("SET SESSION unique_checks = {}", u8::from(self.large))
    }

    /// The statement; `table` is in backticks.
    pub(super) fn statement(&self, table: &str, file: &str) -> String {
        let mut names = String::new();
        let mut sets = String::new();
        for (at, column) in self.columns.iter().enumerate() {
            let comma = if at == 0 { "" } else { ", " };
            let name = quote_identifier(&column.name);
            let last = at + 1 == self.columns.len();
            if let Some(now_ends) = self.now_ends.filter(|_| last) {
                let _ = write!(names, "{comma}@v{at}");
                let word = if sets.is_empty() { " SET " } else { ", " };
                let maxima = NOW_ENDS.map(|end| format!("'{end}'")).join(", ");
                let _ = write!(sets, "{word}{name} = IF(@v{at} IN ({maxima}), '{now_ends}', @v{at})");
            } else if self.as_bytes && column.converted {
                let _ = write!(names, "{comma}@v{at}");
                let word = if sets.is_empty() { " SET " } else { ", " };
                let _ = write!(sets, "{word}{name} = CONVERT(@v{at} USING utf8mb4)");
            } else {
                let _ = write!(names, "{comma}{name}");
            }
        }
        let charset = if self.as_bytes { "binary" } else { "utf8mb4" };
        format!(
            "LOAD DATA LOCAL INFILE {} INTO TABLE {table} CHARACTER SET {charset} FIELDS TERMINATED BY '\\t' ESCAPED BY '\\\\' LINES \
             TERMINATED BY '\\n' ({names}){sets}",
            quote_text(file)
        )
    }
}

/// The one that the target has.
fn now_ends(worker: &mut Worker) -> Result<&'static str, EngineError> {
    let later = worker.session.texts("SELECT FROM_UNIXTIME(4294967295) IS NOT NULL")?;
    let later = later.into_iter().flatten().flatten().next().as_deref() == Some("1");
    Ok(NOW_ENDS[usize::from(later)])
}

/// Columns of a table of the target: their `DATA_TYPE` in lower case, and their character set.
pub(in crate::restore) type Known = HashMap<String, (String, Option<String>)>;

/// The query for them, and for whether they are generated.
pub(in crate::restore) fn columns_of(table: &Table) -> String {
    format!(
        "SELECT COLUMN_NAME, LOWER(DATA_TYPE), CHARACTER_SET_NAME, EXTRA LIKE '% GENERATED%' FROM information_schema.COLUMNS WHERE TABLE_SCHEMA = {} AND TABLE_NAME = {}",
        quote_text(&table.target),
        quote_text(&table.name)
    )
}

/// Refuses a table that lacks a column of the dump's, or has one of another character set where the dump has bytes of text: these mean what
/// they mean in their own only.
pub(in crate::restore) fn check(table: &Table, known: &Known) -> Result<(), EngineError> {
    for name in &table.file.options.columns {
        let Some((data_type, charset)) = known.get(name) else {
            // Those of a period may be invisible to information_schema.
            if table.file.history {
                continue;
            }
            let message = format!(
                "{} has no column {name} on the target, and the dump has one",
                table.shown()
            );
            return Err(EngineError::refused(message).advise("restore definitions and rows together"));
        };
        let bytes = data_type.ends_with("binary") || data_type.ends_with("blob");
        match (table.file.character_sets.get(name), charset) {
            (Some(source), target) if !bytes && target.as_ref() != Some(source) => {
                let message = format!(
                    "column {name} of {} has the character set {} on the target, and the dump has text of {source} that has no exact form in \
                     Unicode",
                    table.shown(),
                    target.as_deref().unwrap_or(data_type)
                );
                return Err(EngineError::refused(message).advise(format!(
                    "restore definitions and rows together, or make it a column of {source} or VARBINARY"
                )));
            }
            _ => {}
        }
    }
    Ok(())
}

/// Whether values of a type may be larger than a page many times over.
fn is_large(data_type: &str) -> bool {
    ["blob", "text"].iter().any(|large| data_type.ends_with(large))
        || [
            "json",
            "vector",
            "geometry",
            "linestring",
            "polygon",
            "multipoint",
            "multilinestring",
            "multipolygon",
        ]
        .contains(&data_type)
        || data_type.starts_with("geom")
}

/// Whether a column takes utf8mb4 text as bytes: it is stored as just these, or it is no text.
fn reads_bytes(data_type: &str, charset: Option<&str>) -> bool {
    match charset {
        Some(charset) => ["utf8mb4", "utf8mb3", "utf8", "ascii", "binary"].contains(&charset),
        None => AS_BYTES.contains(&data_type),
    }
}
