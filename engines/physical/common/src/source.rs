//! The server's data directory, and what a server on its files must be told.

use std::path::{Path, PathBuf};

use backstay_engine_api::{BackupRecord, EngineError, ErrorKind, Notice, Server, ServerFacts};
use backstay_mysql::private_server::key_plugin;

/// The server's data directory, which must be on this machine: as configured, else as the server says.
///
/// # Errors
/// [`ErrorKind::Refused`] if it can not be read here.
pub fn data_dir(server: &Server, facts: &ServerFacts) -> Result<PathBuf, EngineError> {
    let told = facts
        .facts
        .get("datadir")
        .and_then(|dir| dir.as_str())
        .map(PathBuf::from);
    let dir = server
        .data_dir
        .clone()
        .or(told)
        .ok_or_else(|| EngineError::other("the server does not say where its data directory is"))?;
    match std::fs::read_dir(&dir) {
        Ok(_) => Ok(dir),
        Err(error) => {
            let message = format!("the server's data directory {} can not be read here", dir.display());
            Err(EngineError::new(ErrorKind::Refused, message).because(&error).advise(
                "run Backstay on the server's machine, as a user who can read its files (root, or the server's own); \
                 name the directory in the configuration (`data_dir`) if it is elsewhere here",
            ))
        }
    }
}

/// What a server on the files must be told, where it is not a server's default.
pub fn layout_notice(record: &BackupRecord) -> Option<Notice> {
    const DEFAULTS: [(&str, &str); 3] = [
        ("innodb_page_size", "16384"),
        ("innodb_data_file_path", "ibdata1:12M:autoextend"),
        ("lower_case_table_names", "0"),
    ];
    let facts = &record.server.facts;
    let mut unusual: Vec<String> = DEFAULTS
        .iter()
        .filter_map(|(name, default)| {
            let value = facts.get(*name)?;
            let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            (text != *default).then(|| format!("{name}={text}"))
        })
        .collect();
    unusual.extend(key_plugin(&record.server).map(|library| format!("plugin-load-add={library}")));
    (!unusual.is_empty()).then(|| {
        Notice::new(
            "needs-settings",
            "a server on these files must be configured as the source was",
        )
        .about(unusual.join(" "))
    })
}

/// About how much there is to read, in bytes: the files of the data directory but the logs. Only for the time left.
pub fn size_of(data_dir: &Path) -> u64 {
    let entries = |dir: &Path| std::fs::read_dir(dir).into_iter().flatten().flatten();
    let size = |entry: std::fs::DirEntry| {
        entry
            .metadata()
            .ok()
            .filter(std::fs::Metadata::is_file)
            .map_or(0, |meta| meta.len())
    };
    let top = entries(data_dir)
        .filter(|entry| {
            let name = entry.file_name();
            let name = name.to_string_lossy();
            name.starts_with("ibdata") || name.starts_with("undo") || name.ends_with(".ibd")
        })
        .map(size)
        .sum::<u64>();
    let below = entries(data_dir)
        .filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()))
        .filter(|entry| !entry.file_name().to_string_lossy().starts_with('#'));
    top + below.flat_map(|dir| entries(&dir.path())).map(size).sum::<u64>()
}
