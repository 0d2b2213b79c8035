//! What `--overwrite` would destroy with nothing to come in its place: what the dump was told to leave out.

use std::collections::{HashMap, HashSet};

use backstay_engine_api::{EngineError, ErrorKind, TablePattern};
use backstay_mysql::{Session, quote_text, target};
use serde_json::{Map, Value};

use super::checks::has_rows;
use super::dump::{Dump, Schema, Table};
use crate::catalogue::Filter;
use crate::format::instance::InstanceFile;

/// What a restore replaces.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Replaced {
    /// Schemas are dropped.
    Schemas,
    /// The dump's tables are, of a dump of single tables, or those that somebody names.
    Tables,
    /// The dump's tables are emptied.
    Rows,
}

/// Refuses to replace what has more than the dump took.
///
/// # Errors
/// [`ErrorKind::Refused`], with what would be lost.
pub(super) fn check(session: &mut Session, dump: &Dump, replaced: Replaced) -> Result<(), EngineError> {
    let told = Told::of(&dump.instance)?;
    let folds = session.variable("lower_case_table_names")?.as_deref() != Some("0");
    let mut lost = Vec::new();
    for schema in &dump.schemas {
        if replaced == Replaced::Schemas {
            lost.extend(tables(session, schema, &told, folds)?);
            lost.extend(programs(session, schema, &told)?);
        }
        if replaced != Replaced::Rows && told.leaves_out("triggers") {
            lost.extend(triggers(session, schema, folds)?);
        }
        lost.extend(rows(session, schema, &told, replaced)?);
    }
    if lost.is_empty() {
        return Ok(());
    }
    let what = match replaced {
        Replaced::Schemas => "replaces whole schemas",
        Replaced::Tables => "replaces whole tables",
        Replaced::Rows => "empties tables",
    };
    let own = matches!(told.says, Says::Own);
    let left = match told.says {
        Says::Nothing => "is not in the dump, which does not say whether it was told to leave it out",
        Says::Own | Says::Options(_) => "the backup leaves out",
    };
    let message = format!(
        "--overwrite {what}, and the target {} has what {left}: {}",
        session.address(),
        target::named(&lost)
    );
    Err(EngineError::refused(message).advise(match replaced {
        Replaced::Schemas if own => {
            "drop it, or move it to another schema; or replace only tables and views that the backup has, by --tables 'schema.*', without \
             routines, events and accounts"
        }
        Replaced::Schemas => "drop it, or move it to another schema, or restore to another server",
        Replaced::Tables => "drop or empty it, or restore beside it with --as-schema",
        Replaced::Rows => "empty these tables, or restore to another server",
    }))
}

/// What a dump says of what it was told to take.
#[derive(Clone, Copy)]
enum Says<'a> {
    /// It is this engine's: of a schema it has all but some tables and rows.
    Own,
    /// A shell's options.
    Options(&'a Map<String, Value>),
    /// A shell before 8.0.28 or so keeps its options to itself.
    Nothing,
}

struct Told<'a> {
    says: Says<'a>,
    /// Which tables, if not all.
    tables: Option<Filter>,
}

impl<'a> Told<'a> {
    fn of(instance: &'a InstanceFile) -> Result<Self, EngineError> {
        let says = match (&instance.backstay, &instance.options) {
            (Some(_), _) => Says::Own,
            (None, Some(options)) => Says::Options(options),
            (None, None) => Says::Nothing,
        };
        Ok(Self {
            says,
            tables: instance.tables()?,
        })
    }

    /// Whether a table that is not in the dump may have been there when it was made.
    fn leaves_out_table(&self, schema: &str, table: &str) -> bool {
        match (&self.says, &self.tables) {
            (Says::Nothing, _) => true,
            (_, Some(wanted)) => !wanted.table(schema, table),
            (_, None) => false,
        }
    }

    /// The same of a kind of things, by the shell's name of the option.
    fn leaves_out(&self, kind: &str) -> bool {
        let options = match self.says {
            Says::Own => return false,
            Says::Nothing => return true,
            Says::Options(options) => options,
        };
        let listed = |option: &String| {
            ["include", "exclude"].iter().any(|word| {
                option
                    .strip_prefix(word)
                    .is_some_and(|of| of.eq_ignore_ascii_case(kind))
            })
        };
        options.get(kind) == Some(&Value::Bool(false)) || options.keys().any(listed)
    }

