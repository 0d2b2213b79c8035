//! PostgreSQL through its own programs: `pg_dump`, `pg_dumpall --globals-only`, `pg_restore` and `psql`.
//!
//! A backup holds `globals.sql` (roles) and one `pg_dump` archive for each database, in the custom format without
//! compression: the host compresses better, and on all cores. An object is what `pg_restore` reads from a file.
//!
//! Each database is consistent in itself. A server's databases have no common snapshot, and `pg_dump` has no position in
//! the write-ahead log, so that a backup has no position and nothing can be replayed onto what is restored.

mod backup;
mod child;
mod connection;
mod globals;
mod names;
mod options;
mod programs;
mod psql;
mod restore;
mod server;
#[cfg(test)]
mod tests;

use backstay_engine_api::{
    BackupJob, CleanJob, Engine, EngineError, EngineKind, Manifest, Operation, Outcome, ProbeJob, RestoreJob, Restored,
    ServerFacts, TargetKind, export_engine,
};

use crate::connection::Connection;
use crate::options::Options;

#[derive(Default)]
struct PgDump;

impl Engine for PgDump {
    const MANIFEST: Manifest = Manifest::new("pgdump", env!("CARGO_PKG_VERSION"), EngineKind::Logical)
        .vendor("Backstay tests")
        .summary("PostgreSQL through pg_dump and pg_restore")
        .databases(&["postgresql", "postgres"])
        .operations(&[
            Operation::Probe,
            Operation::FullBackup,
            Operation::Restore,
            Operation::Clean,
        ])
        .restores_to(&[TargetKind::Server])
        .options_schema(include_str!("options.schema.json"));

    fn probe(&self, job: &ProbeJob) -> Result<ServerFacts, EngineError> {
        let options: Options = job.options()?;
        server::facts(&Connection::new(job, job.server())?, &options.maintenance_database)
    }

    fn full_backup(&self, job: &BackupJob) -> Result<Outcome, EngineError> {
        backup::run(job, &job.options()?).map(Outcome::Usable)
    }

    fn restore(&self, job: &RestoreJob) -> Result<Restored, EngineError> {
        restore::run(job, &job.options()?)
    }

    fn clean(&self, job: &CleanJob) -> Result<(), EngineError> {
        let Some(server) = job.server() else { return Ok(()) };
        let options: Options = job.options()?;
        let connection = Connection::new(job, server)?;
        server::end_sessions(&connection, &options.maintenance_database, job.sessions())
    }
}

export_engine!(PgDump);
