//! Incremental backups that are a piece of the binary log: for engines that have no increments of their own.

use std::time::Duration;

use backstay_engine_api::position::BinlogFile;
use backstay_engine_api::{BackupJob, BackupRecord, EngineError, ErrorKind, Order, Outcome, Position, Usable};
use serde_json::json;

use super::gtids::Gtids;
use super::locate::place_of;
use super::piece::PieceWriter;
use super::resume::{Resume, file_of, log_end, resume};
use super::stream::{FULL, LogEvent, LogStream, Mode, Received, Start};
use super::transaction::Place;
use crate::facts;
use crate::session::Session;

/// How long is waited before the host is asked whether to stop.
const TURN: Duration = Duration::from_millis(500);
/// How long a server may send nothing.
const PATIENCE: Duration = Duration::from_secs(120);

/// The events of the binary log since the parent's position, up to where the log ends when this begins.
///
/// The parent may be of any engine, as long as it has a position in the log, or a position alone. With GTIDs the server may be another member of the cluster
/// than the parent's.
///
/// # Errors
/// As [`resume`] and [`log_end`]; the parent does not have all of the server; an event is damaged.
pub fn incremental_backup(job: &BackupJob, parent: &BackupRecord) -> Result<Outcome, EngineError> {
    let what = parent.name();
    if parent.partial {
        let message =
            format!("{what} has only some of the server's schemas, tables or rows, and the binary log has all of them");
        return Err(EngineError::refused(message)
            .advise("take a full backup of everything for increments to stand on, or full backups only"));
    }
    let mut session = Session::connect(job.server())?;
    let server = facts(&mut session)?;
    // Before anything is read: what is logged meanwhile is the next increment's.
    let now = log_end(&mut session, &server)?;
    let positions = match parent.is_position() {
        true => place_of(&mut session, &now, &parent.positions)?,
        false => parent.positions.clone(),
    };
    let resumed = resume(&mut session, &server, &now, &parent.server, &positions, &what)?;
    let Resume::From { start, from } = resumed else {
        return Ok(Outcome::Empty { positions: now });
    };
    let Some((stop, _)) = file_of(&now) else {
        return Err(EngineError::other("the server does not say where its binary log ends"));
    };
    job.doing(format!("reading the binary log from {start} on"));
    let mut reading = Reading {
        job,
        stop,
        stream: LogStream::open(&mut session, &start, Mode::Once)?,
        writer: PieceWriter::new(job, from.clone()),
    };
    let reached = reading.read()?;
    let Reading { stop, writer, .. } = reading;
    if !reached && !writer.gtids().cover(&Gtids::of(&now)) {
        let message = format!(
            "{} ended its binary log before {stop}, where it said that it ends",
            session.address()
        );
        return Err(EngineError::refused(message).advise(FULL));
    }
    if writer.transactions() == 0 {
        return Ok(Outcome::Empty { positions: now });
    }
    let bytes = writer.bytes();
    let time = now.first().and_then(|position| position.time.clone());
    let gtids = writer.gtids().position();
    let mut log = writer.finish(job.id())?;
    // Up to the log's end as it was, of which the last transaction's may be a little short.
    let stands = |mut position: Position| {
        position.time.clone_from(&time);
        position
    };
    let place = Position::binlog_file(&stop);
    let positions: Vec<Position> = gtids.into_iter().chain([place]).map(stands).collect();
    log.to.clone_from(&positions);
    let state = json!({
        "way": match start { Start::File(_) => "file", _ => "gtid" },
        "transactions": log.transactions,
        "bytes": bytes,
    });
    Ok(Outcome::Usable(Usable {
        server,
        positions,
        from,
        partial: false,
        notices: Vec::new(),
        log: Some(log),
        state,
    }))
}

struct Reading<'a> {
    job: &'a BackupJob,
    stop: BinlogFile,
    stream: LogStream,
    writer: PieceWriter<&'a BackupJob>,
}

impl Reading<'_> {
    /// Reads up to the stop, or to the log's end; whether the stop was reached.
    fn read(&mut self) -> Result<bool, EngineError> {
        let mut silent = Duration::ZERO;
        loop {
            self.job.check_cancelled()?;
            match self.stream.next(TURN)? {
                Received::Event(event) => {
                    silent = Duration::ZERO;
                    // Nothing of a transaction that begins at or after the stop.
                    if event.place != Place::Within && event.place != Place::Ends && is_past(&event, &self.stop) {
                        return Ok(true);
                    }
                    self.writer.take(&event)?;
                    // The log may end with an event of its file's own.
                    if matches!(event.place, Place::Ends | Place::Outside) && is_at(&event, &self.stop) {
                        return Ok(true);
                    }
                }
                Received::Heartbeat { file, offset } => {
                    if BinlogFile::new(file, offset).is_ok_and(|place| reaches(&place, &self.stop)) {
                        return Ok(true);
                    }
                }
                Received::Nothing => {
                    silent += TURN;
                    if silent > PATIENCE {
                        return Err(EngineError::new(
                            ErrorKind::Connection,
                            format!(
                                "the server has sent nothing of its binary log for {} s",
                                PATIENCE.as_secs()
                            ),
                        ));
                    }
                }
                Received::End => return Ok(false),
            }
        }
    }
}

/// Whether an event ends beyond the stop: it was not there yet.
fn is_past(event: &LogEvent<'_>, stop: &BinlogFile) -> bool {
    BinlogFile::new(event.file, event.end).is_ok_and(|place| place.compare(stop) == Order::After)
}

fn is_at(event: &LogEvent<'_>, stop: &BinlogFile) -> bool {
    BinlogFile::new(event.file, event.end).is_ok_and(|place| reaches(&place, stop))
}

fn reaches(place: &BinlogFile, stop: &BinlogFile) -> bool {
    matches!(place.compare(stop), Order::Equal | Order::After)
}
