//! Files as objects.

use std::path::{Component, Path};

use backstay_engine_api::{Attributes, EngineError, ErrorKind, ObjectInfo};

use crate::names::Table;

/// The `kind` of an object that is a file.
pub const FILE: &str = "file";

/// What an object that is a file of the data directory says of itself: its path from there, and the table that it is of.
pub fn file_attributes(path: &str, table: Option<&Table>) -> Attributes {
    let mut attributes = Attributes::kind(FILE).with("path", path);
    if let Some(table) = table {
        attributes = attributes.schema(&table.schema).table(&table.table);
        attributes.partition.clone_from(&table.partition);
    }
    attributes
}

/// A path that an object says of itself. What stands in a repository is not trusted to stay below a directory.
///
/// # Errors
/// [`ErrorKind::Damaged`] if it would not.
pub fn below<'a>(object: &ObjectInfo, path: &'a str) -> Result<&'a Path, EngineError> {
    let path = Path::new(path);
    let safe = path.components().all(|part| matches!(part, Component::Normal(_)));
    if path.as_os_str().is_empty() || !safe {
        let message = format!(
            "object {} is no file below a data directory: {}",
            object.name,
            path.display()
        );
        return Err(EngineError::new(ErrorKind::Damaged, message));
    }
    Ok(path)
}
