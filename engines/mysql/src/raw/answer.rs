//! What a server answers to a query: that it is done, columns, or that it wants a file.

use std::io::Read;

use mysql_common::constants::CapabilityFlags;
use mysql_common::io::ParseBuf;
use mysql_common::packets::{CommonOkPacket, OkPacketDeserializer};

use super::failure::Failure;
use super::wire::Wire;
use super::{Loaded, RawColumn};

/// `SERVER_MORE_RESULTS_EXISTS` in the status of a result's end.
const MORE_RESULTS: u16 = 8;

/// The first packet of an answer, and for columns those that describe them.
pub(super) enum Answer {
    Done(Loaded),
    Columns(Vec<RawColumn>),
    WantsFile,
}

impl Answer {
    pub(super) fn read<S: Read>(wire: &mut Wire<S>) -> Result<Self, Failure> {
        let packet = wire.packet()?;
        let count = match packet[0] {
            0 => return done(packet).map(Self::Done),
            0xfb => return Ok(Self::WantsFile),
            _ => {
                take_number(&mut &*packet).ok_or_else(|| Failure::protocol("the number of columns can not be read"))?
            }
        };
        columns(wire, count).map(Self::Columns)
    }
}

/// Descriptions of so many columns, and their end.
pub(super) fn columns<S: Read>(wire: &mut Wire<S>, count: u64) -> Result<Vec<RawColumn>, Failure> {
    let mut columns = Vec::new();
    for _ in 0..count {
        let packet = wire.packet()?;
        let column = column(packet).ok_or_else(|| Failure::protocol("a column's description can not be read"))?;
        columns.push(column);
    }
    end(wire.packet()?)?;
    Ok(columns)
}

fn done(packet: &[u8]) -> Result<Loaded, Failure> {
    let ok = ParseBuf(packet)
        .parse::<OkPacketDeserializer<CommonOkPacket>>(CapabilityFlags::empty())
        .map_err(|error| Failure::Protocol(format!("an OK packet can not be read: {error}")))?
        .into_inner();
    Ok(Loaded {
        rows: ok.affected_rows(),
        warnings: ok.warnings(),
    })
}

/// What a whole packet is that begins with 0xFE: an EOF, for a row that begins with it has a value of 16 MiB in it.
pub(super) fn end(packet: &[u8]) -> Result<(), Failure> {
    let [0xfe, _, _, low, high] = packet else {
        return Err(Failure::protocol("the end of columns or rows can not be read"));
    };
    if u16::from_le_bytes([*low, *high]) & MORE_RESULTS != 0 {
        return Err(Failure::protocol("there is more than one result"));
    }
    Ok(())
}

/// A length-encoded integer; `None` at the end, and for NULL.
pub(super) fn take_number(bytes: &mut &[u8]) -> Option<u64> {
    let (&first, rest) = bytes.split_first()?;
    let width = match first {
        0..=0xfa => {
            *bytes = rest;
            return Some(u64::from(first));
        }
        0xfc => 2,
        0xfd => 3,
        0xfe => 8,
        _ => return None,
    };
    let (number, rest) = rest.split_at_checked(width)?;
    *bytes = rest;
    let mut all = [0; 8];
    all[..width].copy_from_slice(number);
    Some(u64::from_le_bytes(all))
}

/// A length-encoded string.
fn take_text<'a>(bytes: &mut &'a [u8]) -> Option<&'a [u8]> {
    let length = usize::try_from(take_number(bytes)?).ok()?;
    let (text, rest) = bytes.split_at_checked(length)?;
    *bytes = rest;
    Some(text)
}

/// `Protocol::ColumnDefinition41`. Read here and not by the crate, which refuses types that it does not know.
fn column(mut packet: &[u8]) -> Option<RawColumn> {
    // Catalogue, schema, table, original table.
    for _ in 0..4 {
        take_text(&mut packet)?;
    }
    let name = String::from_utf8_lossy(take_text(&mut packet)?).into_owned();
    take_text(&mut packet)?;
    // The length of what follows: collation, longest value, type, flags, decimals.
    take_number(&mut packet)?;
    let [low, high, a, b, c, d, column_type, flag, more_flags, decimals, ..] = *packet else {
        return None;
    };
    Some(RawColumn {
        name,
        column_type,
        collation: u16::from_le_bytes([low, high]),
        length: u32::from_le_bytes([a, b, c, d]),
        flags: u16::from_le_bytes([flag, more_flags]),
        decimals,
    })
}
