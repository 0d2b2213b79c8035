//! Events of our own: what a piece of a log begins with, and what a source sends that is in no file.

use backstay_engine_api::position::mariadb::GtidPosition;
use backstay_engine_api::position::mysql::GtidSet;

use super::format::{CHECKSUM, Checksum, crc_of};
use super::gtid_set::encode_gtid_set;
use super::header::{EventFlags, EventType, HEADER, Header};

/// The head of an event that is to be made; its size is filled in.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Head {
    /// Seconds since 1970.
    pub timestamp: u32,
    /// The server that it is from.
    pub server_id: u32,
    /// Where it ends in its file; 0 if it is in none.
    pub end: u32,
    /// Its flags.
    pub flags: EventFlags,
}

/// An event with this body, and with a checksum where the format has one.
pub fn event(kind: EventType, head: Head, body: &[u8], checksum: Checksum) -> Vec<u8> {
    let trailer = match checksum {
        Checksum::None => 0,
        Checksum::Crc32 => CHECKSUM,
    };
    let size = HEADER + body.len() + trailer;
    let header = Header {
        timestamp: head.timestamp,
        kind,
        server_id: head.server_id,
        size: u32::try_from(size).unwrap_or(u32::MAX),
        end: head.end,
        flags: head.flags,
    };
    let mut bytes = Vec::with_capacity(size);
    bytes.extend(header.to_bytes());
    bytes.extend(body);
    if checksum == Checksum::Crc32 {
        bytes.extend(crc_of(&bytes).to_le_bytes());
    }
    bytes
}

/// The same event at another place of a file, and with other flags; its checksum is made anew.
pub fn placed(event: &[u8], end: u32, flags: EventFlags, checksum: Checksum) -> Vec<u8> {
    const END: usize = 13;
    const FLAGS: usize = 17;
    let mut bytes = event.to_vec();
    if bytes.len() >= HEADER {
        bytes[END..END + 4].copy_from_slice(&end.to_le_bytes());
        bytes[FLAGS..FLAGS + 2].copy_from_slice(&flags.0.to_le_bytes());
    }
    if checksum == Checksum::Crc32
        && let Some(at) = bytes.len().checked_sub(CHECKSUM)
    {
        let crc = crc_of(&bytes[..at]);
        bytes[at..].copy_from_slice(&crc.to_le_bytes());
    }
    bytes
}

/// `Rotate`: the log goes on in that file.
pub fn rotate(head: Head, file: &str, offset: u64, checksum: Checksum) -> Vec<u8> {
    let mut body = offset.to_le_bytes().to_vec();
    body.extend(file.as_bytes());
    event(EventType::ROTATE, head, &body, checksum)
}

/// MySQL's `Previous_gtids`: the transactions that come before.
pub fn previous_gtids(head: Head, set: &GtidSet, checksum: Checksum) -> Vec<u8> {
    event(EventType::PREVIOUS_GTIDS, head, &encode_gtid_set(set), checksum)
}

/// MariaDB's `Gtid_list`: the last transaction of each domain that comes before.
pub fn gtid_list(head: Head, position: &GtidPosition, checksum: Checksum) -> Vec<u8> {
    let gtids: Vec<_> = position.iter().collect();
    let mut body = (gtids.len() as u32).to_le_bytes().to_vec();
    for gtid in gtids {
        body.extend(gtid.domain.to_le_bytes());
        body.extend(gtid.server.to_le_bytes());
        body.extend(gtid.sequence.to_le_bytes());
    }
    if position.is_empty() {
        // What MariaDB writes too: its reader wants some bytes after the count.
        body.extend([0; 2]);
    }
    event(EventType::GTID_LIST, head, &body, checksum)
}

/// A heartbeat: the log ends there, and nothing happened.
pub fn heartbeat(head: Head, file: &str, checksum: Checksum) -> Vec<u8> {
    event(EventType::HEARTBEAT, head, file.as_bytes(), checksum)
}
