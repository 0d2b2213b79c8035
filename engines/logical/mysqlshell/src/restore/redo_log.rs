//! [`RedoLog`]: MySQL's redo log, off for as long as this lives.

use backstay_engine_api::job::{JobContext, Level};
use backstay_engine_api::{EngineError, ErrorKind};
use backstay_mysql::Session;

use super::control::{self, Control};

/// The redo log is off; it is on again when this is dropped, however the restore ends.
#[derive(Debug)]
pub(super) struct RedoLog {
    session: Session,
    off: bool,
}

impl RedoLog {
    /// Refuses a server that can not do without.
    ///
    /// # Errors
    /// [`ErrorKind::Usage`].
    pub(super) fn check(session: &Session) -> Result<(), EngineError> {
        if session.flavour().is_mariadb() || !session.version().at_least(8, 0, 21) {
            let message = format!(
                "disable_redo_log: {} {} always writes its redo log",
                session.flavour(),
                session.version()
            );
            return Err(EngineError::new(ErrorKind::Usage, message)
                .advise("restore without disable_redo_log (MySQL from 8.0.21 has it)"));
        }
        Ok(())
    }

    /// Turns it off.
    ///
    /// # Errors
    /// The server's.
    pub(super) fn disable(session: &Session) -> Result<Self, EngineError> {
        let mut session = session.another()?;
        session.run("ALTER INSTANCE DISABLE INNODB REDO_LOG")?;
        Ok(Self { session, off: true })
    }

    /// One that a restore which was interrupted has left off; `None` if it is on, or was never noted to be off.
    ///
    /// # Errors
    /// The server's.
    pub(super) fn left_off(session: &mut Session) -> Result<Option<Self>, EngineError> {
        if !Control::redo_log_left_off(session)? {
            return Ok(None);
        }
        // A note is made before the server is asked, which may have refused.
        let rows = session.query_named("SHOW GLOBAL STATUS LIKE 'Innodb_redo_log_enabled'")?;
        if !rows.iter().any(|row| row.get(&["Value"]) == Some("OFF")) {
            return Ok(None);
        }
        Ok(Some(Self {
            session: session.another()?,
            off: true,
        }))
    }

    /// Turns it on again, after whatever came of the restore.
    ///
    /// # Errors
    /// The restore's; the server's, with what the operator has to do then.
    pub(super) fn on_again<T>(mut self, restored: Result<T, EngineError>) -> Result<T, EngineError> {
        match (restored, self.turn_on()) {
            (Ok(value), on) => on.map(|()| value),
            (Err(error), Ok(())) => Err(error),
            (Err(mut error), Err(off)) => {
                error.causes.push(off.message);
                error.causes.extend(off.causes);
                error.advice = error
                    .advice
                    .into_iter()
                    .chain(off.advice)
                    .reduce(|a, b| format!("{a}; {b}"));
                Err(error)
            }
        }
    }

    fn turn_on(&mut self) -> Result<(), EngineError> {
        const ENABLE: &str = "ALTER INSTANCE ENABLE INNODB REDO_LOG";
        if !self.off {
            return Ok(());
        }
        // The session may have been ended for being idle, or with the network.
        let again = match self.session.run(ENABLE) {
            Err(_) => self.session.another().and_then(|mut session| session.run(ENABLE)),
            Ok(()) => Ok(()),
        };
        self.off = again.is_err();
        again.map_err(|error| error.advise(format!("the redo log is still off; run: {ENABLE}")))
    }
}

/// Turns on what a restore that was killed has left off: a server that crashes without a redo log has lost its data. Not while
/// another restore is under way, which may want it off.
///
/// # Errors
/// The server's, with what the operator has to do then.
pub(crate) fn on_after_a_kill(job: &JobContext, session: &mut Session) -> Result<(), EngineError> {
    match RedoLog::left_off(session)? {
        Some(redo_log) if control::alone(session).is_ok() => {
            // The server writes all changed pages before.
            let text = format!(
                "turning on the redo log of {}, which a restore left off",
                session.address()
            );
            job.log(Level::Warn, text);
            redo_log.on_again(Ok(()))
        }
        Some(mut redo_log) => {
            redo_log.off = false;
            Ok(())
        }
        None => Ok(()),
    }
}

impl Drop for RedoLog {
    fn drop(&mut self) {
        // After a panic; or once more after an error that was told.
        let _ = self.turn_on();
    }
}
