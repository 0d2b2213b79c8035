//! [`RedoLog`]: MySQL's redo log, off for as long as this lives.

use backstay_engine_api::{EngineError, ErrorKind};
use backstay_mysql::Session;

/// The redo log is off; it is on again when this is dropped, however the restore ends.
#[derive(Debug)]
pub(super) struct RedoLog {
    session: Session,
    off: bool,
}

impl RedoLog {
    /// Turns it off.
    ///
    /// # Errors
    /// [`ErrorKind::Usage`] on a server that can not do without; the server's.
    pub(super) fn disable(session: &Session) -> Result<Self, EngineError> {
        let mut session = session.another()?;
        if session.flavour().is_mariadb() || !session.version().at_least(8, 0, 21) {
            let message = format!(
                "disable_redo_log: {} {} always writes its redo log",
                session.flavour(),
                session.version()
            );
            return Err(EngineError::new(ErrorKind::Usage, message)
                .advise("restore without disable_redo_log (MySQL from 8.0.21 has it)"));
        }
        session.run("ALTER INSTANCE DISABLE INNODB REDO_LOG")?;
        Ok(Self { session, off: true })
    }

    /// One that a restore which was interrupted has left off.
    ///
    /// # Errors
    /// The server can not be reached.
    pub(super) fn left_off(session: &Session) -> Result<Self, EngineError> {
        Ok(Self {
            session: session.another()?,
            off: true,
        })
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

impl Drop for RedoLog {
    fn drop(&mut self) {
        // After a panic; or once more after an error that was told.
        let _ = self.turn_on();
    }
}
