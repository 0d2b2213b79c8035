//! What can be found out before a lock is taken.

use backstay_engine_api::{EngineError, ErrorKind};

use super::{ddl, position, prepared};
use crate::session::Session;

/// Tries what will be needed under the lock, so that a missing privilege does not come up while everyone waits.
///
/// Trying is surer than reading SHOW GRANTS, which does not say what roles and partial revokes come to. FLUSH TABLES WITH
/// READ LOCK needs no try: the server checks its privilege before it begins to wait.
pub(super) fn check(session: &mut Session) -> Result<(), EngineError> {
    let privilege = |session: &Session, what: &str, name: &str, error: EngineError| {
        if error.kind == ErrorKind::Connection {
            return error;
        }
        let message = format!("{} lacks a privilege for {what}", session.account());
        let mut found = EngineError::new(ErrorKind::Privilege, message).advise(format!("run: {}", session.grant(name)));
        found.causes = error.causes;
        found
    };
    let mariadb = session.flavour().is_mariadb();
    session.query_named(position::log_status(session)).map_err(|error| {
        let renamed = mariadb && session.version().at_least(10, 5, 2);
        privilege(
            session,
            "reading the binary log's position",
            if renamed {
                "BINLOG MONITOR"
            } else {
                "REPLICATION CLIENT"
            },
            error,
        )
    })?;
    prepared::list(session)
        .map_err(|error| privilege(session, "looking for prepared transactions", "XA_RECOVER_ADMIN", error))?;
    ddl::try_lock(session).map_err(|error| privilege(session, "LOCK INSTANCE FOR BACKUP", "BACKUP_ADMIN", error))
}
