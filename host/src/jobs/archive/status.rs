//! How an archive stands: what is archived, where it can be recovered, and what the process that archives says of itself.

use std::fs;
use std::path::Path;

use backstay_engine_api::position::PointInTime;
use backstay_engine_api::{BackupKind, BackupRecord, Order, Position, ServerFacts};
use serde::{Deserialize, Serialize};

use super::spool::Spool;
use crate::error::Result;
use crate::jobs::Host;
use crate::recovery::{CLOCKS, origin_of};
use crate::repository::{Gap, Purpose, Stream};

/// What a process that archives is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum State {
    /// It has not read anything yet.
    Starting,
    /// It follows the server's log.
    Following,
    /// It could not go on, and tries again.
    Retrying,
    /// It does not read: the repository is away and the spool is full.
    SpoolFull,
    /// It has ended in order.
    Stopped,
}

/// What a process that archives says of itself, in its spool.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Running {
    /// Its job's id.
    pub job: String,
    /// When it said this (RFC 3339, UTC).
    pub updated: String,
    /// What it is doing.
    pub state: State,
    /// The member of the cluster that it reads.
    pub member: String,
    /// Where the archive ends, the spool included.
    pub archived: Vec<Position>,
    /// How far that is behind the server, in seconds, where it is known.
    #[serde(default)]
    pub lag: Option<f64>,
    /// Why it could not go on.
    #[serde(default)]
    pub trouble: Option<String>,
    /// Segments that are not in the repository yet.
    pub waiting_segments: u64,
    /// Their size, in bytes.
    pub waiting_bytes: u64,
    /// Since when the repository is away.
    #[serde(default)]
    pub away_since: Option<String>,
    /// How that was found out.
    #[serde(default)]
    pub away_because: Option<String>,
}

impl Running {
    pub(super) fn write(&self, spool: &Path) -> std::io::Result<()> {
        let mut text = serde_json::to_vec_pretty(self)?;
        text.push(b'\n');
        let file = Spool::status_file(spool);
        let staged = file.with_extension("json.new");
        fs::write(&staged, text)?;
        fs::rename(staged, file)
    }

    fn read(spool: &Path) -> Option<Self> {
        serde_json::from_slice(&fs::read(Spool::status_file(spool)).ok()?).ok()
    }
}

/// How the archive of a cluster stands.
#[derive(Debug, Clone, Serialize)]
pub struct Status {
    /// The cluster.
    pub cluster: String,
    /// The process that archives, where one does: who it is, for people.
    pub holder: Option<String>,
    /// What that process says of itself, or the last one said; known on the machine that it runs on.
    pub process: Option<Running>,
    /// The archived logs, the oldest first.
    pub logs: Vec<LogStatus>,
    /// Whether there is a gap after which no full backup was taken yet.
    pub unmended_gap: bool,
}

/// How one archived log stands.
#[derive(Debug, Clone, Serialize)]
pub struct LogStatus {
    /// Its id.
    pub id: String,
    /// Where it begins.
    pub from: Vec<Position>,
    /// Where it ends.
    pub to: Vec<Position>,
    /// The commit time of its first transaction.
    pub first_time: Option<String>,
    /// The commit time of its last transaction.
    pub last_time: Option<String>,
    /// How many segments it has.
    pub segments: u64,
    /// How many transactions are in them.
    pub transactions: u64,
    /// Their size as they were written, in bytes.
    pub bytes: u64,
    /// Segments that are damaged.
    pub damaged: Vec<String>,
    /// What is missing before it.
    pub gap: Option<Gap>,
    /// The oldest full backup that leads into it, and with that any point up to its end.
    pub recoverable_from: Option<String>,
    /// The server that it began with.
    #[serde(skip)]
    server: ServerFacts,
    /// When it began.
    #[serde(skip)]
    created: String,
    /// Whether its server had begun anew.
    #[serde(skip)]
    anew: bool,
}

