//! The target's GTID state: what a replay by GTID starts from.

use crate::facts::content;
use crate::session::{Session, quote_text};
use backstay_engine_api::job::{JobContext, Level};
use backstay_engine_api::{BackupRecord, EngineError, ErrorKind, Notice, Position, PositionKind};

/// Refuses to set it where that would lose something, or where there is nothing to set.
///
/// # Errors
/// [`ErrorKind::Refused`], or [`ErrorKind::Usage`].
pub fn check(session: &mut Session, record: &BackupRecord, schemas: &[&str]) -> Result<(), EngineError> {
    let wanted = if session.flavour().is_mariadb() {
        PositionKind::MARIADB_GTID
    } else {
        PositionKind::MYSQL_GTID
    };
    if gtid(record).is_none_or(|position| position.kind != wanted) {
        let message = format!("gtid = \"set\": the backup has no position of kind {}", wanted.as_str());
        return Err(EngineError::new(ErrorKind::Usage, message).advise("restore with gtid = \"ignore\""));
    }
    if !session.flavour().is_mariadb() && session.variable("gtid_mode")?.as_deref() != Some("ON") {
        let message = "gtid = \"set\": GTIDs are off on the target (gtid_mode)";
        return Err(EngineError::new(ErrorKind::Usage, message)
            .advise("start it with --gtid-mode=ON --enforce-gtid-consistency=ON"));
    }
    let found = content(session)?;
    let foreign: Vec<&String> = found
        .schemas
        .iter()
        .filter(|name| !schemas.contains(&name.as_str()))
        .collect();
    if foreign.is_empty() {
        return Ok(());
    }
    let names: Vec<&str> = foreign.iter().map(|name| name.as_str()).collect();
    let message = format!(
        "gtid = \"set\" replaces the target's GTID history, and it has schemas of its own: {}",
        names.join(", ")
    );
    Err(EngineError::refused(message).advise("restore to an empty server, or with gtid = \"ignore\""))
}

/// Makes the target's GTID state the backup's, and returns where replay goes on from.
///
/// # Errors
/// The account may not, or the target is a replica that runs.
pub fn set(session: &mut Session, record: &BackupRecord) -> Result<Vec<Position>, EngineError> {
    let value = gtid(record).map(|position| position.value.clone()).unwrap_or_default();
    if session.flavour().is_mariadb() {
        // Without a binary log there is no history in it, and nothing to reset.
        if session.variable("log_bin")?.as_deref() == Some("ON") {
            session.run("RESET MASTER")?;
        }
        session.run(format!("SET GLOBAL gtid_slave_pos = {}", quote_text(&value)))?;
    } else {
        let reset = if session.version().at_least(8, 2, 0) {
            "RESET BINARY LOGS AND GTIDS"
        } else {
            "RESET MASTER"
        };
        session.run(reset)?;
        session.run(format!("SET GLOBAL gtid_purged = {}", quote_text(&value)))?;
    }
    Ok(record.positions.clone())
}

/// Whether the server executes events.
///
/// # Errors
/// As [`Session::variable`].
pub fn events_run(session: &mut Session) -> Result<bool, EngineError> {
    Ok(session.variable("event_scheduler")?.as_deref() == Some("ON"))
}

/// Refuses an account that may not turn the event scheduler off, before anything is changed.
///
/// # Errors
/// [`ErrorKind::Privilege`] with the GRANT.
pub fn may_hold_events(session: &mut Session) -> Result<(), EngineError> {
    match events_run(session)? {
        // What it is already: nothing changes.
        true => session.run("SET GLOBAL event_scheduler = ON"),
        false => Ok(()),
    }
}

/// Turns the event scheduler off, before a restore makes events: what they do would be in no log, and transactions that are replayed
/// would find other rows than they changed.
///
/// # Errors
/// The account may not.
pub fn hold_events(job: &JobContext, session: &mut Session) -> Result<(), EngineError> {
    session.run("SET GLOBAL event_scheduler = OFF")?;
    let text = format!("event_scheduler is OFF on {} from now on", session.address());
    job.log(Level::Info, text);
    Ok(())
}

/// Adds to the error of a restore that it is off.
pub fn while_events_are_held(mut error: EngineError) -> EngineError {
    error
        .causes
        .push("event_scheduler is OFF on the target now; it was ON (SET GLOBAL event_scheduler = ON)".to_owned());
    error
}

/// After the restore: turns it on again if there are no events; else it stays off, which is said.
///
/// # Errors
/// The server's.
pub fn held_events(session: &mut Session) -> Result<Option<Notice>, EngineError> {
    let events: Option<u64> = session.query_first("SELECT COUNT(*) FROM information_schema.EVENTS")?;
    if events == Some(0) {
        session.run("SET GLOBAL event_scheduler = ON")?;
        return Ok(None);
    }
    let text = "the target's event_scheduler was ON and is OFF now, so that no event changes what logs are replayed onto; when the server \
                goes into service, run: SET GLOBAL event_scheduler = ON";
    Ok(Some(Notice::new("event-scheduler-off", text)))
}

/// The positions that replay can go on from although the GTID state was left alone: none if the server had GTIDs.
pub fn replayable(record: &BackupRecord) -> Vec<Position> {
    if gtid(record).is_some() {
        Vec::new()
    } else {
        record.positions.clone()
    }
}

/// What is said where the state was left alone.
pub fn unset_notice(record: &BackupRecord) -> Option<Notice> {
    gtid(record).map(|position| {
        let text = format!(
            "the target's GTID state was left as it is; to replay logs from the backup's position ({}), restore with the option \
             gtid = \"set\"",
            position.value
        );
        Notice::new("gtid-not-set", text)
    })
}

fn gtid(record: &BackupRecord) -> Option<&Position> {
    record
        .positions
        .iter()
        .find(|position| [PositionKind::MYSQL_GTID, PositionKind::MARIADB_GTID].contains(&position.kind))
}
