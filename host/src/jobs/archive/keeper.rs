//! [`Keeper`]: takes segments from a worker and makes them part of the log, by way of the spool.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use backstay_engine_api::job::{ArchiveStatus, Segment};
use backstay_engine_api::{EngineRef, Position, ServerFacts};
use jiff::Timestamp;

use super::resume::End;
use super::spool::Spool;
use super::status::{Running, State};
use crate::error::{Error, ErrorKind, Result};
use crate::jobs::{Observer, seconds};
use crate::repository::index::IndexSummary;
use crate::repository::logs::{follows, segment_name};
use crate::repository::{Gap, HostRef, IndexRef, Lock, Repository, SegmentRecord, StreamRecord, layout, next_log_id};
use crate::worker::protocol::{Piece, Progress};
use crate::worker::supervisor::{Interrupt, Watcher};

/// How soon a repository that is away is tried again at first, and at last.
const TRY_AGAIN: (Duration, Duration) = (Duration::from_millis(500), Duration::from_secs(10));
/// How often it is said that the repository is away still.
const SAY_AGAIN: Duration = Duration::from_secs(60);
/// How often the status is written.
const STATUS_EVERY: Duration = Duration::from_secs(1);

/// What came of a run so far.
#[derive(Debug, Clone, Default)]
pub struct Archived {
    /// Segments that were archived.
    pub segments: u64,
    /// Transactions in them.
    pub transactions: u64,
    /// Bytes in them, as they were written.
    pub bytes: u64,
    /// Holes in the log that were found.
    pub gaps: Vec<Gap>,
    /// The log that was written last.
    pub stream: Option<String>,
    /// Where it ends.
    pub to: Vec<Position>,
    /// Segments that are in the spool, and not in the repository yet.
    pub waiting: u64,
}

/// A repository that is away.
#[derive(Debug)]
struct Outage {
    since: Timestamp,
    why: Error,
    next: Instant,
    pause: Duration,
    said: Instant,
}

/// The supervisor's side of an archive.
pub(super) struct Keeper<'a> {
    pub(super) repository: &'a Repository,
    pub(super) lock: &'a Lock,
    pub(super) cluster: &'a str,
    pub(super) job: &'a str,
    pub(super) engine: EngineRef,
    pub(super) spool: Spool,
    pub(super) end: End,
    pub(super) interrupt: Interrupt,
    pub(super) observer: &'a mut dyn Observer,
    pub(super) archived: Archived,
    /// The member that is read, and what it says of itself.
    pub(super) member: String,
    pub(super) facts: ServerFacts,
    /// Where the worker that runs writes.
    pub(super) pieces: PathBuf,
    /// Whether a hole in the log is accepted: every other member was asked whether it has what is missing.
    pub(super) accept_gap: bool,
    /// The member that runs now has not got what the archive needs.
    pub(super) lacking: bool,
    /// Something was archived, or a stream begun, since this was last set to false.
    pub(super) progressed: bool,
    outage: Option<Outage>,
    fatal: Option<Error>,
    state: State,
    said: Option<ArchiveStatus>,
    trouble: Option<String>,
    written: Option<Instant>,
}

/// What a keeper is made of.
pub(super) struct Parts<'a> {
    pub(super) repository: &'a Repository,
    pub(super) lock: &'a Lock,
    pub(super) cluster: &'a str,
    pub(super) job: &'a str,
    pub(super) engine: EngineRef,
    pub(super) spool: Spool,
    pub(super) end: End,
    pub(super) interrupt: Interrupt,
    pub(super) observer: &'a mut dyn Observer,
}

