//! [`Prepared`]: a query whose rows come as values, which the server sends for less work than their text.

use std::io::{Read, Write};

use super::answer::{Answer, columns};
use super::failure::Failure;
use super::rows::rows;
use super::values::{Kind, Values};
use super::wire::Wire;
use super::{RawColumn, RowSink};

const PREPARE: u8 = 0x16;
const EXECUTE: u8 = 0x17;
const CLOSE: u8 = 0x19;

/// What servers say that take no (more) prepared statements, or not this one: `max_prepared_stmt_count` is reached, unsupported, unknown.
const NOT_TAKEN: [u16; 3] = [1461, 1295, 1047];

/// A query that the server has prepared. It is there until its rows have been read.
#[derive(Debug)]
pub struct Prepared {
    id: u32,
    pub(super) sql: String,
}

/// Prepares a query without parameters; `None` if its rows are to be had as text only.
pub(super) fn prepare<S: Read + Write>(wire: &mut Wire<S>, sql: &str) -> Result<Option<Prepared>, Failure> {
    wire.command(PREPARE, sql.as_bytes())?;
    let packet = match wire.packet() {
        Err(Failure::Server(said)) if NOT_TAKEN.contains(&said.code) => return Ok(None),
        packet => packet?,
    };
    let [0, a, b, c, d, low, high, 0, 0, ..] = *packet else {
        return Err(Failure::protocol(
            "what the server says of a prepared query can not be read",
        ));
    };
    let prepared = Prepared {
        id: u32::from_le_bytes([a, b, c, d]),
        sql: sql.to_owned(),
    };
    let columns = columns(wire, u16::from_le_bytes([low, high]).into())?;
    if kinds(&columns).is_none() {
        close(wire, &prepared)?;
        return Ok(None);
    }
    Ok(Some(prepared))
}

/// Passes its rows on, and lets it go.
pub(super) fn read<S: Read + Write, K: RowSink>(
    wire: &mut Wire<S>,
    prepared: &Prepared,
    sink: &mut K,
) -> Result<u64, Failure> {
    // Without a cursor, and once.
    let mut body = prepared.id.to_le_bytes().to_vec();
    body.extend([0, 1, 0, 0, 0]);
    wire.command(EXECUTE, &body)?;
    let count = match Answer::read(wire)? {
        Answer::Columns(columns) => {
            let kinds =
                kinds(&columns).ok_or_else(|| Failure::protocol("a prepared query has other columns than before"))?;
            sink.columns(&columns);
            rows(wire, &Values(&kinds), sink)?
        }
        Answer::Done(_) | Answer::WantsFile => return Err(Failure::protocol("a prepared query has no rows")),
    };
    close(wire, prepared)?;
    Ok(count)
}

/// The server does not answer.
fn close<S: Write>(wire: &mut Wire<S>, prepared: &Prepared) -> Result<(), Failure> {
    wire.command(CLOSE, &prepared.id.to_le_bytes())
}

fn kinds(columns: &[RawColumn]) -> Option<Vec<Kind>> {
    columns.iter().map(Kind::of).collect()
}
