//! Taking a backup: one instant while nobody can commit, and then its files into objects.

use std::fs::File;
use std::path::Path;
use std::time::Duration;

use backstay_engine_api::{
    BackupJob, BackupRecord, EngineError, ErrorKind, Notice, Outcome, Position, ServerFacts, Usable,
};
use backstay_mysql::{Session, facts, stand_still};
use backstay_physical::Names;
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::layout::Layout;
use crate::offline;
use crate::options::{Options, ProviderName};
use crate::pages::{self, Noted, Pages};
use crate::provider::{Chosen, Held, choose, show};
use crate::source::Source;
use crate::stream::{Listed, list, write_all};
use crate::trace::Trace;

/// What a backup's record keeps for us.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct State {
    /// How all files were had at one instant.
    pub(crate) provider: ProviderName,
    /// Why the providers that `auto` would have preferred were not used.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) not_by: Vec<String>,
    /// How long nobody could commit, in milliseconds.
    pub(crate) lock_milliseconds: u64,
    /// How long the server's process was stopped, in milliseconds, if it was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) pause_milliseconds: Option<u64>,
    /// How many files there are, and their size in bytes.
    pub(crate) files: u64,
    pub(crate) bytes: u64,
    /// What an incremental that stands on it needs to know; none if the redo log is of no format that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) pages: Option<Noted>,
}

/// What an incremental stands on.
#[derive(Debug)]
pub(crate) struct Parent<'a> {
    record: &'a BackupRecord,
    noted: Noted,
}

impl<'a> Parent<'a> {
    /// Of the record that the host has given, if it has.
    ///
    /// # Errors
    /// No incremental of this directory can stand on it.
    pub(crate) fn of(record: Option<&'a BackupRecord>, source: &Source) -> Result<Option<Self>, EngineError> {
        let of = |record| {
            let noted = pages::parent(record, source)?;
            Ok(Self { record, noted })
        };
        record.map(of).transpose()
    }

    /// Where an incremental starts.
    pub(crate) fn positions(parent: Option<&Self>) -> Vec<Position> {
        parent.map_or_else(Vec::new, |parent| parent.record.positions.clone())
    }
}

/// What is read.
pub(crate) struct What<'a> {
    pub(crate) source: &'a Source,
    /// The value of `innodb_data_file_path`.
    pub(crate) system: &'a str,
    pub(crate) parent: Option<&'a Parent<'a>>,
    pub(crate) positions: &'a [Position],
    pub(crate) allow_damaged_pages: bool,
}

/// What was read.
pub(crate) struct Taken {
    pub(crate) listed: Listed,
    pub(crate) pages: Option<Noted>,
    pub(crate) notices: Vec<Notice>,
}

/// Which files the system tablespace has, as the server says.
fn data_file_path(server: &ServerFacts) -> &str {
    let value = server.facts.get("innodb_data_file_path");
    value.and_then(serde_json::Value::as_str).unwrap_or_default()
}

/// Takes a full backup, or what has changed since a parent.
///
/// # Errors
/// Whatever keeps it from being whole. No lock, no stopped server, no snapshot and no mount is left.
pub(crate) fn take(job: &BackupJob, parent: Option<&BackupRecord>) -> Result<Outcome, EngineError> {
    let options: Options = job.options()?;
    if options.provider == ProviderName::Copy {
        return offline::take(job, parent);
    }
    let mut session = match Session::connect(job.server()) {
        Err(error)
            if error.kind == ErrorKind::Connection
                && options.provider == ProviderName::Auto
                && offline::is_stopped(job.server()) =>
        {
            return offline::take(job, parent);
        }
        connected => connected?,
    };
    let server = facts(&mut session)?;
    let source = Source::of(&mut session, job.server(), &server)?;
    let parent = Parent::of(parent, &source)?;
    let Chosen { provider, others } = choose(&options, &source, job)?;

    let trace = Trace {
        provider: provider.name(),
        data_dir: source.data_dir.clone(),
    };
    // Before anything is made, and until all of it is gone.
    let guard = job.guard(trace.name())?;
    job.doing("writing out what is in memory");
    // What is written out now need not be while everybody waits.
    rustix::fs::syncfs(File::open(&source.data_dir)?).map_err(std::io::Error::from)?;
    let mut held = Held::new(provider.prepare(&source, job)?, guard);
    job.doing("taking the snapshot");
    let stood = stand_still(job, job.server(), options.lock_wait(), || held.get().take())?;
    let what = What {
        source: &source,
        system: data_file_path(&server),
        parent: parent.as_ref(),
        positions: &stood.positions,
        allow_damaged_pages: options.allow_damaged_pages,
    };
    let root = held.get().open()?;
    let taken = read(job, &root, &what, Names::new(session), &mut || held_check(&mut held));
    // What can not be read of a snapshot that is void is only the consequence of that.
    let taken = taken.map_err(|error| match error.kind {
        ErrorKind::Cancelled => error,
        _ => held.get().check().err().unwrap_or(error),
    });
    let removed = held.get().remove();
    let taken = taken?;
    if let Err(error) = removed {
        return Err(error.detail("the backup itself was complete"));
    }
    let state = State {
        provider: trace.provider,
        not_by: others,
        lock_milliseconds: millis(stood.lock_held),
        pause_milliseconds: stood.value.map(millis),
        files: taken.listed.files.len() as u64,
        bytes: taken.listed.files.iter().map(|item| item.size).sum(),
        pages: taken.pages,
    };
    let mut notices = vec![locked(&state)];
    notices.extend(taken.notices);
    Ok(Outcome::Usable(Usable {
        server,
        positions: stood.positions,
        from: Parent::positions(parent.as_ref()),
        partial: false,
        log: None,
        notices,
        state: json!(state),
    }))
}

/// Reads a snapshot into objects.
pub(crate) fn read(
    job: &BackupJob,
    root: &Path,
    what: &What<'_>,
    names: Names,
    check: &mut dyn FnMut() -> Result<(), EngineError>,
) -> Result<Taken, EngineError> {
    let listed = list(root, &what.source.left_out)?;
    let noted = what.parent.map(|parent| parent.noted.clone());
    let pages = Pages::look(root, &listed, what.system, noted)?;
    // One that crashed would itself recover to what the backup does.
    if what.source.running.is_some() {
        pages.check_imported()?;
    }
    job.expect(
        Some(listed.files.iter().map(|item| item.size).sum()),
        Some(listed.files.len() as u64),
    );
    Layout {
        directories: listed.directories.clone(),
    }
    .write(job)?;
    write_all(job, root, &listed.files, names, &pages, check)?;
    let (pages, notices) = pages.finish(what.source, what.allow_damaged_pages)?;
    if let Some(parent) = what.parent {
        let taken = pages.as_ref().ok_or_else(|| {
            EngineError::refused("the redo log is of another format than that of the parent")
                .advise("take a full backup")
        })?;
        pages::check_follows(parent.record, &parent.noted, taken, what.positions)?;
    }
    Ok(Taken { listed, pages, notices })
}

fn held_check(held: &mut Held) -> Result<(), EngineError> {
    held.get().check()
}

fn locked(state: &State) -> Notice {
    let lock = state.lock_milliseconds;
    let provider = show(state.provider);
    let text = match state.pause_milliseconds {
        Some(pause) => {
            format!(
                "by `{provider}`: nobody could commit for {lock} ms, of which the server was stopped for {pause} ms"
            )
        }
        None => format!("by `{provider}`: nobody could commit for {lock} ms"),
    };
    Notice::new("commits-blocked", text)
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}
