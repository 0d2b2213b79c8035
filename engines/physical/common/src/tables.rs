//! Single tables out of a physical backup, into a running server on this machine.
//!
//! Only the files that are needed are read: what belongs to no table, the server's own schemas, and the tables that are selected.
//! The engine lays them into a directory; a private server starts on it, says how each table is defined and makes its file
//! ready (FLUSH TABLES … FOR EXPORT), and the target takes it in (DISCARD TABLESPACE, IMPORT TABLESPACE).

mod find;
mod import;

use std::path::PathBuf;

use backstay_engine_api::job::ChainLink;
use backstay_engine_api::{EngineError, ErrorKind, Notice, ObjectInfo, RestoreJob, Restored, Server};
use backstay_mysql::facts::SYSTEM_SCHEMAS;
use backstay_mysql::private_server::{roll_back_prepared, until_rolled_back};
use backstay_mysql::target::check_names;
use backstay_mysql::{PrivateServerBuilder, Session, Version, quote_text};
use rustix::fs::{Access, access};

pub use find::{Found, stem};
use import::{Import, Source};

/// How many lines of the private server's log an error shows.
const SHOWN_LINES: usize = 30;
/// How many XA transactions a notice names.
const NAMED: usize = 5;

/// The tables that a restore selects, and the server that they go into.
#[derive(Debug)]
pub struct Rescue<'a> {
    job: &'a RestoreJob,
    session: Session,
    data_dir: PathBuf,
    tables: Vec<Found>,
    notices: Vec<Notice>,
}

impl<'a> Rescue<'a> {
    /// Finds the tables, and looks whether the target can take them. `lock_wait`: in seconds.
    ///
    /// # Errors
    /// [`ErrorKind::Usage`] if the backup has no such table; [`ErrorKind::Refused`] if the target is a server that can not take them, or
    /// has a table of such a name.
    pub fn new(job: &'a RestoreJob, server: &Server, lock_wait: u64) -> Result<Self, EngineError> {
        let last = last(job)?;
        let mut session = Session::connect(server)?;
        check_server(&mut session, last)?;
        let data_dir = data_dir(&mut session, server)?;
        let found = find::tables(job, last)?;
        session.run(format!("SET SESSION lock_wait_timeout = {lock_wait}"))?;
        for table in &found.tables {
            let schema = job.selection().target_schema(&table.schema);
            if !job.overwrite() && exists(&mut session, schema, &table.table)? {
                let message = format!("the target has a table {schema}.{} already", table.table);
                return Err(EngineError::refused(message)
                    .advise("put the table under another schema with --as-schema, or replace it with --overwrite"));
            }
        }
        Ok(Self {
            job,
            session,
            data_dir,
            tables: found.tables,
            notices: found.notices,
        })
    }

    /// The tables.
    pub fn tables(&self) -> &[Found] {
        &self.tables
    }

    /// Whether an object is needed for them: it is one of theirs, of the server's own schemas, or of no table.
    pub fn needs(&self, object: &ObjectInfo) -> bool {
        match (&object.attributes.schema, &object.attributes.table) {
            (Some(schema), Some(table)) => {
                SYSTEM_SCHEMAS.contains(&schema.as_str()) || self.job.selection().selects(schema, table)
            }
            _ => true,
        }
    }

    /// Takes the tables in from a private server, as `builder` starts it on the files.
    ///
    /// # Errors
    /// Whatever keeps one of them from being there; those before it are.
    pub fn import(mut self, builder: PrivateServerBuilder) -> Result<Restored, EngineError> {
        self.job.doing("starting a private server");
        let private = builder.start()?;
        let ended = |error: EngineError| {
            if error.kind == ErrorKind::Cancelled {
                return error;
            }
            let log = private.error_log();
            let lines: Vec<&str> = log.lines().collect();
            let last = lines[lines.len().saturating_sub(SHOWN_LINES)..].iter();
            last.fold(error, |error, line| error.detail(*line))
        };
        let mut session = private.session().map_err(ended)?;
        let prepared = settle(self.job, &mut session).map_err(ended)?;
        self.notices.extend(prepared);
        let source = Source {
            session,
            data_dir: private.data_dir().to_owned(),
        };
        let mut import = Import::new(self.job, &mut self.session, self.data_dir, source)?;
        let mut done = Ok(());
        for table in &self.tables {
            let imported = self.job.check_cancelled().and_then(|()| import.table(table));
            match imported {
                Ok(notices) => self.notices.extend(notices),
                Err(error) => {
                    done = Err(error);
                    break;
                }
            }
        }
        drop(import);
        // Also where only some are there.
        let checkpoint = checkpoint(&mut self.session);
        done?;
        self.notices.extend(checkpoint);
        // What it did is only for us.
        private.kill();
        self.notices.push(Notice::new(
            "not-in-the-binary-log",
            "the tables were not written to the target's binary log: its replicas do not have them",
        ));
        Ok(Restored {
            positions: Vec::new(),
            notices: self.notices,
        })
    }
}

