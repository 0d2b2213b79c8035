//! Restoring: files written beside the target, and only then put into place. The server recovers when it starts on them.

use std::fs;
use std::path::Path;

use backstay_engine_api::{EngineError, RestoreJob, Restored};
use backstay_mysql::Flavour;
use backstay_physical::{Into, Owner, Place, data_in, layout_notice, where_to};

use crate::lay::lay;
use crate::options::Options;
use crate::tables;

/// Restores everything into a data directory, or single tables into a server.
///
/// # Errors
/// Whatever keeps the target from being what was backed up; a data directory is as it was before then.
pub(crate) fn restore(job: &RestoreJob) -> Result<Restored, EngineError> {
    let options: Options = job.options()?;
    match where_to(job)? {
        Into::Directory(path, _) => into_directory(job, &options, path),
        Into::Server(server) => tables::restore(job, &options, server),
    }
}

fn into_directory(job: &RestoreJob, options: &Options, path: &Path) -> Result<Restored, EngineError> {
    let last = job.chain().last();
    let record = last.ok_or_else(|| EngineError::other("no backup was given"))?.record();
    let mut place = Place::choose(path, job.id(), job.overwrite())?;
    let owner = Owner::choose(options.owner.as_deref(), place.target())?;
    job.expect(Some(job.chain().iter().map(|link| link.record().bytes).sum()), None);
    place.make()?;
    let data = data_in(place.staging());
    fs::create_dir(&data)?;
    lay(job, job.chain(), &data, &|_| true)?;
    job.doing("putting the files into place");
    owner.apply(&data, Flavour::of(&record.server.flavour, ""))?;
    job.check_cancelled()?;
    place.publish()?;
    Ok(Restored {
        positions: record.positions.clone(),
        notices: layout_notice(record).into_iter().collect(),
    })
}
