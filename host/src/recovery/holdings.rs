//! What there is, in the form in which the search wants it: bases to begin from, and pieces of log.

use std::collections::HashMap;

use backstay_engine_api::job::Segment;
use backstay_engine_api::position::mysql::GtidSet;
use backstay_engine_api::position::{Order, PointInTime};
use backstay_engine_api::{BackupKind, BackupRecord};

use super::goal::is_over;
use super::place::{Gtids, Origin, Place, origin_of};
use super::{ArchivedSegment, Holdings, LogSource, PARTIAL, Unusable};
use crate::repository::chain;

/// A backup that can be restored by its own engine, with what it stands on.
#[derive(Debug)]
pub(super) struct Base<'a> {
    pub(super) record: &'a BackupRecord,
    /// The record's index of the backup below, for a page-level incremental.
    pub(super) parent: Option<usize>,
    /// Where the target stands then.
    pub(super) place: Place,
    /// When the backup showed that, in microseconds; not before it.
    pub(super) time: Option<i64>,
    /// Bytes of the whole chain.
    pub(super) bytes: u64,
    /// What the server had purged, which its logs may not count.
    pub(super) purged: Option<GtidSet>,
}

/// A piece of log.
#[derive(Debug)]
pub(super) struct Piece<'a> {
    pub(super) source: LogSource,
    pub(super) segment: &'a Segment,
    pub(super) bytes: u64,
    pub(super) from: Place,
    pub(super) to: Place,
    /// Commit times of its first and last transaction, in microseconds.
    pub(super) first: Option<i64>,
    pub(super) last: Option<i64>,
    /// Whether its server had begun anew: [`Archived::anew`](super::Archived::anew).
    pub(super) anew: bool,
}

/// All of it.
#[derive(Debug, Default)]
pub(super) struct Prepared<'a> {
    pub(super) bases: Vec<Base<'a>>,
    pub(super) pieces: Vec<Piece<'a>>,
    /// What is left out, and why.
    pub(super) left_out: Vec<(String, String)>,
}

/// How a piece stands to a place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Follows {
    /// It leads on from there.
    Yes,
    /// All of it is there already.
    AddsNothing,
    /// It presupposes what is not there.
    Gap,
    /// What is there was never part of its history, or the two can not be compared.
    Apart,
}

impl Piece<'_> {
    /// Whether it can be applied to a server that stands at `place` and has purged `purged`.
    pub(super) fn follows(&self, place: &Place, purged: Option<&GtidSet>) -> Follows {
        let Some(order) = place.compare(&self.from) else {
            return Follows::Apart;
        };
        if !matches!(order, Order::Equal | Order::After) {
            return Follows::Gap;
        }
        match place.compare(&self.to) {
            Some(Order::Before) => Follows::Yes,
            Some(Order::Equal | Order::After) => Follows::AddsNothing,
            // Of a kind that is not known: it starts here and ends elsewhere.
            Some(Order::Incomparable) => Follows::Yes,
            Some(Order::Diverged) | None => match (&place.gtids, &self.to.gtids, purged) {
                (Some(Gtids::Mysql(had)), Some(Gtids::Mysql(got)), Some(purged)) if forgot(had, got, purged) => {
                    Follows::Yes
                }
                _ => Follows::Apart,
            },
        }
    }
}

/// Whether a log whose server counts `got` only forgot to count what was purged before: transactions of sources that it knows.
/// Those of others make it another history.
fn forgot(had: &GtidSet, got: &GtidSet, purged: &GtidSet) -> bool {
    let lacks = had.subtract(got);
    let knows = |source| got.sources().any(|(known, _)| known == source);
    purged.contains_set(&lacks) && lacks.sources().all(|(source, _)| knows(source))
}

impl<'a> Prepared<'a> {
    /// Sorts out what there is. Without `heed_damage` what is damaged counts as sound.
    pub(super) fn new(holdings: &'a Holdings, heed_damage: bool) -> Self {
        let mut prepared = Self::default();
        let unusable = |name: &str| match holdings.unusable.get(name) {
            Some(Unusable::Damaged(_)) if !heed_damage => None,
            other => other,
        };
        for (name, why) in holdings.unusable.iter().filter(|(name, _)| unusable(name).is_some()) {
            prepared.left_out.push((name.clone(), why.reason().to_owned()));
        }
        prepared.add_bases(&holdings.backups, &|id| unusable(id).is_some());
        for record in &holdings.backups {
            if let Some(segment) = record.log.as_ref().filter(|_| unusable(&record.id).is_none()) {
                let source = LogSource::Backup { id: record.id.clone() };
                let origin = origin_of(&record.server.identity);
                prepared.add_piece(source, segment, record.bytes, origin.as_ref());
            }
        }
        for archived in &holdings.archives {
            let first = prepared.pieces.len();
            for ArchivedSegment { segment, origin } in &archived.segments {
                let source = LogSource::Archive {
                    stream: archived.stream.clone(),
                    segment: segment.name.clone(),
                };
                if unusable(&source.name()).is_none() {
                    prepared.add_piece(source, segment, segment.bytes, origin.as_ref());
                }
            }
            prepared.pieces[first..]
                .iter_mut()
                .for_each(|piece| piece.anew = archived.anew);
            accumulate(&mut prepared.pieces[first..]);
            doubt_times(&mut prepared.pieces[first..]);
        }
        prepared
    }

