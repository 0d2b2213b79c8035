//! [`ConsistentPoint`]: one moment of a server at which snapshots are opened and the position is read.
//!
//! What happens, in order:
//! 1. Before any lock, what could fail is tried: privileges, the statements that read the position, a second session for
//!    watching. `lock_wait_timeout` is set and the session's id is guarded, so that the host can end it should we die.
//! 2. `FLUSH TABLES WITH READ LOCK`, in short attempts (see `wait.rs`), while the second session looks on: it names the
//!    query that stands in the way when time is up, and kills the waiting session when the job is cancelled. A session
//!    left waiting would go on blocking every writer. On MySQL the lock is not asked for while a long query would hold it
//!    up (see `patience.rs`).
//! 3. `XA RECOVER` must be empty, for a prepared transaction is in the position and not in a snapshot. Otherwise the lock is
//!    let go and tried again.
//! 4. The caller opens its snapshots; the position is read.
//! 5. DDL stays blocked while the snapshots are read, which is what snapshots do not protect from: `LOCK INSTANCE FOR
//!    BACKUP` on MySQL; on MariaDB `BACKUP STAGE … BLOCK_DDL` in a second session, which keeps writers off tables without
//!    transactions too. Not off those of Aria, which it takes for transactional (TRANSACTIONAL = 1 is their default): to lock these for as
//!    long would let one writer that waits keep all readers of its table waiting, us as well. Then the lock is let go.
//!
//! Where the account may not do 2 or 5 and the caller says which tables it will read ([`LockOptions::tables`]), those alone
//! are locked, and metadata locks keep them as they are (see `tables.rs`). Managed services (Amazon RDS, Aurora) refuse 2 to an account
//! that has the privilege for it, so that only asking for the lock itself shows it.

mod blockers;
mod ddl;
mod kept;
mod patience;
pub(crate) mod position;
mod preflight;
pub(crate) mod prepared;
mod still;
mod tables;
mod unguarded;
mod wait;

use std::time::{Duration, Instant};

use backstay_engine_api::job::{JobContext, SessionGuard};
use backstay_engine_api::{EngineError, ErrorKind, Notice, Position, Server};

use crate::facts::non_transactional;
use crate::session::Session;
use ddl::DdlLock;
use preflight::Allowed;
pub use still::{Stood, stand_still};
pub use tables::{TableName, hold};
use wait::{ATTEMPT_SECONDS, Watch};

/// How many tables a notice names.
const NAMED_TABLES: usize = 10;

/// How long a session that locks may be idle, in seconds, beyond what is waited for: so long the server keeps its lock where our machine is
/// lost without a last packet. Whatever is done under the lock, by other sessions, has to take less.
const LOCKED_IDLE: u64 = 600;

/// The tables that a caller will read.
pub type TableList<'a> = &'a dyn Fn(&mut Session) -> Result<Vec<TableName>, EngineError>;

/// How the locks are taken.
#[derive(Clone, Copy)]
pub struct LockOptions<'a> {
    /// How long to try for the lock, and for prepared transactions to be gone, together. Writers wait only during an
    /// attempt, which takes a few seconds at most.
    pub lock_wait: Duration,
    /// Lists the tables that will be read, for an account that may not lock everything, or a server that lets nobody do that. It is called
    /// only then, before the snapshots are opened and while a lock is held; each session that opens one should then [`hold`] the tables.
    /// Without it, such an account is refused.
    pub tables: Option<TableList<'a>>,
}

impl Default for LockOptions<'_> {
    fn default() -> Self {
        Self {
            lock_wait: Duration::from_secs(60),
            tables: None,
        }
    }
}

impl std::fmt::Debug for LockOptions<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LockOptions")
            .field("lock_wait", &self.lock_wait)
            .field("tables", &self.tables.is_some())
            .finish()
    }
}

/// A point that was taken: DDL stays blocked until it is released or dropped.
#[derive(Debug)]
pub struct ConsistentPoint {
    ddl: Option<DdlLock>,
    positions: Vec<Position>,
    lock_held: Duration,
    notices: Vec<Notice>,
}

/// A session whose id the host knows. The session ends before the guard does.
#[derive(Debug)]
struct Guarded {
    session: Session,
    _guard: SessionGuard,
}

impl Guarded {
    /// `lock_wait` is how long it may wait between two attempts at a lock, idle.
    fn open(job: &JobContext, mut session: Session, lock_wait: Duration) -> Result<Self, EngineError> {
        // The most that servers take is a year.
        let idle = lock_wait.as_secs().saturating_add(LOCKED_IDLE).min(31_536_000);
        session.run(format!(
            "SET SESSION lock_wait_timeout = {ATTEMPT_SECONDS}, wait_timeout = {idle}"
        ))?;
        let guard = job.guard(session.guard_name(session.connection_id()))?;
        Ok(Self { session, _guard: guard })
    }
}

