//! [`Control`]: how far a restore has come, kept on the target itself, so that an interrupted one can go on.
//!
//! Progress of a data file is written in the transaction that loads its rows: either both are there or neither.

mod identity;
mod own_accounts;

use std::collections::{HashMap, HashSet};
use std::sync::Mutex;
use std::thread;
use std::time::Duration;

use backstay_engine_api::{EngineError, ErrorKind};
use backstay_mysql::accounts::Account;
use backstay_mysql::session::is_deadlock;
use backstay_mysql::{NamedRow, RawSession, Session, quote_text, target};

pub(super) use identity::identity;
pub(super) use own_accounts::own_accounts;

/// The schema that holds it while a restore is under way.
pub(crate) const SCHEMA: &str = "backstay_restore";

/// How long the session of a restore that was killed may take to end, in seconds.
const ENDS_WITHIN: u32 = 10;
/// The item that says that the redo log was turned off.
const REDO_LOG_OFF: &str = "redo log off";
/// The item that says that the event scheduler was turned off.
const EVENTS_HELD: &str = "events held";
/// The item that says that all rows are there.
const ALL_ROWS: &str = "all rows";
/// How far two readings of one start of a server may differ, in seconds: its clock and its uptime are read one after the other.
const ALIKE: u64 = 3;

/// How often something may be rolled back for others' sake before that is an error.
pub(super) const DEADLOCKS: u32 = 20;
/// How long to wait then: others are at what was in the way.
pub(super) const AFTER_DEADLOCK: Duration = Duration::from_millis(20);

/// How far a data file is loaded.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Progress {
    /// Bytes before compression, up to the end of a row.
    pub(super) bytes: u64,
    pub(super) rows: u64,
    pub(super) done: bool,
}

/// Of a step.
const DONE: Progress = Progress {
    bytes: 0,
    rows: 0,
    done: true,
};

/// What the target knows of a restore.
#[derive(Debug)]
pub(super) struct Control {
    /// Whether it goes on where another was interrupted.
    pub(super) resumed: bool,
    /// Whether the server was started again since: what an engine without transactions had not synced by then may be lost.
    pub(super) restarted: bool,
    /// When the server was started, by its own clock: seconds since 1970.
    started: u64,
    /// Whether the target keeps it.
    kept: bool,
    /// By name of data file or step.
    items: Mutex<HashMap<String, Progress>>,
    /// The accounts that the target had before, if accounts are restored.
    pub(super) accounts: HashSet<Account>,
}

/// Sees to it that no other restore of the kind is under way on the target, for as long as the session lives.
///
/// # Errors
/// [`ErrorKind::Refused`] if one is.
pub(super) fn alone(session: &mut Session) -> Result<(), EngineError> {
    let sql = format!("SELECT GET_LOCK({}, {ENDS_WITHIN})", quote_text(SCHEMA));
    // A cluster may have no such locks; there it is the operator who has to see to it.
    let Ok(got) = session.query_first::<Option<u8>>(sql) else {
        return Ok(());
    };
    if got.flatten() == Some(1) {
        return Ok(());
    }
    let holder = format!("SELECT IS_USED_LOCK({})", quote_text(SCHEMA));
    let holder = session.query_first::<Option<u64>>(holder).ok().flatten().flatten();
    let message = format!("another restore to {} is under way", session.address());
    let advice = "wait until it has ended; if its process is gone, its session ends in a moment";
    let error = EngineError::refused(message);
    Err(match holder {
        Some(session) => error
            .detail(format!("session {session} of the server has the lock `{SCHEMA}`"))
            .advise(format!("{advice}, or end it (KILL {session})")),
        None => error.advise(advice),
    })
}

/// When the server was started, which the name of a guard says.
fn server_started(session: &Session) -> u64 {
    let name = session.guard_name(session.connection_id());
    let started: Option<u64> = name.split_once('@').and_then(|(_, started)| started.parse().ok());
    started.unwrap_or_default()
}

/// What an interrupted restore has noted of itself; `None` also if it was interrupted before it had begun.
fn noted_job(session: &mut Session) -> Result<Option<NamedRow>, EngineError> {
    if !target::has_schema(session, SCHEMA)? {
        return Ok(None);
    }
    let has_job: Option<u8> = session.query_first(format!(
        "SELECT 1 FROM information_schema.TABLES WHERE TABLE_SCHEMA = {} AND TABLE_NAME = 'job'",
        quote_text(SCHEMA)
    ))?;
    if has_job.is_none() {
        return Ok(None);
    }
    let jobs = session.query_named(format!("SELECT * FROM {SCHEMA}.job"))?;
    Ok(jobs.into_iter().next())
}

