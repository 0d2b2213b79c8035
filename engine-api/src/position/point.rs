//! The point to which a recovery goes.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::{BinlogFile, PointInTime, PositionError, mariadb, mysql};

/// How far to replay the logs.
///
/// In JSON `{"to": "latest"}`, `{"to": "time", "time": "2026-11-22T10:15:30+02:00"}`,
/// `{"to": "gtid", "kind": "mysql-gtid", "value": "uuid:1-20"}`, `{"to": "binlog-file", "file": "binlog.000042", "offset":
/// 157}`, `{"to": "before-gtid", "kind": "mariadb-gtid", "value": "0-1-270"}`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(tag = "to", rename_all = "kebab-case")]
pub enum RecoveryPoint {
    /// To the end of what was logged.
    Latest,
    /// To the last transaction before the first one in the log whose commit time is later than this.
    Time {
        /// The moment, itself included.
        time: PointInTime,
    },
    /// Up to these transactions, including them.
    Gtid(GtidTarget),
    /// Up to this place in the binary log, including the event that ends there.
    BinlogFile(BinlogFile),
    /// To just before this transaction.
    BeforeGtid(Transaction),
    /// Up to and including a position of a kind that only the engines of that database know.
    Position {
        /// The position.
        position: super::Position,
    },
}

/// The transactions that a recovery includes, in the words of the server's flavour.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(tag = "kind", content = "value")]
pub enum GtidTarget {
    /// All of a MySQL set.
    #[serde(rename = "mysql-gtid")]
    Mysql(mysql::GtidSet),
    /// In each of its domains, all up to the GTID of a MariaDB position.
    #[serde(rename = "mariadb-gtid")]
    Mariadb(mariadb::GtidPosition),
}

/// One transaction, in the words of the server's flavour.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(tag = "kind", content = "value")]
pub enum Transaction {
    /// MySQL's `uuid:number` or `uuid:tag:number`.
    #[serde(rename = "mysql-gtid")]
    Mysql(mysql::Gtid),
    /// MariaDB's `domain-server-sequence`.
    #[serde(rename = "mariadb-gtid")]
    Mariadb(mariadb::MariadbGtid),
}

impl RecoveryPoint {
    /// To a time, RFC 3339 with an offset.
    ///
    /// # Errors
    /// As [`PointInTime`] is parsed; [`PositionError::TimeWithoutOffset`] where only the offset is missing.
    pub fn time(text: &str) -> Result<Self, PositionError> {
        text.parse().map(|time| Self::Time { time })
    }

    /// Up to and including a MySQL GTID set or a MariaDB GTID position, whichever the text looks like.
    ///
    /// # Errors
    /// As [`GtidTarget`] is parsed.
    pub fn gtid(text: &str) -> Result<Self, PositionError> {
        text.parse().map(Self::Gtid)
    }

    /// Up to and including a place in the binary log, `file:offset`.
    ///
    /// # Errors
    /// As [`BinlogFile`] is parsed.
    pub fn binlog_file(text: &str) -> Result<Self, PositionError> {
        text.parse().map(Self::BinlogFile)
    }

    /// To just before one transaction of MySQL or of MariaDB, whichever the text looks like.
    ///
    /// # Errors
    /// As [`Transaction`] is parsed.
    pub fn before_gtid(text: &str) -> Result<Self, PositionError> {
        text.parse().map(Self::BeforeGtid)
    }
}

impl FromStr for GtidTarget {
    type Err = PositionError;

    /// MySQL's where there is a colon, MariaDB's otherwise. One that includes no transaction is no target.
    fn from_str(text: &str) -> Result<Self, PositionError> {
        let (target, empty) = if text.contains(':') {
            let set: mysql::GtidSet = text.parse()?;
            let empty = set.is_empty();
            (Self::Mysql(set), empty)
        } else {
            let position: mariadb::GtidPosition = text.parse()?;
            let empty = position.is_empty();
            (Self::Mariadb(position), empty)
        };
        if empty {
            return Err(PositionError::Malformed {
                what: "recovery point",
                expected: "at least one transaction",
                found: super::scan::quote(text),
                offset: 0,
                advice: "name the GTIDs to recover up to, such as uuid:1-20 (MySQL) or 0-1-270 (MariaDB)",
            });
        }
        Ok(target)
    }
}

