//! The engine of the contract's tutorial (`engine-api/README.md`), but for its line breaks; a test compares them.

use std::fs::{self, File};
use std::io;
use std::path::Path;

use backstay_engine_api::job::{Level, Target};
use backstay_engine_api::{
    Attributes, BackupJob, Engine, EngineError, EngineKind, ErrorKind, Manifest, Operation, Outcome, RestoreJob,
    Restored, ServerFacts, Storage, TargetKind, Usable, export_engine,
};

#[derive(Default)]
struct ColdFiles;

impl Engine for ColdFiles {
    const MANIFEST: Manifest = Manifest::new("cold-files", env!("CARGO_PKG_VERSION"), EngineKind::Physical)
        .vendor("Example Ltd")
        .summary("The files of a stopped server")
        .databases(&["mysql", "mariadb"])
        .operations(&[Operation::FullBackup, Operation::Restore])
        .restores_to(&[TargetKind::DataDir])
        .restores_directories();

    fn full_backup(&self, job: &BackupJob) -> Result<Outcome, EngineError> {
        let dir = job.server().data_dir.as_deref().ok_or_else(|| {
            EngineError::new(ErrorKind::Usage, "the server's data directory is not known")
                .advise("set `data_dir` for this member in backstay.toml")
        })?;
        if dir.join("mysqld.pid").exists() {
            return Err(EngineError::refused(format!("a server runs on {}", dir.display())).advise("stop it first"));
        }
        for entry in fs::read_dir(dir)? {
            job.check_cancelled()?;
            let entry = entry?;
            if !entry.file_type()?.is_file() {
                job.log(
                    Level::Warn,
                    format!("{} is no file and was left out", entry.path().display()),
                );
                continue;
            }
            let name = entry
                .file_name()
                .into_string()
                .map_err(|name| EngineError::other(format!("the name {} is no UTF-8", Path::new(&name).display())))?;
            let mut object = job.create(&name, Attributes::kind("file"), Storage::Compress)?;
            io::copy(&mut File::open(entry.path())?, &mut object)?;
            object.finish()?;
        }
        // A stopped server has no position of its own to tell; an engine for running ones would put it into `positions`.
        let server = ServerFacts {
            flavour: job.server().scheme.clone(),
            ..ServerFacts::default()
        };
        Ok(Outcome::Usable(Usable {
            server,
            ..Usable::default()
        }))
    }

    fn restore(&self, job: &RestoreJob) -> Result<Restored, EngineError> {
        let Target::DataDir { path, .. } = job.target() else {
            return Err(EngineError::unsupported("restoring to a running server"));
        };
        fs::create_dir_all(path)?;
        if !job.overwrite() && fs::read_dir(path)?.next().is_some() {
            return Err(
                EngineError::refused(format!("{} is not empty", path.display())).advise("name another directory")
            );
        }
        for link in job.chain() {
            for object in link.objects() {
                let object = object?;
                io::copy(
                    &mut link.open(&object.name)?,
                    &mut File::create(path.join(&object.name))?,
                )?;
            }
        }
        Ok(Restored::default())
    }
}

export_engine!(ColdFiles);
