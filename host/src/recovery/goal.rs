//! [`Goal`]: how a place stands to the point that is to be reached.

use backstay_engine_api::position::mariadb::{GtidPosition, MariadbGtid};
use backstay_engine_api::position::mysql::{Gtid, GtidSet};
use backstay_engine_api::position::{BinlogFile, GtidTarget, Order, RecoveryPoint, Transaction};

use super::Wanted;
use super::history::margin;
use super::holdings::{Base, Piece, Prepared};
use super::place::{Gtids, Origin, Place};

/// How a place stands to the point.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Standing {
    /// The point comes later.
    Before,
    /// This is the point.
    At,
    /// The point was earlier.
    Past,
    /// It can not be told.
    Unknown,
}

/// The point, in the form in which places are held against it.
#[derive(Debug)]
pub(super) enum Goal {
    Latest,
    Time(Box<TimeGoal>),
    Mysql(GtidSet),
    Mariadb(GtidPosition),
    BeforeMysql(Gtid),
    BeforeMariadb(MariadbGtid),
    File(Box<FileGoal>),
    /// Of a kind that is not known.
    Other(Place),
}

/// A point in time, and what is known of the log around it.
#[derive(Debug)]
pub(super) struct TimeGoal {
    /// In microseconds.
    pub(super) at: i64,
    /// The transaction that follows on such a place was committed later.
    before_later: Vec<Place>,
    /// Such a place has a transaction that was committed later.
    with_later: Vec<Place>,
    /// A server stood at such a place after that time.
    seen: Vec<Place>,
    /// A server stood at such a place at exactly that time; more may follow in the same microsecond.
    seen_then: Vec<Place>,
    /// Where the pieces of log begin and end that were written at that time.
    around: Vec<(Place, Place)>,
}

/// A place in one server's binary log.
#[derive(Debug)]
pub(super) struct FileGoal {
    place: Place,
    /// Where the piece of log begins and ends that has it in it.
    within: Option<(Place, Place)>,
}

impl Goal {
    /// Of a point.
    ///
    /// # Errors
    /// It can mean more than one thing; in words.
    pub(super) fn new(wanted: &Wanted, prepared: &Prepared<'_>) -> Result<Self, String> {
        Ok(match &wanted.point {
            RecoveryPoint::Latest => Self::Latest,
            RecoveryPoint::Time { time } => Self::Time(Box::new(TimeGoal::new(time.unix_microseconds(), prepared))),
            RecoveryPoint::Gtid(GtidTarget::Mysql(set)) => Self::Mysql(set.clone()),
            RecoveryPoint::Gtid(GtidTarget::Mariadb(position)) => Self::Mariadb(position.clone()),
            RecoveryPoint::BeforeGtid(Transaction::Mysql(gtid)) => Self::BeforeMysql(gtid.clone()),
            RecoveryPoint::BeforeGtid(Transaction::Mariadb(gtid)) => Self::BeforeMariadb(*gtid),
            RecoveryPoint::BinlogFile(file) => {
                let origin = wanted.origin.clone();
                Self::File(Box::new(FileGoal::new(file, origin, prepared)?))
            }
            RecoveryPoint::Position { position } => match Place::new(std::slice::from_ref(position), None) {
                Ok(place) => Self::Other(place),
                Err(error) => return Err(error.to_string()),
            },
        })
    }

    /// How a place stands to the point.
    pub(super) fn standing(&self, place: &Place) -> Standing {
        match (self, &place.gtids) {
            (Self::Latest, _) => Standing::Before,
            (Self::Time(goal), _) => goal.standing(place),
            (Self::Mysql(wanted), Some(Gtids::Mysql(had))) => match had.contains_set(wanted) {
                false => Standing::Before,
                true if up_to(wanted, had) => Standing::At,
                true => Standing::Past,
            },
            (Self::Mariadb(wanted), Some(Gtids::Mariadb(had))) => match had.covers_position(wanted) {
                false => Standing::Before,
                true if had == wanted => Standing::At,
                true => Standing::Past,
            },
            (Self::BeforeMysql(gtid), Some(Gtids::Mysql(had))) => before(!had.contains(gtid)),
            (Self::BeforeMariadb(gtid), Some(Gtids::Mariadb(had))) => before(!had.covers(*gtid)),
            (Self::File(goal), _) => goal.standing(place),
            (Self::Other(wanted), _) => match place.compare(wanted) {
                Some(Order::Equal) => Standing::At,
                Some(Order::After) => Standing::Past,
                Some(_) => Standing::Before,
                None => Standing::Unknown,
            },
            _ => Standing::Unknown,
        }
    }

