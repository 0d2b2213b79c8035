//! Blocking DDL while the snapshots are read.

use std::time::Instant;

use backstay_engine_api::{EngineError, ErrorKind, Notice};

use super::Guarded;
use super::kept::Kept;
use super::tables::{TableName, hold};
use super::unguarded::{Unguarded, Wanted};
use super::wait::Watch;
use crate::session::Session;

/// The session that blocks DDL.
#[derive(Debug)]
pub(super) struct DdlLock {
    holder: Option<Kept>,
    unlock: &'static str,
    /// What it does not block, as it was.
    unguarded: Option<Unguarded>,
}

/// What came of taking it.
pub(super) struct Taken {
    /// `None` on servers that can not block DDL.
    pub(super) held: Option<DdlLock>,
    /// When the global lock was let go.
    pub(super) let_go_at: Instant,
}

/// Waits until no other backup goes through MariaDB's stages, while that holds nobody up: it may last for hours, and under the global read lock
/// every writer would wait for it too. On MySQL several backups may block DDL at once.
pub(super) fn wait_for_others(watch: &mut Watch<'_>, session: &mut Session) -> Result<(), EngineError> {
    if !session.flavour().is_mariadb() || !can_block(session) {
        return Ok(());
    }
    let [start, ..] = STAGES;
    watch.lock(session, start, |_| Ok(()))?;
    session.run(END)
}

/// Blocks DDL, then lets the global read lock of `global` go.
///
/// On MySQL the same session can hold both. MariaDB refuses BACKUP STAGE in a session that holds the global read lock (error
/// 1223, "Can't execute the query because you have a conflicting read lock"), so a second session goes through the stages
/// while the first still holds on. That works and does not wait (seen on 10.11): the stages and the global read lock go
/// together as long as they are in different sessions and nobody writes.
pub(super) fn lock(
    watch: &mut Watch<'_>,
    mut global: Guarded,
    notices: &mut Vec<Notice>,
) -> Result<Taken, EngineError> {
    let job = watch.job;
    let can = can_block(&global.session);
    let held = if !can {
        let text = format!(
            "{} {} can not block DDL: a table that is altered meanwhile may be missing or damaged in \
             the backup",
            global.session.flavour(),
            global.session.version()
        );
        notices.push(Notice::new("ddl-not-blocked", text));
        None
    } else if global.session.flavour().is_mariadb() {
        let mut second = Guarded::open(job, global.session.another()?, watch.lock_wait)?;
        for stage in STAGES {
            watch.lock_once(&mut second.session, stage)?;
        }
        Some(DdlLock {
            holder: Some(Kept::new(second)?),
            unlock: END,
            unguarded: None,
        })
    } else {
        watch.lock_once(&mut global.session, "LOCK INSTANCE FOR BACKUP")?;
        None
    };
    global.session.run("UNLOCK TABLES")?;
    let let_go_at = Instant::now();
    let held = match held {
        None if can => Some(DdlLock {
            holder: Some(Kept::new(global)?),
            unlock: "UNLOCK INSTANCE",
            unguarded: None,
        }),
        held => held,
    };
    Ok(Taken { held, let_go_at })
}

/// Keeps tables as they are by their metadata locks, then lets the lock of `locking` go.
pub(super) fn hold_tables(
    watch: &mut Watch<'_>,
    mut locking: Guarded,
    tables: &[TableName],
) -> Result<Taken, EngineError> {
    let mut holder = Guarded::open(watch.job, locking.session.another()?, watch.lock_wait)?;
    holder.session.run("START TRANSACTION")?;
    for statement in hold(tables) {
        watch.job.check_cancelled()?;
        holder.session.run(statement)?;
    }
    let unguarded = Some(Unguarded::read(watch.watcher)?);
    locking.session.run("UNLOCK TABLES")?;
    let let_go_at = Instant::now();
    let held = Some(DdlLock {
        holder: Some(Kept::new(holder)?),
        unlock: "ROLLBACK",
        unguarded,
    });
    Ok(Taken { held, let_go_at })
}

/// MariaDB's stages, in the order that it demands. It insists on START (4146) and on never going back (4147), and goes
/// through what is skipped by itself; FLUSH is a statement of its own so that an error says which stage failed.
/// BLOCK_COMMIT is left out: it would go on blocking what the global read lock blocked.
const STAGES: [&str; 3] = ["BACKUP STAGE START", "BACKUP STAGE FLUSH", "BACKUP STAGE BLOCK_DDL"];
const END: &str = "BACKUP STAGE END";

pub(super) fn can_block(session: &Session) -> bool {
    let version = session.version();
    if session.flavour().is_mariadb() {
        version.at_least(10, 4, 1)
    } else {
        version.at_least(8, 0, 0)
    }
}

/// Whether this account may block DDL on MySQL: takes the lock, which blocks only DDL, and lets it go. DDL that is running
/// is no obstacle here. On MariaDB the global read lock needs the same privilege.
pub(super) fn try_lock(session: &mut Session) -> Result<(), EngineError> {
    if session.flavour().is_mariadb() || !can_block(session) {
        return Ok(());
    }
    session.run("SET SESSION lock_wait_timeout = 1")?;
    match session.run("LOCK INSTANCE FOR BACKUP") {
        Ok(()) => session.run("UNLOCK INSTANCE"),
        Err(error) if error.kind == ErrorKind::Busy => Ok(()),
        Err(error) => Err(error),
    }
}

impl DdlLock {
    /// What it does not block is compared in these schemas only.
    pub(super) fn compare_only(&mut self, wanted: Box<Wanted>) {
        if let Some(unguarded) = &mut self.unguarded {
            unguarded.only(wanted);
        }
    }

    pub(super) fn check_alive(&mut self) -> Result<(), EngineError> {
        let Some(holder) = &self.holder else { return Ok(()) };
        holder.check_alive().map_err(|error| {
            let message = format!(
                "session {}, which kept tables from being altered during the backup, was lost",
                holder.connection_id()
            );
            let mut lost = EngineError::new(ErrorKind::Connection, message);
            lost.causes = error.causes;
            lost.advise("take the backup again; look into the server's error log for why the session ended")
        })?;
        match &self.unguarded {
            // In a session of its own: MySQL shows the holder what was there when its transaction began.
            Some(unguarded) => unguarded.check(&mut holder.another()?),
            None => Ok(()),
        }
    }

    pub(super) fn release(mut self) -> Result<(), EngineError> {
        self.check_alive()?;
        self.holder.take().map_or(Ok(()), |holder| holder.run(self.unlock))
    }
}

impl Drop for DdlLock {
    fn drop(&mut self) {
        if let Some(holder) = self.holder.take() {
            // The server lets go of it anyway as soon as it sees the connection closed.
            let _ = holder.run(self.unlock);
        }
    }
}
