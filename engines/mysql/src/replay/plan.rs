//! What is replayed: the transactions of some logs from where the target stands to the point, each where it lies.

mod load;
mod point;
mod start;

use std::fmt;

use backstay_engine_api::job::RecoverJob;
use backstay_engine_api::position::mariadb::{GtidPosition, MariadbGtid};
use backstay_engine_api::position::mysql::{Gtid, GtidSet};
use backstay_engine_api::position::{BinlogFile, Position};
use backstay_engine_api::{EngineError, Notice};

/// A transaction's name.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum Name {
    Mysql(Gtid),
    Mariadb(MariadbGtid),
    /// MySQL without GTIDs.
    Anonymous,
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Mysql(gtid) => gtid.fmt(f),
            Self::Mariadb(gtid) => gtid.fmt(f),
            Self::Anonymous => f.write_str("a transaction without a GTID"),
        }
    }
}

/// An object that holds (a part of) a binary log file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct File {
    /// The log, as the job counts them.
    pub(super) log: usize,
    /// The object.
    pub(super) object: String,
    /// What its server called the file.
    pub(super) name: String,
}

/// A transaction, and where it lies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Transaction {
    pub(super) name: Name,
    /// Index into [`Plan::files`].
    pub(super) file: usize,
    /// Bytes from the start of the object.
    pub(super) offset: u64,
    /// In bytes.
    pub(super) length: u64,
    /// When it was committed: microseconds since 1970.
    pub(super) time: i64,
    /// Where it was in its server's file: start and end, in bytes.
    pub(super) place: Option<(u64, u64)>,
}

/// Where a target stands before the first transaction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Start {
    Mysql(GtidSet),
    Mariadb(GtidPosition),
    /// By its place in the log alone.
    Place(BinlogFile),
}

/// What is replayed.
#[derive(Debug, Clone)]
pub(super) struct Plan {
    pub(super) files: Vec<File>,
    /// In the order of the log.
    pub(super) transactions: Vec<Transaction>,
    pub(super) start: Start,
    /// What an operator must know of the end.
    pub(super) notices: Vec<Notice>,
}

impl Plan {
    /// Of a job: what its logs have after where the target stands, up to the point.
    ///
    /// # Errors
    /// The logs can not be read, have a gap, or do not lead to the point.
    pub(super) fn of(job: &RecoverJob) -> Result<Self, EngineError> {
        let logs = load::load(job)?;
        let (start, transactions) = start::after(job.from(), job.logs(), &logs.files, logs.transactions)?;
        let (transactions, notices) = point::up_to(job.point(), &start, job.logs(), &logs.files, transactions)?;
        Ok(Self {
            files: logs.files,
            transactions,
            start,
            notices,
        })
    }

    /// Whether each transaction has a GTID.
    pub(super) fn has_gtids(&self) -> bool {
        !matches!(self.start, Start::Place(_))
    }

    /// The MySQL set of its transactions.
    pub(super) fn gtid_set(&self) -> GtidSet {
        let gtid = |transaction: &Transaction| match &transaction.name {
            Name::Mysql(gtid) => Some(gtid.clone()),
            _ => None,
        };
        self.transactions.iter().filter_map(gtid).collect()
    }

    /// The MariaDB position after a target that stands at `start` has applied all.
    pub(super) fn gtid_position(&self, start: &GtidPosition) -> GtidPosition {
        let mut position = start.clone();
        for transaction in &self.transactions {
            if let Name::Mariadb(gtid) = transaction.name {
                position.set(gtid);
            }
        }
        position
    }

    /// Where a target stands that has applied all.
    pub(super) fn end(&self) -> Vec<Position> {
        let by_gtid = match &self.start {
            Start::Mysql(from) => Some(Position::mysql_gtid(&from.union(&self.gtid_set()))),
            Start::Mariadb(from) => Some(Position::mariadb_gtid(&self.gtid_position(from))),
            Start::Place(_) => None,
        };
        let place = self.transactions.last().and_then(|last| {
            let (_, end) = last.place?;
            BinlogFile::new(self.files[last.file].name.clone(), end).ok()
        });
        by_gtid
            .into_iter()
            .chain(place.map(|place| Position::binlog_file(&place)))
            .collect()
    }

    /// How many bytes are replayed.
    pub(super) fn bytes(&self) -> u64 {
        self.transactions.iter().map(|transaction| transaction.length).sum()
    }
}
