//! Backstay's engine for binary logs: transactions that were kept are replayed onto a restored server, up to a point.
//!
//! It works with what every engine restores, as long as that has a place in the log. How logs are replayed is in
//! [`backstay_mysql::replay`]: by the restored server's own replica threads, or by `mysqlbinlog | mysql`.

mod archive;
mod options;

use backstay_engine_api::job::{ArchiveJob, CleanJob, ProbeJob, RecoverJob};
use backstay_engine_api::{
    Engine, EngineError, EngineKind, Manifest, Operation, Recovered, ServerFacts, TargetKind, export_engine,
};
use backstay_mysql::{Session, end_sessions, facts, replay};

/// The engine's name.
const NAME: &str = "binlog";

/// Binary logs of MySQL and MariaDB.
#[derive(Debug, Default)]
pub struct Binlog;

impl Engine for Binlog {
    const MANIFEST: Manifest = Manifest::new(NAME, env!("CARGO_PKG_VERSION"), EngineKind::Log)
        .vendor("Backstay")
        .summary("MySQL's and MariaDB's binary logs: archived, and replayed up to a point")
        .databases(&["mysql", "mariadb"])
        .operations(&[
            Operation::Probe,
            Operation::Recover,
            Operation::ArchiveLog,
            Operation::Clean,
        ])
        .restores_to(&[TargetKind::Server, TargetKind::DataDir])
        .options_schema(include_str!("options.schema.json"));

    fn probe(&self, job: &ProbeJob) -> Result<ServerFacts, EngineError> {
        facts(&mut Session::connect(job.server())?)
    }

    fn recover(&self, job: &RecoverJob) -> Result<Recovered, EngineError> {
        let options: options::Options = job.options()?;
        replay::recover(job, &options.replay())
    }

    fn archive_log(&self, job: &ArchiveJob) -> Result<(), EngineError> {
        archive::archive_log(job)
    }

    fn clean(&self, job: &CleanJob) -> Result<(), EngineError> {
        if let Some(server) = job.server() {
            end_sessions(server, job.sessions())?;
        }
        replay::clean(job)
    }
}

export_engine!(Binlog);
