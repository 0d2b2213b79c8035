//! The loader against real servers, started for each test on a copy of a template, with a host that serves a directory as a
//! backup.

mod compare;
mod craft;
mod describe;
mod load_accounts;
mod load_beside;
mod load_collations;
mod load_definitions;
mod load_events;
mod load_fixtures;
mod load_histograms;
mod load_history;
mod load_lost;
mod load_refusals;
mod load_restarted;
mod load_resume;
mod load_selection;
mod load_settings;
mod load_shells;
mod load_text;
mod load_timestamps;
mod load_values;
mod load_views;
mod load_warnings;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use backstay_mysqlshell::MysqlShell;

/// A host in memory with the engine.
pub(crate) type TestHost = backstay_bed::MemoryHost<MysqlShell>;

/// Dumps of a real MySQL Shell. More of them may lie elsewhere: `BACKSTAY_SHELL_DUMPS` names the directory.
pub(crate) fn dumps() -> PathBuf {
    std::env::var_os("BACKSTAY_SHELL_DUMPS").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures"),
        PathBuf::from,
    )
}

/// The files of a host's backup by their names.
pub(crate) fn backed_up(host: &TestHost) -> BTreeMap<String, Vec<u8>> {
    let backups = host.backups();
    let files = backups[0].objects.iter();
    files
        .map(|(name, object)| (name.clone(), object.bytes.clone()))
        .collect()
}

/// A dump's files by their names; those that end in `.zst` decompressed, as the host hands them to the engine.
pub(crate) fn files_of(dump: &Path) -> BTreeMap<String, Vec<u8>> {
    let entries = fs::read_dir(dump).unwrap_or_else(|error| panic!("{}: {error}", dump.display()));
    entries
        .map(|entry| {
            let entry = entry.unwrap();
            let name = entry.file_name().into_string().unwrap();
            let bytes = fs::read(entry.path()).unwrap();
            let bytes = if name.ends_with(".zst") {
                zstd::decode_all(&bytes[..]).unwrap()
            } else {
                bytes
            };
            (name, bytes)
        })
        .collect()
}
