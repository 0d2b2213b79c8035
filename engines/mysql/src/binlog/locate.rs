//! A position that an operator has named, in all the ways in which this server can say it.

use std::time::{Duration, Instant};

use backstay_engine_api::position::BinlogFile;
use backstay_engine_api::{EngineError, ErrorKind, Position};

use super::event::Event;
use super::gtids::Gtids;
use super::resume::file_of;
use super::stream::{LogStream, Mode, Received, Start};
use crate::session::Session;

/// How long the server may send nothing.
const PATIENCE: Duration = Duration::from_secs(30);
/// Where the first event of a file is.
const FIRST: u64 = 4;

/// `named`, and for a place in a file the GTIDs up to there, where the server whose log ends at `now` has GTIDs.
///
/// # Errors
/// It is of another family of servers; the place is not between two transactions of this server's log.
pub(super) fn place_of(
    session: &mut Session,
    now: &[Position],
    named: &[Position],
) -> Result<Vec<Position>, EngineError> {
    let wrong = |message: String| EngineError::new(ErrorKind::Usage, message);
    match (Gtids::of(named), Gtids::of(now)) {
        (Gtids::None, _) => {}
        (Gtids::Mysql(_), Gtids::Mysql(_)) | (Gtids::Mariadb(_), Gtids::Mariadb(_)) => return Ok(named.to_vec()),
        (gtids, _) => {
            let named = gtids.position().map(|position| position.value).unwrap_or_default();
            let message = format!("{} has no GTIDs of the kind of {named}", session.address());
            return Err(wrong(message).advise("name a position of this server: `FILE:OFFSET` is one on every server"));
        }
    }
    let Some((place, _)) = file_of(named) else {
        return Err(wrong("it is not said from which position on".to_owned()));
    };
    let gtids = gtids_at(session, &place)?;
    let gtids = gtids.position().filter(|_| Gtids::of(now) != Gtids::None);
    Ok(gtids.into_iter().chain([Position::binlog_file(&place)]).collect())
}

/// Reads a file of the log up to a place in it; which transactions came before that.
fn gtids_at(session: &mut Session, place: &BinlogFile) -> Result<Gtids, EngineError> {
    let address = session.address();
    let first = BinlogFile::new(place.file(), FIRST)
        .map_err(|error| EngineError::new(ErrorKind::Usage, format!("{place} is no place in a log")).because(&error))?;
    let elsewhere = |found: String| {
        EngineError::new(
            ErrorKind::Usage,
            format!("{place} of {address} is not between two transactions: {found}"),
        )
        .advise("name the end of a transaction, as `backstay log search`, SHOW BINLOG EVENTS and backups say it")
    };
    let mut stream = LogStream::open(session, &Start::File(first), Mode::Once)?;
    let mut gtids = Gtids::None;
    let mut between = FIRST;
    let mut heard = Instant::now();
    loop {
        match stream.next(PATIENCE)? {
            Received::Event(event) if event.file != place.file() => {
                return Err(elsewhere(format!("{} ends at {between}", place.file())));
            }
            Received::Event(event) => {
                heard = Instant::now();
                match &event.event {
                    Event::PreviousGtids(set) => gtids = Gtids::Mysql(set.clone()),
                    Event::GtidList(position) => gtids = Gtids::Mariadb(position.clone()),
                    // Only what comes before the place counts.
                    other if event.end <= place.offset() => gtids.add(other),
                    _ => {}
                }
                let (end, heads) = (
                    event.end,
                    matches!(event.event, Event::PreviousGtids(_) | Event::GtidList(_)),
                );
                let inside = stream.inside_transaction();
                if end == place.offset() && !inside || heads && end >= place.offset() {
                    return Ok(gtids);
                }
                if end >= place.offset() {
                    return Err(elsewhere(format!("the transaction before it ends at {between}")));
                }
                if !inside {
                    between = end;
                }
            }
            Received::End => return Err(elsewhere(format!("the log ends at {between}"))),
            Received::Heartbeat { .. } | Received::Nothing if heard.elapsed() > PATIENCE => {
                return Err(EngineError::new(
                    ErrorKind::Connection,
                    format!(
                        "{address} has sent nothing of {} for {} s",
                        place.file(),
                        PATIENCE.as_secs()
                    ),
                ));
            }
            Received::Heartbeat { .. } | Received::Nothing => {}
        }
    }
}
