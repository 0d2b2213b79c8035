//! One transaction's name, and its parts.

use std::fmt;

use super::super::PositionError;
use super::MAX_NUMBER;

/// A server's UUID (`@@server_uuid`), or the group's where the transaction came through group replication.
///
/// Sorted by its bytes, as the server sorts. Read with dashes, without them, or with dashes and in braces, in upper or
/// lower case; printed with dashes in lower case.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Uuid([u8; 16]);

impl Uuid {
    /// The UUID of these bytes, as the binary log's events carry them.
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// Its bytes, as the binary log's events carry them.
    pub const fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }
}

impl fmt::Display for Uuid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let hex = format!("{:032x}", u128::from_be_bytes(self.0));
        write!(
            f,
            "{}-{}-{}-{}-{}",
            &hex[..8],
            &hex[8..12],
            &hex[12..16],
            &hex[16..20],
            &hex[20..]
        )
    }
}

/// A transaction's tag: a letter or an underscore, then up to 31 letters, digits and underscores; kept in lower case.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Tag(pub(super) Box<str>);

impl Tag {
    /// The most characters that a tag can have.
    pub const MAX_LENGTH: usize = 32;

    /// The tag's text, in lower case.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Tag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A transaction source identifier, as MySQL calls a UUID with or without a tag: what numbers are counted per.
///
/// Sorted as the server prints: by UUID, then without a tag before with one, then by tag.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Tsid {
    /// Where the transactions come from.
    pub uuid: Uuid,
    /// Their tag, if they have one.
    pub tag: Option<Tag>,
}

impl fmt::Display for Tsid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.tag {
            Some(tag) => write!(f, "{}:{tag}", self.uuid),
            None => self.uuid.fmt(f),
        }
    }
}

/// One transaction: `uuid:number` or `uuid:tag:number`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Gtid {
    tsid: Tsid,
    number: u64,
}

impl Gtid {
    /// The transaction of this source with this number.
    ///
    /// # Errors
    /// [`PositionError::OutOfRange`] where the number is not within 1 to [`MAX_NUMBER`].
    pub fn new(tsid: Tsid, number: u64) -> Result<Self, PositionError> {
        if !(1..=MAX_NUMBER).contains(&number) {
            return Err(PositionError::OutOfRange {
                what: "MySQL GTID",
                number: "a transaction number",
                min: 1,
                max: MAX_NUMBER,
                found: number.to_string(),
                offset: 0,
                advice: "take the number from the server's own GTIDs",
            });
        }
        Ok(Self { tsid, number })
    }

    /// For numbers that a parser or a set has already checked.
    pub(super) fn checked(tsid: Tsid, number: u64) -> Self {
        Self { tsid, number }
    }

    pub(super) fn into_parts(self) -> (Tsid, u64) {
        (self.tsid, self.number)
    }

    /// The UUID and the tag.
    pub fn tsid(&self) -> &Tsid {
        &self.tsid
    }

    /// The UUID of the server, or group, that committed it.
    pub fn uuid(&self) -> Uuid {
        self.tsid.uuid
    }

    /// Its tag, if it has one.
    pub fn tag(&self) -> Option<&Tag> {
        self.tsid.tag.as_ref()
    }

    /// Its number, from 1 to [`MAX_NUMBER`].
    pub fn number(&self) -> u64 {
        self.number
    }
}

impl fmt::Display for Gtid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.tsid, self.number)
    }
}
