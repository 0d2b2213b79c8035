//! [`Source`]: a data directory, and whether it is all that there is to back up.

use std::fs::{self, File};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use backstay_engine_api::{EngineError, ErrorKind, ServerFacts};
use backstay_mysql::Session;
use backstay_physical::{Running, data_dir, server_on};

use crate::asked;
use crate::left_out::LeftOut;
use crate::offline::server_uuid;

/// Where servers are told to keep files of their data.
const DIRECTORIES: [&str; 5] = [
    "innodb_data_home_dir",
    "innodb_log_group_home_dir",
    "innodb_undo_directory",
    "innodb_doublewrite_dir",
    "aria_log_dir_path",
];

/// What to do where the configuration names another server's directory.
pub(crate) const NAME_ITS_OWN: &str =
    "name the server's own data directory in the configuration (`data_dir`), or leave it out there";

/// A data directory.
#[derive(Debug)]
pub(crate) struct Source {
    /// As an absolute path without symbolic links.
    pub(crate) data_dir: PathBuf,
    /// The server that runs on it.
    pub(crate) running: Option<Running>,
    pub(crate) left_out: LeftOut,
    /// A directory in it that is of another file system or subvolume, if there is one.
    elsewhere: Option<PathBuf>,
}

impl Source {
    /// A running server's.
    ///
    /// # Errors
    /// [`ErrorKind::Refused`] if files of the server's data are outside, or it writes no redo log.
    pub(crate) fn of(
        session: &mut Session,
        server: &backstay_engine_api::Server,
        facts: &ServerFacts,
    ) -> Result<Self, EngineError> {
        let told = data_dir(server, facts)?;
        let data_dir = fs::canonicalize(&told).unwrap_or(told);
        check_redo(session)?;
        let mut left_out = LeftOut::of(session, &data_dir)?;
        // What the server calls its directory may be a symbolic link to ours.
        let told = facts.facts.get("datadir").and_then(|dir| dir.as_str()).map(Path::new);
        if let Some(told) = told {
            left_out.or(LeftOut::of(session, told)?);
        }
        let source = Self::looked_at(data_dir, left_out)?;
        source.check_is_of(session, facts, told)?;
        check_inside(session, &source.data_dir, told)?;
        Ok(source)
    }

    /// One on which no server should run.
    ///
    /// # Errors
    /// As [`of`](Self::of), as far as files tell.
    pub(crate) fn offline(data_dir: PathBuf, left_out: LeftOut) -> Result<Self, EngineError> {
        Self::looked_at(data_dir, left_out)
    }

    /// Whether it is the directory of that very server: another's would be backed up with this one's position.
    fn check_is_of(&self, session: &mut Session, facts: &ServerFacts, told: Option<&Path>) -> Result<(), EngineError> {
        let shown = self.data_dir.display();
        // Locks can be seen only on files that can be opened.
        let system = self.data_dir.join("ibdata1");
        File::open(&system).map_err(|error| unread(&system, &error))?;
        let Some(running) = &self.running else {
            return Err(
                EngineError::refused(format!("no server runs on the data directory {shown}")).advise(NAME_ITS_OWN),
            );
        };
        let expected = facts.identity.get("server_uuid").and_then(|uuid| uuid.as_str());
        let found = server_uuid(&self.data_dir);
        match (expected, found) {
            (Some(expected), Some(found)) if expected != found => Err(EngineError::refused(format!(
                "{shown} is the data directory of another server: of {found}, and this one is {expected}"
            ))
            .advise(NAME_ITS_OWN)),
            _ => asked::check(session, &self.data_dir, running, told),
        }
    }

    fn looked_at(data_dir: PathBuf, left_out: LeftOut) -> Result<Self, EngineError> {
        let device = fs::metadata(&data_dir)
            .map_err(|error| unread(&data_dir, &error))?
            .dev();
        let running = server_on(&data_dir);
        let mut source = Self {
            data_dir,
            running,
            left_out,
            elsewhere: None,
        };
        let top = source.data_dir.clone();
        source.look(&top, device)?;
        Ok(source)
    }

