//! A private server on another server's data, or on a directory that is made for it: told what that one's own was told.

use std::path::{Path, PathBuf};

use backstay_engine_api::{EngineError, ServerFacts};
use serde_json::Value;

use super::{PrivateServer, PrivateServerBuilder};
use crate::programs::Program;
use crate::version::{Flavour, Version};

/// What a server must be told to start on another's files. Of MySQL `lower_case_table_names` is fixed at the start as well.
const SETTINGS: [&str; 4] = [
    "innodb_page_size",
    "innodb_data_file_path",
    "innodb_undo_tablespaces",
    "lower_case_table_names",
];

/// MariaDB's plug-in that reads the keys of encrypted tables from a file, and its settings.
const KEYS: &str = "file_key_management";
const KEYS_SETTINGS: [&str; 3] = [
    "file_key_management_filename",
    "file_key_management_filekey",
    "file_key_management_encryption_algorithm",
];

/// What a server on another's files must be told, as arguments, the keys of encrypted tables included; nothing of a server that is not
/// known.
pub fn arguments_of(source: &ServerFacts) -> Vec<String> {
    settings_of(source).into_iter().chain(keys(source)).collect()
}

fn settings_of(source: &ServerFacts) -> Vec<String> {
    let mariadb = Flavour::of(&source.flavour, "").is_mariadb();
    let settings = SETTINGS.iter().filter_map(|name| {
        let value = source.facts.get(*name)?;
        // Undo tablespaces are files of their own since MySQL 8.0, whatever it is told.
        if *name == "innodb_undo_tablespaces" && !mariadb {
            return None;
        }
        let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        Some(format!("--{}={text}", name.replace('_', "-")))
    });
    settings.collect()
}

/// A server's program, and its settings that are fixed with its files.
#[derive(Debug, Clone)]
pub struct Likeness {
    /// The program, of the same series.
    pub program: Program,
    /// As arguments.
    pub settings: Vec<String>,
    /// Where the keys of encrypted tables are, as arguments.
    keys: Vec<String>,
}

impl Likeness {
    /// Of the server that facts are about.
    ///
    /// # Errors
    /// There is no server program, or only one of another series.
    pub fn of(source: &ServerFacts, programs: &[PathBuf]) -> Result<Self, EngineError> {
        let flavour = Flavour::of(&source.flavour, "");
        let program = PrivateServer::program(flavour, programs)?;
        let wanted = Version::parse(&source.version);
        let series = |version: &Version| (version.number.0, version.number.1);
        if series(&wanted) != series(&program.version) {
            return Err(EngineError::refused(format!(
                "the backup is of {flavour} {wanted}, and {} is {}: a server would change the files to its own series",
                program.path.display(),
                program.version
            ))
            .advise("install the server's programs of the same series, or name their directory in the configuration (`programs`)"));
        }
        Ok(Self {
            settings: settings_of(source),
            program,
            keys: keys(source),
        })
    }

    /// A builder for such a server on a directory.
    pub fn on(self, directory: &Path) -> PrivateServerBuilder {
        PrivateServer::builder(self.program, directory)
            .args(self.settings)
            .args(self.keys)
    }
}

/// Where the keys of MariaDB's encrypted tables are, as the source was told: its plug-in `file_key_management`, if it has that. MySQL's
/// keyring components are configured beside the server's program, and in the data directory.
fn keys(source: &ServerFacts) -> Vec<String> {
    let text = |name: &str| {
        let value = source.facts.get(name).and_then(Value::as_str);
        value.filter(|text| !text.is_empty())
    };
    let Some(library) = key_plugin(source) else {
        return Vec::new();
    };
    let mut args = vec![format!("--plugin-load-add={library}")];
    // Where the program does not look for it by itself, on the source's own machine.
    let folder = text("plugin_dir").map(Path::new);
    if let Some(folder) = folder.filter(|folder| folder.join(library).is_file()) {
        args.push(format!("--plugin-dir={}", folder.display()));
    }
    let settings = KEYS_SETTINGS.iter().filter_map(|name| Some((name, text(name)?)));
    args.extend(settings.map(|(name, value)| format!("--{}={value}", name.replace('_', "-"))));
    args
}

/// The library of a MariaDB server's plug-in with the keys of its encrypted tables, if it has `file_key_management`.
pub fn key_plugin(source: &ServerFacts) -> Option<&str> {
    source.facts.get("plugin_libraries")?.get(KEYS)?.as_str()
}
