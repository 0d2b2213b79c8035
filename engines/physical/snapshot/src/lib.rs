//! Backstay's engine for snapshots: the server's files as they are at one instant, without a tool of the server's vendor.
//!
//! A lock on the server stops commits, and not InnoDB's writing of pages: files that are copied one after the other do not fit together.
//! So all of them are taken at one instant, by what the system has for it (`provider`): a snapshot of a logical volume or of a Btrfs
//! subvolume, clones of the files that are made while the server's process is stopped, or a copy while no server runs. What such an
//! instant shows is what a crash would have left: a server that starts on it recovers.
//!
//! - `backup`: one instant while nobody can commit, so that the position is exactly that of the files; then the files, in parallel, into
//!   objects (`stream`).
//! - `pages`: every page of InnoDB's is looked at while it is read, and an incremental takes only those that have changed.
//! - `source`: what there is in a data directory, and whether one instant can be had for all of it.
//! - `freeze`: a server's process stopped for some milliseconds, and let go on whatever happens.
//! - `restore`: objects into files (`lay`), those of a chain as `chain` finds them, beside the target, and only then put into place.
//! - `tables`: single tables into a running server, by IMPORT TABLESPACE.
//! - `trace`, `clean`: what a killed job may leave, and its removal.

mod asked;
mod backup;
mod chain;
mod clean;
mod command;
mod freeze;
mod lay;
mod layout;
mod left_out;
mod offline;
mod options;
mod pages;
mod provider;
mod restore;
mod source;
mod stream;
mod tables;
mod trace;

use backstay_engine_api::{
    BackupJob, BackupRecord, CheckJob, CheckReport, CleanJob, Engine, EngineError, EngineKind, Manifest, Operation,
    Outcome, ProbeJob, RestoreJob, Restored, ServerFacts, TargetKind, export_engine,
};
use backstay_mysql::{Session, facts};

/// The engine's name.
const NAME: &str = "snapshot";

/// Physical backups by snapshots.
#[derive(Debug, Default)]
pub struct Snapshots;

impl Engine for Snapshots {
    const MANIFEST: Manifest = Manifest::new(NAME, env!("CARGO_PKG_VERSION"), EngineKind::Physical)
        .vendor("Backstay")
        .summary("MySQL and MariaDB through LVM, Btrfs and reflink snapshots: the server's own files, at one instant")
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
        clean::clean(job)
    }
}

export_engine!(Snapshots);
