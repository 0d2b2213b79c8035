//! Where a server's history stands, and to which point a recovery goes.
//!
//! A [`Position`] is what an engine reports with a backup and what the repository keeps: a kind, a value as text, and
//! perhaps the time at which it was true. [`Position::typed`] gives what the host knows of its kind, with the algebra that
//! belongs to it: MySQL's GTID sets ([`mysql`]), MariaDB's GTID positions ([`mariadb`]), places in a binary log
//! ([`BinlogFile`]) and InnoDB's log sequence numbers. An engine may report a kind that the host does not know; such
//! positions are compared for equality only.
//!
//! A [`RecoveryPoint`] is where an operator wants to go.

use std::borrow::Cow;
use std::cmp::Ordering;
use std::fmt;

use serde::{Deserialize, Serialize};

mod binlog;
mod error;
pub mod mariadb;
pub mod mysql;
mod point;
mod scan;
mod time;

pub use binlog::BinlogFile;
pub use error::PositionError;
pub use point::{GtidTarget, RecoveryPoint, Transaction};
pub use time::PointInTime;

/// The kind of a [`Position`]: which server or engine mechanism its value belongs to.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct PositionKind(Cow<'static, str>);

impl PositionKind {
    /// A MySQL GTID set, [`mysql::GtidSet`].
    pub const MYSQL_GTID: Self = Self(Cow::Borrowed("mysql-gtid"));
    /// A MariaDB GTID position, [`mariadb::GtidPosition`].
    pub const MARIADB_GTID: Self = Self(Cow::Borrowed("mariadb-gtid"));
    /// A place in a binary log, [`BinlogFile`].
    pub const BINLOG_FILE: Self = Self(Cow::Borrowed("binlog-file"));
    /// An InnoDB log sequence number, in bytes, as a decimal number.
    pub const INNODB_LSN: Self = Self(Cow::Borrowed("innodb-lsn"));

    /// The kind of this name; one of an engine's own should start with the vendor's name.
    pub fn new(name: impl Into<Cow<'static, str>>) -> Self {
        Self(name.into())
    }

    /// Its name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for PositionKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Where a server's history stood.
///
/// `==` compares what is written; [`compare`](Self::compare) compares what is meant.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Position {
    /// What kind of position it is.
    pub kind: PositionKind,
    /// The position, in the text form of its kind.
    pub value: String,
    /// When the server stood there: RFC 3339 with an offset, a [`PointInTime`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time: Option<String>,
}

/// A position in the form that its kind has.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum TypedPosition {
    /// The transactions that a MySQL server has.
    MysqlGtid(mysql::GtidSet),
    /// The last transaction of each domain on a MariaDB server.
    MariadbGtid(mariadb::GtidPosition),
    /// A place in a server's binary log.
    BinlogFile(BinlogFile),
    /// An InnoDB log sequence number, in bytes.
    InnodbLsn(u64),
    /// A kind that the host does not know.
    Other,
}

/// How one position stands to another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Order {
    /// They are the same.
    Equal,
    /// The first is on the way to the second.
    Before,
    /// The second is on the way to the first.
    After,
    /// Neither is on the way to the other: each has something that the other lacks.
    Diverged,
    /// Of their kind it is known only that they are not equal.
    Incomparable,
}

impl Order {
    /// The order of two positions, by whether the second has all that the first has, and the other way round.
    fn of(second_has_first: bool, first_has_second: bool) -> Self {
        match (second_has_first, first_has_second) {
            (true, true) => Self::Equal,
            (true, false) => Self::Before,
            (false, true) => Self::After,
            (false, false) => Self::Diverged,
        }
    }
}

impl From<Ordering> for Order {
    fn from(ordering: Ordering) -> Self {
        match ordering {
            Ordering::Less => Self::Before,
            Ordering::Equal => Self::Equal,
            Ordering::Greater => Self::After,
        }
    }
}

impl Position {
    /// A position of any kind. For the kinds that the host knows, the other constructors cannot go wrong.
    pub fn new(kind: PositionKind, value: impl Into<String>) -> Self {
        Self {
            kind,
            value: value.into(),
            time: None,
        }
    }

