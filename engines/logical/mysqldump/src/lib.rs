//! Backstay's engine for the servers' own dump tools: `mysqldump` and `mariadb-dump` to back up, `mysql` and `mariadb` to
//! restore.
//!
//! The tool writes one stream of SQL. It is split while it flows into an object for each table and each kind of
//! definition (see `section` and `split`), so that one table is restored without reading the rest, and all cores
//! compress. Put together again in their order the objects are the tool's dump, byte for byte: without Backstay,
//! `cat` and a client restore it.
//!
//! - `backup`: a consistent point, the tool, the split; what the tool does not dump (accounts) or loses
//!   (`inventory`).
//! - `restore`: everything, or single tables, into a server.
//! - Increments are pieces of the binary log, which the library that engines share takes.
//! - `program`: how the tools are run.

mod backup;
mod expected;
mod inventory;
mod options;
mod program;
mod restore;
mod section;
mod split;

use backstay_engine_api::{
    BackupJob, BackupRecord, CleanJob, Engine, EngineError, EngineKind, Manifest, Operation, Outcome, ProbeJob,
    RestoreJob, Restored, ServerFacts, TargetKind, export_engine,
};
use backstay_mysql::binlog::incremental_backup;
use backstay_mysql::{Session, end_sessions, facts};

/// The engine's name.
const NAME: &str = "mysqldump";

/// Logical backups by the servers' own dump tools.
#[derive(Debug, Default)]
pub struct MysqlDump;

impl Engine for MysqlDump {
    const MANIFEST: Manifest = Manifest::new(NAME, env!("CARGO_PKG_VERSION"), EngineKind::Logical)
        .vendor("Backstay")
        .summary("MySQL and MariaDB through mysqldump / mariadb-dump and mysql / mariadb")
        .databases(&["mysql", "mariadb"])
        .operations(&[
            Operation::Probe,
            Operation::FullBackup,
            Operation::IncrementalBackup,
            Operation::Restore,
            Operation::Clean,
        ])
        .restores_to(&[TargetKind::Server])
        .selects_tables()
        .renames_schema()
        .increments_from_positions()
        .options_schema(include_str!("options.schema.json"));

    fn probe(&self, job: &ProbeJob) -> Result<ServerFacts, EngineError> {
        facts(&mut Session::connect(job.server())?)
    }

    fn full_backup(&self, job: &BackupJob) -> Result<Outcome, EngineError> {
        backup::full(job)
    }

    fn incremental_backup(&self, job: &BackupJob, parent: &BackupRecord) -> Result<Outcome, EngineError> {
        incremental_backup(job, parent)
    }

    fn restore(&self, job: &RestoreJob) -> Result<Restored, EngineError> {
        restore::restore(job)
    }

    fn clean(&self, job: &CleanJob) -> Result<(), EngineError> {
        match job.server() {
            Some(server) => end_sessions(server, job.sessions()),
            None => Ok(()),
        }
    }
}

export_engine!(MysqlDump);
