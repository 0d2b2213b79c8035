//! The provider `copy`: the files themselves, while no server runs on them.
//!
//! Nobody is there to be asked, so that what is known of the server is read from its files: MySQL's version is in the first page of
//! `mysql.ibd`, MariaDB's in `mysql_upgrade_info`; where the binary log ends, in the log (`logs`).

mod logs;

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::os::unix::fs::{FileExt as _, MetadataExt as _};
use std::path::Path;

use backstay_engine_api::{BackupJob, BackupRecord, EngineError, ErrorKind, Outcome, Server, ServerFacts, Usable};
use backstay_physical::{Names, server_on};
use serde_json::json;

use crate::backup::{Parent, State, What, read};
use crate::left_out::LeftOut;
use crate::options::{Options, ProviderName};
use crate::source::Source;
use crate::stream::Listed;
use logs::Logs;

/// Whether a data directory is configured, and no server runs on it.
pub(crate) fn is_stopped(server: &Server) -> bool {
    server
        .data_dir
        .as_ref()
        .is_some_and(|dir| dir.join("ibdata1").exists() && server_on(dir).is_none())
}

/// Takes a backup of a directory on which no server runs.
///
/// # Errors
/// Whatever keeps it from being whole, such as a server that runs on it, or is started meanwhile.
pub(crate) fn take(job: &BackupJob, parent: Option<&BackupRecord>) -> Result<Outcome, EngineError> {
    let options: Options = job.options()?;
    let data_dir = job.server().data_dir.clone().ok_or_else(|| {
        EngineError::new(
            ErrorKind::Usage,
            "the provider `copy` asks no server where its data directory is",
        )
        .advise("name it in the configuration: data_dir = \"/var/lib/mysql\"")
    })?;
    let data_dir = fs::canonicalize(&data_dir).map_err(|error| {
        EngineError::new(ErrorKind::Usage, format!("{} can not be looked at", data_dir.display())).because(&error)
    })?;
    check_stopped(&data_dir)?;
    let server = facts(&data_dir)?;
    let logs = Logs::find(&data_dir)?;
    let source = Source::offline(data_dir, LeftOut::offline(logs.bases.clone()))?;
    let before = times(&source)?;
    let root = source.data_dir.clone();
    let mut check = || check_stopped(&root);
    let parent = Parent::of(parent, &source)?;
    let (positions, unknown) = logs.positions(&server.flavour);
    let what = What {
        source: &source,
        system: "",
        parent: parent.as_ref(),
        positions: &positions,
        allow_damaged_pages: options.allow_damaged_pages,
    };
    let taken = read(job, &root, &what, Names::offline(), &mut check)?;
    if times(&source)? != before {
        let message = format!("files of {} have changed while they were copied", root.display());
        return Err(EngineError::refused(message).advise("keep the server stopped while the backup is taken"));
    }
    let state = State {
        provider: ProviderName::Copy,
        not_by: Vec::new(),
        lock_milliseconds: 0,
        pause_milliseconds: None,
        files: taken.listed.files.len() as u64,
        bytes: taken.listed.files.iter().map(|item| item.size).sum(),
        pages: taken.pages,
    };
    Ok(Outcome::Usable(Usable {
        from: Parent::positions(parent.as_ref()),
        positions,
        server,
        partial: false,
        log: None,
        notices: unknown.into_iter().chain(taken.notices).collect(),
        state: json!(state),
    }))
}

fn check_stopped(data_dir: &Path) -> Result<(), EngineError> {
    match server_on(data_dir) {
        None => Ok(()),
        Some(running) => Err(EngineError::refused(format!(
            "the provider `copy` is for a data directory on which no server runs, and process {} runs on {} (it holds a lock on {})",
            running.process,
            data_dir.display(),
            running.file
        ))
        .advise("stop the server, or use another provider; `auto` says which the directory allows")),
    }
}

/// Sizes and times of change of all files: a server that has been there has changed some.
fn times(source: &Source) -> Result<BTreeMap<String, (u64, i64, i64)>, EngineError> {
    let Listed { files, .. } = crate::stream::list(&source.data_dir, &source.left_out)?;
    files
        .into_iter()
        .map(|item| {
            let meta = fs::metadata(source.data_dir.join(&item.path))?;
            Ok((item.path, (item.size, meta.mtime(), meta.mtime_nsec())))
        })
        .collect()
}

/// What files say of their server.
fn facts(data_dir: &Path) -> Result<ServerFacts, EngineError> {
    let (flavour, version) = if data_dir.join("aria_log_control").exists() {
        ("mariadb", mariadb_version(data_dir))
    } else {
        ("mysql", mysql_version(data_dir))
    };
    let version = version.ok_or_else(|| {
        let message = format!(
            "{} does not say which version of {flavour} it is of",
            data_dir.display()
        );
        EngineError::refused(message)
            .advise("name the server's own data directory, or take the backup while the server runs")
    })?;
    let mut facts = ServerFacts {
        flavour: flavour.to_owned(),
        version,
        ..ServerFacts::default()
    };
    facts.facts.insert("datadir".to_owned(), json!(data_dir));
    if let Some(uuid) = server_uuid(data_dir) {
        facts.identity.insert("server_uuid".to_owned(), json!(uuid));
    }
    Ok(facts)
}

fn mariadb_version(data_dir: &Path) -> Option<String> {
    let text = ["mysql_upgrade_info", "mariadb_upgrade_info"]
        .iter()
        .find_map(|name| fs::read_to_string(data_dir.join(name)).ok())?;
    let version = text.trim_matches(['\0', '\n', ' ']);
    version
        .starts_with(|c: char| c.is_ascii_digit())
        .then(|| version.to_owned())
}

/// `FIL_PAGE_SRV_VERSION`: four bytes at offset 8 of a tablespace's first page (MySQL 8.0 and later), such as 90700.
fn mysql_version(data_dir: &Path) -> Option<String> {
    let mut bytes = [0; 4];
    File::open(data_dir.join("mysql.ibd"))
        .ok()?
        .read_exact_at(&mut bytes, 8)
        .ok()?;
    let number = u32::from_be_bytes(bytes);
    (number >= 80000).then(|| format!("{}.{}.{}", number / 10000, number / 100 % 100, number % 100))
}

/// MySQL's, which it keeps in a file of its own.
pub(crate) fn server_uuid(data_dir: &Path) -> Option<String> {
    let text = fs::read_to_string(data_dir.join("auto.cnf")).ok()?;
    let line = text.lines().find_map(|line| line.trim().strip_prefix("server-uuid="))?;
    Some(line.trim().to_owned())
}