    /// How a backup stands to the point. It may be known only of its time that it is later.
    pub(super) fn standing_of_base(&self, base: &Base<'_>) -> Standing {
        match self {
            Self::Time(goal) if base.time.is_none_or(|time| time > goal.at) => Standing::Past,
            _ => self.standing(&base.place),
        }
    }

    /// How `place` stands to the point, to which a piece leads.
    pub(super) fn standing_after(&self, piece: &Piece<'_>, place: &Place) -> Standing {
        match self {
            // Its last transaction says it where its end does not.
            Self::Time(goal) if piece.last.is_some_and(|last| last > goal.at) => Standing::Past,
            _ => self.standing(place),
        }
    }
}

fn before(yes: bool) -> Standing {
    if yes { Standing::Before } else { Standing::Past }
}

/// Whether a set has no transaction of a number above those that are wanted, and none of a source that is not.
fn up_to(wanted: &GtidSet, had: &GtidSet) -> bool {
    had.sources().all(|(tsid, intervals)| {
        let last = intervals.last().map(|interval| interval.last());
        let wanted = wanted.sources().find(|(source, _)| *source == tsid);
        wanted.and_then(|(_, intervals)| intervals.last().map(|interval| interval.last())) >= last
    })
}

/// What is known to have been committed by the point in time: the furthest places, each with a time by which somebody stood there.
struct Known(Vec<(Place, i64)>);

impl Known {
    fn at(at: i64, prepared: &Prepared<'_>) -> Self {
        let mut furthest: Vec<(Place, i64)> = Vec::new();
        let bases = prepared.bases.iter().map(|base| (&base.place, base.time));
        let pieces = prepared.pieces.iter().map(|piece| (&piece.to, piece.last));
        for (place, by) in bases.chain(pieces) {
            if let Some(by) = by.filter(|by| *by <= at)
                && !furthest.iter().any(|(other, _)| other.covers(place))
            {
                furthest.retain(|(other, _)| !place.covers(other));
                furthest.push((place.clone(), by));
            }
        }
        Self(furthest)
    }

    /// Whether more had been committed than who stands at `place` has: on another server, or before a reset. So that somebody stood
    /// there later does not say that there was nothing more.
    fn refute(&self, place: &Place) -> bool {
        let more = |other: &Place| matches!(other.compare(place), Some(Order::After | Order::Diverged));
        self.0.iter().any(|(other, _)| more(other))
    }

    /// Whether somebody had what a piece begins with before that was committed, at `first`: the piece is of the history after a reset,
    /// and says nothing of the one before.
    fn is_before(&self, piece: &Piece<'_>, first: i64) -> bool {
        let before = |by: i64| by.saturating_add(margin(piece)) < first;
        let mut places = self.0.iter();
        places.any(|(place, by)| before(*by) && place.compare(&piece.from) == Some(Order::After))
    }
}

impl TimeGoal {
    fn new(at: i64, prepared: &Prepared<'_>) -> Self {
        let mut goal = Self {
            at,
            before_later: Vec::new(),
            with_later: Vec::new(),
            seen: Vec::new(),
            seen_then: Vec::new(),
            around: Vec::new(),
        };
        let known = Known::at(at, prepared);
        let mut seen = |place: &Place, time: Option<i64>| match time {
            Some(time) if time >= at && known.refute(place) => {}
            Some(time) if is_over(place, time, at) => keep_earliest(&mut goal.seen, place),
            Some(time) if time == at && !in_whole_seconds(place) => goal.seen_then.push(place.clone()),
            _ => {}
        };
        for base in &prepared.bases {
            seen(&base.place, base.place.time);
        }
        for piece in &prepared.pieces {
            seen(&piece.from, piece.from.time);
            seen(&piece.to, piece.to.time);
            seen(&piece.to, piece.last);
            let later = piece.first.filter(|first| *first > at);
            let of_later_history = later.is_some_and(|first| known.is_before(piece, first));
            if later.is_some() && !of_later_history {
                keep_earliest(&mut goal.before_later, &piece.from);
            }
            if piece.last.is_some_and(|last| last > at) && !of_later_history {
                keep_earliest(&mut goal.with_later, &piece.to);
            }
            if piece.first.is_some_and(|first| first <= at) && piece.last.is_some_and(|last| last >= at) {
                goal.around.push((piece.from.clone(), piece.to.clone()));
            }
        }
        goal
    }