fn last(job: &RestoreJob) -> Result<&ChainLink, EngineError> {
    job.chain()
        .last()
        .ok_or_else(|| EngineError::other("there is nothing to restore"))
}

/// Has MariaDB write a checkpoint. Until there is one, a server that recovers takes an imported table for one that was dropped, and loses what
/// was changed in it; so does `mariadb-backup` (measured with 10.11.19).
fn checkpoint(session: &mut Session) -> Option<Notice> {
    let sql = "SET GLOBAL innodb_log_checkpoint_now = ON";
    let error = session.flavour().is_mariadb().then(|| session.run(sql).err())??;
    Some(Notice::new(
        "no-checkpoint",
        format!(
            "MariaDB loses what is changed in the tables if it crashes before its next checkpoint; run {sql}, or rebuild them (ALTER TABLE … \
             FORCE): {error}"
        ),
    ))
}

/// Only what was committed at the backup's instant may be in a file that the target takes in: for the target all of it is.
fn settle(job: &RestoreJob, session: &mut Session) -> Result<Option<Notice>, EngineError> {
    until_rolled_back(job, session)?;
    let xids = roll_back_prepared(job, session)?;
    let shown = xids
        .iter()
        .take(NAMED)
        .map(String::as_str)
        .collect::<Vec<_>>()
        .join("; ");
    Ok((!xids.is_empty()).then(|| {
        Notice::new(
            "prepared-left-out",
            format!(
                "XA transactions were prepared and not committed at the backup's instant ({}): what they had changed is not in the tables",
                xids.len()
            ),
        )
        .about(shown)
    }))
}

/// A tablespace fits a server of the series that it is of.
fn check_server(session: &mut Session, link: &ChainLink) -> Result<(), EngineError> {
    let source = &link.record().server;
    let version = Version::parse(&source.version);
    let series = |version: &Version| (version.number.0, version.number.1);
    let page_size = |text: String| text.trim_matches('"').to_owned();
    let theirs = source
        .facts
        .get("innodb_page_size")
        .map(|value| page_size(value.to_string()));
    let ours = session.variable("innodb_page_size")?.map(page_size);
    let same_family = (source.flavour == "mariadb") == session.flavour().is_mariadb();
    if !same_family || series(&version) != series(session.version()) {
        return Err(EngineError::refused(format!(
            "the backup is of {} {version}, and the target is {} {}: tablespaces fit a server of the same series",
            source.flavour,
            session.flavour(),
            session.version()
        ))
        .advise(
            "restore all of the backup to a data directory, start a server on it, and dump the tables from there",
        ));
    }
    if theirs.is_some() && theirs != ours {
        return Err(EngineError::refused(format!(
            "the backup is of a server with innodb_page_size = {}, and the target has {}",
            theirs.unwrap_or_default(),
            ours.unwrap_or_default()
        )));
    }
    check_names(session, link.record())
}

/// The target's data directory, into which files are put.
fn data_dir(session: &mut Session, server: &Server) -> Result<PathBuf, EngineError> {
    let dir = match &server.data_dir {
        Some(dir) => Some(dir.clone()),
        None => session.variable("datadir")?.map(PathBuf::from),
    };
    let dir = dir.ok_or_else(|| EngineError::other("the target does not say where its data directory is"))?;
    if access(&dir, Access::READ_OK | Access::WRITE_OK | Access::EXEC_OK).is_err() {
        let message = format!("the target's data directory {} can not be written here", dir.display());
        return Err(EngineError::refused(message)
            .advise("run the restore on the target's machine, as root or as the server's own user"));
    }
    Ok(dir)
}

fn exists(session: &mut Session, schema: &str, table: &str) -> Result<bool, EngineError> {
    let sql = format!(
        "SELECT 1 FROM information_schema.TABLES WHERE TABLE_SCHEMA = {} AND TABLE_NAME = {}",
        quote_text(schema),
        quote_text(table)
    );
    Ok(session.query_first::<u8>(sql)?.is_some())
}

/// [`ErrorKind::Usage`].
fn usage(message: String) -> EngineError {
    EngineError::new(ErrorKind::Usage, message)
}
