//! Single tables out of a snapshot: only their files, and those that are of no table, are read; a private server recovers on them, and a
//! running server takes the tables in.

use std::fs;

use backstay_engine_api::{EngineError, RestoreJob, Restored, Server};
use backstay_physical::tables::Rescue;
use backstay_physical::{data_in, private};

use crate::lay::lay;
use crate::options::Options;

/// The redo log speaks of tables whose files are not there: so the server is told to go on without them. It recovers all others, and the
/// target checks what it takes in.
const WITHOUT_THE_OTHERS: &str = "--innodb-force-recovery=1";

/// Restores the tables that the job selects.
///
/// # Errors
/// Whatever keeps one of them from being there; those before it are.
pub(crate) fn restore(job: &RestoreJob, options: &Options, server: &Server) -> Result<Restored, EngineError> {
    let rescue = Rescue::new(job, server, options.lock_wait().as_secs())?;
    let last = job.chain().last().map(|link| &link.record().server);
    let source = last.ok_or_else(|| EngineError::other("there is nothing to restore"))?;
    let data = data_in(job.scratch());
    fs::create_dir(&data)?;
    lay(job, job.chain(), &data, &|object| rescue.needs(object))?;
    rescue.import(private::on(&data, source, &server.programs)?.arg(WITHOUT_THE_OTHERS))
}
