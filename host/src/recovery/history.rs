//! [`Since`]: whether a piece of log is of the history that a place is of, by the times of both.
//!
//! After a reset a server counts its transactions, and the files of its log, from the beginning: what it logs then has the names of what it
//! had logged before. Where a server stood at some time, all that it had committed by then was there, and nothing that it committed
//! later. A piece for which that does not hold is of another history, whatever its names say.

use backstay_engine_api::position::Order;

use super::holdings::{Base, Piece};
use super::place::{Gtids, Place};

/// How far two clocks may be apart, or one may have been put back, in microseconds.
pub(crate) const CLOCKS: i64 = 60_000_000;

/// How long before a piece began somebody must have had it, to be of another history: of a server that is known to have begun anew it
/// need not be long.
pub(super) fn margin(piece: &Piece<'_>) -> i64 {
    if piece.anew { 0 } else { CLOCKS }
}

/// When a server stood at a place, in microseconds since 1970.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Since {
    /// It had come there by then.
    by: Option<i64>,
    /// It stood there then, and had nothing more.
    at: Option<i64>,
}

impl Since {
    pub(super) fn of_base(base: &Base<'_>) -> Self {
        Self {
            by: base.time,
            at: base.place.time,
        }
    }

    /// After a piece that was applied there.
    pub(super) fn after(self, piece: &Piece<'_>) -> Self {
        let there = piece.to.time.or(piece.last);
        Self {
            by: self.by.and_then(|by| there.map(|there| there.max(by))),
            at: piece.to.time,
        }
    }

    /// Whether a piece that follows on `place` by its names is of another history by its times.
    pub(super) fn parted(self, place: &Place, piece: &Piece<'_>) -> bool {
        let mariadb = matches!(place.gtids, Some(Gtids::Mariadb(_)));
        let same_server = match (&place.file, &piece.to.file) {
            (Some((origin, _)), Some((other, _))) => origin == other,
            _ => false,
        };
        // The place has what the piece begins with, which was committed later. MariaDB's replicas log the times of their source's; the
        // others log when they committed it themselves, which says nothing about another server.
        let begins_later = (same_server || mariadb)
            && place.compare(&piece.from) == Some(Order::After)
            && matches!((self.by, piece.first), (Some(by), Some(first)) if first > by.saturating_add(margin(piece)));
        // The place lacks what the piece ends with, which was committed before.
        let ends_before = (same_server && !mariadb)
            && place.compare(&piece.to) == Some(Order::Before)
            && matches!((self.at, piece.last), (Some(at), Some(last)) if last < at.saturating_sub(CLOCKS));
        begins_later || ends_before
    }
}