impl ConsistentPoint {
    /// Takes the point. `open_snapshots` runs under the lock, with the session that holds it; what it opens (in sessions of
    /// its own) shows the server as it is at [`positions`](Self::positions). It should do nothing else: every
    /// writer waits meanwhile.
    ///
    /// # Errors
    /// [`Busy`](backstay_engine_api::ErrorKind::Busy) naming the query or the prepared transactions that stood in the way;
    /// [`Privilege`](backstay_engine_api::ErrorKind::Privilege), before any lock, with the GRANT or what else to do;
    /// [`Cancelled`](backstay_engine_api::ErrorKind::Cancelled); whatever `open_snapshots` returns. In each case no lock
    /// and no session is left.
    pub fn take<T>(
        job: &JobContext,
        server: &Server,
        options: LockOptions,
        open_snapshots: impl FnOnce(&mut Session) -> Result<T, EngineError>,
    ) -> Result<(Self, T), EngineError> {
        let deadline = Instant::now() + options.lock_wait;
        let mut watcher = Session::connect(server)?;
        let mut allowed = match options.tables {
            Some(_) => preflight::look(&mut watcher)?,
            None => preflight::check(&mut watcher)?,
        };
        let without_transactions = non_transactional(&mut watcher, NAMED_TABLES + 1)?;
        let mut global = Guarded::open(job, watcher.another()?, options.lock_wait)?;
        let mut watch = Watch {
            job,
            watcher: &mut watcher,
            deadline,
            lock_wait: options.lock_wait,
        };

        if allowed.global_lock && allowed.ddl_lock {
            match ddl::wait_for_others(&mut watch, &mut global.session) {
                Err(error) if preflight::is_refused(&error) && options.tables.is_some() => {
                    allowed = allowed.without_global_lock();
                }
                Err(error) => return Err(explain(&global.session, error)),
                Ok(()) => {}
            }
        }
        let (mut locked_at, mut list) = lock(&mut watch, &mut global.session, options, &mut allowed)?;
        loop {
            let prepared = if allowed.prepared {
                prepared::list(&mut global.session)?
            } else {
                Vec::new()
            };
            if prepared.is_empty() {
                break;
            }
            global.session.run("UNLOCK TABLES")?;
            if !watch.pause()? {
                return Err(prepared::in_the_way(&prepared, options.lock_wait));
            }
            (locked_at, list) = lock(&mut watch, &mut global.session, options, &mut allowed)?;
        }

        let mut notices = notices(&global.session, allowed, &without_transactions);
        let snapshots = open_snapshots(&mut global.session)?;
        let positions = if allowed.position {
            position::read(&mut global.session)?
        } else {
            Vec::new()
        };
        let ddl = match list {
            Some(list) => ddl::hold_tables(&mut watch, global, &list)?,
            None => ddl::lock(&mut watch, global, &mut notices)?,
        };
        let point = Self {
            ddl: ddl.held,
            positions,
            lock_held: ddl.let_go_at - locked_at,
            notices,
        };
        Ok((point, snapshots))
    }

    /// Where the server stood: its GTIDs first, if they are on, then the place in its binary log. Empty if the binary log
    /// is off.
    pub fn positions(&self) -> &[Position] {
        &self.positions
    }

    /// How long writers were blocked.
    pub fn lock_held(&self) -> Duration {
        self.lock_held
    }

    /// What the operator must know: tables without transactions, DDL that is not blocked.
    pub fn notices(&self) -> &[Notice] {
        &self.notices
    }

    /// Says which schemas are in the backup, of those that there are and of those that somebody makes meanwhile. Where DDL can not be
    /// blocked, and definitions are compared at the end instead, what changes in other schemas is then none of the backup's; else
    /// every schema counts.
    pub fn compare_only(&mut self, wanted: impl Fn(&str) -> bool + Send + 'static) {
        if let Some(ddl) = &mut self.ddl {
            ddl.compare_only(Box::new(wanted));
        }
    }

    /// Whether DDL is still blocked; to be asked before a backup counts as good.
    ///
    /// # Errors
    /// [`Connection`](backstay_engine_api::ErrorKind::Connection): the session that blocks DDL was lost, so that what was
    /// read since may not fit together.
    pub fn check_alive(&mut self) -> Result<(), EngineError> {
        self.ddl.as_mut().map_or(Ok(()), DdlLock::check_alive)
    }

    /// Lets everything go, after a last [`check_alive`](Self::check_alive).
    ///
    /// # Errors
    /// The session was lost before: see `check_alive`.
    pub fn release(mut self) -> Result<(), EngineError> {
        self.ddl.take().map_or(Ok(()), DdlLock::release)
    }
}

