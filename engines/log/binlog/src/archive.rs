//! Archiving a server's log: it is read as a replica reads it, and cut into segments between two transactions.
//!
//! A segment is closed at a size or at an age, whichever comes first, but never inside a transaction: a huge one makes a
//! larger segment. It is written as it comes, so that memory does not depend on how large that is.

mod last_read;
mod start;
mod watch;

use std::time::{Duration, Instant};

use backstay_engine_api::job::ArchiveStatus;
use backstay_engine_api::position::PointInTime;
use backstay_engine_api::{ArchiveJob, EngineError, ErrorKind, Position};
use backstay_mysql::binlog::{LogEvent, LogStream, Mode, PieceWriter, Place, Received, log_end};
use backstay_mysql::{Session, facts};

use last_read::LastRead;
use start::Beginning;
use watch::{Reached, Watch};

/// How long is waited for an event before the host is asked whether to stop.
const TURN: Duration = Duration::from_millis(200);
/// How long a server may send nothing; while nothing is logged, it says so every second.
const PATIENCE: Duration = Duration::from_secs(30);
/// How often it is said how the archive stands.
const STATUS_EVERY: Duration = Duration::from_secs(1);
/// How often a server that logs nothing is asked whether it stands where its log was read to.
const LOOK_EVERY: Duration = Duration::from_secs(5);

/// Archives until the job is cancelled, or the log's end is reached if that is asked for.
pub(crate) fn archive_log(job: &ArchiveJob) -> Result<(), EngineError> {
    let mut session = Session::connect(job.server())?;
    let server = facts(&mut session)?;
    let now = log_end(&mut session, &server)?;
    let Beginning { start, from } = start::find(job, &mut session, &server, &now)?;
    let mode = if job.once() { Mode::Once } else { Mode::Follow };
    let mut archiver = Archiver {
        job,
        address: session.address(),
        stream: LogStream::open(&mut session, &start, mode)?,
        segment: Open::after(job, from.clone()),
        archived: from,
        ahead: ahead(&now),
        said: None,
        // The stream has a connection of its own.
        watch: Watch::new(job.server().clone(), session, server),
        looked: Instant::now(),
        received: false,
    };
    let followed = archiver.follow().map_err(|error| archiver.to_be_tried_again(error));
    // Whatever ended it: what is whole is archived.
    let whole = !archiver.stream.inside_transaction() && archiver.segment.writer.transactions() > 0;
    match followed {
        Ok(()) => {
            archiver.publish()?;
            archiver.said = None;
            archiver.say();
            Ok(())
        }
        Err(error) if whole && error.kind != ErrorKind::Cancelled => {
            // The server may be gone: it is not asked anything.
            archiver.publish_as_of(None)?;
            Err(error)
        }
        Err(error) => Err(error),
    }
}

/// The segment that is being written.
struct Open<'a> {
    writer: PieceWriter<&'a ArchiveJob>,
    /// When its first transaction came, and the second in which that was logged.
    since: Option<(Instant, i64)>,
    /// What its last transaction begins with.
    last: Option<LastRead>,
}

impl<'a> Open<'a> {
    fn after(job: &'a ArchiveJob, positions: Vec<Position>) -> Self {
        Self {
            writer: PieceWriter::new(job, positions),
            since: None,
            last: None,
        }
    }
}

struct Archiver<'a> {
    job: &'a ArchiveJob,
    address: String,
    stream: LogStream,
    segment: Open<'a>,
    /// Where the last published segment ends.
    archived: Vec<Position>,
    /// How many microseconds the server's clock is ahead of ours.
    ahead: i64,
    said: Option<Instant>,
    watch: Watch,
    /// When the server was asked last whether it stands where its log was read to.
    looked: Instant,
    /// Whether the server has sent anything of its log.
    received: bool,
}

