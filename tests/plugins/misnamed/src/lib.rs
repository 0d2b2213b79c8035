//! An engine whose file is called otherwise than its manifest says: what an operator trusts under one name must not come
//! in under another.

use backstay_engine_api::{
    BackupJob, Engine, EngineError, EngineKind, Manifest, Operation, Outcome, Usable, export_engine,
};

#[derive(Default)]
struct Misnamed;

impl Engine for Misnamed {
    const MANIFEST: Manifest = Manifest::new("other-name", env!("CARGO_PKG_VERSION"), EngineKind::Logical)
        .vendor("Backstay tests")
        .summary("In a file of another name")
        .databases(&["mysql", "mariadb"])
        .operations(&[Operation::FullBackup]);

    fn full_backup(&self, _job: &BackupJob) -> Result<Outcome, EngineError> {
        Ok(Outcome::Usable(Usable::default()))
    }
}

export_engine!(Misnamed);