impl FromStr for Transaction {
    type Err = PositionError;

    /// MySQL's where there is a colon, MariaDB's otherwise.
    fn from_str(text: &str) -> Result<Self, PositionError> {
        if text.contains(':') {
            text.parse().map(Self::Mysql)
        } else {
            text.parse().map(Self::Mariadb)
        }
    }
}

impl fmt::Display for GtidTarget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Mysql(set) => set.fmt(f),
            Self::Mariadb(position) => position.fmt(f),
        }
    }
}

impl fmt::Display for Transaction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Mysql(gtid) => gtid.fmt(f),
            Self::Mariadb(gtid) => gtid.fmt(f),
        }
    }
}

impl fmt::Display for RecoveryPoint {
    /// In words, to follow "recover to".
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Latest => f.write_str("the end of the log"),
            Self::Time { time } => time.fmt(f),
            Self::Gtid(target) => write!(f, "{target} (included)"),
            Self::BinlogFile(place) => write!(f, "{place} (included)"),
            Self::BeforeGtid(transaction) => write!(f, "just before {transaction}"),
            Self::Position { position } => write!(f, "{} {}", position.kind, position.value),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GTID: &str = "3e11fa47-71ca-11e1-9e33-c80aa9429562:audit:23";

    fn same(point: RecoveryPoint, json: &str, words: &str) {
        assert_eq!(serde_json::to_string(&point).unwrap(), json);
        assert_eq!(serde_json::from_str::<RecoveryPoint>(json).unwrap(), point);
        assert_eq!(point.to_string(), words);
    }

    #[test]
    fn json_and_words() {
        same(RecoveryPoint::Latest, r#"{"to":"latest"}"#, "the end of the log");
        same(
            RecoveryPoint::time("2026-11-22T10:15:30.123456+02:00").unwrap(),
            r#"{"to":"time","time":"2026-11-22T10:15:30.123456+02:00"}"#,
            "2026-11-22T10:15:30.123456+02:00",
        );
        same(
            RecoveryPoint::gtid(GTID).unwrap(),
            &format!(r#"{{"to":"gtid","kind":"mysql-gtid","value":"{GTID}"}}"#),
            &format!("{GTID} (included)"),
        );
        same(
            RecoveryPoint::gtid("7-3-15, 0-1-270").unwrap(),
            r#"{"to":"gtid","kind":"mariadb-gtid","value":"0-1-270,7-3-15"}"#,
            "0-1-270,7-3-15 (included)",
        );
        same(
            RecoveryPoint::binlog_file("binlog.000042:157").unwrap(),
            r#"{"to":"binlog-file","file":"binlog.000042","offset":157}"#,
            "binlog.000042:157 (included)",
        );
        same(
            RecoveryPoint::before_gtid(GTID).unwrap(),
            &format!(r#"{{"to":"before-gtid","kind":"mysql-gtid","value":"{GTID}"}}"#),
            &format!("just before {GTID}"),
        );
        same(
            RecoveryPoint::before_gtid("0-1-270").unwrap(),
            r#"{"to":"before-gtid","kind":"mariadb-gtid","value":"0-1-270"}"#,
            "just before 0-1-270",
        );
    }

    #[test]
    fn no_transaction_is_no_point() {
        for text in ["", " ", "3e11fa47-71ca-11e1-9e33-c80aa9429562:audit"] {
            let error = RecoveryPoint::gtid(text).unwrap_err().to_string();
            assert!(
                error.starts_with("recovery point: expected at least one transaction at byte 0"),
                "{error}"
            );
        }
        assert!(RecoveryPoint::before_gtid("0-1-270,7-3-15").is_err());
        assert!(RecoveryPoint::before_gtid("3e11fa47-71ca-11e1-9e33-c80aa9429562:1-5").is_err());
    }

    #[test]
    fn json_is_checked_as_text_is() {
        let json = r#"{"to":"time","time":"2026-11-22T10:15:30"}"#;
        let error = serde_json::from_str::<RecoveryPoint>(json).unwrap_err().to_string();
        assert!(error.contains("expected an offset from UTC"), "{error}");
    }
}