impl<'a> Keeper<'a> {
    pub(super) fn new(parts: Parts<'a>) -> Self {
        let Parts {
            repository,
            lock,
            cluster,
            job,
            engine,
            spool,
            end,
            interrupt,
            observer,
        } = parts;
        Self {
            repository,
            lock,
            cluster,
            job,
            engine,
            spool,
            end,
            interrupt,
            observer,
            archived: Archived::default(),
            member: String::new(),
            facts: ServerFacts::default(),
            pieces: PathBuf::new(),
            accept_gap: false,
            lacking: false,
            progressed: false,
            outage: None,
            fatal: None,
            state: State::Starting,
            said: None,
            trouble: None,
            written: None,
        }
    }

    /// Whether the operator wants it to stop.
    pub(super) fn interrupted(&self) -> bool {
        *self.interrupt.borrow() > 0
    }

    /// Why the archive can not go on, if it can not.
    pub(super) fn fatal(&self) -> Option<Error> {
        self.fatal.clone()
    }

    /// A worker begins: of what the one before it said nothing holds any more.
    pub(super) fn worker_begins(&mut self) {
        self.said = None;
        self.now(State::Following, None);
    }

    /// What goes on now, and what is in the way.
    pub(super) fn now(&mut self, state: State, trouble: Option<&Error>) {
        self.state = state;
        self.trouble = trouble.map(ToString::to_string);
        self.write_status(true);
    }

    /// What there is to say at the end.
    pub(super) fn finish(mut self) -> Archived {
        let to_log = self.drain(true);
        if let Err(error) = to_log {
            tracing::warn!("{error}");
        }
        if !self.spool.is_empty() {
            let what = match self.spool.len() {
                0 => "the beginning of a log is".to_owned(),
                segments => format!("{segments} segments ({} bytes) are", self.spool.bytes()),
            };
            tracing::warn!(
                "{what} in {} and not in the repository: that is published when the archive runs again",
                self.spool.directory().display()
            );
        }
        self.now(State::Stopped, None);
        self.archived.waiting = self.spool.len() as u64;
        self.archived.stream = self.end.stream.as_ref().map(|stream| stream.id.clone());
        self.archived.to = self.end.to.clone();
        self.archived
    }

    /// Begins a stream, unless another member may have what is missing.
    fn begin_stream(&mut self, from: Vec<Position>, missing: Option<String>) -> Result<()> {
        let gap = match missing {
            None => None,
            Some(missing) if !self.accept_gap => {
                self.lacking = true;
                return Err(Error::new(
                    ErrorKind::Connection,
                    format!("{} has not got what the archive goes on with: {missing}", self.member),
                )
                .advise("the other members of the cluster are asked for it first"));
            }
            Some(missing) => Some(Gap {
                before: self.end.before(),
                after: self.end.to.clone(),
                missing,
            }),
        };
        self.start(self.facts.clone(), from, gap)
    }

    /// A log of use to the newest backup begins where that ends, once the engine says that a server goes on from there: whatever is
    /// committed next follows on it, and not on the backup that is the newest by then.
    pub(super) fn begin_after_backup(&mut self) -> Result<()> {
        let goes_on = self
            .said
            .as_ref()
            .is_some_and(|said| follows(&self.end.to, &said.archived).is_ok());
        if self.end.stream.is_some() || self.end.to.is_empty() || !goes_on {
            return Ok(());
        }
        // The name of a log file means something on the server alone that the backup is of.
        self.start(self.end.source.clone(), self.end.to.clone(), None)
    }

    /// Begins a stream with a place of a server's.
    fn start(&mut self, server: ServerFacts, from: Vec<Position>, gap: Option<Gap>) -> Result<()> {
        let record = StreamRecord {
            format: 1,
            id: next_log_id(
                self.end.stream.as_ref().map(|last| last.id.as_str()),
                Timestamp::now(),
                &self.engine.name,
            ),
            cluster: self.cluster.to_owned(),
            engine: self.engine.clone(),
            server,
            created: seconds(Timestamp::now()),
            from: from.clone(),
            gap: gap.clone(),
            host: HostRef::this(),
            ..StreamRecord::default()
        };
        self.spool.add_stream(&record)?;
        if let Some(gap) = gap {
            tracing::warn!(
                "there is a gap in the archived log of cluster {}: {}; a new log, {}, begins after it: take a full backup, \
                 for nothing older can be recovered beyond the gap",
                self.cluster,
                gap.missing,
                record.id
            );
            self.archived.gaps.push(gap);
        }
        self.end = End::of_stream(record, from);
        self.progressed = true;
        self.drain(false)
    }

