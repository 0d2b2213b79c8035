//! What a selection takes of a dump.

use std::collections::HashMap;

use backstay_engine_api::{EngineError, ErrorKind, Selection};
use backstay_mysql::target::it_has;

use super::{Schema, View, base_of};
use crate::format::names;

/// Leaves in each schema what is selected, and leaves out schemas of which nothing is.
///
/// # Errors
/// [`ErrorKind::Usage`] if a pattern fits nothing, or two tables would become one.
pub(super) fn select(schemas: &mut Vec<Schema>, selection: &Selection) -> Result<(), EngineError> {
    let usage = |message: String| EngineError::new(ErrorKind::Usage, message);
    for pattern in &selection.include {
        let fits = |schema: &Schema| all(schema).any(|name| pattern.matches(&schema.name, name));
        if !schemas.iter().any(fits) {
            let names = schemas
                .iter()
                .flat_map(|schema| all(schema).map(|name| format!("{}.{name}", schema.name)));
            let advice = it_has(&pattern.to_string(), names);
            return Err(usage(format!("no table, view or sequence of the backup fits `{pattern}`")).advise(advice));
        }
    }
    let everything = selection.is_everything();
    for schema in schemas.iter_mut() {
        let name = schema.name.clone();
        let keep = |table: &String| everything || selection.selects(&name, table);
        schema.file.tables.retain(keep);
        schema.file.views.retain(keep);
        schema.file.sequences.retain(keep);
        for view in schema.file.views.clone() {
            schema.views.push(View {
                base: base_of(&schema.file.basenames, &view, &names::json(&schema.base))?,
                schema: name.clone(),
                target: schema.target.clone(),
                name: view,
            });
        }
    }
    if everything {
        return Ok(());
    }
    schemas.retain(|schema| all(schema).next().is_some());
    if schemas.is_empty() {
        let message = "the selection leaves nothing of the backup to restore";
        return Err(
            usage(message.to_owned()).advise("leave out fewer tables; `backstay show` says what the backup has")
        );
    }
    let mut targets: HashMap<(&str, &str), &str> = HashMap::new();
    for schema in schemas.iter() {
        for name in all(schema) {
            if let Some(other) = targets.insert((&schema.target, name), &schema.name) {
                let message = format!(
                    "{other}.{name} and {}.{name} would both become {}.{name}",
                    schema.name, schema.target
                );
                return Err(usage(message).advise("restore them one by one"));
            }
        }
    }
    Ok(())
}

/// Names of tables, views and sequences.
fn all(schema: &Schema) -> impl Iterator<Item = &str> {
    let file = &schema.file;
    [&file.tables, &file.views, &file.sequences]
        .into_iter()
        .flatten()
        .map(String::as_str)
}
