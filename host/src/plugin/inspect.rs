//! What a library file is and has, read from its bytes without running any of them.

use std::fs;
use std::path::{Path, PathBuf};

use backstay_engine_api::{CONTRACT, EngineManifest};
use serde::Deserialize;
use serde_json::Value;
use sha2::{Digest, Sha256};

use super::{PluginError, elf, is_engine_name};

/// A library file that is an engine for this host.
#[derive(Debug, Clone, PartialEq)]
pub struct Inspected {
    /// The file, absolute.
    pub path: PathBuf,
    /// What the engine says of itself.
    pub manifest: EngineManifest,
    /// The JSON Schema of its options.
    pub options_schema: Value,
    /// SHA-256 of the file, as `sha256sum` prints it.
    pub sha256: String,
    /// The file's size in bytes.
    pub size: u64,
}

/// Reads a library file and says what it is.
///
/// # Errors
/// It is no engine that this host can run. Its code is not run in any case.
pub fn inspect(path: &Path) -> Result<Inspected, PluginError> {
    let (path, bytes) = read(path)?;
    inspect_bytes(&path, &bytes)
}

/// A file's absolute path and its bytes.
pub(super) fn read(path: &Path) -> Result<(PathBuf, Vec<u8>), PluginError> {
    let failed = |source| PluginError::Read {
        path: path.to_owned(),
        source,
    };
    let absolute = std::path::absolute(path).map_err(failed)?;
    // A pipe or a device would be read without end.
    if !fs::metadata(&absolute).map_err(failed)?.is_file() {
        return Err(PluginError::no_plugin(&absolute, "it is no file"));
    }
    let bytes = fs::read(&absolute).map_err(failed)?;
    Ok((absolute, bytes))
}

pub(super) fn inspect_bytes(path: &Path, bytes: &[u8]) -> Result<Inspected, PluginError> {
    let section = elf::manifest_section(path, bytes)?;
    let manifest = read_manifest(path, section)?;
    let options_schema = read_schema(path, &manifest)?;
    Ok(Inspected {
        path: path.to_owned(),
        manifest,
        options_schema,
        sha256: sha256(bytes),
        size: bytes.len() as u64,
    })
}

/// The major version of `1.2.3`.
pub(super) fn major(version: &str) -> Option<u32> {
    version.split('.').next()?.parse().ok()
}

/// The part of a manifest that every version of the contract has.
#[derive(Deserialize)]
struct AnyManifest {
    contract: String,
}

fn read_manifest(path: &Path, section: &[u8]) -> Result<EngineManifest, PluginError> {
    let no_json = |error: serde_json::Error| PluginError::manifest(path, error.to_string());
    // The version first: what else is in there depends on it.
    let AnyManifest { contract } = serde_json::from_slice(section).map_err(no_json)?;
    let Some(theirs) = major(&contract) else {
        return Err(PluginError::manifest(
            path,
            format!("its contract is \"{}\"; expected a version", contract.escape_debug()),
        ));
    };
    if Some(theirs) != major(CONTRACT) {
        return Err(PluginError::Contract {
            path: path.to_owned(),
            expected: CONTRACT,
            found: contract.escape_debug().to_string(),
        });
    }
    let manifest: EngineManifest = serde_json::from_slice(section).map_err(no_json)?;
    if !is_engine_name(&manifest.name) {
        let name = manifest.name.escape_debug();
        return Err(PluginError::manifest(
            path,
            format!("its name is \"{name}\"; expected a-z, 0-9 and `-`, starting with a letter"),
        ));
    }
    for (what, text) in [
        ("version", &manifest.version),
        ("vendor", &manifest.vendor),
        ("summary", &manifest.summary),
    ] {
        // They are printed on terminals.
        if text.contains(char::is_control) {
            return Err(PluginError::manifest(
                path,
                format!("its {what} has control characters"),
            ));
        }
    }
    Ok(manifest)
}

fn read_schema(path: &Path, manifest: &EngineManifest) -> Result<Value, PluginError> {
    let wrong =
        |reason: String| PluginError::manifest(path, format!("its options' schema is no JSON Schema: {reason}"));
    let schema: Value = serde_json::from_str(&manifest.options_schema).map_err(|error| wrong(error.to_string()))?;
    jsonschema::validator_for(&schema).map_err(|error| wrong(error.to_string()))?;
    Ok(schema)
}

fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

impl Inspected {
    /// Checks options against the engine's schema.
    ///
    /// # Errors
    /// Everything that does not fit, one line each; empty never.
    pub fn check_options(&self, options: &Value) -> Result<(), Vec<String>> {
        let validator = jsonschema::validator_for(&self.options_schema).map_err(|error| vec![error.to_string()])?;
        let errors: Vec<_> = validator
            .iter_errors(options)
            .map(|error| match error.instance_path().to_string() {
                whole if whole.is_empty() => error.to_string(),
                part => format!("{}: {error}", part.trim_start_matches('/').replace('/', ".")),
            })
            .collect();
        if errors.is_empty() { Ok(()) } else { Err(errors) }
    }
}
