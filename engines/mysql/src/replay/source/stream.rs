//! The log, as the dump thread of a server sends it: where it is, its format, and the events of one transaction after the other.
//!
//! A replica counts on its own where it is in its source's log: it adds up what it is sent. So wherever transactions do not
//! follow each other in a file, the stream says anew where it is. That also makes a parallel applier wait for all that came before, as
//! it must where a new file begins: there the numbers start again by which it knows what may run beside what.

use std::io::{self, Read, Write};
use std::sync::atomic::Ordering;
use std::thread;
use std::time::{Duration, Instant};

use backstay_engine_api::position::mariadb::GtidPosition;
use backstay_engine_api::position::mysql::GtidSet;
use backstay_engine_api::{EngineError, ErrorKind};

use super::super::plan::{File, Name, Plan, Start, Transaction};
use super::Shared;
use super::events::{self, Description};
use super::packets::{Packets, wrong};
use crate::binlog::{Checksum, EventType, HEADER, Header};

/// How long the source waits before it looks again whether there is something to do.
const LOOK: Duration = Duration::from_millis(20);
/// How often it says that it is alive if the replica has not said how often it wants to hear so.
const HEARTBEAT: Duration = Duration::from_secs(1);

/// Where a replica wants the log from.
#[derive(Debug)]
pub(super) enum From {
    /// All that it does not have.
    Set(GtidSet),
    /// All after this, in each domain.
    Position(GtidPosition),
    /// All after a place in a file.
    Place(String, u64),
}

/// What a replica wants.
#[derive(Debug)]
pub(super) struct Wanted {
    pub(super) from: From,
    /// Whether it takes MariaDB's statements beside rows.
    pub(super) annotated: bool,
}

/// Why a stream ended.
#[derive(Debug)]
pub(super) enum Failure {
    /// The replica has gone, or the source stops.
    Peer(io::Error),
    /// The log can not be read.
    Ours(EngineError),
}

impl std::convert::From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Self::Peer(error)
    }
}

impl std::convert::From<EngineError> for Failure {
    fn from(error: EngineError) -> Self {
        Self::Ours(error)
    }
}

/// Which transactions of a plan a replica lacks.
///
/// # Errors
/// It stands where the plan does not come by.
fn lacking(plan: &Plan, from: &From) -> Result<Vec<bool>, EngineError> {
    let all = &plan.transactions;
    let elsewhere = |at: String| {
        EngineError::refused(format!(
            "the target stands at {at}, where the logs of this replay do not come by"
        ))
    };
    match from {
        From::Set(has) => Ok(all
            .iter()
            .map(|transaction| !matches!(&transaction.name, Name::Mysql(gtid) if has.contains(gtid)))
            .collect()),
        From::Position(position) => {
            let Start::Mariadb(start) = &plan.start else {
                return Err(elsewhere(position.to_string()));
            };
            // In the log's order: numbers need not grow.
            let mut lacks = vec![true; all.len()];
            for gtid in position.iter() {
                let at = all
                    .iter()
                    .rposition(|transaction| transaction.name == Name::Mariadb(gtid));
                match at {
                    Some(at) => {
                        let before = all[..=at].iter().zip(&mut lacks);
                        for (transaction, lacks) in before {
                            let same = matches!(transaction.name, Name::Mariadb(other) if other.domain == gtid.domain);
                            *lacks &= !same;
                        }
                    }
                    None if start.get(gtid.domain) == Some(gtid) => {}
                    // A domain that the log does not have.
                    None if !all.iter().any(
                        |transaction| matches!(transaction.name, Name::Mariadb(other) if other.domain == gtid.domain),
                    ) => {}
                    None => return Err(elsewhere(gtid.to_string())),
                }
            }
            Ok(lacks)
        }
        From::Place(file, place) => {
            let stands = |transaction: &Transaction, at: Option<u64>| {
                plan.files[transaction.file].name == *file && at == Some(*place)
            };
            // Where a replay begins need not be where a transaction does: the next may be in a later file.
            let begins = matches!(&plan.start, Start::Place(start) if start.file() == file && start.offset() == *place);
            let first = all
                .iter()
                .position(|transaction| stands(transaction, transaction.place.map(|(start, _)| start)));
            let first = if begins { Some(0) } else { first };
            let last = || {
                all.iter()
                    .rposition(|transaction| stands(transaction, transaction.place.map(|(_, end)| end)))
                    .map(|last| last + 1)
            };
            let first = first
                .or_else(last)
                .ok_or_else(|| elsewhere(format!("{file}:{place}")))?;
            Ok((0..all.len()).map(|index| index >= first).collect())
        }
    }
}