impl Archiver<'_> {
    /// Reads on; returns when the job is cancelled or the log is at its end, with what is not published yet.
    fn follow(&mut self) -> Result<(), EngineError> {
        // Since when nothing has come; a clock is not looked at for each event.
        let mut silent_since = None;
        loop {
            let mut idle = false;
            match self.stream.next(TURN)? {
                Received::Event(event) => {
                    take(&mut self.segment, &event)?;
                    (silent_since, self.received) = (None, true);
                }
                Received::Heartbeat { .. } => {
                    (silent_since, self.received) = (None, true);
                    idle = true;
                }
                Received::Nothing if silent_since.get_or_insert_with(Instant::now).elapsed() > PATIENCE => {
                    return Err(EngineError::new(
                        ErrorKind::Connection,
                        format!(
                            "{} has sent nothing of its binary log for {} s, not even that there is nothing",
                            self.address,
                            PATIENCE.as_secs()
                        ),
                    ));
                }
                Received::Nothing => {}
                Received::End if self.job.once() => return Ok(()),
                Received::End => {
                    return Err(EngineError::new(
                        ErrorKind::Connection,
                        format!(
                            "{} does not send its binary log any further: is it shutting down?",
                            self.address
                        ),
                    ));
                }
            }
            if self.stream.inside_transaction() {
                continue;
            }
            if self.job.cancelled() {
                return Ok(());
            }
            if self.is_due() {
                self.publish()?;
            }
            if idle && self.looked.elapsed() >= LOOK_EVERY {
                self.look()?;
            }
            self.say();
        }
    }

    fn is_due(&self) -> bool {
        let age = self.segment.since.map(|(since, _)| since.elapsed());
        let (bytes, oldest) = (self.job.segment_bytes(), self.job.segment_seconds());
        self.segment.writer.bytes() >= bytes || age.is_some_and(|age| age >= Duration::from_secs(oldest))
    }

    /// Makes what is whole a part of the archive.
    fn publish(&mut self) -> Result<(), EngineError> {
        let now = self.watch.stands_at();
        self.publish_as_of(now.as_deref())
    }

    /// The same, where the server stands at `now`, as far as that is known.
    fn publish_as_of(&mut self, now: Option<&[Position]>) -> Result<(), EngineError> {
        if self.segment.writer.transactions() == 0 {
            return Ok(());
        }
        let next = Open::after(self.job, Vec::new());
        let Open { writer, last, .. } = std::mem::replace(&mut self.segment, next);
        let mut segment = writer.finish("")?;
        // That nothing more was committed up to some time can only be said of a server that stood there then.
        if let Some(now) = now
            && watch::is_at(now, &segment.to)
        {
            let time = now.first().and_then(|position| position.time.clone());
            segment
                .to
                .iter_mut()
                .for_each(|position| position.time.clone_from(&time));
            self.ahead = ahead(now);
        }
        segment.state = serde_json::to_value(last)
            .map_err(|error| EngineError::other("a segment's state is no JSON").because(&error))?;
        let to = segment.to.clone();
        self.job.publish(segment)?;
        self.segment = Open::after(self.job, to.clone());
        self.archived = to;
        self.said = None;
        Ok(())
    }

    /// Asks a server that logs nothing where it stands: one whose log was reset may go on saying that there is nothing new, until the
    /// new log is as long as the old one was.
    fn look(&mut self) -> Result<(), EngineError> {
        self.looked = Instant::now();
        let Some(now) = self.watch.stands_at() else {
            return Ok(());
        };
        let (file, offset) = self.stream.place();
        let read = Reached {
            file: file.to_owned(),
            offset,
            gtids: self.segment.writer.gtids(),
        };
        match watch::behind(&now, &read) {
            None => Ok(()),
            Some(found) => Err(EngineError::new(
                ErrorKind::Connection,
                format!(
                    "the binary log of {} was reset while it was read: {found}",
                    self.address
                ),
            )),
        }
    }

    /// What is refused in the middle of a log is decided where reading begins: there it is found out what is missing.
    fn to_be_tried_again(&self, mut error: EngineError) -> EngineError {
        if error.kind == ErrorKind::Refused && self.received && !self.job.once() {
            error.kind = ErrorKind::Connection;
        }
        error
    }

    /// Says how the archive stands, now and then.
    fn say(&mut self) {
        if self.said.is_some_and(|at| at.elapsed() < STATUS_EVERY) {
            return;
        }
        self.said = Some(Instant::now());
        let now = (PointInTime::now().unix_microseconds() + self.ahead) as f64 / 1e6;
        // What is not published is as old as the first of it. A clock that was put back must not make it younger than 0.
        let lag = match self.segment.since {
            None => 0.0,
            Some((since, logged)) => (now - logged as f64).max(since.elapsed().as_secs_f64()),
        };
        self.job.status(ArchiveStatus {
            archived: self.archived.clone(),
            lag: Some(lag),
        });
    }
}

fn take(segment: &mut Open<'_>, event: &LogEvent<'_>) -> Result<(), EngineError> {
    if event.place == Place::Begins {
        if segment.since.is_none() {
            segment.since = Some((Instant::now(), i64::from(event.raw.header.timestamp)));
        }
        segment.last = Some(LastRead::of(event));
    }
    segment.writer.take(event).map(drop)
}

/// How many microseconds the clock of a server that has just said where it stands is ahead of ours.
fn ahead(stands: &[Position]) -> i64 {
    let theirs = stands.first().and_then(|position| position.point_in_time().ok()?);
    theirs.map_or(0, |theirs| {
        theirs.unix_microseconds() - PointInTime::now().unix_microseconds()
    })
}
