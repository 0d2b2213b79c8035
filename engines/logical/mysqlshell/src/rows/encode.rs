//! [`Encoder`]: rows as the server sent them into the text of a data file.
//!
//! A field is looked over for bytes to escape and then copied once, into a buffer that goes to the file when it is full.
//! Nothing is allocated for a field or a row. Large values come in parts, and go out in parts.

use backstay_engine_api::EngineError;
use backstay_mysql::raw::{Part, ROOM, RowSink};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::escape;
use crate::catalogue::{Column, Encoding};

/// How many bytes go to the file at once: what stays in a processor's own cache until they are handed on.
pub(crate) const BUFFER: usize = 128 << 10;
/// A file's index has an offset after each row that makes at least so many bytes since the last.
const INDEX_STEP: u64 = 1 << 20;

/// Where the text goes.
pub(crate) trait Files {
    /// More of the file.
    ///
    /// # Errors
    /// It could not be written, or the job is to stop.
    fn write(&mut self, bytes: &[u8]) -> Result<(), EngineError>;

    /// The file is complete, and the rows go on in another.
    ///
    /// # Errors
    /// As [`write`](Self::write).
    fn next(&mut self, totals: Totals) -> Result<(), EngineError>;
}

/// What a file came to.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(crate) struct Totals {
    pub(crate) rows: u64,
    pub(crate) bytes: u64,
    /// The text of its `.idx`: offsets in bytes as big-endian `u64`, the last of them the file's size.
    pub(crate) index: Vec<u8>,
}

/// A [`RowSink`] that writes a table's rows.
#[derive(Debug)]
pub(crate) struct Encoder<'a, F> {
    encodings: Box<[Encoding]>,
    files: F,
    /// A file of at least so many bytes is the last but for the rows that follow in another.
    limit: Option<u64>,
    buffer: &'a mut Vec<u8>,
    /// Of the file, before what is in the buffer.
    written: u64,
    indexed: u64,
    totals: Totals,
    /// Of a value in base64 that comes in parts: bytes that do not make three yet.
    carry: Carry,
    /// Why the file could not be written, until there is somebody to say it to.
    failed: Option<EngineError>,
}

#[derive(Debug, Default, Clone, Copy)]
struct Carry {
    bytes: [u8; 3],
    length: usize,
}

impl<'a, F: Files> Encoder<'a, F> {
    /// Of rows with these columns. `buffer` is emptied; it is lent so that one serves many tables. With a `limit`, rows go on
    /// in another file after so many bytes.
    pub(crate) fn new(columns: &[Column], files: F, limit: Option<u64>, buffer: &'a mut Vec<u8>) -> Self {
        buffer.clear();
        buffer.reserve(BUFFER + BUFFER / 8);
        Self {
            encodings: columns.iter().map(|column| column.encoding).collect(),
            files,
            limit,
            buffer,
            written: 0,
            indexed: 0,
            totals: Totals::default(),
            carry: Carry::default(),
            failed: None,
        }
    }

    /// Ends the last file's text; returns what it came to.
    ///
    /// # Errors
    /// It could not be written.
    pub(crate) fn finish(mut self) -> Result<(F, Totals), EngineError> {
        self.flush()?;
        Ok((self.files, finished(self.totals, self.written)))
    }

    fn flush(&mut self) -> Result<(), EngineError> {
        if let Some(error) = self.failed.take() {
            return Err(error);
        }
        self.files.write(self.buffer)?;
        self.written += self.buffer.len() as u64;
        self.buffer.clear();
        Ok(())
    }

    #[inline]
    fn flush_if_full(&mut self) {
        if self.buffer.len() >= BUFFER {
            self.flush_or_keep_error();
        }
    }

    #[inline(never)]
    fn flush_or_keep_error(&mut self) {
        if self.failed.is_none() {
            self.failed = self.flush().err();
        }
        // After an error the row is still read to its end, into nothing.
        self.buffer.clear();
    }

    #[inline]
    fn separate(&mut self, column: usize) {
        if column > 0 {
            self.buffer.push(b'\t');
        }
    }

    #[inline]
    fn append(&mut self, column: usize, bytes: &[u8]) {
        match self.encodings[column] {
            Encoding::Plain | Encoding::Float => self.buffer.extend_from_slice(bytes),
            Encoding::Text | Encoding::Ascii => escape::append(self.buffer, bytes),
            Encoding::Base64 | Encoding::TextBase64 => append_base64(self.buffer, bytes),
        }
    }