    fn look(&mut self, directory: &Path, device: u64) -> Result<(), EngineError> {
        for entry in fs::read_dir(directory).map_err(|error| unread(directory, &error))? {
            let path = entry.map_err(|error| unread(directory, &error))?.path();
            let Ok(meta) = path.symlink_metadata() else {
                // A temporary file that is gone by now.
                continue;
            };
            if self.left_out.has(&self.relative(&path)) {
                continue;
            }
            if meta.is_symlink() {
                let target = fs::read_link(&path).unwrap_or_default();
                return Err(outside(&format!(
                    "{} is a symbolic link to {}",
                    path.display(),
                    target.display()
                )));
            }
            if path.extension().is_some_and(|extension| extension == "isl") {
                let target = fs::read_to_string(&path).unwrap_or_default();
                return Err(outside(&format!(
                    "{} says that the table is in {}",
                    path.display(),
                    target.trim_end()
                )));
            }
            if meta.dev() != device && self.elsewhere.is_none() {
                self.elsewhere = Some(path.clone());
            }
            if meta.is_dir() {
                self.look(&path, meta.dev())?;
            }
        }
        Ok(())
    }

    /// A path from the data directory, for people and for [`LeftOut`].
    pub(crate) fn relative(&self, path: &Path) -> String {
        path.strip_prefix(&self.data_dir)
            .unwrap_or(path)
            .to_string_lossy()
            .into_owned()
    }

    /// Whether all of it is one file system and one subvolume.
    ///
    /// # Errors
    /// [`ErrorKind::Refused`], naming what is not.
    pub(crate) fn check_one_volume(&self) -> Result<(), EngineError> {
        match &self.elsewhere {
            None => Ok(()),
            Some(path) => Err(EngineError::refused(format!(
                "the data directory {} is spread over several volumes or subvolumes: {} is of another one, and they would not be of \
                 one instant",
                self.data_dir.display(),
                path.display()
            ))
            .advise("put the whole data directory on one volume, or use the engine xtrabackup, or a logical one")),
        }
    }
}

fn unread(path: &Path, error: &std::io::Error) -> EngineError {
    EngineError::new(ErrorKind::Io, format!("{} can not be read", path.display())).because(error)
}

fn outside(what: &str) -> EngineError {
    EngineError::refused(format!(
        "files of the server's data are outside its data directory: {what}"
    ))
    .advise("move them into the data directory, or use the engine xtrabackup, or a logical one")
}

/// Refuses a server that would not recover from what it has written.
fn check_redo(session: &mut Session) -> Result<(), EngineError> {
    let status: Option<(String, String)> =
        session.query_first("SHOW GLOBAL STATUS WHERE Variable_name = 'Innodb_redo_log_enabled'")?;
    if status.is_some_and(|(_, value)| value == "OFF") {
        return Err(EngineError::refused(
            "the server's redo log is disabled: no server could recover what a snapshot shows",
        )
        .advise("run: ALTER INSTANCE ENABLE INNODB REDO_LOG"));
    }
    Ok(())
}

/// Refuses a server whose data is not all below its data directory, by our path or by the one that it has `told`.
fn check_inside(session: &mut Session, data_dir: &Path, told: Option<&Path>) -> Result<(), EngineError> {
    let is_outside = |value: &str| {
        let path = Path::new(value);
        let real = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
        let inside = real.starts_with(data_dir) || told.is_some_and(|told| path.starts_with(told));
        path.is_absolute() && !inside
    };
    for name in DIRECTORIES {
        if let Some(value) = session.variable(name)?.filter(|value| is_outside(value)) {
            return Err(outside(&format!("{name} is {value}")));
        }
    }
    let files = session.variable("innodb_data_file_path")?.unwrap_or_default();
    if let Some(file) = files.split(';').find(|file| file.starts_with('/')) {
        return Err(outside(&format!("innodb_data_file_path has {file}")));
    }
    if session.flavour().is_mariadb() {
        // Its tables that are elsewhere have a file with the extension `isl`.
        return Ok(());
    }
    let files: Vec<String> = session.query(
        "SELECT FILE_NAME FROM information_schema.FILES WHERE FILE_TYPE <> 'TEMPORARY' AND FILE_NAME LIKE '/%'",
    )?;
    match files.iter().find(|file| is_outside(file)) {
        Some(file) => Err(outside(file)),
        None => Ok(()),
    }
}
