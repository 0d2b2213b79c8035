//! Sets of numbers as intervals: sorted, apart from each other, never number by number.
//!
//! A busy server's set holds thousands of millions of transactions in a handful of intervals, and a set with holes
//! may have a hundred thousand of them; what is done with two sets takes one pass over both.

use std::fmt;

/// The numbers from `first` to `last`, both included.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Interval {
    pub(super) first: u64,
    pub(super) last: u64,
}

impl Interval {
    /// The lowest number.
    pub fn first(&self) -> u64 {
        self.first
    }

    /// The highest number, not below [`first`](Self::first).
    pub fn last(&self) -> u64 {
        self.last
    }

    /// How many numbers it has, at least 1.
    pub fn count(&self) -> u64 {
        self.last - self.first + 1
    }
}

impl fmt::Display for Interval {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.first == self.last {
            self.first.fmt(f)
        } else {
            write!(f, "{}-{}", self.first, self.last)
        }
    }
}

/// Intervals in ascending order, with a gap between each and the next.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub(super) struct Intervals(Vec<Interval>);

impl Intervals {
    /// Puts intervals in order and joins those that overlap or touch. O(n log n), O(n) where they are in order.
    pub(super) fn from_unsorted(mut intervals: Vec<Interval>) -> Self {
        intervals.sort_unstable();
        let mut joined = Self(Vec::with_capacity(intervals.len()));
        intervals.into_iter().for_each(|interval| joined.push(interval));
        joined
    }

    pub(super) fn as_slice(&self) -> &[Interval] {
        &self.0
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn count(&self) -> u128 {
        self.0.iter().map(|interval| u128::from(interval.count())).sum()
    }

    /// Adds an interval that does not start before the last one does. O(1).
    fn push(&mut self, next: Interval) {
        match self.0.last_mut() {
            // NOTE: numbers end below u64::MAX, so there is always a number after the last.
            Some(last) if next.first <= last.last + 1 => last.last = last.last.max(next.last),
            _ => self.0.push(next),
        }
    }

    /// Adds an interval anywhere. O(log n) to find the place, and a move of what lies behind it.
    pub(super) fn insert(&mut self, new: Interval) {
        let from = self.0.partition_point(|interval| interval.last + 1 < new.first);
        let touched = self.0[from..].partition_point(|interval| interval.first <= new.last + 1);
        if touched == 0 {
            return self.0.insert(from, new);
        }
        let last = self.0[from + touched - 1].last.max(new.last);
        self.0[from] = Interval {
            first: self.0[from].first.min(new.first),
            last,
        };
        self.0.drain(from + 1..from + touched);
    }

    /// O(log n).
    pub(super) fn contains(&self, number: u64) -> bool {
        self.contains_interval(Interval {
            first: number,
            last: number,
        })
    }

    fn contains_interval(&self, wanted: Interval) -> bool {
        let at = self.0.partition_point(|interval| interval.last < wanted.first);
        self.0
            .get(at)
            .is_some_and(|interval| interval.first <= wanted.first && wanted.last <= interval.last)
    }

    /// O(m log n) for the other's m intervals, so that asking for a little in much is cheap.
    pub(super) fn contains_all(&self, other: &Self) -> bool {
        other.0.iter().all(|interval| self.contains_interval(*interval))
    }

    /// O(n + m).
    pub(super) fn union(&self, other: &Self) -> Self {
        let mut union = Self(Vec::with_capacity(self.0.len() + other.0.len()));
        let (mut left, mut right) = (self.0.as_slice(), other.0.as_slice());
        while let (Some(a), Some(b)) = (left.first(), right.first()) {
            let side = if a.first <= b.first { &mut left } else { &mut right };
            union.push(side[0]);
            *side = &side[1..];
        }
        left.iter().chain(right).for_each(|interval| union.push(*interval));
        union
    }

    /// O(n + m).
    pub(super) fn subtract(&self, other: &Self) -> Self {
        let mut rest = Vec::new();
        let mut holes = other.0.as_slice();
        for interval in &self.0 {
            let mut first = interval.first;
            while let Some(hole) = holes.first().filter(|hole| hole.first <= interval.last) {
                if first < hole.first {
                    rest.push(Interval {
                        first,
                        last: hole.first - 1,
                    });
                }
                first = first.max(hole.last + 1);
                if hole.last > interval.last {
                    // It may reach into the next interval too.
                    break;
                }
                holes = &holes[1..];
            }
            if first <= interval.last {
                rest.push(Interval {
                    first,
                    last: interval.last,
                });
            }
        }
        Self(rest)
    }

    /// O(n + m).
    pub(super) fn intersect(&self, other: &Self) -> Self {
        Self(self.shared(other).collect())
    }

    /// O(n + m), and less where they meet early.
    pub(super) fn is_disjoint(&self, other: &Self) -> bool {
        self.shared(other).next().is_none()
    }

    /// What both have, in order. Two neighbours never touch, since in neither set do they.
    fn shared<'a>(&'a self, other: &'a Self) -> impl Iterator<Item = Interval> + 'a {
        let (mut left, mut right) = (self.0.as_slice(), other.0.as_slice());
        std::iter::from_fn(move || {
            while let (Some(a), Some(b)) = (left.first(), right.first()) {
                let both = Interval {
                    first: a.first.max(b.first),
                    last: a.last.min(b.last),
                };
                let side = if a.last < b.last { &mut left } else { &mut right };
                *side = &side[1..];
                if both.first <= both.last {
                    return Some(both);
                }
            }
            None
        })
    }
}
