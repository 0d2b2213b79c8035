//! Ending the sessions that a killed job left on the server.

use backstay_engine_api::{EngineError, Server};

use crate::session::{Session, account_name};

/// Ends sessions that a dead job had guarded (`CleanJob::sessions`): one that waits for a lock would go on waiting, and
/// block every writer, until the server notices that its client is gone.
///
/// Ids start anew with the server, so that an id may be another's by now: only sessions of the account's own user are ended;
/// the others, and those that are gone, are left alone.
///
/// # Errors
/// The server can not be reached, or does not let us end a session of our own.
pub fn end_sessions(server: &Server, sessions: &[String]) -> Result<(), EngineError> {
    if sessions.is_empty() {
        return Ok(());
    }
    let mut session = Session::connect(server)?;
    let user = session.settings().user.clone();
    for row in session.query_named("SHOW PROCESSLIST")? {
        let id = row.get(&["Id"]).unwrap_or_default();
        if sessions.iter().any(|guarded| guarded == id) && row.get(&["User"]) == Some(user.as_str()) {
            let id = id.parse().map_err(|_| {
                EngineError::other(format!("`{id}` is no session of {}", account_name(session.account())))
            })?;
            session.kill(id)?;
        }
    }
    Ok(())
}
