//! Backstay's own logical engine: it dumps and loads in parallel, in MySQL Shell's dump format.
//!
//! A backup is a directory that a stock `util.loadDump` loads, and a dump that a stock MySQL Shell made is restored by this
//! engine. Nothing of MySQL Shell is needed.
//!
//! - `format`: the format: names of files, and the JSON files.
//! - `catalogue`: what a server has; `definitions`: the SQL files of it; `accounts`: `@.users.sql`.
//! - `dollar_quotes`: where they stand in statements, for whoever writes them and whoever reads them.
//! - `backup`: a consistent point, and what happens in it; `rows`: tables into data files, in parallel.
//! - Increments are pieces of the binary log, which the library that engines share takes.
//! - `restore`: a dump into a server, in parallel, and on from where it was interrupted.

mod accounts;
mod backup;
mod catalogue;
mod definitions;
mod dollar_quotes;
mod format;
mod options;
mod restore;
mod rows;
#[cfg(test)]
mod tests;

use backstay_engine_api::{
    BackupJob, BackupRecord, CleanJob, CompareJob, Engine, EngineError, EngineKind, Manifest, Operation, Outcome,
    ProbeJob, RestoreJob, Restored, ServeJob, ServerFacts, TableComparison, TargetKind, export_engine,
};
use backstay_mysql::binlog::incremental_backup;
use backstay_mysql::{Session, compare, end_sessions, facts, serve};

/// The engine's name.
const NAME: &str = "mysqlshell";

/// Parallel logical backups in MySQL Shell's dump format.
#[derive(Debug, Default)]
pub struct MysqlShell;

impl Engine for MysqlShell {
    const MANIFEST: Manifest = Manifest::new(NAME, env!("CARGO_PKG_VERSION"), EngineKind::Logical)
        .vendor("Backstay")
        .summary("MySQL and MariaDB in parallel, in MySQL Shell's dump format")
        .databases(&["mysql", "mariadb"])
        .operations(&[
            Operation::Probe,
            Operation::FullBackup,
            Operation::IncrementalBackup,
            Operation::Restore,
            Operation::Clean,
            Operation::Serve,
            Operation::Compare,
        ])
        .restores_to(&[TargetKind::Server])
        .selects_tables()
        .renames_schema()
        .increments_from_positions()
        .restores_directories()
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
        // Whoever has changed something has guarded a session before.
        let Some(server) = job.server().filter(|_| !job.sessions().is_empty()) else {
            return Ok(());
        };
        end_sessions(server, job.sessions())?;
        restore::redo_log_on_after_a_kill(job, &mut Session::connect(server)?)
    }

    fn serve(&self, job: &ServeJob) -> Result<(), EngineError> {
        serve::serve(job)
    }

    fn compare(&self, job: &CompareJob) -> Result<Vec<TableComparison>, EngineError> {
        compare::compare(job)
    }
}

export_engine!(MysqlShell);
