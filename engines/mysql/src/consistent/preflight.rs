//! What can be found out before a lock is taken.

use backstay_engine_api::{EngineError, ErrorKind};

use super::{ddl, position, prepared};
use crate::session::Session;

/// What the account may do of that which a point without it can do without.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Allowed {
    /// FLUSH TABLES WITH READ LOCK.
    pub(super) global_lock: bool,
    /// It has the privilege for that, and is refused all the same.
    pub(super) refused: bool,
    /// The server is a managed one that may well refuse it.
    pub(super) managed: bool,
    /// LOCK INSTANCE FOR BACKUP, or what MariaDB has for it.
    pub(super) ddl_lock: bool,
    /// Reading the binary log's position.
    pub(super) position: bool,
    /// XA RECOVER.
    pub(super) prepared: bool,
}

impl Allowed {
    const ALL: Self = Self {
        global_lock: true,
        refused: false,
        managed: false,
        ddl_lock: true,
        position: true,
        prepared: true,
    };

    /// What is left once the global read lock was refused.
    pub(super) fn without_global_lock(self) -> Self {
        Self {
            global_lock: false,
            refused: true,
            ddl_lock: false,
            ..self
        }
    }
}

/// Tries what will be needed under the lock, so that a missing privilege does not come up while everyone waits.
///
/// Trying is surer than reading SHOW GRANTS, which does not say what roles and partial revokes come to.
pub(super) fn check(session: &mut Session) -> Result<Allowed, EngineError> {
    needed(session, Part::Position)?;
    needed(session, Part::Prepared)?;
    needed(session, Part::DdlLock)?;
    // FLUSH TABLES WITH READ LOCK needs no try: the server checks its privilege before it begins to wait.
    Ok(Allowed::ALL)
}

/// Tries what is needed to keep everybody from committing.
pub(super) fn still(session: &mut Session) -> Result<(), EngineError> {
    needed(session, Part::GlobalLock)?;
    needed(session, Part::Position)?;
    needed(session, Part::Prepared)
}

/// Tries the same, for a point that is taken with what there is.
///
/// # Errors
/// The session was lost.
pub(super) fn look(session: &mut Session) -> Result<Allowed, EngineError> {
    let may = |session: &mut Session, part| match needed(session, part) {
        Ok(()) => Ok(true),
        Err(error) if error.kind == ErrorKind::Privilege => Ok(false),
        Err(error) => Err(error),
    };
    let global_lock = may(session, Part::GlobalLock)?;
    Ok(Allowed {
        global_lock,
        refused: false,
        managed: is_managed(session),
        ddl_lock: global_lock && may(session, Part::DdlLock)?,
        position: may(session, Part::Position)?,
        prepared: may(session, Part::Prepared)?,
    })
}

/// Whether the server did not want to: SQLSTATE 42000 and 28000, also where its words are another language's; of XA RECOVER it is XAE03.
fn is_denied(error: &EngineError) -> bool {
    error.kind == ErrorKind::Privilege || is_refused(error)
}

/// Whether the server did not want to and did not say which privilege is missing.
pub(super) fn is_refused(error: &EngineError) -> bool {
    /// The account has used up what it may do in an hour.
    const USED_UP: &str = "1226";
    // As `server_error` begins: the number, and the SQLSTATE in parentheses.
    let mut words = error.causes.first().into_iter().flat_map(|cause| cause.split(' '));
    let (number, state) = (words.next(), words.next());
    error.kind == ErrorKind::Other
        && number != Some(USED_UP)
        && matches!(state, Some("(42000):" | "(28000):" | "(XAE03):"))
}

/// Whether it is one of Amazon's: each has the procedure with which its users end sessions.
fn is_managed(session: &mut Session) -> bool {
    const THEIRS: &str =
        "SELECT COUNT(*) FROM information_schema.ROUTINES WHERE ROUTINE_SCHEMA = 'mysql' AND ROUTINE_NAME = 'rds_kill'";
    session
        .query_first::<u64>(THEIRS)
        .ok()
        .flatten()
        .is_some_and(|found| found > 0)
}

#[derive(Debug, Clone, Copy)]
enum Part {
    GlobalLock,
    DdlLock,
    Position,
    Prepared,
}

/// What reading the binary log's position takes.
pub(super) fn position_privilege(session: &Session) -> &'static str {
    match session.flavour().is_mariadb() && session.version().at_least(10, 5, 2) {
        true => "BINLOG MONITOR",
        false => "REPLICATION CLIENT",
    }
}

fn needed(session: &mut Session, part: Part) -> Result<(), EngineError> {
    let (what, privilege, tried) = match part {
        // Needs the same privilege, and does nothing: that there is no such table is no error.
        Part::GlobalLock => (
            "a global read lock",
            "RELOAD",
            session.run("FLUSH LOCAL TABLES `mysql`.`backstay: no such table`"),
        ),
        Part::DdlLock => ("LOCK INSTANCE FOR BACKUP", "BACKUP_ADMIN", ddl::try_lock(session)),
        Part::Position => (
            "reading the binary log's position",
            position_privilege(session),
            session.query_named(position::log_status(session)).map(drop),
        ),
        Part::Prepared => (
            "looking for prepared transactions",
            "XA_RECOVER_ADMIN",
            prepared::list(session).map(drop),
        ),
    };
    tried.map_err(|error| {
        if !is_denied(&error) {
            return error;
        }
        let message = format!("{} lacks a privilege for {what}", session.account());
        let mut found =
            EngineError::new(ErrorKind::Privilege, message).advise(format!("run: {}", session.grant(privilege)));
        found.causes = error.causes;
        found
    })
}
