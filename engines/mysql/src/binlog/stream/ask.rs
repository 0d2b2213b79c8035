//! What a replica says before a server sends it the log.

use std::fmt;

use backstay_engine_api::position::BinlogFile;
use backstay_engine_api::position::mariadb::GtidPosition;
use backstay_engine_api::position::mysql::GtidSet;
use backstay_engine_api::{EngineError, ErrorKind};

use super::Mode;
use crate::binlog::gtid_set::encode_gtid_set;
use crate::raw::{Dump, RawSession};
use crate::session::{Session, quote_text};

const BINLOG_DUMP: u8 = 0x12;
const REGISTER_REPLICA: u8 = 0x15;
const BINLOG_DUMP_GTID: u8 = 0x1e;
/// The server is to end at the log's end.
const NON_BLOCK: u16 = 1;
/// MariaDB: the server is to send the statements that rows come from, which it leaves out otherwise.
const ANNOTATE_ROWS: u16 = 2;
/// Where the first event of a file is.
const FIRST: u32 = 4;
/// How often the server says that nothing is new, in nanoseconds.
const HEARTBEAT: u64 = 1_000_000_000;

/// From where a log is read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Start {
    /// All transactions that are not in this set of MySQL's.
    Gtid(GtidSet),
    /// All transactions after this position of MariaDB's.
    Mariadb(GtidPosition),
    /// All from this place on, the end of an event.
    File(BinlogFile),
}

impl fmt::Display for Start {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Gtid(set) if set.is_empty() => f.write_str("its beginning"),
            Self::Gtid(set) => write!(f, "GTID set {set}"),
            Self::Mariadb(position) if position.is_empty() => f.write_str("its beginning"),
            Self::Mariadb(position) => write!(f, "GTID position {position}"),
            Self::File(place) => write!(f, "{place}"),
        }
    }
}

/// Connects, says who we are, and asks.
pub(super) fn ask(session: &mut Session, start: &Start, mode: Mode) -> Result<Dump, EngineError> {
    let mut raw = RawSession::like(session)?;
    // As a replica that reads checksums: then the server sends events as they are in its file.
    raw.run("SET @master_binlog_checksum = 'CRC32', @source_binlog_checksum = 'CRC32'")?;
    raw.run(format!(
        "SET @master_heartbeat_period = {HEARTBEAT}, @source_heartbeat_period = {HEARTBEAT}"
    ))?;
    if session.flavour().is_mariadb() {
        // 4: it knows GTIDs, and all events since MariaDB 10.0. Strict: a GTID that is missing between others is an error.
        raw.run("SET @mariadb_slave_capability = 4, @slave_gtid_strict_mode = 1, @slave_gtid_ignore_duplicates = 0")?;
        if let Start::Mariadb(position) = start {
            raw.run(format!(
                "SET @slave_connect_state = {}",
                quote_text(&position.to_string())
            ))?;
        }
    } else {
        // The server ends another connection with the same id, which this is nobody's but ours.
        raw.run("SET @slave_uuid = UUID()")?;
        raw.run("SET @replica_uuid = @slave_uuid")?;
    }
    let annotate = if session.flavour().is_mariadb() {
        ANNOTATE_ROWS
    } else {
        0
    };
    let (flags, server_id) = match mode {
        // With 0 it is no replica, as the servers' own tools are none.
        Mode::Once => (NON_BLOCK | annotate, 0),
        Mode::Follow => (annotate, free_server_id(session)?),
    };
    if mode == Mode::Follow {
        register(&mut raw, server_id)?;
    }
    let (code, body) = command(start, flags, server_id)?;
    let mut dump = raw.dump(code, &body, "COM_BINLOG_DUMP")?;
    if mode == Mode::Follow {
        dump.gather();
    }
    Ok(dump)
}

fn command(start: &Start, flags: u16, server_id: u32) -> Result<(u8, Vec<u8>), EngineError> {
    let mut body = Vec::new();
    let code = match start {
        Start::Gtid(set) => {
            let set = encode_gtid_set(set);
            body.extend(flags.to_le_bytes());
            body.extend(server_id.to_le_bytes());
            // No file: the server looks for the one that has the first transaction that is not in the set.
            body.extend(0_u32.to_le_bytes());
            body.extend(u64::from(FIRST).to_le_bytes());
            body.extend((set.len() as u32).to_le_bytes());
            body.extend(set);
            BINLOG_DUMP_GTID
        }
        Start::Mariadb(_) => {
            file_body(&mut body, FIRST, flags, server_id, "");
            BINLOG_DUMP
        }
        Start::File(place) => {
            let offset = u32::try_from(place.offset()).map_err(|_| {
                EngineError::new(
                    ErrorKind::Refused,
                    format!("{place} is beyond the 4 GiB at which a replica without GTIDs can begin"),
                )
                .advise(super::FULL)
            })?;
            file_body(&mut body, offset, flags, server_id, place.file());
            BINLOG_DUMP
        }
    };
    Ok((code, body))
}

fn file_body(body: &mut Vec<u8>, offset: u32, flags: u16, server_id: u32, file: &str) {
    body.extend(offset.to_le_bytes());
    body.extend(flags.to_le_bytes());
    body.extend(server_id.to_le_bytes());
    body.extend(file.as_bytes());
}

/// Makes the connection one that SHOW REPLICAS shows.
fn register(raw: &mut RawSession, server_id: u32) -> Result<(), EngineError> {
    const HOST: &[u8] = b"backstay";
    let mut body = server_id.to_le_bytes().to_vec();
    body.push(HOST.len() as u8);
    body.extend(HOST);
    // No account, no password, no port; rank and source are the server's to fill in.
    body.extend([0, 0, 0, 0]);
    body.extend([0; 8]);
    raw.command(REGISTER_REPLICA, &body, "COM_REGISTER_SLAVE")
}

/// A server id that neither the server nor any of its replicas has: MariaDB ends a replica's connection when another one comes with the
/// same id.
fn free_server_id(session: &mut Session) -> Result<u32, EngineError> {
    let version = session.version();
    let replicas = match session.flavour().is_mariadb() {
        true if version.at_least(10, 5, 1) => "SHOW REPLICA HOSTS",
        false if version.at_least(8, 0, 22) => "SHOW REPLICAS",
        _ => "SHOW SLAVE HOSTS",
    };
    let mut taken: Vec<u32> = session
        .query_named(replicas)?
        .iter()
        .filter_map(|row| row.get(&["Server_Id"])?.parse().ok())
        .collect();
    taken.extend(session.query_first::<u32>("SELECT @@GLOBAL.server_id")?);
    loop {
        // In the upper half, where nobody numbers servers by hand.
        let random: Option<u32> = session.query_first("SELECT 2147483648 + FLOOR(RAND() * 2147483647)")?;
        let id = random.ok_or_else(|| EngineError::other("the server gives no random number"))?;
        if !taken.contains(&id) {
            return Ok(id);
        }
    }
}
