//! [`Noted`]: what a backup leaves for the incremental that stands on it, and whether one may.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::Path;

use backstay_engine_api::{BackupRecord, EngineError, ErrorKind, Order, Position};
use backstay_innodb::redo::{Format, Former};
use backstay_innodb::{Redo, Space};
use backstay_physical::{check_lineage, lineage};
use serde::{Deserialize, Serialize};

use super::SpaceKey;
use super::plain::Digests;
use super::report::Counts;
use crate::NAME;
use crate::backup::State;
use crate::source::Source;

/// What an incremental needs to know of its parent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Noted {
    /// The LSN from which the server recovers: what has changed since then may not be in the files.
    pub(crate) checkpoint: u64,
    /// The LSN at which the redo log ends.
    pub(crate) end: u64,
    /// Whose format the redo log has.
    redo: String,
    /// How far the redo log's blocks are written to no more, the checksum of what lies before, and the files that were needed.
    #[serde(default)]
    settled: u64,
    #[serde(default)]
    tail: u32,
    #[serde(default)]
    log: Vec<(u64, u64)>,
    /// The ids of the tablespaces that are in the backup: `0-7,12`. Each is one file.
    spaces: String,
    /// The first pages of the system tablespace's later files.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    later: Vec<u32>,
    /// What the files were that are none of InnoDB's.
    #[serde(default)]
    pub(super) plain: Digests,
    /// Which directory it is (`backstay_physical::lineage`).
    lineage: String,
    /// What was found in the pages.
    pub(crate) pages: Counts,
}

impl Noted {
    pub(super) fn new(
        redo: &Redo,
        spaces: impl Iterator<Item = SpaceKey>,
        pages: Counts,
        plain: Digests,
        data_dir: &Path,
    ) -> Result<Self, EngineError> {
        let (mut ids, mut later) = (BTreeSet::new(), Vec::new());
        for (id, first) in spaces {
            if first == 0 {
                ids.insert(id);
            } else {
                later.push(first);
            }
        }
        later.sort_unstable();
        let former = redo.as_former();
        Ok(Self {
            checkpoint: redo.checkpoint,
            end: redo.end,
            settled: former.settled,
            tail: former.tail,
            log: former.files,
            redo: format_name(redo.format).to_owned(),
            spaces: ranges(&ids),
            later,
            plain,
            lineage: lineage(data_dir)?,
            pages,
        })
    }

    /// What of the redo log is in the backup.
    pub(super) fn former(&self) -> Former {
        Former {
            checkpoint: self.checkpoint,
            settled: self.settled,
            tail: self.tail,
            files: self.log.clone(),
        }
    }

    /// Whether a tablespace's file is in the backup.
    pub(super) fn has(&self, space: &Space) -> bool {
        if space.first != 0 {
            return self.later.contains(&space.first);
        }
        self.spaces.split(',').any(|range| {
            let (from, to) = range.split_once('-').unwrap_or((range, range));
            let (from, to) = (from.parse::<u32>(), to.parse::<u32>());
            matches!((from, to), (Ok(from), Ok(to)) if (from..=to).contains(&space.id))
        })
    }
}

fn format_name(format: Format) -> &'static str {
    match format {
        Format::MySql => "mysql",
        Format::MariaDb => "mariadb",
    }
}

/// Ids as ranges: tables are made one after the other, so that these are few.
fn ranges(ids: &BTreeSet<u32>) -> String {
    let mut text = String::new();
    let mut ids = ids.iter().copied().peekable();
    while let Some(from) = ids.next() {
        let mut to = from;
        while let Some(next) = ids.next_if(|next| Some(*next) == to.checked_add(1)) {
            to = next;
        }
        let comma = if text.is_empty() { "" } else { "," };
        let _ = if from == to {
            write!(text, "{comma}{from}")
        } else {
            write!(text, "{comma}{from}-{to}")
        };
    }
    text
}

/// What the parent of an incremental has left, if the directory is still the one that it was taken of.
///
/// # Errors
/// [`ErrorKind::Refused`] if not; [`ErrorKind::Damaged`] if the record is not as it was written.
pub(crate) fn parent(record: &BackupRecord, source: &Source) -> Result<Noted, EngineError> {
    let full = |error: EngineError| error.advise("take a full backup with this engine");
    if record.engine.name != NAME {
        return Err(full(EngineError::refused(format!(
            "backup {} was made by the engine `{}`, and an incremental of `{NAME}` stands on a backup of its own",
            record.id, record.engine.name
        ))));
    }
    let state: State = serde_json::from_value(record.state.clone()).map_err(|error| {
        let message = format!("the record of backup {} does not say where it ends", record.id);
        EngineError::new(ErrorKind::Damaged, message).because(&error)
    })?;
    let noted = state.pages.ok_or_else(|| {
        full(EngineError::refused(format!(
            "backup {} does not say where its redo log starts: pages that have changed since can not be told",
            record.id
        )))
    })?;
    check_lineage(&record.id, &noted.lineage, &source.data_dir)?;
    Ok(noted)
}

/// Whether what was taken goes on where the parent ended.
///
/// # Errors
/// [`ErrorKind::Refused`] if the server was set back.
pub(crate) fn check_follows(
    record: &BackupRecord,
    parent: &Noted,
    taken: &Noted,
    positions: &[Position],
) -> Result<(), EngineError> {
    let other = |what: String| {
        Err(
            EngineError::refused(format!("{what}: the server's history is another by now"))
                .advise("take a full backup; the parent restores without this one"),
        )
    };
    if taken.redo != parent.redo || taken.checkpoint < parent.checkpoint || taken.end < parent.end {
        return other(format!(
            "the redo log goes from LSN {} to {}, and that of backup {} from {} to {}",
            taken.checkpoint, taken.end, record.id, parent.checkpoint, parent.end
        ));
    }
    for position in positions {
        let Some(before) = record.positions.iter().find(|before| before.kind == position.kind) else {
            continue;
        };
        let order = before.compare(position).map_err(|error| {
            EngineError::other(format!("positions of backup {} can not be compared", record.id)).because(&error)
        })?;
        if !matches!(order, Order::Equal | Order::Before) {
            return other(format!(
                "the server is at {position}, and backup {} was at {before}",
                record.id
            ));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use backstay_innodb::{Checksums, Layout};

    #[test]
    fn ids_as_ranges() {
        let text = ranges(&BTreeSet::from([0, 1, 2, 5, 7, 8, u32::MAX]));
        assert_eq!(text, format!("0-2,5,7-8,{}", u32::MAX));
        let noted = Noted {
            checkpoint: 1,
            end: 2,
            settled: 2,
            tail: 0,
            log: Vec::new(),
            redo: "mysql".into(),
            spaces: text,
            later: vec![768],
            plain: Digests::default(),
            lineage: String::new(),
            pages: Counts::default(),
        };
        let has = |id, first| {
            let layout = Layout::plain(16384, Checksums::Ends);
            noted.has(&Space { id, first, layout })
        };
        let found: Vec<u32> = (0..10).filter(|id| has(*id, 0)).collect();
        assert_eq!(found, [0, 1, 2, 5, 7, 8]);
        assert!(has(u32::MAX, 0) && has(0, 768) && !has(0, 769));
        assert_eq!(ranges(&BTreeSet::new()), "");
    }
}