/// Sends all that a replica lacks, and then signs of life until it goes or the source stops.
pub(super) fn send<S: Read + Write>(
    packets: &mut Packets<S>,
    shared: &Shared,
    wanted: &Wanted,
    heartbeat: Option<u64>,
) -> Result<(), Failure> {
    let lacks = lacking(&shared.plan, &wanted.from)?;
    let mut stream = Stream {
        packets,
        shared,
        annotated: wanted.annotated,
        checksum: shared.identity.checksum,
        file: String::new(),
        place: 0,
        heartbeat: heartbeat
            .filter(|nanoseconds| *nanoseconds > 0)
            .map_or(HEARTBEAT, Duration::from_nanos),
        last_said: Instant::now(),
    };
    stream.begin(wanted)?;
    let mut index = 0;
    while index < lacks.len() {
        let file = shared.plan.transactions[index].file;
        let count = shared.plan.transactions[index..]
            .iter()
            .take_while(|transaction| transaction.file == file)
            .count();
        if lacks[index..index + count].contains(&true) {
            stream.file(index, &lacks[index..index + count])?;
        }
        index += count;
        shared.sent.fetch_max(index as u64, Ordering::Relaxed);
    }
    loop {
        stream.wait()?;
    }
}

struct Stream<'a, S> {
    packets: &'a mut Packets<S>,
    shared: &'a Shared,
    annotated: bool,
    /// Whether what is sent now ends with a checksum; a file's format says so for what follows.
    checksum: Checksum,
    /// Where the replica takes itself to be.
    file: String,
    place: u64,
    heartbeat: Duration,
    last_said: Instant,
}

impl<S: Read + Write> Stream<'_, S> {
    /// Says where the stream is before anything else, as a replica expects.
    fn begin(&mut self, wanted: &Wanted) -> Result<(), Failure> {
        let plan = &self.shared.plan;
        let (file, place) = match (&wanted.from, plan.files.first()) {
            (From::Place(file, place), _) => (file.clone(), *place),
            (_, Some(first)) => (first.name.clone(), 4),
            // Nothing to send at all.
            (_, None) => ("binlog.000001".to_owned(), 4),
        };
        self.go_to(&file, place)?;
        Ok(self.packets.flush()?)
    }

    fn go_to(&mut self, file: &str, place: u64) -> io::Result<()> {
        let event = events::rotate(self.shared.identity.server_id, file, place, self.checksum);
        self.event(&event)?;
        self.file.clear();
        self.file.push_str(file);
        self.place = place;
        Ok(())
    }

    fn event(&mut self, event: &[u8]) -> io::Result<()> {
        self.last_said = Instant::now();
        let length = 1 + event.len() as u64;
        self.packets.stream_of(length, &mut (&[0_u8][..]).chain(event))
    }

    /// Sends what is lacking of an object's transactions, the first of which has the index `first`.
    fn file(&mut self, first: usize, lacks: &[bool]) -> Result<(), Failure> {
        let shared = self.shared;
        let plan = &shared.plan;
        let file = &plan.files[plan.transactions[first].file];
        let opened = (shared.open)(file)?;
        let mut log = Counted { log: opened, at: 0 };
        let description = Description::read(&mut log).map_err(|error| unreadable(file, &error))?;
        // A replica must not take the second half of a file for the beginning of one.
        let begins = self.file != file.name;
        let mut told = false;
        for (transaction, lacks) in plan.transactions[first..].iter().zip(lacks) {
            if !lacks {
                continue;
            }
            while shared.hold.load(Ordering::Relaxed) {
                self.wait()?;
            }
            self.check_stopped()?;
            log.go_to(transaction.offset)
                .map_err(|error| unreadable(file, &error))?;
            let mut head = log.head().map_err(|error| unreadable(file, &error))?;
            let header = header_of(file, &head)?;
            let start = u64::from(header.end.wrapping_sub(header.size));
            if !told || start != self.place & u64::from(u32::MAX) {
                let place = transaction.place.map_or(start, |(start, _)| start);
                self.go_to(&file.name, place)?;
                // A replica forgets the format when it is told where the stream is.
                self.checksum = description.format.checksum;
                let event = description.for_stream(begins && !told);
                self.event(&event)?;
                told = true;
            }
            let end = transaction.offset + transaction.length;
            loop {
                self.copy(file, &mut log, &head, end)?;
                if log.at >= end {
                    break;
                }
                head = log.head().map_err(|error| unreadable(file, &error))?;
            }
        }
        Ok(self.packets.flush()?)
    }

    /// Sends an event whose head has been read.
    fn copy(&mut self, file: &File, log: &mut Counted, head: &[u8; HEADER], end: u64) -> Result<(), Failure> {
        let header = header_of(file, head)?;
        let body = u64::from(header.size).checked_sub(HEADER as u64);
        let Some(body) = body.filter(|body| log.at + body <= end) else {
            let message = format!(
                "{}: an event that begins at {} does not end with its transaction at {end}, as the log's index has it",
                file.object,
                log.at - HEADER as u64
            );
            return Err(EngineError::new(ErrorKind::Damaged, message).into());
        };
        if header.server_id == self.shared.identity.target_id {
            let message = format!(
                "an event of {} carries the server_id {} that the target has for this replay, and would vanish",
                file.object, header.server_id
            );
            return Err(EngineError::refused(message)
                .advise("recover again: another id is chosen by chance")
                .into());
        }
        self.last_said = Instant::now();
        if header.kind == EventType::ANNOTATE_ROWS && !self.annotated {
            log.skip(body).map_err(|error| unreadable(file, &error))?;
            self.place += u64::from(header.size);
            return Ok(());
        }
        let mut failed = None;
        let mut event = (&[0_u8][..])
            .chain(&head[..])
            .chain(Watched {
                log,
                failed: &mut failed,
            })
            .take(1 + u64::from(header.size));
        let sent = self.packets.stream_of(1 + u64::from(header.size), &mut event);
        if let Some(error) = failed {
            return Err(unreadable(file, &error).into());
        }
        sent?;
        self.place += u64::from(header.size);
        Ok(())
    }

    /// Waits a moment, and says that the source is alive where it is time to.
    fn wait(&mut self) -> Result<(), Failure> {
        self.check_stopped()?;
        if self.last_said.elapsed() >= self.heartbeat.min(HEARTBEAT) {
            let id = self.shared.identity.server_id;
            let event = events::heartbeat(id, &self.file, self.place as u32, self.checksum);
            self.event(&event)?;
        }
        self.packets.flush()?;
        thread::sleep(LOOK);
        Ok(())
    }

    fn check_stopped(&self) -> io::Result<()> {
        if self.shared.stopped() {
            return Err(io::ErrorKind::ConnectionAborted.into());
        }
        Ok(())
    }
}

