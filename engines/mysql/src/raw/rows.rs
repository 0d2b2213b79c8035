//! Rows, walked through where they lie in the buffer.

use std::io::Read;

use super::RowSink;
use super::answer::{end, take_number};
use super::failure::Failure;
use super::large::{self, Body};
use super::wire::{Next, Wire};

/// What rows look like on the wire.
pub(super) trait Form {
    /// A row that lies in the buffer as a whole.
    fn whole<K: RowSink>(&self, packet: &[u8], sink: &mut K) -> Result<(), Failure>;
    /// One that does not fit it.
    fn large<S: Read, K: RowSink>(&self, body: &mut Body<'_, S>, sink: &mut K) -> Result<(), Failure>;
}

/// Passes all rows of a result on; returns how many there were.
pub(super) fn rows<S: Read, F: Form, K: RowSink>(wire: &mut Wire<S>, form: &F, sink: &mut K) -> Result<u64, Failure> {
    let mut count = 0;
    loop {
        match wire.look()? {
            Next::Whole { length } => {
                let packet = wire.packet_here(length);
                match packet.first() {
                    Some(0xff) => return Err(Failure::of_err_packet(packet)),
                    Some(0xfe) if length < 9 => return end(packet).map(|()| count),
                    _ => form.whole(packet, sink)?,
                }
            }
            Next::Large => large::row(wire, form, sink)?,
        }
        sink.end_row()?;
        count += 1;
    }
}

/// Rows of the text protocol, of so many columns.
pub(super) struct Texts(pub(super) usize);

impl Form for Texts {
    #[inline]
    fn whole<K: RowSink>(&self, mut packet: &[u8], sink: &mut K) -> Result<(), Failure> {
        for column in 0..self.0 {
            if let Some((0xfb, rest)) = packet.split_first() {
                packet = rest;
                sink.null(column);
                continue;
            }
            let length = take_length(&mut packet)?;
            let (value, rest) = packet.split_at_checked(length).ok_or_else(malformed)?;
            packet = rest;
            sink.value(column, value);
        }
        if packet.is_empty() { Ok(()) } else { Err(malformed()) }
    }

    fn large<S: Read, K: RowSink>(&self, body: &mut Body<'_, S>, sink: &mut K) -> Result<(), Failure> {
        for column in 0..self.0 {
            match body.length()? {
                Some(length) => body.value(column, length, sink)?,
                None => sink.null(column),
            }
        }
        Ok(())
    }
}

/// The length of a value that lies before it.
#[inline]
pub(super) fn take_length(packet: &mut &[u8]) -> Result<usize, Failure> {
    if let Some((&length @ 0..=0xfa, rest)) = packet.split_first() {
        *packet = rest;
        return Ok(length.into());
    }
    take_number(packet)
        .and_then(|length| usize::try_from(length).ok())
        .ok_or_else(malformed)
}

#[cold]
pub(super) fn malformed() -> Failure {
    Failure::protocol("a row has not the columns that the server announced")
}
