//! What `--overwrite` would destroy with nothing to come in its place: what the dump was told to leave out.

use std::collections::HashSet;

use backstay_engine_api::{EngineError, TablePattern};
use backstay_mysql::{Session, quote_text, target};
use serde_json::{Map, Value};

use super::checks::has_rows;
use super::dump::{Dump, Schema, Table};
use crate::catalogue::Filter;
use crate::format::instance::InstanceFile;

/// Refuses to replace what has more than the dump took. With `whole`, schemas are dropped; else only the tables of the dump.
///
/// # Errors
/// [`ErrorKind::Refused`](backstay_engine_api::ErrorKind::Refused), with what would be lost.
pub(super) fn check(session: &mut Session, dump: &Dump, whole: bool) -> Result<(), EngineError> {
    let told = Told::of(&dump.instance)?;
    let folds = session.variable("lower_case_table_names")?.as_deref() != Some("0");
    let mut lost = Vec::new();
    for schema in &dump.schemas {
        if whole {
            lost.extend(tables(session, schema, &told, folds)?);
            lost.extend(programs(session, schema, &told)?);
        }
        if told.leaves_out("triggers") {
            lost.extend(triggers(session, schema, folds)?);
        }
        for table in &schema.tables {
            let in_part = table.file.where_.is_some() || !schema.file.includes_data || told.partitions_of(table)?;
            if in_part && has_rows(session, table)? {
                lost.push(format!("rows of {}", table.shown()));
            }
        }
    }
    if lost.is_empty() {
        return Ok(());
    }
    let what = if whole { "schemas" } else { "tables" };
    let left = match told.says {
        Says::Nothing => "is not in the dump, which does not say whether it was told to leave it out",
        Says::Own | Says::Options(_) => "the backup leaves out",
    };
    let message = format!(
        "--overwrite replaces whole {what}, and the target {} has what {left}: {}",
        session.address(),
        target::named(&lost)
    );
    Err(EngineError::refused(message).advise(match whole {
        true => {
            "drop it, or move it to another schema; or replace only tables and views that the backup has, by --tables 'schema.*', without \
             routines, events and accounts"
        }
        false => "drop it, or restore beside it with --as-schema",
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

    /// Whether only some of a table's partitions were dumped.
    fn partitions_of(&self, table: &Table) -> Result<bool, EngineError> {
        let Says::Options(options) = self.says else {
            return Ok(false);
        };
        let named = options
            .get("partitions")
            .and_then(Value::as_object)
            .into_iter()
            .flatten();
        for (name, _) in named {
            let pattern: TablePattern = name.parse().map_err(|error| {
                EngineError::other(format!("`{name}` in the dump's `partitions` is no table")).because(&error)
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
        let dumped: HashSet<String> = dumped.into_iter().map(|name| name.to_lowercase()).collect();
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
    let of = |name: &str| {
        let mut tables = schema.tables.iter();
        tables.find(|table| folded(&table.name, folds) == folded(name, folds))
    };
    let lost = there.into_iter().filter_map(|(table, trigger)| {
        let dumped = &of(&table)?.file.triggers;
        let is_dumped = dumped.iter().any(|one| one.to_lowercase() == trigger.to_lowercase());
        (!is_dumped).then(|| format!("trigger {}.{trigger}", schema.target))
    });
    Ok(lost.collect())
}