    /// A part of a value in base64: what makes no three bytes waits for the next.
    fn append_base64_part(&mut self, mut bytes: &[u8], part: Part) {
        if part == Part::First {
            self.carry = Carry::default();
        }
        while self.carry.length > 0 && self.carry.length < 3 {
            let Some((byte, rest)) = bytes.split_first() else { break };
            self.carry.bytes[self.carry.length] = *byte;
            self.carry.length += 1;
            bytes = rest;
        }
        if self.carry.length == 3 {
            append_base64(self.buffer, &self.carry.bytes);
            self.carry.length = 0;
        }
        let whole = bytes.len() / 3 * 3;
        append_base64(self.buffer, &bytes[..whole]);
        for byte in &bytes[whole..] {
            self.carry.bytes[self.carry.length] = *byte;
            self.carry.length += 1;
        }
        if part == Part::Last {
            append_base64(self.buffer, &self.carry.bytes[..self.carry.length]);
            self.carry.length = 0;
        }
    }

    fn append_part(&mut self, column: usize, bytes: &[u8], part: Part) {
        if part == Part::First {
            self.separate(column);
        }
        if self.encodings[column].is_base64() {
            self.append_base64_part(bytes, part);
        } else {
            self.append(column, bytes);
        }
        self.flush_if_full();
    }

    /// A value that is larger than the buffer, in parts of our own, so that the buffer does not grow to its size.
    #[inline(never)]
    fn append_large(&mut self, column: usize, bytes: &[u8]) {
        let mut part = Part::First;
        for piece in bytes.chunks(BUFFER / 4) {
            self.append_part(column, piece, part);
            part = Part::Middle;
        }
        self.append_part(column, &[], Part::Last);
    }

    /// After a row: the index, and the file's end.
    #[cold]
    fn mark(&mut self, end: u64) -> Result<(), EngineError> {
        if end - self.indexed >= INDEX_STEP {
            self.totals.index.extend_from_slice(&end.to_be_bytes());
            self.indexed = end;
        }
        if self.limit.is_some_and(|limit| end >= limit) {
            self.flush()?;
            let totals = finished(std::mem::take(&mut self.totals), self.written);
            self.files.next(totals)?;
            (self.written, self.indexed) = (0, 0);
        }
        Ok(())
    }
}

fn finished(mut totals: Totals, bytes: u64) -> Totals {
    totals.bytes = bytes;
    totals.index.extend_from_slice(&bytes.to_be_bytes());
    totals
}

fn append_base64(out: &mut Vec<u8>, bytes: &[u8]) {
    let start = out.len();
    out.resize(start + bytes.len().div_ceil(3) * 4, 0);
    // The room is exact, so that it can not be too small.
    let written = STANDARD.encode_slice(bytes, &mut out[start..]).unwrap_or(0);
    out.truncate(start + written);
}

impl<F: Files> RowSink for Encoder<'_, F> {
    #[inline]
    fn null(&mut self, column: usize) {
        self.separate(column);
        self.buffer.extend_from_slice(b"\\N");
    }

    #[inline]
    fn value(&mut self, column: usize, bytes: &[u8]) {
        if bytes.len() > BUFFER / 4 {
            return self.append_large(column, bytes);
        }
        self.separate(column);
        self.append(column, bytes);
        self.flush_if_full();
    }

    #[inline]
    fn short(&mut self, column: usize, bytes: &[u8; ROOM], length: usize) {
        if !matches!(self.encodings[column], Encoding::Plain | Encoding::Float) {
            return self.value(column, &bytes[..length]);
        }
        self.separate(column);
        let end = self.buffer.len() + length;
        self.buffer.extend_from_slice(bytes);
        self.buffer.truncate(end);
        self.flush_if_full();
    }

    fn part(&mut self, column: usize, bytes: &[u8], part: Part) -> Result<(), EngineError> {
        self.append_part(column, bytes, part);
        self.failed.take().map_or(Ok(()), Err)
    }

    #[inline]
    fn end_row(&mut self) -> Result<(), EngineError> {
        if let Some(error) = self.failed.take() {
            return Err(error);
        }
        self.buffer.push(b'\n');
        self.totals.rows += 1;
        let end = self.written + self.buffer.len() as u64;
        if end - self.indexed >= INDEX_STEP || self.limit.is_some_and(|limit| end >= limit) {
            self.mark(end)?;
        }
        self.flush_if_full();
        self.failed.take().map_or(Ok(()), Err)
    }
}

#[cfg(test)]
mod tests;
