//! Ending the sessions that a killed job left on the server.

use backstay_engine_api::{EngineError, Server};

use crate::session::{Session, account_name};

/// Ends sessions that a dead job had guarded (`CleanJob::sessions`): one that waits for a lock would go on waiting, and
/// block every writer, until the server notices that its client is gone.
///
/// Ids start anew with the server, so that an id may be another's by now: where [`guard_name`](Session::guard_name) says that the
/// server has been started since, its sessions are gone. Only sessions of the account's own user are ended; the others, and those that
/// are gone, are left alone.
///
/// # Errors
/// The server can not be reached, or does not let us end a session of our own.
pub fn end_sessions(server: &Server, sessions: &[String]) -> Result<(), EngineError> {
    if sessions.is_empty() {
        return Ok(());
    }
    let mut session = Session::connect(server)?;
    let user = session.settings().user.clone();
    let started = session.server_started();
    let guarded: Vec<&str> = sessions.iter().filter_map(|name| id_of(name, started)).collect();
    for row in session.query_named("SHOW PROCESSLIST")? {
        let id = row.get(&["Id"]).unwrap_or_default();
        if guarded.contains(&id) && row.get(&["User"]) == Some(user.as_str()) {
            let id = id.parse().map_err(|_| {
                EngineError::other(format!("`{id}` is no session of {}", account_name(session.account())))
            })?;
            session.kill(id)?;
        }
    }
    Ok(())
}

/// The id in a guard's name, unless it is of a server that was started at another time than this one.
fn id_of(name: &str, started: i64) -> Option<&str> {
    /// Uptime and clock are read one after the other, in whole seconds.
    const ALIKE: i64 = 3;
    match name.split_once('@') {
        None => Some(name),
        Some((id, then)) => {
            let then: i64 = then.parse().ok()?;
            ((then - started).abs() <= ALIKE).then_some(id)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::id_of;

    #[test]
    fn sessions_of_a_server_that_is_gone_are_gone() {
        assert_eq!(id_of("41@1000", 1001), Some("41"));
        assert_eq!(id_of("41@1000", 1010), None);
        assert_eq!(id_of("41", 1010), Some("41"));
        assert_eq!(id_of("41@x", 1010), None);
    }
}
