//! What a replica asks before it asks for events, and what it is told.
//!
//! The questions are those of MySQL 8.0 to 9.7 and MariaDB 10.6 to 11. What is not known is answered as a server answers for a
//! variable that it does not have: a replica that can do without goes on.

use std::time::{SystemTime, UNIX_EPOCH};

use backstay_engine_api::position::mariadb::GtidPosition;

use super::Identity;
use crate::binlog::Checksum;

/// The answer to a statement.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Reply {
    Ok,
    /// One row of one column; `None` is NULL.
    Value {
        column: String,
        value: Option<String>,
    },
    /// One row of SHOW VARIABLES.
    Variable {
        name: String,
        value: String,
    },
    /// `ER_UNKNOWN_SYSTEM_VARIABLE`.
    Unknown(String),
    /// A statement that can not be understood.
    Bad(String),
}

/// What a connection has said of itself.
#[derive(Debug, Default)]
pub(super) struct Said {
    /// Where a MariaDB replica stands: `@slave_connect_state`.
    pub(super) stands_at: Option<GtidPosition>,
    /// How often it wants to hear of us, in nanoseconds.
    pub(super) heartbeat: Option<u64>,
}

pub(super) fn answer(identity: &Identity, said: &mut Said, statement: &str) -> Reply {
    let statement = statement.trim().trim_end_matches(';');
    let lower = statement.to_ascii_lowercase();
    if let Some(assignments) = lower.strip_prefix("set ") {
        return set(said, assignments);
    }
    if let Some(expression) = lower.strip_prefix("select ") {
        let column = statement["select ".len()..].trim().to_owned();
        return match value(identity, expression.trim()) {
            Some(value) => Reply::Value { column, value },
            None => Reply::Unknown(column),
        };
    }
    if lower.starts_with("show ") && lower.contains("variables like") {
        let name = lower.split('\'').nth(1).unwrap_or_default().to_owned();
        return match value(identity, &format!("@@global.{name}")).flatten() {
            Some(value) => Reply::Variable { name, value },
            None => Reply::Unknown(name),
        };
    }
    Reply::Bad(statement.chars().take(80).collect())
}

fn set(said: &mut Said, assignments: &str) -> Reply {
    // `@a = x, @b = y`: the ones that matter come alone.
    let Some((name, text)) = assignments.split_once('=') else {
        return Reply::Ok;
    };
    let text = text.trim().trim_matches('\'');
    match name.trim() {
        "@slave_connect_state" => match text.parse() {
            Ok(position) => said.stands_at = Some(position),
            Err(_) => return Reply::Bad(format!("@slave_connect_state={text}")),
        },
        "@master_heartbeat_period" | "@source_heartbeat_period" => said.heartbeat = text.parse().ok(),
        _ => {}
    }
    Reply::Ok
}

/// The value of an expression; `None` if there is no such thing, `Some(None)` if it is NULL.
fn value(identity: &Identity, expression: &str) -> Option<Option<String>> {
    let variable = expression.strip_prefix("@@global.").or(expression.strip_prefix("@@"));
    let known = match variable.unwrap_or(expression) {
        "unix_timestamp()" => {
            let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
            now.as_secs().to_string()
        }
        "server_id" => identity.server_id.to_string(),
        "server_uuid" if !identity.mariadb => identity.uuid.to_string(),
        "gtid_mode" if !identity.mariadb => if identity.gtids { "ON" } else { "OFF" }.to_owned(),
        "gtid_domain_id" if identity.mariadb => "0".to_owned(),
        "version" => identity.version.clone(),
        "time_zone" => "SYSTEM".to_owned(),
        "collation_server" => "utf8mb4_general_ci".to_owned(),
        "@master_binlog_checksum" | "@source_binlog_checksum" => if identity.checksum == Checksum::Crc32 {
            "CRC32"
        } else {
            "NONE"
        }
        .to_owned(),
        "rpl_semi_sync_master_enabled" | "rpl_semi_sync_source_enabled" => "0".to_owned(),
        _ => return None,
    };
    Some(Some(known))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn identity(mariadb: bool) -> Identity {
        Identity {
            server_id: 77,
            uuid: "3e11fa47-71ca-11e1-9e33-c80aa9429562".parse().unwrap(),
            version: "9.7.0".to_owned(),
            mariadb,
            gtids: true,
            checksum: Checksum::Crc32,
            target_id: 78,
        }
    }

    fn told(mariadb: bool, statement: &str) -> Option<String> {
        match answer(&identity(mariadb), &mut Said::default(), statement) {
            Reply::Value { value, .. } => value,
            Reply::Variable { value, .. } => Some(value),
            other => Some(format!("{other:?}")),
        }
    }

    #[test]
    fn what_replicas_ask() {
        for (mariadb, statement, told_is) in [
            (false, "SELECT @@GLOBAL.SERVER_ID", "77"),
            (
                false,
                "SELECT @@GLOBAL.SERVER_UUID",
                "3e11fa47-71ca-11e1-9e33-c80aa9429562",
            ),
            (false, "SELECT @@GLOBAL.GTID_MODE", "ON"),
            (false, "SELECT @source_binlog_checksum", "CRC32"),
            (false, "SET @source_binlog_checksum = @@global.binlog_checksum", "Ok"),
            (false, "SET @replica_uuid = 'x', @slave_uuid = 'x'", "Ok"),
            (true, "SHOW VARIABLES LIKE 'SERVER_ID'", "77"),
            (true, "SELECT @@GLOBAL.gtid_domain_id", "0"),
            (true, "SET @mariadb_slave_capability=4", "Ok"),
            (true, "SELECT @@GLOBAL.SERVER_UUID", "Unknown(\"@@GLOBAL.SERVER_UUID\")"),
            (true, "DROP DATABASE shop", "Bad(\"DROP DATABASE shop\")"),
        ] {
            assert_eq!(told(mariadb, statement).as_deref(), Some(told_is), "{statement}");
        }
        let now: u64 = told(true, "SELECT UNIX_TIMESTAMP()").unwrap().parse().unwrap();
        assert!(now > 1_700_000_000);
    }

    #[test]
    fn where_a_mariadb_replica_stands() {
        let mut said = Said::default();
        let reply = answer(&identity(true), &mut said, "SET @slave_connect_state='0-1-270,7-3-15'");
        assert_eq!(reply, Reply::Ok);
        assert_eq!(said.stands_at.unwrap().to_string(), "0-1-270,7-3-15");
        let reply = answer(&identity(true), &mut Said::default(), "SET @slave_connect_state='x'");
        assert!(matches!(reply, Reply::Bad(_)));
    }
}