    fn add_bases(&mut self, records: &'a [BackupRecord], unusable: &dyn Fn(&str) -> bool) {
        let by_id: HashMap<&str, usize> = records
            .iter()
            .enumerate()
            .map(|(index, record)| (record.id.as_str(), index))
            .collect();
        // Where each record's base is, once it is decided; a chain may be long, so that this is no recursion.
        let mut decided: HashMap<usize, Option<usize>> = HashMap::new();
        for start in 0..records.len() {
            if records[start].log.is_some() {
                continue;
            }
            let mut path = vec![start];
            while let Some(&top) = path.last() {
                let record = &records[top];
                if decided.contains_key(&top) {
                    path.pop();
                    continue;
                }
                let parent = match (record.kind, &record.parent) {
                    (BackupKind::Full, _) => None,
                    (BackupKind::Incremental, parent) => match parent.as_deref().and_then(|parent| by_id.get(parent)) {
                        Some(&parent) if path.contains(&parent) => {
                            self.leave_out(record, "it stands on itself");
                            decided.insert(top, None);
                            continue;
                        }
                        Some(&parent) if records[parent].log.is_some() => {
                            self.leave_out(record, "it stands on an incremental that is made of log events");
                            decided.insert(top, None);
                            continue;
                        }
                        Some(&parent) => Some(parent),
                        None => {
                            let parent = record.parent.as_deref().unwrap_or("a parent that it does not name");
                            self.leave_out(record, &format!("it stands on {parent}, which is not there"));
                            decided.insert(top, None);
                            continue;
                        }
                    },
                };
                if let Some(parent) = parent
                    && !decided.contains_key(&parent)
                {
                    path.push(parent);
                    continue;
                }
                let below = parent.map(|parent| decided.get(&parent).copied().flatten());
                let base = self.base(record, below, parent.map(|parent| &records[parent]), unusable);
                decided.insert(top, base);
                path.pop();
            }
        }
    }

    /// Adds a base; `below` is its parent's, where it has one.
    fn base(
        &mut self,
        record: &'a BackupRecord,
        below: Option<Option<usize>>,
        parent: Option<&BackupRecord>,
        unusable: &dyn Fn(&str) -> bool,
    ) -> Option<usize> {
        if unusable(&record.id) {
            return None;
        }
        if record.partial {
            self.leave_out(record, PARTIAL);
            return None;
        }
        let below = match (below, parent) {
            (None, _) | (_, None) => None,
            (Some(None), Some(parent)) => {
                self.leave_out(record, &format!("it stands on {}, which can not be used", parent.id));
                return None;
            }
            (Some(Some(below)), Some(parent)) => {
                if let Err(error) = chain::follows(parent, record) {
                    self.leave_out(record, &error.message);
                    return None;
                }
                Some(below)
            }
        };
        let place = match Place::new(&record.positions, origin_of(&record.server.identity).as_ref()) {
            Ok(place) => place,
            Err(error) => {
                self.leave_out(record, &format!("its position can not be read: {error}"));
                return None;
            }
        };
        let purged = record
            .server
            .facts
            .get("gtid_purged")
            .and_then(|purged| purged.as_str());
        self.bases.push(Base {
            time: place.time.or_else(|| end_of(&record.finished)),
            place,
            bytes: record
                .bytes
                .saturating_add(below.map_or(0, |below| self.bases[below].bytes)),
            parent: below,
            purged: purged.and_then(|purged| purged.parse().ok()),
            record,
        });
        Some(self.bases.len() - 1)
    }

    fn add_piece(&mut self, source: LogSource, segment: &'a Segment, bytes: u64, origin: Option<&Origin>) {
        let places = Place::new(&segment.from, origin).and_then(|from| Ok((from, Place::new(&segment.to, origin)?)));
        let time = |text: &Option<String>| {
            let time = text.as_deref().map(str::parse::<PointInTime>).transpose();
            time.map(|time| time.map(|time| time.unix_microseconds()))
        };
        let times = time(&segment.first_time).and_then(|first| Ok((first, time(&segment.last_time)?)));
        match (places, times) {
            (Ok((from, to)), Ok((first, last))) => self.pieces.push(Piece {
                source,
                segment,
                bytes,
                from,
                to,
                first,
                last,
                anew: false,
            }),
            (Err(error), _) => self
                .left_out
                .push((source.name(), format!("its positions can not be read: {error}"))),
            (_, Err(error)) => self
                .left_out
                .push((source.name(), format!("its times can not be read: {error}"))),
        }
    }

    fn leave_out(&mut self, record: &BackupRecord, why: &str) {
        self.left_out.push((record.id.clone(), why.to_owned()));
    }
}

/// The end of the second that a record's time names, in microseconds.
fn end_of(text: &str) -> Option<i64> {
    let time: PointInTime = text.parse().ok()?;
    Some(time.unix_microseconds().saturating_add(999_999))
}

/// The segments of a stream are of one history: what one has had, the next has too, even if its server forgot to count it.
fn accumulate(pieces: &mut [Piece<'_>]) {
    let mut before: Option<GtidSet> = None;
    for piece in pieces {
        let Some(Gtids::Mysql(to)) = &mut piece.to.gtids else {
            continue;
        };
        if let Some(before) = before.filter(|before| !to.contains_set(before)) {
            to.insert_all(&before);
        }
        before = Some(to.clone());
    }
}

/// That a server stood at the end of a segment at some time does not hold where the next segment has what was committed before: one of
/// the two clocks was wrong.
fn doubt_times(pieces: &mut [Piece<'_>]) {
    for index in 1..pieces.len() {
        let (before, next) = pieces.split_at_mut(index);
        let (Some(before), Some(next)) = (before.last_mut(), next.first_mut()) else {
            continue;
        };
        if let (Some(stood), Some(first)) = (before.to.time, next.first)
            && is_over(&before.to, stood, first)
        {
            (before.to.time, next.from.time) = (None, None);
        }
    }
}
