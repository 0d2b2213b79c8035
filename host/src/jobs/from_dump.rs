//! Restoring a directory that no Backstay made.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use backstay_engine_api::wire::Target;
use backstay_engine_api::{BackupKind, BackupRecord, Operation, Restored, ServerFacts, TargetKind};
use jiff::Timestamp;
use sha2::{Digest, Sha256};

use super::restore::{Source, Terms};
use super::{Observer, Workers, chosen, engine_ref};
use crate::directory::Directory;
use crate::error::{Error, ErrorKind, Result};
use crate::plugin::Inspected;
use crate::repository::index::hex;
use crate::worker::protocol::SourceSpec;

/// The file of MySQL Shell's that says which dump a directory is: when it was begun, of which server, with which options.
const IDENTITY: &str = "@.json";

/// A restore that is asked for.
#[derive(Debug, Clone)]
pub struct Request {
    /// The directory.
    pub directory: PathBuf,
    /// The engine; `None` for the only one that restores directories.
    pub engine: Option<String>,
    /// Where to and how.
    pub terms: Terms,
}

/// What came of it.
#[derive(Debug)]
pub struct Done {
    /// The directory as a backup: its id is the same for the same dump in the same place.
    pub record: BackupRecord,
    /// What the engine says of it.
    pub restored: Restored,
}

impl Workers {
    /// Restores a directory. It takes no repository, and no lock: a guarded session of a supervisor that is killed is ended
    /// by the worker, and by nobody else.
    ///
    /// # Errors
    /// Nothing of the directory has reached the target if the error came before the engine's work: it can not be read, there
    /// is no engine for it, the target is refused.
    pub fn restore_directory(&self, request: &Request, observer: &mut dyn Observer) -> Result<Done> {
        let directory = Directory::open(&request.directory)?;
        let plugin = match &request.engine {
            Some(name) => named(self.engine(name, Operation::Restore)?)?,
            None => self.only_engine_for_directories(&request.terms.target)?,
        };
        let record = record(&directory, plugin)?;
        let source = Source {
            name: directory.path().display().to_string(),
            cluster: String::new(),
            repository: None,
            chain: vec![record.clone()],
            specs: vec![SourceSpec::Directory {
                path: directory.path().to_owned(),
            }],
        };
        let restored = self.run_restore(plugin, source, &request.terms, observer)?;
        Ok(Done { record, restored })
    }

    /// The engine that restores directories to such a target.
    fn only_engine_for_directories(&self, target: &Target) -> Result<&Inspected> {
        let fits = |engine: &&Inspected| {
            let manifest = &engine.manifest;
            let (kind, database) = match target {
                Target::Server(server) => (
                    TargetKind::Server,
                    manifest.databases.is_empty() || manifest.databases.contains(&server.scheme),
                ),
                Target::DataDir { .. } => (TargetKind::DataDir, true),
            };
            manifest.restores_directories
                && manifest.has(Operation::Restore)
                && manifest.restores_to.contains(&kind)
                && database
        };
        let found: Vec<&Inspected> = self.plugins.engines().filter(fits).collect();
        match found[..] {
            [only] => chosen(only),
            [] => {
                let looked: Vec<String> = self
                    .plugins
                    .directories
                    .iter()
                    .map(|path| path.display().to_string())
                    .collect();
                Err(Error::new(
                    ErrorKind::Unsupported,
                    format!("no engine restores directories to such a target; looked in {}", looked.join(", ")),
                )
                .advise("install one, such as `mysqlshell`; `backstay engines list` shows those that there are, and any that can not be used"))
            }
            _ => {
                let names: Vec<&str> = found.iter().map(|engine| engine.manifest.name.as_str()).collect();
                Err(Error::new(
                    ErrorKind::Usage,
                    format!("more than one engine restores directories: {}", names.join(", ")),
                )
                .advise("name one with `--engine`"))
            }
        }
    }
}

fn named(plugin: &Inspected) -> Result<&Inspected> {
    if plugin.manifest.restores_directories {
        return Ok(plugin);
    }
    Err(Error::new(
        ErrorKind::Unsupported,
        format!(
            "engine `{}` restores its own backups only, and no directories",
            plugin.manifest.name
        ),
    )
    .advise("leave `--engine` out, or name another engine"))
}

/// The directory as a full backup of an unknown server.
fn record(directory: &Directory, plugin: &Inspected) -> Result<BackupRecord> {
    let path = directory.path();
    let failed = |error: std::io::Error| {
        Error::new(ErrorKind::Io, format!("{} can not be read", path.display())).because(&error)
    };
    let made = fs::metadata(path)
        .and_then(|metadata| metadata.modified())
        .map_err(failed)?;
    Ok(BackupRecord {
        id: id_of(directory).map_err(failed)?,
        cluster: String::new(),
        workflow: None,
        engine: engine_ref(plugin)?,
        kind: BackupKind::Full,
        parent: None,
        server: ServerFacts::default(),
        positions: Vec::new(),
        from: Vec::new(),
        started: seconds(made),
        finished: seconds(made),
        objects: directory.len() as u64,
        bytes: directory.bytes(),
        stored_bytes: directory.bytes(),
        partial: false,
        notices: Vec::new(),
        log: None,
        state: serde_json::Value::Null,
        other: serde_json::Map::new(),
    })
}

/// `dump-`, and a digest of where it is and which dump: an engine that resumes a restore knows by it that it is the same.
fn id_of(directory: &Directory) -> std::io::Result<String> {
    let mut digest = Sha256::new();
    digest.update(directory.path().as_os_str().as_encoded_bytes());
    digest.update([0]);
    match fs::read(directory.path().join(Path::new(IDENTITY))) {
        Ok(bytes) => digest.update(bytes),
        // Of another format: where it is has to do.
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
        Err(error) => return Err(error),
    }
    Ok(format!("dump-{}", &hex(&digest.finalize())[..16]))
}

fn seconds(time: SystemTime) -> String {
    Timestamp::try_from(time).map_or_else(|_| String::new(), super::seconds)
}
