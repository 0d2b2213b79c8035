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

/// What a server says that has prepared a query too often meanwhile, for tables came and went in its cache.
const PREPARED_IN_VAIN: u16 = 1615;

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
    let [0, a, b, c, d, low, high, few, many, ..] = *packet else {
        return Err(Failure::protocol(
            "what the server says of a prepared query can not be read",
        ));
    };
    let prepared = Prepared {
        id: u32::from_le_bytes([a, b, c, d]),
        sql: sql.to_owned(),
    };
    let parameters = u16::from_le_bytes([few, many]);
    if parameters > 0 {
        columns(wire, parameters.into())?;
    }
    let count = u16::from_le_bytes([low, high]);
    let kinds = match count {
        0 => None,
        count => kinds(&columns(wire, count.into())?),
    };
    // A question mark that somebody wrote is an error, which the server explains when it is asked for text.
    if parameters > 0 || kinds.is_none() {
        close(wire, &prepared)?;
        return Ok(None);
    }
    Ok(Some(prepared))
}

/// Passes its rows on, and lets it go; `None` if the server does not send them as values just now.
pub(super) fn read<S: Read + Write, K: RowSink>(
    wire: &mut Wire<S>,
    prepared: &Prepared,
    sink: &mut K,
) -> Result<Option<u64>, Failure> {
    let done = execute(wire, prepared, sink);
    if matches!(done, Ok(_) | Err(Failure::Server(_))) {
        close(wire, prepared)?;
    }
    done
}

fn execute<S: Read + Write, K: RowSink>(
    wire: &mut Wire<S>,
    prepared: &Prepared,
    sink: &mut K,
) -> Result<Option<u64>, Failure> {
    // Without a cursor, and once.
    let mut body = prepared.id.to_le_bytes().to_vec();
    body.extend([0, 1, 0, 0, 0]);
    wire.command(EXECUTE, &body)?;
    let columns = match Answer::read(wire) {
        Ok(Answer::Columns(columns)) => columns,
        Err(Failure::Server(said)) if said.code == PREPARED_IN_VAIN => return Ok(None),
        Err(failure) => return Err(failure),
        Ok(Answer::Done(_) | Answer::WantsFile) => return Err(Failure::protocol("a prepared query has no rows")),
    };
    let kinds = kinds(&columns).ok_or_else(|| Failure::protocol("a prepared query has other columns than before"))?;
    sink.columns(&columns);
    rows(wire, &Values(&kinds), sink).map(Some)
}

/// The server does not answer.
fn close<S: Write>(wire: &mut Wire<S>, prepared: &Prepared) -> Result<(), Failure> {
    wire.command(CLOSE, &prepared.id.to_le_bytes())
}

fn kinds(columns: &[RawColumn]) -> Option<Vec<Kind>> {
    columns.iter().map(Kind::of).collect()
}