impl LogStatus {
    fn of(stream: Stream) -> Self {
        let times =
            |segment: &backstay_engine_api::job::Segment| (segment.first_time.clone(), segment.last_time.clone());
        Self {
            anew: stream.record.is_anew(),
            to: stream.to().to_vec(),
            first_time: stream.segments.iter().find_map(|segment| times(segment).0),
            last_time: stream.segments.iter().rev().find_map(|segment| times(segment).1),
            segments: stream.segments.len() as u64,
            transactions: stream.segments.iter().map(|segment| segment.transactions).sum(),
            bytes: stream.segments.iter().map(|segment| segment.bytes).sum(),
            damaged: stream.damaged.into_iter().map(|(name, _)| name).collect(),
            gap: stream.record.gap,
            from: stream.record.from,
            server: stream.record.server,
            created: stream.record.created,
            id: stream.id,
            recoverable_from: None,
        }
    }

    /// Whether a backup has all that comes before this log, in the same history.
    fn goes_on_from(&self, backup: &BackupRecord) -> bool {
        is_at_or_before(&self.from, &backup.positions) && !self.was_reset_after(backup)
    }

    /// Whether a backup can go on with this log.
    fn leads_from(&self, backup: &BackupRecord) -> bool {
        self.goes_on_from(backup) && is_at_or_before(&backup.positions, &self.to)
    }

    /// Whether a backup has what this log begins with by its names, and was taken before that was committed: the server was reset
    /// in between. On MySQL, only the same server's times can be compared.
    fn was_reset_after(&self, backup: &BackupRecord) -> bool {
        let comparable =
            self.server.flavour == "mariadb" || origin_of(&self.server.identity) == origin_of(&backup.server.identity);
        let time = |text: &str| text.parse().ok().map(|time: PointInTime| time.unix_microseconds());
        let stated = backup.positions.iter().find_map(|position| position.time.as_deref());
        let taken = time(stated.unwrap_or(&backup.finished));
        let begins = time(self.first_time.as_deref().unwrap_or(&self.created));
        let margin = if self.anew { 0 } else { CLOCKS };
        comparable
            && !is_at_or_before(&backup.positions, &self.from)
            && matches!((taken, begins), (Some(taken), Some(begins)) if taken.saturating_add(margin) < begins)
    }
}

/// Whether a place is the other, or on the way to it, by the first way in which both are said.
fn is_at_or_before(place: &[Position], other: &[Position]) -> bool {
    let pair = place.iter().find_map(|place| {
        other
            .iter()
            .find(|other| other.kind == place.kind)
            .map(|other| (place, other))
    });
    pair.is_some_and(|(place, other)| matches!(place.compare(other), Ok(Order::Equal | Order::Before)))
}

fn begins_a_recovery(record: &BackupRecord) -> bool {
    record.kind == BackupKind::Full && !record.partial
}

impl Host {
    /// How the archive of a cluster stands. `spool` is the directory of all spools.
    ///
    /// # Errors
    /// The repository can not be read.
    pub fn archive_status(&self, cluster: &str, spool: &Path) -> Result<Status> {
        let mut logs: Vec<LogStatus> = self.repository.logs(cluster)?.into_iter().map(LogStatus::of).collect();
        let backups = self.repository.list(cluster)?.backups;
        for log in &mut logs {
            let full = backups
                .iter()
                .find(|backup| begins_a_recovery(&backup.record) && log.leads_from(&backup.record));
            log.recoverable_from = full.map(|backup| backup.record.id.clone());
        }
        let unmended_gap = logs.last().is_some_and(|last| {
            let mends = |record: &BackupRecord| begins_a_recovery(record) && last.goes_on_from(record);
            last.gap.is_some() && !backups.iter().any(|backup| mends(&backup.record))
        });
        let holder = self.repository.locked_by(cluster, Purpose::Archive)?;
        Ok(Status {
            cluster: cluster.to_owned(),
            holder: holder.map(|lock| lock.holder.to_string()),
            process: Running::read(&Spool::place(spool, cluster, self.repository.url())),
            logs,
            unmended_gap,
        })
    }
}