    /// Publishes what waits, if the repository is there. That it is away is no error.
    pub(super) fn drain(&mut self, now: bool) -> Result<()> {
        if let Some(error) = &self.fatal {
            return Err(error.clone());
        }
        if !now && self.outage.as_ref().is_some_and(|outage| Instant::now() < outage.next) {
            return Ok(());
        }
        while !self.spool.is_empty() {
            let result = match (self.spool.first_stream(), self.spool.first()) {
                (Some(stream), _) => self.repository.create_stream(stream, self.lock).map(|()| true),
                (None, Some(waiting)) => self
                    .repository
                    .publish_segment(&waiting.record, &waiting.directory, self.lock)
                    .map(|()| false),
                (None, None) => return Ok(()),
            };
            match result {
                Ok(true) => self.spool.stream_done(),
                Ok(false) => self.spool.segment_done(),
                Err(error) if matches!(error.kind, ErrorKind::Refused | ErrorKind::Damaged | ErrorKind::Usage) => {
                    self.fatal = Some(error.clone());
                    return Err(error);
                }
                Err(error) => {
                    self.away(error);
                    return Ok(());
                }
            }
        }
        if let Some(outage) = self.outage.take() {
            tracing::warn!(
                "repository {} is back after {} s, and has all that waited",
                self.repository.url(),
                Timestamp::now().as_second() - outage.since.as_second()
            );
        }
        Ok(())
    }

    fn away(&mut self, why: Error) {
        if let Err(error) = self.spool.harden() {
            tracing::warn!("{error}");
        }
        let now = Instant::now();
        let said = format!(
            "the repository can not be written; segments wait in {} ({} of {} bytes): {why}",
            self.spool.directory().display(),
            self.spool.bytes(),
            self.spool.limit()
        );
        match &mut self.outage {
            None => {
                tracing::warn!("{said}");
                self.outage = Some(Outage {
                    since: Timestamp::now(),
                    why,
                    next: now + TRY_AGAIN.0,
                    pause: TRY_AGAIN.0,
                    said: now,
                });
            }
            Some(outage) => {
                if now.duration_since(outage.said) >= SAY_AGAIN {
                    tracing::warn!("{said}");
                    outage.said = now;
                }
                outage.why = why;
                outage.pause = (outage.pause * 2).min(TRY_AGAIN.1);
                outage.next = now + outage.pause;
            }
        }
    }

    /// Waits until the spool has room for so many bytes.
    fn wait_for_room(&mut self, bytes: u64) -> Result<()> {
        if !self.spool.is_full(bytes) {
            return Ok(());
        }
        tracing::warn!(
            "{} is full ({} of {} bytes): the server's log is not read any further until the repository is back",
            self.spool.directory().display(),
            self.spool.bytes(),
            self.spool.limit()
        );
        let state = std::mem::replace(&mut self.state, State::SpoolFull);
        while self.spool.is_full(bytes) {
            if self.interrupted() {
                self.state = state;
                return Err(Error::cancelled());
            }
            self.drain(false)?;
            self.write_status(false);
            std::thread::sleep(Duration::from_millis(100));
        }
        self.state = state;
        tracing::warn!("{} has room again", self.spool.directory().display());
        Ok(())
    }

