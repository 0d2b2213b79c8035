//! [`Bytes`]: taking an event apart from front to back.

use std::fmt;

use backstay_engine_api::{EngineError, ErrorKind};

/// Bytes that are not the event that they should be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Malformed {
    /// What was being read.
    pub what: &'static str,
    /// What was expected and what was found.
    pub found: String,
}

impl Malformed {
    pub(super) fn new(what: &'static str, found: impl Into<String>) -> Self {
        Self {
            what,
            found: found.into(),
        }
    }
}

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.what, self.found)
    }
}

impl std::error::Error for Malformed {}

impl From<Malformed> for EngineError {
    fn from(malformed: Malformed) -> Self {
        Self::new(
            ErrorKind::Damaged,
            format!("an event of the binary log can not be read: {malformed}"),
        )
    }
}

/// What is left of an event, or of a part of one.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bytes<'a> {
    rest: &'a [u8],
    what: &'static str,
}

impl<'a> Bytes<'a> {
    pub(super) fn new(what: &'static str, bytes: &'a [u8]) -> Self {
        Self { rest: bytes, what }
    }

    pub(super) fn malformed(&self, found: impl Into<String>) -> Malformed {
        Malformed::new(self.what, found)
    }

    pub(super) fn rest(&self) -> &'a [u8] {
        self.rest
    }

    pub(super) fn len(&self) -> usize {
        self.rest.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    #[inline]
    pub(super) fn take(&mut self, count: usize) -> Result<&'a [u8], Malformed> {
        match self.rest.split_at_checked(count) {
            Some((taken, rest)) => {
                self.rest = rest;
                Ok(taken)
            }
            None => Err(self.short(count)),
        }
    }

    #[cold]
    fn short(&self, wanted: usize) -> Malformed {
        self.malformed(format!(
            "expected {wanted} more bytes, found {} before its end",
            self.rest.len()
        ))
    }

    /// A count of bytes from the event itself, which need not fit our address space.
    pub(super) fn take_counted(&mut self, count: u64) -> Result<&'a [u8], Malformed> {
        self.take(usize::try_from(count).unwrap_or(usize::MAX))
    }

    pub(super) fn array<const N: usize>(&mut self) -> Result<[u8; N], Malformed> {
        let mut array = [0; N];
        array.copy_from_slice(self.take(N)?);
        Ok(array)
    }

    #[inline]
    pub(super) fn u8(&mut self) -> Result<u8, Malformed> {
        Ok(self.take(1)?[0])
    }

    pub(super) fn u16(&mut self) -> Result<u16, Malformed> {
        self.array().map(u16::from_le_bytes)
    }

    pub(super) fn u32(&mut self) -> Result<u32, Malformed> {
        self.array().map(u32::from_le_bytes)
    }

    pub(super) fn u64(&mut self) -> Result<u64, Malformed> {
        self.array().map(u64::from_le_bytes)
    }

    /// A little-endian number of up to eight bytes.
    #[inline]
    pub(super) fn number(&mut self, width: usize) -> Result<u64, Malformed> {
        let mut all = [0; 8];
        all[..width].copy_from_slice(self.take(width)?);
        Ok(u64::from_le_bytes(all))
    }

    /// A length-encoded integer of the client protocol.
    pub(super) fn packed(&mut self) -> Result<u64, Malformed> {
        match self.u8()? {
            small @ 0..=0xfa => Ok(u64::from(small)),
            0xfc => self.number(2),
            0xfd => self.number(3),
            0xfe => self.number(8),
            odd => Err(self.malformed(format!("expected a length, found {odd:#04x}"))),
        }
    }

    /// As many bytes as a length before them says.
    pub(super) fn packed_bytes(&mut self) -> Result<&'a [u8], Malformed> {
        let count = self.packed()?;
        self.take_counted(count)
    }

    /// A number of MySQL's serialisation library (8.3 and later): the ones at the low end of the first byte say how many more bytes
    /// there are.
    pub(super) fn varlen(&mut self) -> Result<u64, Malformed> {
        let first = self.u8()?;
        let more = first.trailing_ones() as usize;
        let high = self.number(more)?;
        if more >= 7 {
            return Ok(high);
        }
        let low = u64::from(first >> (more + 1));
        Ok(high << (7 - more) | low)
    }

    /// The same for a number with a sign, which is in the lowest bit.
    pub(super) fn varlen_signed(&mut self) -> Result<i64, Malformed> {
        let number = self.varlen()?;
        Ok((number >> 1) as i64 ^ -((number & 1) as i64))
    }
}

/// Text for people, of bytes that nobody promises to be UTF-8.
pub(super) fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