/// Locks everything, or the tables that there are; lists them where DDL can not be kept out for all.
fn lock(
    watch: &mut Watch<'_>,
    session: &mut Session,
    options: LockOptions<'_>,
    allowed: &mut Allowed,
) -> Result<(Instant, Option<Vec<TableName>>), EngineError> {
    if let (Some(list), false) = (options.tables, allowed.global_lock) {
        let (locked_at, tables) = tables::lock(watch, session, list, allowed.refused)?;
        return Ok((locked_at, Some(tables)));
    }
    // Where it is going to be refused, nothing is gained by waiting for a moment that suits it.
    let before = |watch: &mut Watch<'_>| if allowed.managed { Ok(()) } else { patience::wait(watch) };
    match watch.lock(session, "FLUSH TABLES WITH READ LOCK", before) {
        Ok(()) => {
            let locked_at = Instant::now();
            let list = options.tables.filter(|_| !allowed.ddl_lock);
            Ok((locked_at, list.map(|list| list(watch.watcher)).transpose()?))
        }
        Err(error) if preflight::is_refused(&error) && options.tables.is_some() => {
            *allowed = allowed.without_global_lock();
            lock(watch, session, options, allowed)
        }
        Err(error) => Err(explain(session, error)),
    }
}

/// What to do where the server refuses a global read lock without saying which privilege is missing; any other error as it is.
fn explain(session: &Session, error: EngineError) -> EngineError {
    if !preflight::is_refused(&error) {
        return error;
    }
    let message = format!("the server refuses {} a global read lock", session.account());
    let mut refused = EngineError::new(ErrorKind::Privilege, message).advise(
        "managed services refuse it whatever was granted: take the backup with the engine `mysqlshell`, which locks the tables of the \
         backup instead",
    );
    refused.causes = error.causes;
    refused
}

fn notices(session: &Session, allowed: Allowed, without_transactions: &[(String, String)]) -> Vec<Notice> {
    let mut notices = Vec::new();
    let account = session.account();
    if allowed.refused {
        let text = format!(
            "the server refuses {account} a global read lock, as managed services do: the tables of the backup were locked together \
             instead (no others were) and kept from being altered; views, routines and events were compared at the end"
        );
        notices.push(Notice::new("no-global-lock", text));
    } else if !allowed.global_lock {
        let text = format!(
            "{account} may not take a global read lock: the tables of the backup were locked together instead, and tables \
             outside of it were not (it would take {})",
            session.grant("RELOAD")
        );
        notices.push(Notice::new("no-global-lock", text));
    }
    if !allowed.ddl_lock && !allowed.refused {
        let privilege = if session.flavour().is_mariadb() {
            "RELOAD"
        } else {
            "BACKUP_ADMIN"
        };
        let text = format!(
            "{account} may not block DDL: the tables were kept from being altered, but not views, routines and events, which \
             were compared at the end instead (it would take {})",
            session.grant(privilege)
        );
        notices.push(Notice::new("ddl-not-blocked", text));
    }
    if !allowed.position {
        let text = format!(
            "{account} may not read the binary log's position: nothing can be replayed onto this backup (it would take {})",
            session.grant(preflight::position_privilege(session))
        );
        notices.push(Notice::new("no-position", text));
    }
    // LOCK TABLES waits for them: a prepared transaction keeps its tables' metadata locks.
    if allowed.global_lock && !allowed.prepared {
        let text = format!(
            "{account} may not look for prepared transactions: one that was prepared before the backup and is committed after it is not in \
             the backup, and can not be replayed onto it (it would take {})",
            session.grant("XA_RECOVER_ADMIN")
        );
        notices.push(Notice::new("prepared-not-seen", text));
    }
    let waits = session.flavour().is_mariadb() && allowed.ddl_lock;
    let is_held = |table: &&(String, String)| waits && !table.1.eq_ignore_ascii_case("Aria");
    let (held, free): (Vec<_>, Vec<_>) = without_transactions.iter().partition(is_held);
    for (tables, what) in [
        (held, "whoever writes to them waits until the backup has been read"),
        (
            free,
            "no snapshot holds them, so that their rows may be newer than the backup's position",
        ),
    ] {
        if tables.is_empty() {
            continue;
        }
        let more = if tables.len() > NAMED_TABLES { " and more" } else { "" };
        let names: Vec<&str> = tables.iter().take(NAMED_TABLES).map(|table| table.0.as_str()).collect();
        let text = format!("tables without transactions ({}{more}): {what}", names.join(", "));
        notices.push(Notice::new("non-transactional-tables", text));
    }
    notices
}