    fn write_status(&mut self, now: bool) {
        if !now && self.written.is_some_and(|at| at.elapsed() < STATUS_EVERY) {
            return;
        }
        self.written = Some(Instant::now());
        let running = Running {
            job: self.job.to_owned(),
            updated: seconds(Timestamp::now()),
            state: self.state,
            member: self.member.clone(),
            archived: self.end.to.clone(),
            lag: self.said.as_ref().and_then(|status| status.lag),
            trouble: self.trouble.clone(),
            waiting_segments: self.spool.len() as u64,
            waiting_bytes: self.spool.bytes(),
            away_since: self.outage.as_ref().map(|outage| seconds(outage.since)),
            away_because: self.outage.as_ref().map(|outage| outage.why.to_string()),
        };
        if let Err(error) = running.write(self.spool.directory()) {
            tracing::debug!("the status can not be written: {error}");
        }
    }

    fn record(&self, segment: Segment, stream: &str, index: &IndexSummary) -> SegmentRecord {
        SegmentRecord {
            format: 1,
            cluster: self.cluster.to_owned(),
            stream: stream.to_owned(),
            segment,
            member: self.member.clone(),
            source: ServerFacts {
                flavour: self.facts.flavour.clone(),
                version: self.facts.version.clone(),
                identity: self.facts.identity.clone(),
                ..ServerFacts::default()
            },
            closed: seconds(Timestamp::now()),
            index: IndexRef {
                file: layout::INDEX.to_owned(),
                sha256: index.sha256.clone(),
                length: index.length,
                data_files: index.files,
                data_bytes: index.stored_bytes,
                other: serde_json::Map::new(),
            },
            host: HostRef::this(),
            other: serde_json::Map::new(),
        }
    }
}

impl Watcher for Keeper<'_> {
    fn guarded(&mut self, sessions: &BTreeSet<String>) -> Result<()> {
        let sessions: Vec<String> = sessions.iter().cloned().collect();
        self.lock.note_sessions(&sessions, &self.member)
    }

    fn begin(&mut self, from: Vec<Position>, missing: Option<String>) -> Result<()> {
        if from.is_empty() {
            return Err(Error::other("a log must begin somewhere").advise("this is a fault of the engine's"));
        }
        self.begin_stream(from, missing)
    }

    fn publish(&mut self, segment: Segment, piece: Piece) -> Result<()> {
        if let Some(error) = &self.fatal {
            return Err(error.clone());
        }
        if segment.from.is_empty() || segment.to.is_empty() {
            return Err(
                Error::other("a segment must say where it starts and ends").advise("this is a fault of the engine's")
            );
        }
        if self.end.stream.is_none() {
            if !self.end.to.is_empty() {
                follows(&self.end.to, &segment.from)?;
            }
            self.begin_stream(segment.from.clone(), None)?;
        }
        follows(&self.end.to, &segment.from)?;
        let Some(stream) = self.end.stream.as_ref().map(|stream| stream.id.clone()) else {
            return Err(Error::other("there is no log to add a segment to"));
        };
        self.wait_for_room(piece.index.stored_bytes + piece.index.length)?;
        let number = self.end.number + 1;
        let segment = Segment {
            name: segment_name(number),
            bytes: piece.index.bytes,
            ..segment
        };
        let record = self.record(segment, &stream, &piece.index);
        self.spool.add(&record, &self.pieces.join(piece.number.to_string()))?;
        self.archived.segments += 1;
        self.archived.transactions += record.segment.transactions;
        self.archived.bytes += record.segment.bytes;
        self.progressed = true;
        self.end.after(&record);
        self.drain(false)?;
        if !self.spool.is_empty() {
            // The engine is told that the segment is safe.
            self.spool.harden()?;
        }
        self.write_status(false);
        Ok(())
    }

    fn status(&mut self, status: ArchiveStatus) {
        self.said = Some(status);
        self.write_status(false);
    }

    fn tick(&mut self) -> Result<()> {
        self.begin_after_backup()?;
        let drained = self.drain(false);
        self.write_status(false);
        drained
    }

    fn progress(&mut self, progress: &Progress) {
        self.observer.progress(progress);
    }
}
