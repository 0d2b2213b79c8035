//! Statements that were logged as text.

use std::borrow::Cow;
use std::io::Read;

use flate2::read::ZlibDecoder;

use super::bytes::{Bytes, Malformed};

const WHAT: &str = "Query event";

/// A statement: DDL, a transaction's BEGIN and COMMIT, or with `binlog_format = STATEMENT` all the rest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Query<'a> {
    /// The session that ran it, on the server that executed it first.
    pub thread_id: u32,
    /// The server's error number if the statement failed half-way; 0 else.
    pub error: u16,
    /// The default schema; empty for none.
    pub schema: &'a [u8],
    /// The statement, in the session's character set.
    pub statement: Cow<'a, [u8]>,
}

impl<'a> Query<'a> {
    pub(super) fn parse(body: &'a [u8], post_header: u8) -> Result<Self, Malformed> {
        let (mut query, text) = Self::head(body, post_header)?;
        query.statement = Cow::Borrowed(text);
        Ok(query)
    }

    /// MariaDB's `Query_compressed` (`log_bin_compress`).
    pub(super) fn parse_compressed(body: &'a [u8], post_header: u8) -> Result<Self, Malformed> {
        let (mut query, text) = Self::head(body, post_header)?;
        query.statement = Cow::Owned(inflate(WHAT, text)?);
        Ok(query)
    }

    fn head(body: &'a [u8], post_header: u8) -> Result<(Self, &'a [u8]), Malformed> {
        let mut bytes = Bytes::new(WHAT, body);
        let thread_id = bytes.u32()?;
        bytes.u32()?;
        let schema = usize::from(bytes.u8()?);
        let error = bytes.u16()?;
        let variables = usize::from(bytes.u16()?);
        // What a later version may have put behind these 13 bytes.
        bytes.take(usize::from(post_header).saturating_sub(13))?;
        bytes.take(variables)?;
        let schema = bytes.take(schema)?;
        bytes.u8()?;
        let query = Self {
            thread_id,
            error,
            schema,
            statement: Cow::Borrowed(&[]),
        };
        Ok((query, bytes.rest()))
    }

    /// The statement, for people.
    pub fn text(&self) -> Cow<'_, str> {
        String::from_utf8_lossy(&self.statement)
    }
}

/// The longest that compressed data may be without its compression, in bytes: what the longest packet holds.
const LONGEST: u64 = 1 << 30;

/// What MariaDB compressed: the number of bytes that hold the length (and in the upper half the method, 0 for zlib), the length, which
/// is big-endian, and a zlib stream.
pub(super) fn inflate(what: &'static str, compressed: &[u8]) -> Result<Vec<u8>, Malformed> {
    let mut bytes = Bytes::new(what, compressed);
    let head = bytes.u8()?;
    let width = usize::from(head & 0x07);
    let method = head >> 4 & 0x07;
    if head & 0x80 == 0 || method != 0 || !(1..=4).contains(&width) {
        return Err(bytes.malformed(format!("expected zlib-compressed data, found a head of {head:#04x}")));
    }
    let length = bytes
        .take(width)?
        .iter()
        .fold(0_u64, |all, byte| all << 8 | u64::from(*byte));
    if length > LONGEST {
        return Err(bytes.malformed(format!("expected at most {LONGEST} bytes, found {length}")));
    }
    let mut plain = Vec::new();
    // One more than it should be, to see that it is not.
    let read = ZlibDecoder::new(bytes.rest()).take(length + 1).read_to_end(&mut plain);
    match read {
        Ok(read) if read as u64 == length => Ok(plain),
        Ok(read) => Err(bytes.malformed(format!("expected {length} bytes without compression, found {read}"))),
        Err(error) => Err(bytes.malformed(format!("its compressed data is damaged: {error}"))),
    }
}
