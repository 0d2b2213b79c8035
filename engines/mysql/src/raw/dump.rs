//! [`Dump`]: what a server sends after a replica's `COM_BINLOG_DUMP`: an event in each packet.

use std::io;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use backstay_engine_api::EngineError;

use super::failure::Failure;
use super::stream::Stream;
use super::wire::{Next, Wire};
use super::{QUIT, RawSession};
use crate::session::{Settings, errors};

/// The longest event, in bytes: what the servers' `slave_max_allowed_packet` allows at most, and its head.
const LONGEST: usize = (1 << 30) + (1 << 20);
/// How long events may gather before they are read. A server under load sends each of thousands of small transactions a second by itself; to be
/// woken for each costs more than to read it.
const GATHER: Duration = Duration::from_millis(5);

/// A connection on which a server sends its binary log.
#[derive(Debug)]
pub(crate) struct Dump {
    wire: Wire<Stream>,
    settings: Arc<Settings>,
    connection_id: u64,
    timeout: Option<Duration>,
    /// Whether events may gather.
    gathers: bool,
    /// An event that does not fit the wire's buffer, as far as it came.
    event: Vec<u8>,
    /// Whether `event` is incomplete: what is left of its current packet, and whether another continues it.
    inside: Option<(usize, bool)>,
}

/// What came.
#[derive(Debug)]
pub(crate) enum Packet<'a> {
    /// An event.
    Event(&'a [u8]),
    /// Nothing, for as long as the caller wanted to wait.
    Nothing,
    /// The log's end.
    End,
    /// The server can not go on.
    Refused {
        /// Its error number.
        code: u16,
        /// Its message.
        said: String,
    },
}

impl RawSession {
    /// Sends a command other than a query, which the server answers with OK.
    pub(crate) fn command(&mut self, code: u8, body: &[u8], what: &str) -> Result<(), EngineError> {
        self.exchange(what, |wire| {
            wire.command(code, body)?;
            wire.packet().map(drop)
        })
    }

    /// Sends a command after which the connection is the server's to send on.
    pub(crate) fn dump(mut self, code: u8, body: &[u8], what: &str) -> Result<Dump, EngineError> {
        self.exchange(what, |wire| wire.command(code, body))?;
        let wire = self.wire.take();
        Ok(Dump {
            wire: wire.ok_or_else(|| EngineError::other("the session is closed"))?,
            settings: Arc::clone(&self.settings),
            connection_id: self.connection_id,
            timeout: None,
            gathers: false,
            event: Vec::new(),
            inside: None,
        })
    }
}

impl Dump {
    /// Its id on the server.
    pub(crate) fn connection_id(&self) -> u64 {
        self.connection_id
    }

    /// Lets events gather for a moment before they are read: for a reader that follows a log, and to which no millisecond matters.
    pub(crate) fn gather(&mut self) {
        self.gathers = true;
    }

    /// The next packet; waits for it that long at most, give or take the server's own pace within one event.
    pub(crate) fn next(&mut self, wait: Duration) -> Result<Packet<'_>, EngineError> {
        if self.timeout != Some(wait) {
            self.wire.stream.set_timeout(Some(wait))?;
            self.timeout = Some(wait);
        }
        // Where more has come than is read at once, a part of the next packet is here already.
        if self.gathers && self.inside.is_none() && self.wire.buffered() == 0 {
            thread::sleep(GATHER);
        }
        match self.receive() {
            Ok(Received::Here(length)) => packet(self.wire.packet_here(length)),
            Ok(Received::Collected) => packet(&self.event),
            Err(Failure::Io(error)) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut) => {
                return Ok(Packet::Nothing);
            }
            Err(failure) => Err(failure),
        }
        .map_err(|failure| lost(&self.settings, failure))
    }

    fn receive(&mut self) -> Result<Received, Failure> {
        if self.inside.is_none() {
            match self.wire.look()? {
                Next::Whole { length } => return Ok(Received::Here(length)),
                Next::Large => {
                    self.event.clear();
                    self.inside = Some(self.wire.take_head()?);
                }
            }
        }
        // What came is kept should the next read time out.
        while let Some((left, more)) = self.inside {
            if left > 0 {
                self.wire.fill(1)?;
                let count = left.min(self.wire.buffered());
                if self.event.len() + count > LONGEST {
                    return Err(Failure::protocol("an event is longer than 1 GiB"));
                }
                self.event.extend_from_slice(self.wire.take(count));
                self.inside = Some((left - count, more));
            } else if more {
                self.inside = Some(self.wire.take_head()?);
            } else {
                self.inside = None;
            }
        }
        Ok(Received::Collected)
    }
}

impl Drop for Dump {
    fn drop(&mut self) {
        // A server that is sending will see that nobody reads any more; one that waits for commands is told. It need not arrive.
        let _ = self.wire.command(QUIT, &[]);
    }
}

/// Where a packet lies.
enum Received {
    Here(usize),
    Collected,
}

fn packet(bytes: &[u8]) -> Result<Packet<'_>, Failure> {
    match bytes.split_first() {
        Some((0, event)) => Ok(Packet::Event(event)),
        Some((0xfe, _)) if bytes.len() < 9 => Ok(Packet::End),
        Some((0xff, _)) => match Failure::of_err_packet(bytes) {
            Failure::Server(said) => Ok(Packet::Refused {
                code: said.code,
                said: said.message,
            }),
            failure => Err(failure),
        },
        Some((odd, _)) => Err(Failure::Protocol(format!("expected an event, found {odd:#04x}"))),
        None => Err(Failure::protocol("a packet is empty")),
    }
}

fn lost(settings: &Settings, failure: Failure) -> EngineError {
    let session = format!("the session with {}", settings.address);
    let text = match failure {
        Failure::Ours(error) => return error,
        Failure::Server(said) => said.message,
        Failure::Io(error) => error.to_string(),
        Failure::Protocol(text) => text,
    };
    errors::lost(&session, "COM_BINLOG_DUMP", text)
}
