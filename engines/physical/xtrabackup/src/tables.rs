//! Single tables out of a backup: the tool applies the redo log to their files, and a running server takes them in.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Read as _;

use backstay_engine_api::job::{ChainLink, Level};
use backstay_engine_api::{EngineError, ObjectInfo, RestoreJob, Restored, Server};
use backstay_physical::tables::{Found, Rescue, stem};
use backstay_physical::{data_in, private};

use crate::options::Options;
use crate::restore::{prepare_chain, tool_for};

/// Restores the tables that the job selects.
///
/// # Errors
/// Whatever keeps one of them from being there; those before it are.
pub(crate) fn restore(job: &RestoreJob, options: &Options, server: &Server) -> Result<Restored, EngineError> {
    let tool = tool_for(job.chain(), &server.programs)?;
    let rescue = Rescue::new(job, server, options.lock_wait)?;
    let enough = self_contained(job.chain(), rescue.tables())?;
    if !enough {
        job.log(
            Level::Info,
            "a selected table was renamed between the backups of the chain: all files are read",
        );
    }
    let wanted = |object: &ObjectInfo| !enough || rescue.needs(object);
    prepare_chain(job, options, &tool, job.chain(), job.scratch(), &wanted)?;
    let last = job.chain().last().map(|link| &link.record().server);
    let source = last.ok_or_else(|| EngineError::other("there is nothing to restore"))?;
    rescue.import(private::on(&data_in(job.scratch()), source, &server.programs)?)
}

/// Whether the files of the selected tables are enough for an incremental chain: each change stands on a file of the same name and of
/// the same tablespace. Where a table was renamed in between, it does not, and the tool would make up a tablespace of what it has.
///
/// # Errors
/// An object can not be read.
fn self_contained(chain: &[ChainLink], tables: &[Found]) -> Result<bool, EngineError> {
    let mut known: BTreeMap<String, u32> = BTreeMap::new();
    let stems: BTreeSet<&str> = tables
        .iter()
        .flat_map(|table| table.stems.iter().map(|(stem, _)| stem.as_str()))
        .collect();
    for link in chain {
        for object in link.objects() {
            let object = object?;
            let Some(stem) = stem(&object.name).filter(|stem| stems.contains(stem)) else {
                continue;
            };
            if object.name.ends_with(".delta") {
                let meta = format!("{}.meta", object.name.trim_end_matches(".delta"));
                let space = space_of_delta(link, &meta)?;
                if space.is_none() || known.get(stem) != space.as_ref() {
                    return Ok(false);
                }
            } else if let Some(space) = space_of_file(link, &object.name)? {
                known.insert(stem.to_owned(), space);
            }
        }
    }
    Ok(true)
}

/// The number of the tablespace: in the header of a file's first page, at offset 34 (FIL_PAGE_SPACE_ID in the servers' sources).
fn space_of_file(link: &ChainLink, object: &str) -> Result<Option<u32>, EngineError> {
    let mut header = Vec::new();
    link.open(object)?.take(38).read_to_end(&mut header)?;
    let number = header.get(34..38).and_then(|bytes| <[u8; 4]>::try_from(bytes).ok());
    Ok(number.map(u32::from_be_bytes))
}

/// The same, as the tool says it beside what has changed: `space_id = 7`.
fn space_of_delta(link: &ChainLink, meta: &str) -> Result<Option<u32>, EngineError> {
    let mut text = String::new();
    link.open(meta)?.take(4096).read_to_string(&mut text)?;
    let line = text.lines().find_map(|line| line.strip_prefix("space_id"));
    Ok(line.and_then(|rest| rest.trim_start_matches([' ', '=']).trim().parse().ok()))
}
