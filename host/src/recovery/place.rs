//! [`Place`]: where a server stands, in the form in which the planner compares.
//!
//! A position may be said in several ways at once. Two places are compared by the best way that both have: GTIDs first, because
//! they mean the same on every server of a cluster; then the place in a binary log, on one and the same server only; and for kinds
//! that the host does not know, by equality. An InnoDB LSN says nothing about logs of changes and is not looked at.

use std::sync::Arc;

use backstay_engine_api::Position;
use backstay_engine_api::position::mariadb::GtidPosition;
use backstay_engine_api::position::mysql::GtidSet;
use backstay_engine_api::position::{BinlogFile, Order, PositionError, PositionKind, TypedPosition};
use serde_json::{Map, Value};

/// Which server a place in a binary log is of: every server has a log of its own.
pub type Origin = Arc<str>;

/// The server that an identity names: MySQL's `server_uuid`, or all that the identity says. None where it says nothing.
pub fn origin_of(identity: &Map<String, Value>) -> Option<Origin> {
    match identity.get("server_uuid") {
        Some(Value::String(uuid)) => Some(Arc::from(uuid.as_str())),
        _ if identity.is_empty() => None,
        _ => serde_json::to_string(identity).ok().map(Arc::from),
    }
}

/// Where a server stands.
#[derive(Debug, Clone, Default)]
pub(super) struct Place {
    pub(super) gtids: Option<Gtids>,
    pub(super) file: Option<(Origin, BinlogFile)>,
    pub(super) other: Vec<(PositionKind, String)>,
    /// When the server stood there, in microseconds since 1970.
    pub(super) time: Option<i64>,
}

/// The transactions that a server has.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Gtids {
    Mysql(GtidSet),
    Mariadb(GtidPosition),
}

/// Among which places one is compared.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum Scale {
    Mysql,
    Mariadb,
    File(Origin),
    Other(PositionKind),
}

impl Place {
    /// Of positions that mean one point; `origin` is the server that they are of.
    pub(super) fn new(positions: &[Position], origin: Option<&Origin>) -> Result<Self, PositionError> {
        let mut place = Self::default();
        for position in positions {
            match position.typed()? {
                TypedPosition::MysqlGtid(set) => place.gtids = place.gtids.or(Some(Gtids::Mysql(set))),
                TypedPosition::MariadbGtid(at) => place.gtids = place.gtids.or(Some(Gtids::Mariadb(at))),
                TypedPosition::BinlogFile(file) => {
                    place.file = place.file.or_else(|| origin.map(|origin| (Arc::clone(origin), file)));
                }
                TypedPosition::InnodbLsn(_) => {}
                _ => place.other.push((position.kind.clone(), position.value.clone())),
            }
            if place.time.is_none() {
                place.time = position.point_in_time()?.map(|time| time.unix_microseconds());
            }
        }
        Ok(place)
    }

    /// How this place stands to the other; none where they have no way of saying it in common.
    pub(super) fn compare(&self, other: &Self) -> Option<Order> {
        match (&self.gtids, &other.gtids) {
            (Some(Gtids::Mysql(left)), Some(Gtids::Mysql(right))) => return Some(left.compare(right)),
            (Some(Gtids::Mariadb(left)), Some(Gtids::Mariadb(right))) => return Some(left.compare(right)),
            _ => {}
        }
        match (&self.file, &other.file) {
            (Some((origin, left)), Some((same, right))) if origin == same => return Some(left.compare(right)),
            _ => {}
        }
        let mut shared = None;
        for (kind, value) in &self.other {
            if let Some((_, theirs)) = other.other.iter().find(|(theirs, _)| theirs == kind) {
                if value == theirs {
                    return Some(Order::Equal);
                }
                shared = Some(Order::Incomparable);
            }
        }
        shared
    }

    /// Whether who stands here has all that one has who stands at the other.
    pub(super) fn covers(&self, other: &Self) -> bool {
        matches!(other.compare(self), Some(Order::Equal | Order::Before))
    }

    /// Whether it is the same place.
    pub(super) fn is(&self, other: &Self) -> bool {
        self.compare(other) == Some(Order::Equal)
    }

    /// The scales that it is on, each with a number that grows along it: where one place is before another, its number is
    /// not greater.
    pub(super) fn ranks(&self) -> Vec<(Scale, u128)> {
        let mut ranks = Vec::new();
        match &self.gtids {
            Some(Gtids::Mysql(set)) => {
                let lasts = set.sources().filter_map(|(_, intervals)| intervals.last());
                ranks.push((Scale::Mysql, lasts.map(|last| u128::from(last.last())).sum()));
            }
            Some(Gtids::Mariadb(position)) => {
                let sum = position.iter().map(|gtid| u128::from(gtid.sequence)).sum();
                ranks.push((Scale::Mariadb, sum));
            }
            None => {}
        }
        if let Some((origin, file)) = &self.file {
            let rank = (u128::from(file.number()) << 64) | u128::from(file.offset());
            ranks.push((Scale::File(Arc::clone(origin)), rank));
        }
        ranks.extend(self.other.iter().map(|(kind, _)| (Scale::Other(kind.clone()), 0)));
        ranks
    }

    /// The number on the first of its scales.
    pub(super) fn rank(&self) -> u128 {
        self.ranks().first().map_or(0, |(_, rank)| *rank)
    }

    /// What a server has that had all of this place and then got all of the other's.
    pub(super) fn joined(&self, to: &Self) -> Self {
        let mut joined = to.clone();
        if let (Some(Gtids::Mysql(had)), Some(Gtids::Mysql(got))) = (&self.gtids, &to.gtids) {
            joined.gtids = Some(Gtids::Mysql(had.union(got)));
        }
        joined
    }

    /// For people.
    pub(super) fn show(&self) -> String {
        match (&self.gtids, &self.file, self.other.first()) {
            (Some(Gtids::Mysql(set)), ..) if set.is_empty() => "the beginning".to_owned(),
            (Some(Gtids::Mariadb(at)), ..) if at.is_empty() => "the beginning".to_owned(),
            (Some(Gtids::Mysql(set)), ..) => set.to_string(),
            (Some(Gtids::Mariadb(at)), ..) => at.to_string(),
            (None, Some((_, file)), _) => file.to_string(),
            (None, None, Some((kind, value))) => format!("{kind} {value}"),
            (None, None, None) => "an unknown place".to_owned(),
        }
    }
}
