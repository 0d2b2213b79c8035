//! MySQL Shell's dump format, version 2.0.1, as MySQL Shell 8.4 to 9.6 writes and reads it: the JSON files, and the names of
//! files.
//!
//! Each type both writes its file (keys in the shell's order) and reads it: keys that a version lacks have defaults, and keys
//! that are not known here are passed over.

pub(crate) mod done;
pub(crate) mod instance;
pub(crate) mod names;
pub(crate) mod ordered;
pub(crate) mod schema;
pub(crate) mod table;

use backstay_engine_api::{EngineError, ErrorKind};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::ser::{PrettyFormatter, Serializer};

/// The version that this engine writes.
pub(crate) const VERSION: &str = "2.0.1";

/// A file's bytes: JSON with an indent of four spaces and no line end, as the shell has it.
///
/// # Errors
/// Never for the types of this module.
pub(crate) fn to_json(file: &impl Serialize) -> Result<Vec<u8>, EngineError> {
    let mut bytes = Vec::new();
    let mut serializer = Serializer::with_formatter(&mut bytes, PrettyFormatter::with_indent(b"    "));
    file.serialize(&mut serializer)
        .map_err(|error| EngineError::other("a file of the dump can not be written as JSON").because(&error))?;
    Ok(bytes)
}

/// Reads the file `name`.
///
/// # Errors
/// [`ErrorKind::Damaged`] if it is not JSON of that form.
pub(crate) fn from_json<T: DeserializeOwned>(name: &str, bytes: &[u8]) -> Result<T, EngineError> {
    serde_json::from_slice(bytes).map_err(|error| {
        EngineError::new(
            ErrorKind::Damaged,
            format!("`{name}` of the dump is not what the format says"),
        )
        .because(&error)
        .advise("take the dump again, or restore another one")
    })
}

#[cfg(test)]
mod tests;
