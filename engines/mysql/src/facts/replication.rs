//! A server as a replica: its channels, how far each is in its source's log, and how far behind.

use backstay_engine_api::EngineError;
use serde_json::{Map, Value, json};

use crate::session::{NamedRow, Session};

/// What SHOW REPLICA STATUS says.
#[derive(Debug, Default)]
pub(super) struct Replication {
    /// The largest lag of its channels, in seconds; `None` if one of them does not run.
    pub(super) lag: Option<f64>,
    /// `channels`, and what this server has applied.
    pub(super) coordinates: Map<String, Value>,
}

impl Replication {
    pub(super) fn is_replica(&self) -> bool {
        !self.coordinates.is_empty()
    }
}

pub(super) fn look(session: &mut Session) -> Result<Replication, EngineError> {
    let mariadb = session.flavour().is_mariadb();
    let statement = match (mariadb, session.version()) {
        (true, version) if version.at_least(10, 5, 1) => "SHOW ALL REPLICAS STATUS",
        (true, _) => "SHOW ALL SLAVES STATUS",
        (false, version) if version.at_least(8, 0, 22) => "SHOW REPLICA STATUS",
        (false, _) => "SHOW SLAVE STATUS",
    };
    let rows = session.query_named(statement)?;
    if rows.is_empty() {
        return Ok(Replication::default());
    }
    let lags: Option<Vec<f64>> = rows
        .iter()
        .map(|row| {
            row.get(&["Seconds_Behind_Source", "Seconds_Behind_Master"])?
                .parse()
                .ok()
        })
        .collect();
    let mut coordinates = Map::new();
    coordinates.insert("channels".to_owned(), rows.iter().map(channel).collect());
    let applied = if mariadb { "gtid_slave_pos" } else { "gtid_executed" };
    if let Some(value) = session.variable(applied)? {
        coordinates.insert(applied.to_owned(), json!(value.replace('\n', "")));
    }
    Ok(Replication {
        lag: lags.and_then(|lags| lags.into_iter().reduce(f64::max)),
        coordinates,
    })
}

/// The coordinates that CHANGE REPLICATION SOURCE takes: the source's log up to which this server has *executed*.
fn channel(row: &NamedRow) -> Value {
    let mut found = Map::new();
    let mut take = |key: &str, columns: &[&str]| {
        if let Some(text) = row.get(columns).filter(|text| !text.is_empty()) {
            found.insert(
                key.to_owned(),
                text.parse::<u64>()
                    .map_or_else(|_| json!(text.replace('\n', "")), |n| json!(n)),
            );
        }
    };
    take("channel", &["Channel_Name", "Connection_name"]);
    take("source_host", &["Source_Host", "Master_Host"]);
    take("source_port", &["Source_Port", "Master_Port"]);
    take("source_uuid", &["Source_UUID", "Master_UUID"]);
    take("source_server_id", &["Source_Server_Id", "Master_Server_Id"]);
    take("source_log_file", &["Relay_Source_Log_File", "Relay_Master_Log_File"]);
    take("source_log_pos", &["Exec_Source_Log_Pos", "Exec_Master_Log_Pos"]);
    take("receiver_running", &["Replica_IO_Running", "Slave_IO_Running"]);
    take("applier_running", &["Replica_SQL_Running", "Slave_SQL_Running"]);
    take("auto_position", &["Auto_Position", "Using_Gtid"]);
    take("last_error", &["Last_SQL_Error", "Last_IO_Error"]);
    Value::Object(found)
}

/// Whether it is a secondary of a MySQL group. A server or an account that can not say so is none.
pub(super) fn group_secondary(session: &mut Session) -> bool {
    const ROLE: &str =
        "SELECT MEMBER_ROLE FROM performance_schema.replication_group_members WHERE MEMBER_ID = @@server_uuid";
    if session.flavour().is_mariadb() {
        return false;
    }
    matches!(session.query_first::<String>(ROLE), Ok(Some(role)) if role == "SECONDARY")
}
