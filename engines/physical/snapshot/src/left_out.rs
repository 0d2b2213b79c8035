//! [`LeftOut`]: what in a data directory is no part of a backup.
//!
//! The binary logs are archived by other means and can be larger than the data: the redo log is written out before the instant, so that
//! recovery does not need them. Relay logs and a replica's coordinates are of this server and no other, as are `auto.cnf`, keys for TLS,
//! sockets and process ids. Temporary tablespaces are made anew at each start.

use std::path::Path;

use backstay_engine_api::EngineError;
use backstay_mysql::Session;
use backstay_physical::MARK;

/// Numbered logs and their indexes are called after these variables' values.
const LOGS: [&str; 2] = ["log_bin_basename", "relay_log_basename"];
/// Single files, which are often outside the data directory.
const FILES: [&str; 5] = [
    "pid_file",
    "socket",
    "log_error",
    "general_log_file",
    "slow_query_log_file",
];
/// What servers make at the top of a data directory, whatever they are told.
const OWN: [&str; 6] = [
    "auto.cnf",
    "lost+found",
    "#innodb_temp",
    "master.info",
    "relay-log.info",
    "multi-master.info",
];

/// Decides it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct LeftOut {
    /// Beginnings of the names of numbered logs.
    logs: Vec<String>,
    /// Paths from the data directory.
    files: Vec<String>,
}

impl LeftOut {
    /// As a server says.
    ///
    /// # Errors
    /// The session was lost.
    pub(crate) fn of(session: &mut Session, data_dir: &Path) -> Result<Self, EngineError> {
        let below = |value: String| {
            let path = Path::new(&value);
            let path = path.strip_prefix(data_dir).unwrap_or(path);
            let inside = !value.is_empty() && path.is_relative();
            inside.then(|| path.to_string_lossy().trim_start_matches("./").to_owned())
        };
        let mut left_out = Self::default();
        for name in LOGS {
            left_out.logs.extend(session.variable(name)?.and_then(below));
        }
        for name in FILES {
            left_out.files.extend(session.variable(name)?.and_then(below));
        }
        Ok(left_out)
    }

    /// Adds what another leaves out.
    pub(crate) fn or(&mut self, other: Self) {
        self.logs.extend(other.logs);
        self.files.extend(other.files);
    }

    /// Of a directory on which no server runs: its binary logs are called so.
    pub(crate) fn offline(logs: Vec<String>) -> Self {
        Self {
            logs,
            files: Vec::new(),
        }
    }

    /// Whether a file or a directory, by its path from the data directory, is left out.
    pub(crate) fn has(&self, path: &str) -> bool {
        if self.files.iter().any(|file| file == path) || self.logs.iter().any(|log| is_log(path, log)) {
            return true;
        }
        // The rest is at the top.
        !path.contains('/')
            && (OWN.contains(&path)
                || path.starts_with(MARK)
                || path.starts_with("ibtmp")
                || path.ends_with(".pem")
                || path.ends_with(".pid")
                || path.ends_with(".sock.lock")
                || is_of_a_channel(path))
    }
}

/// `binlog.000001`, `binlog.index`, `binlog.state`, `relay-bin-channel.000001`.
fn is_log(path: &str, base: &str) -> bool {
    let Some(rest) = path.strip_prefix(base) else {
        return false;
    };
    let Some((channel, end)) = rest.split_once('.') else {
        return false;
    };
    let number = !end.is_empty() && end.bytes().all(|byte| byte.is_ascii_digit());
    (channel.is_empty() || channel.starts_with('-'))
        && (number || end.starts_with("index") || end == "state" || end == "~rec~")
}

/// `master-channel.info`, `relay-log-channel.info` of MariaDB.
fn is_of_a_channel(path: &str) -> bool {
    path.ends_with(".info") && (path.starts_with("master-") || path.starts_with("relay-log-"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_data_and_what_is_not() {
        let left_out = LeftOut {
            logs: vec!["binlog".into(), "vm-relay-bin".into()],
            files: vec!["vm.err".into()],
        };
        for (path, expected) in [
            ("binlog.000001", true),
            ("binlog.index", true),
            ("binlog.state", true),
            ("vm-relay-bin.000002", true),
            ("vm-relay-bin-x.000002", true),
            ("vm-relay-bin-x.index", true),
            ("vm.err", true),
            ("auto.cnf", true),
            ("ibtmp1", true),
            ("#innodb_temp", true),
            ("server-key.pem", true),
            ("relay-log-x.info", true),
            (".backstay-x", true),
            ("binlog", false),
            ("binlog.ibd", false),
            ("binlog/t.ibd", false),
            ("binlogs.000001", false),
            ("shop/auto.cnf", false),
            ("shop/x.pem", false),
            ("ibdata1", false),
            ("mysqld-auto.cnf", false),
            ("ddl_recovery.log", false),
            ("aria_log.00000001", false),
            ("#innodb_redo", false),
            ("#ib_16384_0.dblwr", false),
        ] {
            assert_eq!(left_out.has(path), expected, "{path}");
        }
    }
}