impl Control {
    /// Looks for an interrupted restore; `None` if there was none.
    ///
    /// # Errors
    /// [`ErrorKind::Refused`] if another restore was interrupted.
    pub(super) fn find(session: &mut Session, identity: &str) -> Result<Option<Self>, EngineError> {
        let Some(job) = noted_job(session)? else {
            return Ok(None);
        };
        // Earlier versions did not note it.
        let noted: Option<u64> = job.get(&["server_started"]).and_then(|text| text.parse().ok());
        let same = job.get(&["identity"]) == Some(identity);
        let (true, Some(noted)) = (same, noted) else {
            return Err(identity::another(&session.address(), job.get(&["identity"]), identity));
        };
        let rows: Vec<(Vec<u8>, u64, u64, bool)> = session.query(format!(
            // That waits for what a killed restore has sent to be committed.
            "SELECT item, bytes, row_count, done FROM {SCHEMA}.progress LOCK IN SHARE MODE"
        ))?;
        let items = rows.into_iter().map(|(item, bytes, rows, done)| {
            (
                String::from_utf8_lossy(&item).into_owned(),
                Progress { bytes, rows, done },
            )
        });
        let started = server_started(session);
        Ok(Some(Self {
            resumed: true,
            restarted: noted.abs_diff(started) > ALIKE,
            started,
            kept: true,
            items: Mutex::new(items.collect()),
            accounts: serde_json::from_str(job.get(&["accounts"]).unwrap_or_default()).map_err(|error| {
                EngineError::other(format!("{SCHEMA}.job on the target can not be read")).because(&error)
            })?,
        }))
    }

    /// Begins a restore: whatever a former one left is forgotten. `accounts` are the target's [`own_accounts()`].
    ///
    /// # Errors
    /// The server's.
    pub(super) fn begin(
        session: &mut Session,
        identity: &str,
        accounts: HashSet<Account>,
    ) -> Result<Self, EngineError> {
        let accounts_text = serde_json::to_string(&accounts)
            .map_err(|error| EngineError::other("the target's accounts can not be written as JSON").because(&error))?;
        let started = server_started(session);
        for sql in [
            format!("DROP DATABASE IF EXISTS {SCHEMA}"),
            format!("CREATE DATABASE {SCHEMA}"),
            format!(
                "CREATE TABLE {SCHEMA}.progress (item VARBINARY(1200) NOT NULL PRIMARY KEY, bytes BIGINT UNSIGNED NOT NULL, \
                 row_count BIGINT UNSIGNED NOT NULL, done TINYINT NOT NULL) ENGINE = InnoDB"
            ),
            format!(
                "CREATE TABLE {SCHEMA}.job (id INT NOT NULL PRIMARY KEY, identity LONGTEXT CHARACTER SET utf8mb4 NOT NULL, \
                 accounts LONGTEXT CHARACTER SET utf8mb4 NOT NULL, server_started BIGINT UNSIGNED NOT NULL) ENGINE = InnoDB"
            ),
            format!(
                "INSERT INTO {SCHEMA}.job VALUES (1, {}, {}, {started})",
                quote_text(identity),
                quote_text(&accounts_text)
            ),
        ] {
            session.run(sql)?;
        }
        Ok(Self {
            resumed: false,
            restarted: false,
            started,
            kept: true,
            items: Mutex::default(),
            accounts,
        })
    }

    /// Of a restore that does not go on after an interruption: nothing is noted on the target. `accounts` are its [`own_accounts()`].
    pub(super) fn in_memory(accounts: HashSet<Account>) -> Self {
        Self {
            resumed: false,
            restarted: false,
            started: 0,
            kept: false,
            items: Mutex::default(),
            accounts,
        }
    }

    /// Adds to the error of a restore that has begun what becomes of what it has done.
    pub(super) fn goes_on(&self, mut error: EngineError, overwrite: bool) -> EngineError {
        if !self.kept {
            return error;
        }
        error.causes.push(format!(
            "what is restored so far stays, and its progress is in the schema `{SCHEMA}` of the target"
        ));
        let mend = match error.kind {
            ErrorKind::Cancelled => "",
            _ => "mend the cause and ",
        };
        let without = if overwrite { ", without --overwrite" } else { "" };
        error
            .advice
            .get_or_insert_with(|| format!("{mend}run the same command again{without}: it goes on where it was"));
        error
    }

    /// How far an item is.
    pub(super) fn progress(&self, item: &str) -> Progress {
        let items = self.items.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        items.get(item).copied().unwrap_or_default()
    }

