//! Reading where a server stands.

use backstay_engine_api::position::mariadb::GtidPosition;
use backstay_engine_api::position::mysql::GtidSet;
use backstay_engine_api::position::{BinlogFile, PointInTime};
use backstay_engine_api::{EngineError, Position, PositionError};

use crate::session::Session;

/// The server's GTIDs, if they are on, and the place in its binary log; none if the binary log is off, for then nothing
/// that comes later can be replayed, and GTIDs are not counted on a server that writes itself.
///
/// Their time is by the server's clock, from before the rest is read: all that was committed up to then is there, also where
/// somebody commits meanwhile.
pub(crate) fn read(session: &mut Session) -> Result<Vec<Position>, EngineError> {
    let now: Option<i64> =
        session.query_first("SELECT TIMESTAMPDIFF(MICROSECOND, '1970-01-01 00:00:00', UTC_TIMESTAMP(6))")?;
    let now = now
        .and_then(PointInTime::from_unix_microseconds)
        .unwrap_or_else(PointInTime::now);
    let Some(row) = session.query_named(log_status(session))?.into_iter().next() else {
        return Ok(Vec::new());
    };
    let mut positions = Vec::new();
    positions.extend(gtids(session)?);
    if let (Some(file), Some(offset)) = (row.get(&["File"]), row.get(&["Position"])) {
        let place = offset.parse().ok().map(|offset| BinlogFile::new(file, offset));
        let place = place.ok_or_else(|| odd("its place in the binary log", offset))?;
        positions.push(Position::binlog_file(&place.map_err(|error| unread(&error))?));
    }
    Ok(positions.into_iter().map(|position| position.at(now)).collect())
}

fn gtids(session: &mut Session) -> Result<Option<Position>, EngineError> {
    if session.flavour().is_mariadb() {
        // Of its own log, as the place is; gtid_current_pos adds what a replica applied and did not log.
        let text: Option<String> = session.query_first("SELECT @@GLOBAL.gtid_binlog_pos")?;
        let position: GtidPosition = text.unwrap_or_default().parse().map_err(|error| unread(&error))?;
        return Ok(Some(Position::mariadb_gtid(&position)));
    }
    let on = session
        .variable("gtid_mode")?
        .is_some_and(|mode| mode.starts_with("ON"));
    if !on {
        return Ok(None);
    }
    let text: Option<String> = session.query_first("SELECT @@GLOBAL.gtid_executed")?;
    let set: GtidSet = text.unwrap_or_default().parse().map_err(|error| unread(&error))?;
    Ok(Some(Position::mysql_gtid(&set)))
}

/// The statement that shows the binary log's end, which each family has renamed in its own way.
pub(crate) fn log_status(session: &Session) -> &'static str {
    let version = session.version();
    match session.flavour().is_mariadb() {
        true if version.at_least(10, 5, 2) => "SHOW BINLOG STATUS",
        false if version.at_least(8, 2, 0) => "SHOW BINARY LOG STATUS",
        _ => "SHOW MASTER STATUS",
    }
}

fn odd(what: &str, found: &str) -> EngineError {
    EngineError::other(format!("the server says `{found}` of {what}, which can not be read"))
}

fn unread(error: &PositionError) -> EngineError {
    EngineError::other("the server's position can not be read").because(error)
}
