//! Sets of transactions, and what is done with them.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::fmt;

use super::super::Order;
use super::intervals::Intervals;
use super::{Gtid, Interval, Tsid};

/// A set of transactions, as `@@gtid_executed` and `@@gtid_purged` hold it.
///
/// It parses all that a MySQL 9.7 server accepts: white space and line breaks around every part, upper case, a UUID or a
/// tag more than once, intervals in any order that overlap, empty and backward intervals (`5-3` holds nothing), nothing at
/// all. One thing it refuses: a number with a leading zero, which 8.4 reads as octal and 9.7 as decimal, and which no server
/// prints.
///
/// It prints as the server does, sorted and joined, on one line. The server breaks the line after each comma;
/// `{:#}` does so too.
///
/// With n sources (UUIDs with a tag) in a set, finding one is O(log n); the intervals of a source are a sorted
/// list, and what is done with two sets takes one pass over the lists that they share.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct GtidSet {
    /// No list is empty, so that equal sets are equal maps.
    sources: BTreeMap<Tsid, Intervals>,
}

impl GtidSet {
    /// The empty set.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes over intervals in any order.
    pub(super) fn from_unsorted(sources: BTreeMap<Tsid, Vec<Interval>>) -> Self {
        let sources = sources.into_iter().filter(|(_, intervals)| !intervals.is_empty());
        Self {
            sources: sources
                .map(|(tsid, intervals)| (tsid, Intervals::from_unsorted(intervals)))
                .collect(),
        }
    }

    /// Whether it holds no transaction.
    pub fn is_empty(&self) -> bool {
        self.sources.is_empty()
    }

    /// How many transactions it holds. O(intervals).
    pub fn count(&self) -> u128 {
        self.sources.values().map(Intervals::count).sum()
    }

    /// Whether it holds this transaction. O(log n).
    pub fn contains(&self, gtid: &Gtid) -> bool {
        self.sources
            .get(gtid.tsid())
            .is_some_and(|intervals| intervals.contains(gtid.number()))
    }

    /// Whether it holds every transaction of the other. O(m log n) for the other's m intervals.
    pub fn contains_set(&self, other: &Self) -> bool {
        let held = |(tsid, wanted)| {
            self.sources
                .get(tsid)
                .is_some_and(|held: &Intervals| held.contains_all(wanted))
        };
        other.sources.iter().all(held)
    }

    /// Whether no transaction is in both. O(n + m), and less where they meet early.
    pub fn is_disjoint(&self, other: &Self) -> bool {
        let apart =
            |(tsid, left): (&Tsid, &Intervals)| other.sources.get(tsid).is_none_or(|right| left.is_disjoint(right));
        self.sources.iter().all(apart)
    }

    /// Adds one transaction. O(log n) where it continues its source's last interval, as it does when following a log.
    pub fn insert(&mut self, gtid: Gtid) {
        let (tsid, number) = gtid.into_parts();
        self.sources.entry(tsid).or_default().insert(Interval {
            first: number,
            last: number,
        });
    }

    /// Adds every transaction of the other. O(n + m) over the sources of the other.
    pub fn insert_all(&mut self, other: &Self) {
        for (tsid, new) in &other.sources {
            match self.sources.entry(tsid.clone()) {
                Entry::Vacant(entry) => {
                    entry.insert(new.clone());
                }
                Entry::Occupied(mut entry) => {
                    let union = entry.get().union(new);
                    entry.insert(union);
                }
            }
        }
    }

    /// What is in one or the other. O(n + m).
    pub fn union(&self, other: &Self) -> Self {
        let mut union = self.clone();
        union.insert_all(other);
        union
    }

    /// What is in this set and not in the other. O(n + m).
    pub fn subtract(&self, other: &Self) -> Self {
        self.combine(|tsid, left| match other.sources.get(tsid) {
            Some(right) => left.subtract(right),
            None => left.clone(),
        })
    }

    /// What is in both. O(n + m).
    pub fn intersect(&self, other: &Self) -> Self {
        self.combine(|tsid, left| {
            other
                .sources
                .get(tsid)
                .map(|right| left.intersect(right))
                .unwrap_or_default()
        })
    }

    fn combine(&self, with: impl Fn(&Tsid, &Intervals) -> Intervals) -> Self {
        let sources = self
            .sources
            .iter()
            .map(|(tsid, intervals)| (tsid.clone(), with(tsid, intervals)));
        Self {
            sources: sources.filter(|(_, intervals)| !intervals.is_empty()).collect(),
        }
    }

    /// How this set stands to the other: before it if the other holds all of it and more, diverged if each holds a
    /// transaction that the other does not. O(m log n).
    pub fn compare(&self, other: &Self) -> Order {
        Order::of(other.contains_set(self), self.contains_set(other))
    }

    /// The sources, in the order in which they are printed, with their intervals in ascending order.
    pub fn sources(&self) -> impl Iterator<Item = (&Tsid, &[Interval])> {
        self.sources
            .iter()
            .map(|(tsid, intervals)| (tsid, intervals.as_slice()))
    }

    /// The intervals of all sources, in the order in which they are printed.
    pub fn intervals(&self) -> impl Iterator<Item = (&Tsid, Interval)> {
        self.sources()
            .flat_map(|(tsid, intervals)| intervals.iter().map(move |interval| (tsid, *interval)))
    }

    /// The transaction that is printed first: of `plan.subtract(&applied)`, the one to name as missing.
    pub fn first(&self) -> Option<Gtid> {
        self.intervals()
            .next()
            .map(|(tsid, interval)| Gtid::checked(tsid.clone(), interval.first))
    }
}

impl From<Gtid> for GtidSet {
    fn from(gtid: Gtid) -> Self {
        Self::from_iter([gtid])
    }
}

impl FromIterator<Gtid> for GtidSet {
    fn from_iter<I: IntoIterator<Item = Gtid>>(gtids: I) -> Self {
        let mut set = Self::new();
        set.extend(gtids);
        set
    }
}

impl Extend<Gtid> for GtidSet {
    fn extend<I: IntoIterator<Item = Gtid>>(&mut self, gtids: I) {
        gtids.into_iter().for_each(|gtid| self.insert(gtid));
    }
}

impl fmt::Display for GtidSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut last = None;
        for (tsid, intervals) in self.sources() {
            if last != Some(tsid.uuid) {
                if last.is_some() {
                    f.write_str(if f.alternate() { ",\n" } else { "," })?;
                }
                write!(f, "{}", tsid.uuid)?;
                last = Some(tsid.uuid);
            }
            if let Some(tag) = &tsid.tag {
                write!(f, ":{tag}")?;
            }
            intervals.iter().try_for_each(|interval| write!(f, ":{interval}"))?;
        }
        Ok(())
    }
}
