//! Backstay's engine for physical backups by the servers' backup tools: MariaDB's `mariadb-backup`, and Percona's `xtrabackup` for
//! MySQL and Percona Server.
//!
//! The tool writes one stream of all files, in chunks. It is taken apart while it flows ([`mod@xbstream`], [`mod@files`]): each file
//! is an object of its own, compressed on all cores, verified alone, restored in parallel; and one table's files can be
//! taken out without reading the others.
//!
//! - `backup`: the tool that fits the server (`tool`), run under a watch over its locks (`program`, `backup::locks`); what it says
//!   of position and log sequence numbers (`info`).
//! - `restore`: files laid beside the target, the redo log applied by the tool, and only then put into place.
//! - `tables`: single tables into a running server, by IMPORT TABLESPACE.
//! - `check`: a private server on what was restored looks at every table.

mod backup;
mod files;
mod info;
mod options;
mod program;
mod restore;
mod tables;
mod tool;
mod xbstream;

use backstay_engine_api::{
    BackupJob, BackupRecord, CheckJob, CheckReport, CleanJob, Engine, EngineError, EngineKind, Manifest, Operation,
    Outcome, ProbeJob, RestoreJob, Restored, ServerFacts, TargetKind, export_engine,
};
use backstay_mysql::{Session, end_sessions, facts};

/// The engine's name.
const NAME: &str = "xtrabackup";

/// Physical backups by `mariadb-backup` and `xtrabackup`.
#[derive(Debug, Default)]
pub struct XtraBackup;

impl Engine for XtraBackup {
    const MANIFEST: Manifest = Manifest::new(NAME, env!("CARGO_PKG_VERSION"), EngineKind::Physical)
        .vendor("Backstay")
        .summary("MySQL and MariaDB through xtrabackup / mariadb-backup: the server's own files")
        .databases(&["mysql", "mariadb"])
        .operations(&[
            Operation::Probe,
            Operation::FullBackup,
            Operation::IncrementalBackup,
            Operation::Restore,
            Operation::Check,
            Operation::Clean,
        ])
        .restores_to(&[TargetKind::DataDir, TargetKind::Server])
        .selects_tables()
        .renames_schema()
        .options_schema(include_str!("options.schema.json"));

    fn probe(&self, job: &ProbeJob) -> Result<ServerFacts, EngineError> {
        facts(&mut Session::connect(job.server())?)
    }

    fn full_backup(&self, job: &BackupJob) -> Result<Outcome, EngineError> {
        backup::take(job, None)
    }

    fn incremental_backup(&self, job: &BackupJob, parent: &BackupRecord) -> Result<Outcome, EngineError> {
        backup::take(job, Some(parent))
    }

    fn restore(&self, job: &RestoreJob) -> Result<Restored, EngineError> {
        restore::restore(job)
    }

    fn check(&self, job: &CheckJob) -> Result<CheckReport, EngineError> {
        backstay_physical::check(job)
    }

    fn clean(&self, job: &CleanJob) -> Result<(), EngineError> {
        match job.server() {
            Some(server) => end_sessions(server, job.sessions()),
            None => Ok(()),
        }
    }
}

export_engine!(XtraBackup);
