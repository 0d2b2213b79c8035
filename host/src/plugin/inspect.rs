//! What a library file is and has, read without running any of it.

use std::cell::RefCell;
use std::fs::{File, Metadata};
use std::io::{self, Read, Seek};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use backstay_engine_api::{CONTRACT, EngineManifest};
use object::ReadCache;
use rustix::fs::OFlags;
use serde::Deserialize;
use serde_json::Value;
use sha2::{Digest, Sha256};

use super::frugal::Frugal;
use super::{PluginError, elf, is_engine_name};
use crate::repository::index::hex;

/// How many bytes are read at once: what the processor's cache holds.
const PIECE: usize = 256 << 10;

/// A library file that is an engine for this host.
#[derive(Debug, Clone, PartialEq)]
pub struct Inspected {
    /// The file, absolute.
    pub path: PathBuf,
    /// What the engine says of itself.
    pub manifest: EngineManifest,
    /// The JSON Schema of its options.
    pub options_schema: Value,
    /// The file's size in bytes.
    pub size: u64,
    /// Tells the file that was inspected from another one at its place.
    identity: Identity,
    sha256: OnceLock<String>,
}

/// Device, inode, size, and the time of the last change of any sort (ctime).
type Identity = (u64, u64, u64, i64, i64);

/// Reads what a library file's headers lead to, and says what it is.
///
/// # Errors
/// It is no engine that this host can run. Its code is not run in any case.
pub fn inspect(path: &Path) -> Result<Inspected, PluginError> {
    let (path, file, metadata) = open(path)?;
    inspect_file(&path, file, &metadata, None)
}

/// A file, its absolute path, and what the system says of it.
pub(super) fn open(path: &Path) -> Result<(PathBuf, File, Metadata), PluginError> {
    let failed = |source| PluginError::Read {
        path: path.to_owned(),
        source,
    };
    let absolute = std::path::absolute(path).map_err(failed)?;
    // Opening a pipe would wait for whoever writes into it.
    let nonblocking = OFlags::NONBLOCK.bits() as i32;
    let file = File::options()
        .read(true)
        .custom_flags(nonblocking)
        .open(&absolute)
        .map_err(failed)?;
    let metadata = file.metadata().map_err(failed)?;
    // A pipe or a device would be read without end.
    if !metadata.is_file() {
        return Err(PluginError::no_plugin(&absolute, "it is no file"));
    }
    Ok((absolute, file, metadata))
}

/// Reads all that there is, piece by piece: its SHA-256.
pub(super) fn digest(mut from: impl Read) -> io::Result<String> {
    let mut digest = Sha256::new();
    let mut piece = vec![0; PIECE];
    loop {
        match from.read(&mut piece) {
            Ok(0) => return Ok(hex(&digest.finalize())),
            Ok(read) => digest.update(&piece[..read]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

/// `file` is what lies at `path`, or a copy of it; `sha256` is its digest, if it is known already.
pub(super) fn inspect_file(
    path: &Path,
    file: impl Read + Seek,
    metadata: &Metadata,
    sha256: Option<String>,
) -> Result<Inspected, PluginError> {
    let failure = RefCell::default();
    let cache = ReadCache::new(Frugal::new(file, &failure));
    let section = elf::manifest_section(path, &cache).map_err(|error| match failure.take() {
        Some(source) => PluginError::Read {
            path: path.to_owned(),
            source,
        },
        None => error,
    })?;
    let manifest = read_manifest(path, section)?;
    let options_schema = read_schema(path, &manifest)?;
    Ok(Inspected {
        path: path.to_owned(),
        manifest,
        options_schema,
        size: metadata.len(),
        identity: identity(metadata),
        sha256: sha256.map_or_else(OnceLock::new, OnceLock::from),
    })
}

fn identity(metadata: &Metadata) -> Identity {
    (
        metadata.dev(),
        metadata.ino(),
        metadata.len(),
        metadata.ctime(),
        metadata.ctime_nsec(),
    )
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

impl Inspected {
    /// SHA-256 of the file that was inspected, as `sha256sum` prints it. The file is read when it is asked for first.
    ///
    /// # Errors
    /// It can not be read, or is not the file that was inspected any more.
    pub fn sha256(&self) -> Result<&str, PluginError> {
        if let Some(known) = self.sha256.get() {
            return Ok(known);
        }
        let (path, file, before) = open(&self.path)?;
        let failed = |source| PluginError::Read {
            path: path.clone(),
            source,
        };
        let found = digest(&file).map_err(failed)?;
        let after = file.metadata().map_err(failed)?;
        if [before, after]
            .iter()
            .any(|metadata| identity(metadata) != self.identity)
        {
            return Err(PluginError::Replaced { path });
        }
        Ok(self.sha256.get_or_init(|| found))
    }

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
