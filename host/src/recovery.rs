//! Which backups and logs lead to a point: pure functions, no I/O.
//!
//! [`Holdings`] is what there is: the records of backups, the segments of archived logs, and which of these must be left out.
//! [`plan`] answers with a [`Plan`]: which full backup and which of its page-level incrementals are restored by the engine that
//! made them, and which pieces of log are then replayed; or with a [`NoPlan`] that names what is missing.
//!
//! A *piece* of log is a segment of an archive or an incremental backup that is made of log events: it leads from one place to
//! another. It can be applied where a server stands if the server has all that the piece presupposes, lacks something of it, and has
//! nothing that the piece's server had not (else it has another history). So pieces may overlap and need no parents: an
//! incremental whose parent is gone still leads on from wherever it can be reached.
//!
//! The plan is the one with the fewest bytes to apply, those of the backups and of the logs together; of equal ones that with
//! fewer bytes of log, then with fewer steps, then on the newer backup. It is found as a shortest path: what a step costs
//! depends on the piece alone, so the first place from which a piece can be applied, in the order of cost, is the best one for it.
//!
//! A point in time means the prefix of the log that ends before the first transaction whose commit time is later. That the
//! log goes that far must be known: from a transaction that is later, or from a server that was seen at that place at or after that
//! time. Otherwise there is no plan, and the reason says where the log ends.

mod goal;
mod history;
mod holdings;
mod place;
mod reach;
mod reason;
mod stabbing;
#[cfg(test)]
mod tests;
mod window;

use std::collections::BTreeMap;

use backstay_engine_api::job::Segment;
use backstay_engine_api::position::RecoveryPoint;
use backstay_engine_api::{BackupRecord, Notice, Position};
use serde::{Deserialize, Serialize};

use crate::error::{Error, ErrorKind};

/// Why nothing stands on a backup that is [`partial`](BackupRecord::partial).
pub(crate) const PARTIAL: &str =
    "it was told to leave out some of the server's schemas, tables or rows, and the log has all of them";

pub(crate) use history::CLOCKS;
pub use place::{Origin, origin_of};
pub use window::{Coverage, Span, coverage};

/// What there is to recover a cluster with.
#[derive(Debug, Clone, Default)]
pub struct Holdings {
    /// The backups, in any order.
    pub backups: Vec<BackupRecord>,
    /// The archived logs.
    pub archives: Vec<Archived>,
    /// What must not be used, by a backup's id or [`LogSource::name`], and why.
    pub unusable: BTreeMap<String, Unusable>,
}

/// The segments of one archived history.
#[derive(Debug, Clone, Default)]
pub struct Archived {
    /// The stream's id.
    pub stream: String,
    /// The segments in order.
    pub segments: Vec<ArchivedSegment>,
    /// Whether its server had begun anew, as after a reset: with names that transactions before it had too.
    pub anew: bool,
}

/// A segment of an archived log.
#[derive(Debug, Clone, Default)]
pub struct ArchivedSegment {
    /// What it covers.
    pub segment: Segment,
    /// The server whose log files it names, if that is known.
    pub origin: Option<Origin>,
}

/// Why something is left out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unusable {
    /// It is damaged.
    Damaged(String),
    /// It is whole, and can not be used here: its engine is not installed, or does not restore to such a target.
    Unavailable(String),
}

impl Unusable {
    /// In words.
    pub fn reason(&self) -> &str {
        match self {
            Self::Damaged(reason) | Self::Unavailable(reason) => reason,
        }
    }
}

/// What a plan is asked for.
#[derive(Debug, Clone)]
pub struct Wanted {
    /// How far.
    pub point: RecoveryPoint,
    /// Whose binary log it is, where the point is a place in one. None if it is clear.
    pub origin: Option<Origin>,
}

impl From<RecoveryPoint> for Wanted {
    fn from(point: RecoveryPoint) -> Self {
        Self { point, origin: None }
    }
}

/// Where a piece of log is kept.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LogSource {
    /// An incremental backup.
    Backup {
        /// Its id.
        id: String,
    },
    /// A segment of an archive.
    Archive {
        /// The stream's id.
        stream: String,
        /// The segment's name.
        segment: String,
    },
}

impl LogSource {
    /// What it is called, in messages and among what is unusable.
    pub fn name(&self) -> String {
        match self {
            Self::Backup { id } => id.clone(),
            Self::Archive { stream, segment } => format!("{stream}/{segment}"),
        }
    }
}

/// A piece of log that is replayed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LogStep {
    /// Where it is kept.
    pub source: LogSource,
    /// What it holds.
    pub segment: Segment,
    /// How large it is, in bytes.
    pub bytes: u64,
}

/// How to get to a point.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Plan {
    /// The point.
    pub point: RecoveryPoint,
    /// The full backup and its page-level incrementals, restored by this engine.
    pub engine: String,
    /// Their ids, the full one first.
    pub chain: Vec<String>,
    /// Where the target stands when they are restored.
    pub from: Vec<Position>,
    /// What is replayed then, in order; nothing if the backup shows the point itself.
    pub logs: Vec<LogStep>,
    /// Where the last of these ends: at the point or after it.
    pub to: Vec<Position>,
    /// Bytes to restore.
    pub restore_bytes: u64,
    /// Bytes of log, the last piece counted whole.
    pub log_bytes: u64,
    /// What the operator must know.
    pub notes: Vec<Notice>,
}

/// Why there is no way to a point.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NoPlan {
    /// What is wrong, in one sentence.
    pub message: String,
    /// What is missing, and what was left out.
    pub details: Vec<String>,
    /// What can be done.
    pub advice: String,
}

impl From<NoPlan> for Error {
    fn from(reason: NoPlan) -> Self {
        let error = Self::new(ErrorKind::Other, reason.message).advise(reason.advice);
        reason.details.into_iter().fold(error, Self::detail)
    }
}

/// The pieces of log that there are, in the order of the log: incremental backups that are made of log events, and segments.
pub fn pieces_in_order(holdings: &Holdings) -> Vec<(LogSource, &Segment)> {
    let mut pieces = holdings::Prepared::new(holdings, true).pieces;
    pieces.sort_by_cached_key(|piece| (piece.from.rank(), piece.to.rank(), piece.first));
    pieces.into_iter().map(|piece| (piece.source, piece.segment)).collect()
}

/// The fastest way to a point, or the reason why there is none. Over n backups and pieces it takes O(n log n) comparisons of
/// positions, as long as they are of one history.
///
/// # Errors
/// There is no way.
pub fn plan(holdings: &Holdings, wanted: &Wanted) -> Result<Plan, NoPlan> {
    let mut plan = reach::find(&holdings::Prepared::new(holdings, true), wanted)?;
    let damaged = |why: &Unusable| matches!(why, Unusable::Damaged(_));
    if holdings.unusable.values().any(damaged) {
        // What would be done if nothing were damaged tells whether the damage makes a difference.
        let ideal = reach::find(&holdings::Prepared::new(holdings, false), wanted);
        if let Ok(ideal) = ideal {
            let notes = reason::around_damage(holdings, &plan, &ideal);
            plan.notes.extend(notes);
        }
    }
    if plan.point == RecoveryPoint::Latest {
        let notes = reason::passed_over(holdings, &plan);
        plan.notes.extend(notes);
    }
    Ok(plan)
}