    /// Whether only some of a table's partitions or rows were dumped.
    fn only_some_of(&self, table: &Table) -> Result<bool, EngineError> {
        let Says::Options(options) = self.says else {
            return Ok(false);
        };
        let named = ["partitions", "where"]
            .iter()
            .filter_map(|option| options.get(*option)?.as_object());
        for name in named.flat_map(Map::keys) {
            let pattern: TablePattern = name.parse().map_err(|error| {
                EngineError::new(
                    ErrorKind::Damaged,
                    format!("`{name}` in the dump's options is no table"),
                )
                .because(&error)
            })?;
            if pattern.matches(&table.schema, &table.name) {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

fn folded(name: &str, folds: bool) -> String {
    if folds { name.to_lowercase() } else { name.to_owned() }
}

/// Tables, views and sequences that are not in the dump.
fn tables(session: &mut Session, schema: &Schema, told: &Told<'_>, folds: bool) -> Result<Vec<String>, EngineError> {
    let there: Vec<String> = session.query(format!(
        "SELECT TABLE_NAME FROM information_schema.TABLES WHERE TABLE_SCHEMA = {} ORDER BY 1",
        quote_text(&schema.target)
    ))?;
    let views = schema.views.iter().map(|view| &view.name);
    let tables = schema.tables.iter().map(|table| &table.name);
    let names = tables.chain(views).chain(&schema.file.sequences);
    let dumped: HashSet<String> = names.map(|name| folded(name, folds)).collect();
    let others = there
        .iter()
        .filter(|name| !dumped.contains(&folded(name, folds)) && told.leaves_out_table(&schema.name, name));
    Ok(others.map(|name| format!("{}.{name}", schema.target)).collect())
}

/// Routines and events that are not in the dump. Their names have no case.
fn programs(session: &mut Session, schema: &Schema, told: &Told<'_>) -> Result<Vec<String>, EngineError> {
    let file = &schema.file;
    let routines = file.functions.iter().chain(&file.procedures).chain(&file.packages);
    let kinds: [(&str, &str, &str, Vec<&String>); 2] = [
        (
            "routines",
            "routine",
            "ROUTINE_NAME FROM information_schema.ROUTINES WHERE ROUTINE_SCHEMA",
            routines.collect(),
        ),
        (
            "events",
            "event",
            "EVENT_NAME FROM information_schema.EVENTS WHERE EVENT_SCHEMA",
            file.events.iter().collect(),
        ),
    ];
    let mut lost = Vec::new();
    for (option, kind, from, dumped) in kinds {
        if !told.leaves_out(option) {
            continue;
        }
        let dumped: HashSet<String> = dumped.into_iter().flat_map(|name| forms(name)).collect();
        let there: Vec<String> = session.query(format!(
            "SELECT DISTINCT {from} = {} ORDER BY 1",
            quote_text(&schema.target)
        ))?;
        let others = there.iter().filter(|name| !dumped.contains(&name.to_lowercase()));
        lost.extend(others.map(|name| format!("{kind} {}.{name}", schema.target)));
    }
    Ok(lost)
}

/// Triggers of the dump's tables that are not in it.
fn triggers(session: &mut Session, schema: &Schema, folds: bool) -> Result<Vec<String>, EngineError> {
    let there: Vec<(String, String)> = session.query(format!(
        "SELECT EVENT_OBJECT_TABLE, TRIGGER_NAME FROM information_schema.TRIGGERS WHERE EVENT_OBJECT_SCHEMA = {} ORDER BY 1, 2",
        quote_text(&schema.target)
    ))?;
    let dumped: HashMap<String, HashSet<String>> = schema
        .tables
        .iter()
        .map(|table| {
            let names = table.file.triggers.iter().flat_map(|name| forms(name));
            (folded(&table.name, folds), names.collect())
        })
        .collect();
    let lost = there.into_iter().filter(|(table, trigger)| {
        let dumped = dumped.get(&folded(table, folds));
        dumped.is_some_and(|dumped| !dumped.contains(&trigger.to_lowercase()))
    });
    Ok(lost
        .map(|(_, trigger)| format!("trigger {}.{trigger}", schema.target))
        .collect())
}

/// A name of the dump without its case, and also without the backticks in which the oldest shells have some.
pub(super) fn forms(name: &str) -> [String; 2] {
    let name = name.to_lowercase();
    let inner = name.strip_prefix('`').and_then(|name| name.strip_suffix('`'));
    let plain = inner.map_or_else(|| name.clone(), |inner| inner.replace("``", "`"));
    [name, plain]
}

/// Tables that have rows, of which the dump has only some or none. Of a backup of this engine's it is enough that somebody names the table.
fn rows(
    session: &mut Session,
    schema: &Schema,
    told: &Told<'_>,
    replaced: Replaced,
) -> Result<Vec<String>, EngineError> {
    let mut lost = Vec::new();
    if replaced == Replaced::Tables && matches!(told.says, Says::Own) {
        return Ok(lost);
    }
    for table in &schema.tables {
        if replaced == Replaced::Rows && table.chunks.is_empty() {
            continue;
        }
        let in_part = table.file.where_.is_some() || !schema.file.includes_data || told.only_some_of(table)?;
        if in_part && has_rows(session, table)? {
            lost.push(format!("rows of {}", table.shown()));
        }
    }
    Ok(lost)
}
