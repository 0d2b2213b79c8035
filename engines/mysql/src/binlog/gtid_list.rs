//! MariaDB's `Gtid_list`: the last GTID of each domain and server before a file.

use backstay_engine_api::position::mariadb::{GtidPosition, MariadbGtid};

use super::bytes::{Bytes, Malformed};

/// The position that a `Gtid_list` shows. Of a domain it lists the last GTID of each server, the one that was logged last at the end.
pub(super) fn parse(body: &[u8]) -> Result<GtidPosition, Malformed> {
    const FLAGS: u32 = 0xf000_0000;
    let mut bytes = Bytes::new("Gtid_list event", body);
    let count = bytes.u32()? & !FLAGS;
    let mut position = GtidPosition::new();
    for _ in 0..count {
        position.set(MariadbGtid {
            domain: bytes.u32()?,
            server: bytes.u32()?,
            sequence: bytes.u64()?,
        });
    }
    Ok(position)
}