    fn standing(&self, place: &Place) -> Standing {
        let has = |places: &[Place]| places.iter().any(|other| place.covers(other));
        if has(&self.with_later) {
            return Standing::Past;
        }
        for other in &self.before_later {
            match place.compare(other) {
                Some(Order::Equal) => return Standing::At,
                Some(Order::After) => return Standing::Past,
                _ => {}
            }
        }
        if has(&self.seen) || has(&self.seen_then) && !self.goes_on(place) {
            Standing::At
        } else {
            Standing::Before
        }
    }

    /// Whether more is known that was committed at that very time.
    fn goes_on(&self, place: &Place) -> bool {
        let before = |other: &Place| place.compare(other) == Some(Order::Before);
        self.seen_then.iter().any(before) || self.around.iter().any(|(from, to)| place.covers(from) && before(to))
    }
}

/// Whether all that was committed up to `at` is in a place at which a server stood at `time`. MariaDB's commit times are whole
/// seconds: what comes later in a second counts as committed at its beginning.
pub(super) fn is_over(place: &Place, time: i64, at: i64) -> bool {
    if in_whole_seconds(place) {
        time.div_euclid(1_000_000) * 1_000_000 > at
    } else {
        time > at
    }
}

/// Whether commit times there are whole seconds.
pub(super) fn in_whole_seconds(place: &Place) -> bool {
    matches!(place.gtids, Some(Gtids::Mariadb(_)))
}

/// Adds a place, of which those are kept that no other one is before. In one history that is one.
fn keep_earliest(kept: &mut Vec<Place>, place: &Place) {
    if !kept.iter().any(|earlier| place.covers(earlier)) {
        kept.retain(|other| !other.covers(place));
        kept.push(place.clone());
    }
}

impl FileGoal {
    fn new(file: &BinlogFile, origin: Option<Origin>, prepared: &Prepared<'_>) -> Result<Self, String> {
        let of = |origin: &Origin| Place {
            file: Some((Origin::clone(origin), file.clone())),
            ..Place::default()
        };
        let mut goal: Option<Self> = None;
        let mut add = |origin: &Origin, within: Option<(&Place, &Place)>| -> Result<(), String> {
            match &mut goal {
                Some(goal) if goal.place.file.as_ref().is_some_and(|(other, _)| other != origin) => {
                    return Err(format!(
                        "more than one server has had a binary log with {file} in it: name the point by its GTID"
                    ));
                }
                Some(goal) if goal.within.is_some() || within.is_none() => return Ok(()),
                _ => {}
            }
            goal = Some(Self {
                place: of(origin),
                within: within.map(|(from, to)| (from.clone(), to.clone())),
            });
            Ok(())
        };
        for piece in &prepared.pieces {
            if let (Some((origin_from, from)), Some((origin_to, to))) = (&piece.from.file, &piece.to.file)
                && origin_from == origin_to
                && origin.as_ref().is_none_or(|origin| origin == origin_to)
                && matches!(from.compare(file), Order::Before | Order::Equal)
                && matches!(file.compare(to), Order::Before | Order::Equal)
            {
                add(origin_to, Some((&piece.from, &piece.to)))?;
            }
        }
        for base in &prepared.bases {
            if let Some((of, at)) = &base.place.file
                && origin.as_ref().is_none_or(|origin| origin == of)
                && at == file
            {
                add(of, None)?;
            }
        }
        goal.or_else(|| {
            origin.map(|origin| Self {
                place: of(&origin),
                within: None,
            })
        })
        .ok_or_else(|| format!("no backup and no log has {file} of any server in it"))
    }

    fn standing(&self, place: &Place) -> Standing {
        match place.compare(&self.place) {
            Some(Order::Before) => return Standing::Before,
            Some(Order::Equal) => return Standing::At,
            Some(Order::After) => return Standing::Past,
            _ => {}
        }
        let Some((from, to)) = &self.within else {
            return Standing::Unknown;
        };
        // Another server may stand where the piece begins or ends, and that may be the point.
        for end in [from, to] {
            if end.is(place) && end.is(&self.place) {
                return Standing::At;
            }
        }
        if from.is(&self.place) {
            return match place.compare(from) {
                Some(Order::Before) => Standing::Before,
                Some(Order::After) => Standing::Past,
                _ => Standing::Unknown,
            };
        }
        if from.covers(place) {
            Standing::Before
        } else if place.covers(to) {
            Standing::Past
        } else {
            Standing::Unknown
        }
    }
}