    /// The position of a MySQL server that has these transactions.
    pub fn mysql_gtid(set: &mysql::GtidSet) -> Self {
        Self::new(PositionKind::MYSQL_GTID, set.to_string())
    }

    /// The position of a MariaDB server.
    pub fn mariadb_gtid(position: &mariadb::GtidPosition) -> Self {
        Self::new(PositionKind::MARIADB_GTID, position.to_string())
    }

    /// A place in a server's binary log.
    pub fn binlog_file(place: &BinlogFile) -> Self {
        Self::new(PositionKind::BINLOG_FILE, place.to_string())
    }

    /// An InnoDB log sequence number, in bytes.
    pub fn innodb_lsn(lsn: u64) -> Self {
        Self::new(PositionKind::INNODB_LSN, lsn.to_string())
    }

    /// This position, with the time at which the server stood there.
    #[must_use]
    pub fn at(mut self, time: PointInTime) -> Self {
        self.time = Some(time.to_string());
        self
    }

    /// The position in the form that its kind has.
    ///
    /// # Errors
    /// As the value of its kind is parsed; a kind that is not known never fails.
    pub fn typed(&self) -> Result<TypedPosition, PositionError> {
        Ok(match &*self.kind.0 {
            "mysql-gtid" => TypedPosition::MysqlGtid(self.value.parse()?),
            "mariadb-gtid" => TypedPosition::MariadbGtid(self.value.parse()?),
            "binlog-file" => TypedPosition::BinlogFile(self.value.parse()?),
            "innodb-lsn" => TypedPosition::InnodbLsn(parse_lsn(&self.value)?),
            _ => TypedPosition::Other,
        })
    }

    /// How this position stands to the other, as [`mysql::GtidSet::compare`], [`mariadb::GtidPosition::compare`],
    /// [`BinlogFile::compare`] and the numbers of LSNs say. Of a kind that is not known, positions with the same text are
    /// equal and all others incomparable.
    ///
    /// # Errors
    /// [`PositionError::DifferentKinds`], or what [`typed`](Self::typed) says of either.
    pub fn compare(&self, other: &Self) -> Result<Order, PositionError> {
        let different = || PositionError::DifferentKinds {
            left: self.kind.clone(),
            right: other.kind.clone(),
        };
        if self.kind != other.kind {
            return Err(different());
        }
        match (self.typed()?, other.typed()?) {
            (TypedPosition::MysqlGtid(left), TypedPosition::MysqlGtid(right)) => Ok(left.compare(&right)),
            (TypedPosition::MariadbGtid(left), TypedPosition::MariadbGtid(right)) => Ok(left.compare(&right)),
            (TypedPosition::BinlogFile(left), TypedPosition::BinlogFile(right)) => Ok(left.compare(&right)),
            (TypedPosition::InnodbLsn(left), TypedPosition::InnodbLsn(right)) => Ok(left.cmp(&right).into()),
            (TypedPosition::Other, TypedPosition::Other) if self.value == other.value => Ok(Order::Equal),
            (TypedPosition::Other, TypedPosition::Other) => Ok(Order::Incomparable),
            _ => Err(different()),
        }
    }

    /// When the server stood there, if that is known.
    ///
    /// # Errors
    /// As [`PointInTime`] is parsed.
    pub fn point_in_time(&self) -> Result<Option<PointInTime>, PositionError> {
        self.time.as_deref().map(str::parse).transpose()
    }
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.kind, self.value)
    }
}

fn parse_lsn(text: &str) -> Result<u64, PositionError> {
    const ADVICE: &str = "write the decimal number that the backup or SHOW ENGINE INNODB STATUS gives";
    let mut scan = scan::Scanner::new(text, "InnoDB LSN", ADVICE);
    scan.skip_space();
    let lsn = scan.number("a number of bytes", 0, u64::MAX)?;
    scan.skip_space();
    if scan.at_end() {
        Ok(lsn)
    } else {
        Err(scan.malformed("nothing more"))
    }
}

#[cfg(test)]
mod tests;
