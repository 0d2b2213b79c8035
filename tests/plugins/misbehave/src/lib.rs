//! An engine that does, on request, what no engine may. Its option `deed` says what, `when` in which operation; without
//! them it is a well-behaved one, whose restore compares what it reads with what was written.

mod data;
mod deeds;
mod objects;
mod options;

use std::fs;

use backstay_engine_api::job::{JobContext, Level};
use backstay_engine_api::{
    BackupJob, CheckJob, CheckReport, CleanJob, Engine, EngineError, EngineKind, Manifest, Notice, Operation, Outcome,
    RestoreJob, Restored, ServerFacts, TargetKind, Usable, export_engine,
};

use crate::options::{Options, When};

#[derive(Default)]
struct Misbehave;

impl Engine for Misbehave {
    const MANIFEST: Manifest = Manifest::new("misbehave", env!("CARGO_PKG_VERSION"), EngineKind::Logical)
        .vendor("Backstay tests")
        .summary("Does on request what no engine may")
        .databases(&["mysql", "mariadb", "postgresql"])
        .operations(&[
            Operation::FullBackup,
            Operation::Restore,
            Operation::Check,
            Operation::Clean,
        ])
        .restores_to(&[TargetKind::Server, TargetKind::DataDir])
        .restores_directories()
        .options_schema(include_str!("options.schema.json"));

    fn full_backup(&self, job: &BackupJob) -> Result<Outcome, EngineError> {
        let options = deed(job, When::FullBackup)?;
        let done = match options.when {
            When::FullBackup => objects::run(job, &options),
            _ => objects::ordinary(job, &options),
        };
        if options.defiant {
            if let Err(error) = done {
                job.log(Level::Warn, format!("went on in spite of: {error}"));
            }
        } else {
            done?;
        }
        let server = ServerFacts {
            flavour: job.server().scheme.clone(),
            version: "0".to_owned(),
            ..ServerFacts::default()
        };
        Ok(Outcome::Usable(Usable {
            server,
            ..Usable::default()
        }))
    }

    fn restore(&self, job: &RestoreJob) -> Result<Restored, EngineError> {
        deed(job, When::Restore)?;
        let (mut objects, mut bytes) = (0, 0);
        for link in job.chain() {
            for object in link.objects() {
                job.check_cancelled()?;
                let object = object?;
                data::check(&object, link.open(&object.name)?)?;
                objects += 1;
                bytes += object.size;
            }
        }
        let text = format!("{objects} objects of {bytes} bytes are as they were written; nothing was put anywhere");
        Ok(Restored {
            notices: vec![Notice::new("compared", text)],
            ..Restored::default()
        })
    }

    fn check(&self, job: &CheckJob) -> Result<CheckReport, EngineError> {
        deed(job, When::Check)?;
        Ok(CheckReport {
            sound: true,
            ..CheckReport::default()
        })
    }

    fn clean(&self, job: &CleanJob) -> Result<(), EngineError> {
        let options = deed(job, When::Clean)?;
        let asked = serde_json::json!({ "killed": job.killed(), "sessions": job.sessions() });
        job.log(Level::Info, format!("cleaning up: {asked}"));
        if let Some(path) = &options.cleaned {
            fs::write(path, asked.to_string())?;
        }
        Ok(())
    }
}

/// Does the deed, if it is one for this operation and needs no objects.
fn deed(job: &JobContext, now: When) -> Result<Options, EngineError> {
    let options: Options = job.options()?;
    if options.when == now {
        deeds::run(job, &options)?;
    }
    Ok(options)
}

export_engine!(Misbehave);
