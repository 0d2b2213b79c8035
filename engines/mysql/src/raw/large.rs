//! Rows that do not fit the buffer, passed on in parts: memory stays the buffer's, whatever the row's size.

use std::io::Read;

use super::failure::Failure;
use super::rows::{Form, malformed};
use super::wire::Wire;
use super::{Part, RowSink};

/// A row, however many packets it is spread over.
pub(super) struct Body<'a, S> {
    wire: &'a mut Wire<S>,
    /// Bytes of the current packet that were not taken yet.
    left: usize,
    /// Whether another packet continues it.
    more: bool,
    /// A short value that lies on both sides of a packet's end.
    joined: Vec<u8>,
}

/// Passes on the row that [`Wire::look`] found to be large.
#[cold]
pub(super) fn row<S: Read, F: Form, K: RowSink>(wire: &mut Wire<S>, form: &F, sink: &mut K) -> Result<(), Failure> {
    let (left, more) = wire.take_head()?;
    let mut body = Body {
        wire,
        left,
        more,
        joined: Vec::new(),
    };
    form.large(&mut body, sink)?;
    body.finish()
}

impl<S: Read> Body<'_, S> {
    /// Goes on to where there is a byte.
    fn ready(&mut self) -> Result<(), Failure> {
        while self.left == 0 {
            if !self.more {
                return Err(malformed());
            }
            (self.left, self.more) = self.wire.take_head()?;
        }
        Ok(())
    }

    /// What is there of the row, at least a byte and at most that many.
    fn some(&mut self, most: usize) -> Result<&[u8], Failure> {
        self.ready()?;
        self.wire.fill(1)?;
        let count = most.min(self.left).min(self.wire.buffered());
        self.left -= count;
        Ok(self.wire.take(count))
    }

    pub(super) fn byte(&mut self) -> Result<u8, Failure> {
        Ok(self.some(1)?[0])
    }

    fn number(&mut self, width: usize) -> Result<usize, Failure> {
        let mut number = [0; 8];
        for byte in &mut number[..width] {
            *byte = self.byte()?;
        }
        usize::try_from(u64::from_le_bytes(number)).map_err(|_| malformed())
    }

    /// The length of a value that lies before it; `None` for NULL.
    pub(super) fn length(&mut self) -> Result<Option<usize>, Failure> {
        let width = match self.byte()? {
            length @ 0..=0xfa => return Ok(Some(length.into())),
            0xfb => return Ok(None),
            0xfc => 2,
            0xfd => 3,
            0xfe => 8,
            0xff => return Err(malformed()),
        };
        self.number(width).map(Some)
    }

    /// Passes a value on: whole if it is short.
    pub(super) fn value<K: RowSink>(&mut self, column: usize, length: usize, sink: &mut K) -> Result<(), Failure> {
        if length <= self.wire.whole() {
            sink.value(column, self.whole(length)?);
            return Ok(());
        }
        self.parts(column, length, sink)
    }

    /// A value that is shorter than the buffer.
    pub(super) fn whole(&mut self, length: usize) -> Result<&[u8], Failure> {
        if length <= self.left {
            self.wire.fill(length)?;
            self.left -= length;
            return Ok(self.wire.take(length));
        }
        let mut joined = std::mem::take(&mut self.joined);
        joined.clear();
        while joined.len() < length {
            let most = length - joined.len();
            joined.extend_from_slice(self.some(most)?);
        }
        self.joined = joined;
        Ok(&self.joined)
    }

    fn parts<K: RowSink>(&mut self, column: usize, length: usize, sink: &mut K) -> Result<(), Failure> {
        let mut left = length;
        while left > 0 {
            let bytes = self.some(left)?;
            let first = left == length;
            left -= bytes.len();
            match (first, left) {
                (true, 0) => sink.value(column, bytes),
                (true, _) => sink.part(column, bytes, Part::First)?,
                (false, 0) => sink.part(column, bytes, Part::Last)?,
                (false, _) => sink.part(column, bytes, Part::Middle)?,
            }
        }
        Ok(())
    }

    /// The row must be over; one that ends with a full packet is ended by an empty one.
    fn finish(mut self) -> Result<(), Failure> {
        while self.left == 0 && self.more {
            (self.left, self.more) = self.wire.take_head()?;
        }
        if self.left == 0 { Ok(()) } else { Err(malformed()) }
    }
}
