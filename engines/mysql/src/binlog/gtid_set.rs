//! MySQL's GTID sets as bytes: in `Previous_gtids` events, and in what a replica asks for.

use backstay_engine_api::position::mysql::{GtidSet, MAX_NUMBER, Tag, Tsid, Uuid};

use super::bytes::{Bytes, Malformed, text};

const WHAT: &str = "GTID set";

/// The bytes of a set. One with tags is in the form of MySQL 8.3 and later; any other in that which all versions read.
pub fn encode_gtid_set(set: &GtidSet) -> Vec<u8> {
    let sources: Vec<_> = set.sources().collect();
    let tagged = sources.iter().any(|(tsid, _)| tsid.tag.is_some());
    let count = sources.len() as u64;
    let mut bytes = Vec::new();
    let head = if tagged { 1 << 56 | count << 8 | 1 } else { count };
    bytes.extend(head.to_le_bytes());
    for (tsid, intervals) in sources {
        bytes.extend(tsid.uuid.as_bytes());
        if tagged {
            let tag = tsid.tag.as_ref().map_or("", Tag::as_str);
            // At most 32 bytes, so that the length is one byte of the serialisation library's numbers.
            bytes.push((tag.len() as u8) << 1);
            bytes.extend(tag.as_bytes());
        }
        bytes.extend((intervals.len() as u64).to_le_bytes());
        for interval in intervals {
            bytes.extend(interval.first().to_le_bytes());
            bytes.extend((interval.last() + 1).to_le_bytes());
        }
    }
    bytes
}

/// A set from its bytes.
///
/// # Errors
/// They are none.
pub fn decode_gtid_set(bytes: &[u8]) -> Result<GtidSet, Malformed> {
    let mut bytes = Bytes::new(WHAT, bytes);
    let head = bytes.u64()?;
    let (tagged, count) = match head >> 56 {
        0 => (false, head),
        1 => (true, head << 8 >> 16),
        odd => return Err(bytes.malformed(format!("expected form 0 or 1, found {odd}"))),
    };
    // By text, for a set's own constructors take one transaction at a time.
    let mut set = String::new();
    for _ in 0..count {
        let uuid = Uuid::from_bytes(bytes.array()?);
        let tag = if tagged { tag(&mut bytes)? } else { None };
        let intervals = bytes.u64()?;
        set.push_str(&Tsid { uuid, tag }.to_string());
        for _ in 0..intervals {
            let (first, next) = (bytes.u64()?, bytes.u64()?);
            if first == 0 || first >= next || next - 1 > MAX_NUMBER {
                return Err(bytes.malformed(format!("expected an interval, found {first} up to {next}")));
            }
            set.push_str(&format!(":{first}-{}", next - 1));
        }
        set.push(',');
    }
    if !bytes.is_empty() {
        return Err(bytes.malformed(format!("expected its end, found {} more bytes", bytes.len())));
    }
    set.parse().map_err(|error| bytes.malformed(format!("{error}")))
}

fn tag(bytes: &mut Bytes<'_>) -> Result<Option<Tag>, Malformed> {
    let length = bytes.varlen()?;
    let tag = bytes.take_counted(length)?;
    tag_of(tag, bytes)
}

/// A tag from its bytes; none if there are none.
pub(super) fn tag_of(tag: &[u8], bytes: &Bytes<'_>) -> Result<Option<Tag>, Malformed> {
    if tag.is_empty() {
        return Ok(None);
    }
    let tag = text(tag).parse();
    tag.map(Some).map_err(|error| bytes.malformed(format!("{error}")))
}
