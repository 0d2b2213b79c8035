//! The tool's `--prepare`: the redo log applied, for the full backup and for each incremental in turn.

use std::fs::{self, File};
use std::path::Path;
use std::process::Stdio;
use std::thread;

use backstay_engine_api::job::{ChainLink, JobContext};
use backstay_engine_api::{EngineError, ObjectInfo};
use backstay_physical::data_in;

use super::lay::{Laid, lay};
use super::superseded::remove_superseded;
use crate::options::Options;
use crate::program::{OptionFile, Running};
use crate::tool::Tool;
use crate::xbstream::Dialect;

/// Lays a chain's files below a directory and makes them what a server starts on, in [`data_in`].
///
/// # Errors
/// As [`lay`], and the tool's own.
pub(crate) fn prepare_chain(
    job: &JobContext,
    options: &Options,
    tool: &Tool,
    chain: &[ChainLink],
    directory: &Path,
    wanted: &(dyn Fn(&ObjectInfo) -> bool + Sync),
) -> Result<Laid, EngineError> {
    let mut all = Laid::default();
    // Incrementals are laid beside it: the tool takes every directory in it for a schema's.
    let data = data_in(directory);
    fs::create_dir(&data)?;
    for (index, link) in chain.iter().enumerate() {
        let id = &link.record().id;
        let last = index + 1 == chain.len();
        let mut args = vec![
            "--prepare".to_owned(),
            format!("--target-dir={}", data.display()),
            format!("--use-memory={}", options.memory),
            format!("--tmpdir={}", job.scratch().display()),
        ];
        // The redo log of the next goes on from where this one's ends: nothing may be rolled back before. MariaDB's tool
        // never rolls back; the server does when it starts.
        if !last && tool.dialect == Dialect::Percona {
            args.push("--apply-log-only".to_owned());
        }
        let increment = (index > 0).then(|| directory.join("increment"));
        match &increment {
            None => all.linked.extend(lay(job, link, &data, wanted)?.linked),
            Some(increment) => {
                fs::create_dir(increment)?;
                all.linked.extend(lay(job, link, increment, wanted)?.linked);
                if tool.dialect == Dialect::MariaDb {
                    remove_superseded(&data, increment)?;
                }
                args.push(format!("--incremental-dir={}", increment.display()));
            }
        }
        args.extend(options.extra_args()?.iter().cloned());
        // Page size, data files, checksums.
        let layout = data.join("backup-my.cnf");
        job.doing(format!("applying the redo log of {id}"));
        thread::scope(|scope| {
            scope.spawn(|| write_out(directory));
            Running::start(job, tool, &OptionFile::File(&layout), &args, Stdio::null())?
                .wait(&format!("prepare backup {id}"))
        })?;
        if let Some(increment) = increment {
            fs::remove_dir_all(increment)?;
        }
    }
    all.linked.sort();
    all.linked.dedup();
    Ok(all)
}

/// Lets what was laid go to the disk while the tool, which works on one processor, changes little of it. Whether it has arrived is asked in
/// the end, of all of it.
fn write_out(directory: &Path) {
    if let Ok(directory) = File::open(directory) {
        let _ = rustix::fs::syncfs(directory);
    }
}
