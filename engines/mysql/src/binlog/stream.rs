//! [`LogStream`]: a server's binary log, read as a replica reads it.
//!
//! The server sends the events over the client protocol, so nobody needs access to its files; what is encrypted on its disk it
//! decrypts for a replica.

mod ask;

use std::time::Duration;

use backstay_engine_api::{EngineError, ErrorKind};

use super::bytes::Malformed;
use super::event::{Event, RawEvent};
use super::format::{Format, crc_of};
use super::header::{EventFlags, EventType, HEADER, Header};
use super::others::Rotate;
use super::transaction::{Grouper, Place};
use crate::raw::{Dump, Packet};
use crate::session::{Session, errors};
pub use ask::Start;

/// How far a stream goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// To the log's end, as it is when the server comes to it.
    Once,
    /// On and on: the server sends what is logged when it is logged, and heartbeats while nothing is.
    Follow,
}

/// A connection on which a server sends its binary log.
#[derive(Debug)]
pub struct LogStream {
    dump: Dump,
    server: String,
    account: String,
    start: String,
    format: Option<Format>,
    format_event: Vec<u8>,
    file: String,
    end: u64,
    grouper: Grouper,
}

/// What came.
#[derive(Debug)]
#[allow(clippy::large_enum_variant, reason = "there is one at a time, and none is kept")]
pub enum Received<'a> {
    /// An event of the log.
    Event(LogEvent<'a>),
    /// There is nothing new; the log ends there for now.
    Heartbeat {
        /// The file.
        file: &'a str,
        /// Where in it.
        offset: u64,
    },
    /// Nothing: the time is over, or what came was about the connection.
    Nothing,
    /// The log's end ([`Mode::Once`]).
    End,
}

/// An event of a server's log.
#[derive(Debug)]
pub struct LogEvent<'a> {
    /// The server's file that it is in.
    pub file: &'a str,
    /// Where in it the event ends, in bytes.
    pub end: u64,
    /// Its bytes.
    pub raw: RawEvent<'a>,
    /// What it says.
    pub event: Event<'a>,
    /// Where it stands in its transaction.
    pub place: Place,
    /// The format of its file.
    pub format: &'a Format,
    /// The format description event of its file.
    pub format_event: &'a [u8],
}

impl LogStream {
    /// Asks the server that `session` is with for its log from `start` on, over a connection of its own. The account needs
    /// REPLICATION SLAVE.
    ///
    /// # Errors
    /// The connection can not be made. That the server does not have the log from there on is said by the first
    /// [`next`](Self::next).
    pub fn open(session: &mut Session, start: &Start, mode: Mode) -> Result<Self, EngineError> {
        let dump = ask::ask(session, start, mode)?;
        let (file, end) = match start {
            Start::File(place) => (place.file().to_owned(), place.offset()),
            _ => (String::new(), 0),
        };
        Ok(Self {
            dump,
            server: session.address(),
            account: session.account().to_owned(),
            start: start.to_string(),
            format: None,
            format_event: Vec::new(),
            file,
            end,
            grouper: Grouper::default(),
        })
    }

    /// The id of the connection on the server.
    pub fn connection_id(&self) -> u64 {
        self.dump.connection_id()
    }

    /// The format of the file that is being read; `None` before the first event.
    pub fn format(&self) -> Option<&Format> {
        self.format.as_ref()
    }

    /// The file that is being read, and where the last event ended in it; the file's name is empty before the first event.
    pub fn place(&self) -> (&str, u64) {
        (&self.file, self.end)
    }

    /// Whether the last event was one in the middle of a transaction.
    pub fn inside_transaction(&self) -> bool {
        self.grouper.inside()
    }

