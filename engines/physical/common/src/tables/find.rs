//! Which tables a job selects, and by which files.

use std::collections::{BTreeMap, BTreeSet};

use backstay_engine_api::job::ChainLink;
use backstay_engine_api::{EngineError, Notice, RestoreJob};
use backstay_mysql::facts::SYSTEM_SCHEMAS;

use super::usage;

/// How many names an error lists.
const NAMED: usize = 5;

/// A table, by its files.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Found {
    /// Its schema.
    pub schema: String,
    /// Its name.
    pub table: String,
    /// Its file's path without the extension, `shop/orders`; of each partition, if it has some: `shop/orders#P#p0`, and the
    /// partition's name.
    pub stems: BTreeSet<(String, Option<String>)>,
}

/// What was found.
#[derive(Debug, Default)]
pub(super) struct Tables {
    pub(super) tables: Vec<Found>,
    pub(super) notices: Vec<Notice>,
}

/// The tables that a job selects, as the last backup of the chain has them.
///
/// # Errors
/// [`Usage`](backstay_engine_api::ErrorKind::Usage) if one is named that the backup does not have;
/// [`Refused`](backstay_engine_api::ErrorKind::Refused) if two would become one.
pub(super) fn tables(job: &RestoreJob, link: &ChainLink) -> Result<Tables, EngineError> {
    let selection = job.selection();
    let mut innodb: BTreeMap<(String, String), Found> = BTreeMap::new();
    let mut others: BTreeSet<(String, String)> = BTreeSet::new();
    let mut near: BTreeSet<String> = BTreeSet::new();
    for object in link.objects() {
        let object = object?;
        let (Some(schema), Some(table)) = (&object.attributes.schema, &object.attributes.table) else {
            continue;
        };
        let system = SYSTEM_SCHEMAS.contains(&schema.as_str());
        if !system {
            near.insert(format!("{schema}.{table}"));
        }
        if system || !selection.selects(schema, table) {
            continue;
        }
        let key = (schema.clone(), table.clone());
        match stem(&object.name) {
            Some(stem) => {
                let found = innodb.entry(key).or_insert_with(|| Found {
                    schema: schema.clone(),
                    table: table.clone(),
                    ..Found::default()
                });
                found
                    .stems
                    .insert((stem.to_owned(), object.attributes.partition.clone()));
            }
            None => {
                others.insert(key);
            }
        }
    }
    others.retain(|key| !innodb.contains_key(key));
    let names = || innodb.keys().chain(&others);
    for pattern in &selection.include {
        if names().any(|(schema, table)| pattern.matches(schema, table)) {
            continue;
        }
        let wanted = pattern.to_string();
        let mut shown: Vec<&str> = near.iter().map(String::as_str).collect();
        shown.sort_by_key(|name| strsim::damerau_levenshtein(name, &wanted));
        shown.truncate(NAMED);
        let error = usage(format!("the backup has no table {pattern} that can be restored"));
        return Err(match shown.is_empty() {
            true => error,
            false => error.advise(format!("it has {}", shown.join(", "))),
        });
    }
    let notices: Vec<Notice> = others
        .iter()
        .map(|(schema, table)| {
            Notice::new(
                "not-innodb",
                "it is a view or not a table of InnoDB, and only such can be restored alone from a physical backup",
            )
            .about(format!("{schema}.{table}"))
        })
        .collect();
    if innodb.is_empty() {
        let all: Vec<String> = others
            .iter()
            .take(NAMED)
            .map(|(schema, table)| format!("{schema}.{table}"))
            .collect();
        return Err(EngineError::refused(format!(
            "none of the selected tables is of InnoDB, and only such can be restored alone from a physical backup: {}",
            all.join(", ")
        ))
        .advise(
            "restore all of the backup to another data directory, start a server on it, and take them from there",
        ));
    }
    let mut seen: BTreeMap<(&str, &str), &str> = BTreeMap::new();
    for (schema, table) in innodb.keys() {
        if let Some(other) = seen.insert((selection.target_schema(schema), table), schema) {
            return Err(EngineError::refused(format!(
                "{other}.{table} and {schema}.{table} would both become {}.{table}",
                selection.target_schema(schema)
            )));
        }
    }
    Ok(Tables {
        tables: innodb.into_values().collect(),
        notices,
    })
}

/// The path of an InnoDB file without what comes after the table's name; `new` and `delta` are what `mariadb-backup` and `xtrabackup`
/// call such files in between.
pub fn stem(object: &str) -> Option<&str> {
    let path = object.strip_suffix(".delta").unwrap_or(object);
    path.strip_suffix(".ibd").or_else(|| path.strip_suffix(".new"))
}
