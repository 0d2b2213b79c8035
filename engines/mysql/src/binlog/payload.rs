//! `Transaction_payload`: a whole transaction, compressed (MySQL 8.0.20 and later, `binlog_transaction_compression`).

use std::io::{BufReader, Read};

use super::bytes::{Bytes, Malformed};
use super::event::{Event, RawEvent};
use super::format::{Checksum, Format};
use super::header::{HEADER, Header};

const WHAT: &str = "Transaction_payload event";

/// A compressed transaction; its `Gtid` comes before it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TransactionPayload<'a> {
    /// How long it is without compression, in bytes.
    pub uncompressed: u64,
    zstd: bool,
    payload: &'a [u8],
}

impl<'a> TransactionPayload<'a> {
    pub(super) fn parse(body: &'a [u8]) -> Result<Self, Malformed> {
        const END: u64 = 0;
        const SIZE: u64 = 1;
        const METHOD: u64 = 2;
        const UNCOMPRESSED: u64 = 3;
        const ZSTD: u64 = 0;
        const PLAIN: u64 = 255;
        let mut bytes = Bytes::new(WHAT, body);
        let (mut size, mut method, mut uncompressed) = (None, PLAIN, None);
        loop {
            let field = bytes.packed()?;
            if field == END {
                break;
            }
            let mut value = Bytes::new(WHAT, bytes.packed_bytes()?);
            match field {
                SIZE => size = Some(value.packed()?),
                METHOD => method = value.packed()?,
                UNCOMPRESSED => uncompressed = Some(value.packed()?),
                _ => {}
            }
        }
        let payload = bytes.take_counted(size.unwrap_or(bytes.len() as u64))?;
        let zstd = match method {
            ZSTD => true,
            PLAIN => false,
            odd => return Err(bytes.malformed(format!("expected compression 0 (zstd) or 255 (none), found {odd}"))),
        };
        Ok(Self {
            uncompressed: uncompressed.unwrap_or(payload.len() as u64),
            zstd,
            payload,
        })
    }

    /// The transaction's events, one after the other. `format` is that of the file.
    ///
    /// # Errors
    /// There is no memory for the decompression.
    pub fn events(&self, format: &Format) -> Result<InnerEvents<'a>, Malformed> {
        let reader: Box<dyn Read + 'a> = if self.zstd {
            let decoder = zstd::stream::read::Decoder::with_buffer(self.payload);
            Box::new(BufReader::new(
                decoder.map_err(|error| Malformed::new(WHAT, error.to_string()))?,
            ))
        } else {
            Box::new(self.payload)
        };
        Ok(InnerEvents {
            reader,
            left: self.uncompressed,
            // Those within have none of their own.
            format: Format {
                checksum: Checksum::None,
                ..format.clone()
            },
            event: Vec::new(),
        })
    }
}

/// The events of a compressed transaction.
pub struct InnerEvents<'a> {
    reader: Box<dyn Read + 'a>,
    left: u64,
    format: Format,
    event: Vec<u8>,
}

impl InnerEvents<'_> {
    /// The next event; `None` at the end. Not an iterator, for the event lies in a buffer of this.
    ///
    /// # Errors
    /// The compressed data is damaged, or the event is none.
    #[allow(clippy::should_implement_trait, reason = "the item borrows from the iterator")]
    pub fn next(&mut self) -> Result<Option<Event<'_>>, Malformed> {
        if self.left == 0 {
            return Ok(None);
        }
        self.event.clear();
        self.fill(HEADER)?;
        let size = Header::parse(&self.event)?.size as usize;
        self.fill(size - HEADER)?;
        let raw = RawEvent::check(&self.event, &self.format)?;
        raw.parse(&self.format).map(Some)
    }

    fn fill(&mut self, count: usize) -> Result<(), Malformed> {
        let count = count as u64;
        let malformed = |found: String| Malformed::new(WHAT, found);
        if count > self.left {
            return Err(malformed(format!(
                "an event within it needs {count} more bytes, and {} are left",
                self.left
            )));
        }
        let read = self.reader.by_ref().take(count).read_to_end(&mut self.event);
        let read = read.map_err(|error| malformed(format!("its compressed data is damaged: {error}")))?;
        if read as u64 != count {
            return Err(malformed(
                "its compressed data ends before the length that it says".to_owned(),
            ));
        }
        self.left -= count;
        Ok(())
    }
}
