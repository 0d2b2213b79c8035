//! Restoring a chain: laid out beside the target, the redo log applied, and only then put into place.

pub(crate) mod lay;
mod prepare;
mod superseded;

use std::path::{Path, PathBuf};

use backstay_engine_api::job::ChainLink;
use backstay_engine_api::{EngineError, ErrorKind, Notice, RestoreJob, Restored};
use backstay_mysql::{Flavour, Version};
use backstay_physical::{Into, Owner, Place, data_in, layout_notice, where_to};

use crate::backup::State;
use crate::info;
use crate::options::Options;
use crate::tables;
use crate::tool::Tool;
pub(crate) use prepare::prepare_chain;

/// Restores everything into a data directory, or single tables into a server.
///
/// # Errors
/// Whatever keeps the target from being what was backed up; a data directory is as it was before then.
pub(crate) fn restore(job: &RestoreJob) -> Result<Restored, EngineError> {
    let options: Options = job.options()?;
    check_chain(job.chain())?;
    match where_to(job)? {
        Into::Directory(path, programs) => into_directory(job, &options, path, programs),
        Into::Server(server) => tables::restore(job, &options, server),
    }
}

fn into_directory(
    job: &RestoreJob,
    options: &Options,
    path: &Path,
    programs: &[PathBuf],
) -> Result<Restored, EngineError> {
    let tool = tool_for(job.chain(), programs)?;
    let mut place = Place::choose(path, job.id(), job.overwrite())?;
    let owner = Owner::choose(options.owner.as_deref(), place.target())?;
    let total = job.chain().iter().map(|link| link.record().bytes).sum();
    job.expect(Some(total), None);
    place.make()?;
    let taken = prepare_chain(job, options, &tool, job.chain(), place.staging(), &|_| true)?;
    job.doing("putting the files into place");
    let data = data_in(place.staging());
    drop_own_files(&data)?;
    owner.apply(&data, tool.flavour())?;
    job.check_cancelled()?;
    place.publish()?;

    let mut notices: Vec<Notice> = taken
        .linked
        .into_iter()
        .map(|file| {
            Notice::new(
                "moved-into-data-directory",
                "the file was outside the data directory on the server, and is in it now",
            )
            .about(file)
        })
        .collect();
    let last = job.chain().last().map(|link| link.record());
    notices.extend(last.and_then(layout_notice));
    Ok(Restored {
        positions: last.map(|record| record.positions.clone()).unwrap_or_default(),
        notices,
    })
}

/// The tool of the series that the chain is of.
pub(crate) fn tool_for(chain: &[ChainLink], programs: &[PathBuf]) -> Result<Tool, EngineError> {
    let record = chain
        .first()
        .ok_or_else(|| EngineError::other("there is nothing to restore"))?
        .record();
    let flavour = Flavour::of(&record.server.flavour, "");
    Tool::find(flavour, &Version::parse(&record.server.version), programs)
}

/// Whether each backup of the chain is ours, and starts at the page where the one before ends.
fn check_chain(chain: &[ChainLink]) -> Result<(), EngineError> {
    let mut before: Option<(&str, State)> = None;
    for link in chain {
        let record = link.record();
        let state = State::of(record)?;
        // Between checkpoints of the server these numbers stay the same, so that they do not tell everything.
        if record.parent.as_deref() != before.as_ref().map(|(id, _)| *id) {
            let message = format!("backup {} does not stand on the one before it in the chain", record.id);
            return Err(EngineError::new(ErrorKind::Damaged, message).advise("restore another backup"));
        }
        let expected = before.as_ref().map_or(0, |(_, before)| before.to_lsn);
        if state.from_lsn != expected {
            let message = format!(
                "backup {} has the pages changed since LSN {}, and those since {expected} are needed",
                record.id, state.from_lsn
            );
            return Err(EngineError::new(ErrorKind::Damaged, message).advise("restore another backup"));
        }
        before = Some((&record.id, state));
    }
    Ok(())
}

/// Removes what the tool keeps for itself, and what makes the source that server and no other.
fn drop_own_files(directory: &Path) -> Result<(), EngineError> {
    for entry in std::fs::read_dir(directory)? {
        let entry = entry?;
        let name = entry.file_name();
        let name = name.to_string_lossy();
        if entry.file_type()?.is_file() && (info::is_own(&name) || name == "auto.cnf") {
            std::fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}