    /// What comes next; waits for `wait` at most.
    ///
    /// # Errors
    /// The server does not have (all of) the log from there on any more ([`ErrorKind::Refused`]), the log says that events were
    /// lost, an event is damaged ([`ErrorKind::Damaged`]), the connection is lost ([`ErrorKind::Connection`]).
    pub fn next(&mut self, wait: Duration) -> Result<Received<'_>, EngineError> {
        let bytes = match self.dump.next(wait)? {
            Packet::Event(bytes) => bytes,
            Packet::Nothing => return Ok(Received::Nothing),
            Packet::End => return Ok(Received::End),
            Packet::Refused { code, said } => {
                return Err(refused(&self.server, &self.account, &self.start, code, &said));
            }
        };
        let header = Header::parse(bytes)?;
        if header.kind == EventType::FORMAT_DESCRIPTION {
            self.format = Some(Format::parse(bytes)?);
            self.format_event.clear();
            self.format_event.extend_from_slice(bytes);
            return Ok(Received::Nothing);
        }
        let artificial = header.flags.has(EventFlags::ARTIFICIAL) || header.timestamp == 0 && header.end == 0;
        if header.kind == EventType::ROTATE && artificial {
            let rotate = artificial_rotate(bytes)?;
            self.file = rotate.file;
            self.end = rotate.offset;
            return Ok(Received::Nothing);
        }
        let Some(format) = &self.format else {
            let found = format!("a {} event comes before the format description", header.kind);
            return Err(Malformed::new("order of events", found).into());
        };
        let raw = RawEvent::check(bytes, format)?;
        let event = raw.parse(format)?;
        let place = self.grouper.place(&raw, &event)?;
        if header.end != 0 {
            self.end = extend(self.end, header.end);
        }
        match &event {
            Event::Heartbeat(heartbeat) => {
                if let Some(offset) = heartbeat.offset {
                    self.end = offset;
                }
                return Ok(Received::Heartbeat {
                    file: &self.file,
                    offset: self.end,
                });
            }
            Event::Incident(incident) => return Err(lost_events(&self.file, self.end, &incident.message)),
            _ => {}
        }
        Ok(Received::Event(LogEvent {
            file: &self.file,
            end: self.end,
            raw,
            event,
            place,
            format,
            format_event: &self.format_event,
        }))
    }
}

/// The event that names a file comes before the file's format is known, and with or without a checksum.
fn artificial_rotate(bytes: &[u8]) -> Result<Rotate, Malformed> {
    let body = match bytes.split_last_chunk::<4>() {
        Some((rest, crc)) if crc_of(rest) == u32::from_le_bytes(*crc) => rest,
        _ => bytes,
    };
    Rotate::parse(body.get(HEADER..).unwrap_or_default())
}

/// The offset after `before` whose lower half an event says: a transaction may make a file larger than 4 GiB.
fn extend(before: u64, low: u32) -> u64 {
    const WRAP: u64 = 1 << 32;
    let full = before & !(WRAP - 1) | u64::from(low);
    if full < before { full + WRAP } else { full }
}

/// What mends every gap.
pub(super) const FULL: &str =
    "take a full backup: it mends this, and later incrementals stand on it; what was backed up before stays good";

fn refused(server: &str, account: &str, start: &str, code: u16, said: &str) -> EngineError {
    // Access denied, in the words of either flavour.
    if matches!(code, 1044 | 1045 | 1227) {
        return errors::server_error(code, "42000", said, "COM_BINLOG_DUMP", account);
    }
    // The server shuts down, or somebody has ended the session: nothing of the log.
    if matches!(code, 1053 | 1317 | 1927 | 3169 | 4031) {
        return errors::server_error(code, "HY000", said, "COM_BINLOG_DUMP", account);
    }
    EngineError::refused(format!("{server} can not send its binary log from {start} on"))
        .detail(format!("{code}: {said}"))
        .advise(FULL)
}

fn lost_events(file: &str, end: u64, said: &str) -> EngineError {
    EngineError::new(
        ErrorKind::Refused,
        format!("the binary log says that events were lost, at {file}:{end}"),
    )
    .detail(said.to_owned())
    .advise(FULL)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn offsets_beyond_4_gib() {
        assert_eq!(extend(4, 200), 200);
        assert_eq!(extend(0xffff_fff0, 0x10), 0x1_0000_0010);
        assert_eq!(extend(0x1_0000_0010, 0x20), 0x1_0000_0020);
    }
}