    /// Writes down how far an item is, in the session's transaction; [`remember`](Self::remember) it when that is committed.
    ///
    /// # Errors
    /// The server's.
    pub(super) fn write(&self, session: &mut RawSession, item: &str, progress: Progress) -> Result<(), EngineError> {
        let Progress { bytes, rows, done } = progress;
        if !self.kept {
            return Ok(());
        }
        session.run(format!(
            "REPLACE INTO {SCHEMA}.progress VALUES ({}, {bytes}, {rows}, {})",
            quote_text(item),
            u8::from(done)
        ))
    }

    /// Remembers how far an item is.
    pub(super) fn remember(&self, item: &str, progress: Progress) {
        let mut items = self.items.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        items.insert(item.to_owned(), progress);
    }

    /// Writes down how far an item is, outside of any transaction.
    ///
    /// # Errors
    /// The server's.
    pub(super) fn note(&self, session: &mut RawSession, item: &str, progress: Progress) -> Result<(), EngineError> {
        for again in 1.. {
            match self.write(session, item, progress) {
                // By itself it may be tried again, whatever it is about.
                Err(error) if is_deadlock(&error) && again <= DEADLOCKS => thread::sleep(AFTER_DEADLOCK),
                done => {
                    done?;
                    break;
                }
            }
        }
        self.remember(item, progress);
        Ok(())
    }

    /// Forgets how far items are: they are to be done again.
    ///
    /// # Errors
    /// The server's.
    pub(super) fn forget(&self, session: &mut Session, forgotten: &[String]) -> Result<(), EngineError> {
        for item in forgotten {
            if self.kept {
                session.run(format!(
                    "DELETE FROM {SCHEMA}.progress WHERE item = {}",
                    quote_text(item)
                ))?;
            }
            let mut items = self.items.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
            items.remove(item);
        }
        Ok(())
    }

    /// Whether all rows are there. What becomes of them from then on is others' doing: nothing is loaded again.
    pub(super) fn has_all_rows(&self) -> bool {
        self.progress(ALL_ROWS).done
    }

    /// Notes that all rows are there.
    ///
    /// # Errors
    /// The server's.
    pub(super) fn note_all_rows(&self, session: &mut RawSession) -> Result<(), EngineError> {
        self.note(session, ALL_ROWS, DONE)
    }

    /// After an interruption: notes when the server was started, once nothing is counted on any more that it may have lost.
    ///
    /// # Errors
    /// The server's.
    pub(super) fn note_start(&self, session: &mut RawSession) -> Result<(), EngineError> {
        session.run(format!("UPDATE {SCHEMA}.job SET server_started = {}", self.started))
    }

    /// Notes that the redo log is turned off: whoever goes on has to turn it on again.
    ///
    /// # Errors
    /// The server's.
    pub(super) fn note_redo_log_off(&self, session: &mut Session) -> Result<(), EngineError> {
        self.note_step(session, REDO_LOG_OFF)
    }

    /// Notes that the event scheduler, which was on, is turned off: whoever goes on has to say so.
    ///
    /// # Errors
    /// The server's.
    pub(super) fn note_events_held(&self, session: &mut Session) -> Result<(), EngineError> {
        self.note_step(session, EVENTS_HELD)
    }

    /// Whether the event scheduler was turned off.
    pub(super) fn events_held(&self) -> bool {
        self.progress(EVENTS_HELD).done
    }

    fn note_step(&self, session: &mut Session, step: &str) -> Result<(), EngineError> {
        if self.kept {
            session.run(format!(
                "REPLACE INTO {SCHEMA}.progress VALUES ({}, 0, 0, 1)",
                quote_text(step)
            ))?;
        }
        self.remember(step, DONE);
        Ok(())
    }

    /// Whether a restore that was interrupted had turned the redo log off, whichever it was.
    ///
    /// # Errors
    /// The server's.
    pub(super) fn redo_log_left_off(session: &mut Session) -> Result<bool, EngineError> {
        let has_progress: Option<u8> = session.query_first(format!(
            "SELECT 1 FROM information_schema.TABLES WHERE TABLE_SCHEMA = {} AND TABLE_NAME = 'progress'",
            quote_text(SCHEMA)
        ))?;
        if has_progress.is_none() {
            return Ok(false);
        }
        let item = quote_text(REDO_LOG_OFF);
        let found: Option<u8> = session.query_first(format!("SELECT 1 FROM {SCHEMA}.progress WHERE item = {item}"))?;
        Ok(found.is_some())
    }

    /// Forgets the restore: it is finished.
    ///
    /// # Errors
    /// The server's.
    pub(super) fn end(&self, session: &mut Session) -> Result<(), EngineError> {
        if !self.kept {
            return Ok(());
        }
        session.run(format!("DROP DATABASE {SCHEMA}"))
    }
}
