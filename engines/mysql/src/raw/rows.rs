//! Rows of the text protocol, walked through where they lie in the buffer.

use std::io::Read;

use super::RowSink;
use super::answer::{end, take_number};
use super::failure::Failure;
use super::large;
use super::wire::{Next, Wire};

/// Passes all rows of a result on; returns how many there were.
pub(super) fn rows<S: Read, K: RowSink>(wire: &mut Wire<S>, columns: usize, sink: &mut K) -> Result<u64, Failure> {
    let mut count = 0;
    loop {
        match wire.look()? {
            Next::Whole { length } => {
                let packet = wire.packet_here(length);
                match packet.first() {
                    Some(0xff) => return Err(Failure::of_err_packet(packet)),
                    Some(0xfe) if length < 9 => return end(packet).map(|()| count),
                    _ => row(packet, columns, sink)?,
                }
            }
            Next::Large => large::row(wire, columns, sink)?,
        }
        sink.end_row()?;
        count += 1;
    }
}

#[inline]
fn row<K: RowSink>(mut packet: &[u8], columns: usize, sink: &mut K) -> Result<(), Failure> {
    for column in 0..columns {
        let length = match packet.split_first() {
            Some((&length @ 0..=0xfa, rest)) => {
                packet = rest;
                usize::from(length)
            }
            Some((0xfb, rest)) => {
                packet = rest;
                sink.null(column);
                continue;
            }
            _ => match take_number(&mut packet) {
                Some(length) => length as usize,
                None => return Err(malformed()),
            },
        };
        let Some((value, rest)) = packet.split_at_checked(length) else {
            return Err(malformed());
        };
        packet = rest;
        sink.value(column, value);
    }
    if packet.is_empty() { Ok(()) } else { Err(malformed()) }
}

#[cold]
pub(super) fn malformed() -> Failure {
    Failure::protocol("a row has not the columns that the server announced")
}
