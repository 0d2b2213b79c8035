//! [`LastRead`]: by what a server's log is known again, when it is read on.
//!
//! After a reset a server begins again with the names of its files and, perhaps, with its GTIDs. So an archive keeps what the last
//! transaction that it has begins with, and looks whether the server still has just that in its place.

use std::time::{Duration, Instant};

use backstay_engine_api::position::BinlogFile;
use backstay_engine_api::{EngineError, ErrorKind, Order};
use backstay_mysql::Session;
use backstay_mysql::binlog::{LogEvent, LogStream, Mode, Received, Start, log_files};
use serde::{Deserialize, Serialize};

/// How long the server may take to send that event again.
const PATIENCE: Duration = Duration::from_secs(30);

/// The first event of a transaction, and where it was.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct LastRead {
    /// The server's file.
    file: String,
    /// When the file was begun: seconds since 1970 by the server's clock.
    begun: u32,
    /// Where in it the event begins, in bytes.
    offset: u64,
    /// The CRC-32 of the event.
    crc32: u32,
}

impl LastRead {
    /// Of an event that begins a transaction.
    pub(super) fn of(event: &LogEvent<'_>) -> Self {
        Self {
            file: event.file.to_owned(),
            begun: event.format.begun,
            offset: event.end - event.raw.bytes.len() as u64,
            crc32: event.raw.crc32(),
        }
    }

    /// Looks whether the server has it where it was; what it has instead, if it has not. That the file was purged says nothing.
    ///
    /// # Errors
    /// The server can not be asked.
    pub(super) fn missed(&self, session: &mut Session) -> Result<Option<String>, EngineError> {
        let place = BinlogFile::new(self.file.clone(), self.offset)
            .map_err(|error| EngineError::other("the archive's last segment can not be read").because(&error))?;
        let files = log_files(session)?;
        let Some((_, size)) = files.iter().find(|(file, _)| *file == self.file) else {
            let later = |(file, _): &(String, u64)| {
                BinlogFile::new(file.clone(), 4).is_ok_and(|file| matches!(file.compare(&place), Order::After))
            };
            let gone = !files.iter().any(later);
            return Ok(gone.then(|| format!("it has no {} any more, nor a later one", self.file)));
        };
        if *size <= self.offset {
            return Ok(Some(format!("{} has {size} bytes, and {place} was read", self.file)));
        }
        let mut stream = LogStream::open(session, &Start::File(place.clone()), Mode::Once)?;
        let deadline = Instant::now() + PATIENCE;
        loop {
            match stream.next(PATIENCE) {
                Ok(Received::Event(event)) if Self::of(&event) == *self => return Ok(None),
                Ok(Received::Event(_) | Received::End) => break,
                Ok(Received::Heartbeat { .. } | Received::Nothing) if Instant::now() < deadline => {}
                Ok(_) => {
                    let message = format!("{} does not send what is at {place}", session.address());
                    return Err(EngineError::new(ErrorKind::Connection, message));
                }
                Err(error) if matches!(error.kind, ErrorKind::Connection | ErrorKind::Privilege) => return Err(error),
                // What is there is no event, or none that begins a transaction.
                Err(_) => break,
            }
        }
        Ok(Some(format!("it has something else at {place} than was read there")))
    }
}
