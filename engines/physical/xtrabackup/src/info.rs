//! What the tool says of a backup, in its own small files: positions and log sequence numbers.
//!
//! `xtrabackup_binlog_info`, `xtrabackup_checkpoints`, `xtrabackup_slave_info` and `xtrabackup_info`; MariaDB from 11.1 on calls them
//! `mariadb_backup_…`.

use std::collections::BTreeMap;

use backstay_engine_api::position::mariadb::GtidPosition;
use backstay_engine_api::position::mysql::GtidSet;
use backstay_engine_api::position::{BinlogFile, PointInTime};
use backstay_engine_api::{EngineError, ErrorKind, Position};

use crate::xbstream::Dialect;

/// How the tools begin the names of their own files.
const PREFIXES: [&str; 2] = ["xtrabackup_", "mariadb_backup_"];

/// Log sequence numbers of a backup, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Checkpoints {
    /// Pages newer than this are in it; 0 for a full backup.
    pub(crate) from_lsn: u64,
    /// The checkpoint that the next incremental starts from.
    pub(crate) to_lsn: u64,
    /// The end of the redo log that was copied.
    pub(crate) last_lsn: u64,
}

/// The tool's own files of a backup, by path.
#[derive(Debug)]
pub(crate) struct Info(BTreeMap<String, Vec<u8>>);

/// Whether a path is one of the tool's own files.
pub(crate) fn is_own(path: &str) -> bool {
    PREFIXES.iter().any(|prefix| path.starts_with(prefix)) || path == "backup-my.cnf"
}

/// Whether it is one that [`Info`] reads.
pub(crate) fn is_read(path: &str) -> bool {
    ["binlog_info", "checkpoints", "slave_info"]
        .iter()
        .any(|name| is_called(path, name))
}

fn is_called(path: &str, name: &str) -> bool {
    PREFIXES.iter().any(|prefix| path.strip_prefix(prefix) == Some(name))
}

impl Info {
    pub(crate) fn new(files: BTreeMap<String, Vec<u8>>) -> Self {
        Self(files)
    }

    fn text(&self, name: &str) -> Option<String> {
        let (_, bytes) = self.0.iter().find(|(path, _)| is_called(path, name))?;
        Some(String::from_utf8_lossy(bytes).into_owned())
    }

    /// The log sequence numbers.
    ///
    /// # Errors
    /// The file is missing or not of its form.
    pub(crate) fn checkpoints(&self) -> Result<Checkpoints, EngineError> {
        let text = self.text("checkpoints").unwrap_or_default();
        let number = |key: &str| {
            let value = text
                .lines()
                .filter_map(|line| line.split_once('='))
                .find(|(name, _)| name.trim() == key)
                .and_then(|(_, value)| value.trim().parse().ok());
            value.ok_or_else(|| {
                EngineError::new(
                    ErrorKind::Program,
                    format!("the tool's file of checkpoints has no number `{key}`"),
                )
                .detail(text.clone())
            })
        };
        Ok(Checkpoints {
            from_lsn: number("from_lsn")?,
            to_lsn: number("to_lsn")?,
            last_lsn: number("last_lsn")?,
        })
    }

    /// Where the binary log stands, by GTID first; none if the server writes none.
    ///
    /// # Errors
    /// What the tool says can not be read.
    pub(crate) fn positions(&self, dialect: Dialect) -> Result<Vec<Position>, EngineError> {
        let Some(text) = self.text("binlog_info").filter(|text| !text.trim().is_empty()) else {
            return Ok(Vec::new());
        };
        let unread = |error: &(dyn std::error::Error + 'static)| {
            EngineError::new(
                ErrorKind::Program,
                "the tool's position in the binary log can not be read",
            )
            .because(error)
            .detail(text.trim().to_owned())
        };
        let mut fields = text.splitn(3, '\t');
        let (file, offset) = (fields.next().unwrap_or_default(), fields.next().unwrap_or_default());
        // A set goes on over several lines.
        let gtids: String = fields.next().unwrap_or_default().split_whitespace().collect();
        let now = PointInTime::now();
        let mut positions = Vec::new();
        match dialect {
            Dialect::MariaDb => {
                let position: GtidPosition = gtids.parse().map_err(|error| unread(&error))?;
                positions.push(Position::mariadb_gtid(&position).at(now));
            }
            Dialect::Percona if !gtids.is_empty() => {
                let set: GtidSet = gtids.parse().map_err(|error| unread(&error))?;
                positions.push(Position::mysql_gtid(&set).at(now));
            }
            Dialect::Percona => {}
        }
        let place: BinlogFile = format!("{}:{}", file.trim(), offset.trim())
            .parse()
            .map_err(|error| unread(&error))?;
        positions.push(Position::binlog_file(&place).at(now));
        Ok(positions)
    }

    /// A replica's place in its source's log, as the statement that a new replica is set up with.
    pub(crate) fn replica(&self) -> Option<String> {
        self.text("slave_info").map(|text| text.trim().to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn info(files: &[(&str, &str)]) -> Info {
        let own = |(path, text): &(&str, &str)| ((*path).to_owned(), text.as_bytes().to_vec());
        Info::new(files.iter().map(own).collect())
    }

    fn shown(info: &Info, dialect: Dialect) -> Vec<String> {
        info.positions(dialect)
            .unwrap()
            .iter()
            .map(ToString::to_string)
            .collect()
    }

    #[test]
    fn positions_of_both_tools() {
        let mariadb = info(&[("xtrabackup_binlog_info", "binlog.000001\t108822\t0-7-6\n")]);
        assert_eq!(
            shown(&mariadb, Dialect::MariaDb),
            ["mariadb-gtid 0-7-6", "binlog-file binlog.000001:108822"]
        );
        let newer = info(&[("mariadb_backup_binlog_info", "binlog.000001\t328\t\n")]);
        assert_eq!(
            shown(&newer, Dialect::MariaDb),
            ["mariadb-gtid ", "binlog-file binlog.000001:328"]
        );
        let set =
            "binlog.000004\t196\t3e11fa47-71ca-11e1-9e33-c80aa9429562:1-5,\n4e11fa47-71ca-11e1-9e33-c80aa9429562:1\n";
        assert_eq!(
            shown(&info(&[("xtrabackup_binlog_info", set)]), Dialect::Percona),
            [
                "mysql-gtid 3e11fa47-71ca-11e1-9e33-c80aa9429562:1-5,4e11fa47-71ca-11e1-9e33-c80aa9429562:1",
                "binlog-file binlog.000004:196"
            ]
        );
        let without = info(&[("xtrabackup_binlog_info", "binlog.000004\t196\n")]);
        assert_eq!(shown(&without, Dialect::Percona), ["binlog-file binlog.000004:196"]);
        assert_eq!(shown(&info(&[]), Dialect::MariaDb), [""; 0]);
        assert!(
            info(&[("xtrabackup_binlog_info", "nonsense")])
                .positions(Dialect::MariaDb)
                .is_err()
        );
    }

    #[test]
    fn checkpoints() {
        let text = "backup_type = incremental\nfrom_lsn = 44404\nto_lsn = 44410\nlast_lsn = 295596\nflushed_lsn = 1\n";
        let found = info(&[("xtrabackup_checkpoints", text)]).checkpoints().unwrap();
        assert_eq!((found.from_lsn, found.to_lsn, found.last_lsn), (44404, 44410, 295_596));
        assert!(
            info(&[("xtrabackup_checkpoints", "from_lsn = x")])
                .checkpoints()
                .is_err()
        );
        assert!(info(&[]).checkpoints().is_err());
    }
}
