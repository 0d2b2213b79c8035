//! [`SessionGuard`]: no session outlives its job.

use std::sync::Arc;

use crate::error::EngineError;
use crate::host::Host;
use crate::wire::Request;

/// While it lives, the host knows of a session on the server that it has to end should this process die.
#[derive(Debug)]
pub struct SessionGuard {
    host: Arc<Host>,
    session: String,
}

impl SessionGuard {
    pub(super) fn new(host: &Arc<Host>, session: String) -> Result<Self, EngineError> {
        host.ask::<()>(&Request::Guard {
            session: session.clone(),
        })?;
        Ok(Self {
            host: Arc::clone(host),
            session,
        })
    }
}

impl Drop for SessionGuard {
    fn drop(&mut self) {
        // If the host does not hear of it, it ends a session that is over: harmless.
        let _ = self.host.ask::<()>(&Request::Unguard {
            session: self.session.clone(),
        });
    }
}