fn header_of(file: &File, head: &[u8; HEADER]) -> Result<Header, EngineError> {
    Header::parse(head).map_err(|error| unreadable(file, &wrong(&error.to_string())))
}

fn unreadable(file: &File, error: &io::Error) -> EngineError {
    // What the host said of its object is what counts.
    if let Some(inner) = error.get_ref().and_then(|inner| inner.downcast_ref::<EngineError>()) {
        return inner.clone();
    }
    EngineError::new(
        ErrorKind::Damaged,
        format!("{} can not be read as a binary log", file.object),
    )
    .because(error)
}

/// A log that knows where it is.
struct Counted {
    log: Box<dyn Read + Send>,
    at: u64,
}

impl Counted {
    fn head(&mut self) -> io::Result<[u8; HEADER]> {
        let mut head = [0; HEADER];
        self.read_exact(&mut head)?;
        Ok(head)
    }

    fn skip(&mut self, count: u64) -> io::Result<()> {
        let skipped = io::copy(&mut self.take(count), &mut io::sink())?;
        if skipped == count {
            Ok(())
        } else {
            Err(io::ErrorKind::UnexpectedEof.into())
        }
    }

    /// Forwards to an offset.
    fn go_to(&mut self, offset: u64) -> io::Result<()> {
        match offset.checked_sub(self.at) {
            Some(gap) => self.skip(gap),
            None => Err(wrong("its index is not in the order of its bytes")),
        }
    }
}

impl Read for Counted {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.log.read(buffer)?;
        self.at += count as u64;
        Ok(count)
    }
}

/// Tells a log that can not be read from a replica that is gone.
struct Watched<'a> {
    log: &'a mut Counted,
    failed: &'a mut Option<io::Error>,
}

impl Read for Watched<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self.log.read(buffer) {
            Ok(0) if !buffer.is_empty() => {
                *self.failed = Some(io::ErrorKind::UnexpectedEof.into());
                Ok(0)
            }
            Err(error) if error.kind() != io::ErrorKind::Interrupted => {
                *self.failed = Some(error);
                Ok(0)
            }
            other => other,
        }
    }
}
