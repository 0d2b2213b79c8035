//! [`Engine`]: the operations.

use crate::comparison::TableComparison;
use crate::error::EngineError;
use crate::job::{
    ArchiveJob, BackupJob, CheckJob, CleanJob, CompareJob, ProbeJob, RecoverJob, RemoveJob, RestoreJob, ServeJob,
};
use crate::manifest::Manifest;
use crate::outcome::{CheckReport, Outcome, Recovered, Restored};
use crate::record::BackupRecord;
use crate::server::ServerFacts;

/// A way of taking backups.
///
/// Implement the operations that [`Engine::MANIFEST`] lists; the others answer [`EngineError::unsupported`]. The host
/// calls one operation at a time, in a process of its own, and expects it to block until it is done: use threads, and
/// ask [`cancelled`](BackupJob::cancelled) now and then. A panic is caught and reported as an error.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a backup engine",
    label = "this type does not implement `backstay_engine_api::Engine`",
    note = "write `impl Engine for {Self} {{ const MANIFEST: Manifest = …; fn full_backup(…) … }}`"
)]
pub trait Engine: Default + Send + Sync + 'static {
    /// What the engine is and has. It is written into the library file and read from there without running any code.
    const MANIFEST: Manifest;

    /// Looks at a server: who it is, which version, primary or replica, how far behind.
    ///
    /// # Errors
    /// The server can not be reached or asked.
    fn probe(&self, job: &ProbeJob) -> Result<ServerFacts, EngineError> {
        let _ = job;
        Err(EngineError::unsupported("probing a server"))
    }

    /// Takes a backup that restores by itself.
    ///
    /// # Errors
    /// Anything that keeps the backup from being whole; then no backup exists.
    fn full_backup(&self, job: &BackupJob) -> Result<Outcome, EngineError> {
        let _ = job;
        Err(EngineError::unsupported("full backups"))
    }

    /// Takes what has changed since `parent`, which is a backup, or a position alone where the manifest says that the engine can do that
    /// ([`increments_from_positions`](crate::Manifest::increments_from_positions)).
    ///
    /// # Errors
    /// As for a full backup, and if `parent` is not a backup that this server's present state follows on.
    fn incremental_backup(&self, job: &BackupJob, parent: &BackupRecord) -> Result<Outcome, EngineError> {
        let _ = (job, parent);
        Err(EngineError::unsupported("incremental backups"))
    }

    /// Restores a chain: a full backup and its incrementals, in order.
    ///
    /// Every byte of what the job selects has been verified against its digest before the call. Not so for a data directory that is empty or
    /// not there, which has nothing to lose: there an object is verified while it is read, and the last of it is given out only if all of it
    /// is right. So read each object to its end before the directory is anything that a server would start on.
    ///
    /// # Errors
    /// Anything that keeps the target from being what was backed up.
    fn restore(&self, job: &RestoreJob) -> Result<Restored, EngineError> {
        let _ = job;
        Err(EngineError::unsupported("restoring"))
    }

    /// Replays logs onto a restored server, up to a point.
    ///
    /// # Errors
    /// The logs do not lead there, or the server refuses an event.
    fn recover(&self, job: &RecoverJob) -> Result<Recovered, EngineError> {
        let _ = job;
        Err(EngineError::unsupported("recovery to a point in time"))
    }

    /// Archives the server's log, segment after segment, until it is cancelled. Whole transactions that it has read are
    /// published before it ends, for whatever reason.
    ///
    /// # Errors
    /// The server is gone, or what it sends can not be archived. The host calls again after a while, perhaps with another
    /// member of the cluster, unless the kind says that no later call will fare better: a wrong option
    /// ([`Usage`](crate::ErrorKind::Usage)), or a server that refuses for good ([`Refused`](crate::ErrorKind::Refused)).
    fn archive_log(&self, job: &ArchiveJob) -> Result<(), EngineError> {
        let _ = job;
        Err(EngineError::unsupported("archiving logs"))
    }

    /// Looks whether what was restored is sound.
    ///
    /// # Errors
    /// The check could not be made; what it finds is in the report.
    fn check(&self, job: &CheckJob) -> Result<CheckReport, EngineError> {
        let _ = job;
        Err(EngineError::unsupported("checking a restored server"))
    }

    /// Removes what a killed job left behind: sessions that it guarded, snapshots, mounts, temporary files.
    ///
    /// # Errors
    /// Something is left and could not be removed.
    fn clean(&self, job: &CleanJob) -> Result<(), EngineError> {
        let _ = job;
        Err(EngineError::unsupported("cleaning up after a killed job"))
    }

    /// Deletes what the engine keeps of a backup outside the repository.
    ///
    /// # Errors
    /// It could not be deleted.
    fn remove(&self, job: &RemoveJob) -> Result<(), EngineError> {
        let _ = job;
        Err(EngineError::unsupported("removing data outside the repository"))
    }

    /// Runs a private server on a data directory until the job is cancelled; then stops it in order, and is done without an
    /// error. One that is not there, or empty, is made first: a server without content and without passwords. On any other,
    /// nobody's password is asked for, and transactions that were prepared and not committed are rolled back.
    ///
    /// The server is inert: it does not replicate, runs no events, and is reached by a socket alone. Nothing of it is left when
    /// the job ends, however it ends.
    ///
    /// # Errors
    /// It does not start, ends by itself, or can not be stopped in order.
    fn serve(&self, job: &ServeJob) -> Result<(), EngineError> {
        let _ = job;
        Err(EngineError::unsupported("running a private server"))
    }

    /// Compares tables of a server, two and two, in memory that does not grow with them. Nothing is changed.
    ///
    /// # Errors
    /// The server can not be reached or asked. That a table is not there is no error.
    fn compare(&self, job: &CompareJob) -> Result<Vec<TableComparison>, EngineError> {
        let _ = job;
        Err(EngineError::unsupported("comparing tables"))
    }
}
