//! Reading GTIDs and sets of them from text.

use std::collections::BTreeMap;
use std::str::FromStr;

use super::super::PositionError;
use super::super::scan::{Scanner, serde_as_text};
use super::{Gtid, GtidSet, Interval, MAX_NUMBER, Tag, Tsid, Uuid};

const SET_ADVICE: &str = "copy the whole of @@gtid_executed, or write uuid:1-20:tag:1:3-5,uuid:7";
const GTID_ADVICE: &str = "write one transaction, uuid:number or uuid:tag:number";
const UUID_ADVICE: &str = "write it as @@server_uuid shows it";
const TAG_ADVICE: &str = "write a letter or an underscore, then letters, digits and underscores";

serde_as_text!(Uuid, Tag, Gtid, GtidSet);

impl FromStr for Uuid {
    type Err = PositionError;

    fn from_str(text: &str) -> Result<Self, PositionError> {
        whole(Scanner::new(text, "MySQL server UUID", UUID_ADVICE), uuid)
    }
}

impl FromStr for Tag {
    type Err = PositionError;

    fn from_str(text: &str) -> Result<Self, PositionError> {
        whole(Scanner::new(text, "MySQL GTID tag", TAG_ADVICE), tag)
    }
}

impl FromStr for Gtid {
    type Err = PositionError;

    fn from_str(text: &str) -> Result<Self, PositionError> {
        whole(Scanner::new(text, "MySQL GTID", GTID_ADVICE), |scan| {
            let uuid = uuid(scan)?;
            colon(scan)?;
            let tag = if starts_tag(scan) {
                let tag = tag(scan)?;
                colon(scan)?;
                Some(tag)
            } else {
                None
            };
            let number = number(scan, 1)?;
            Ok(Gtid::checked(Tsid { uuid, tag }, number))
        })
    }
}

impl FromStr for GtidSet {
    type Err = PositionError;

    /// O(text), and O(n log n) where a source's n intervals are not in order.
    fn from_str(text: &str) -> Result<Self, PositionError> {
        let mut scan = Scanner::new(text, "MySQL GTID set", SET_ADVICE);
        let mut sources = BTreeMap::<Tsid, Vec<Interval>>::new();
        loop {
            scan.skip_space();
            while scan.eat(b',') {
                scan.skip_space();
            }
            if scan.at_end() {
                return Ok(GtidSet::from_unsorted(sources));
            }
            source(&mut scan, &mut sources)?;
        }
    }
}

/// A UUID and what follows it up to a comma or the end: tags, each for the intervals after it, and intervals.
fn source(scan: &mut Scanner<'_>, sources: &mut BTreeMap<Tsid, Vec<Interval>>) -> Result<(), PositionError> {
    let uuid = uuid(scan)?;
    let mut intervals = sources.entry(Tsid { uuid, tag: None }).or_default();
    loop {
        scan.skip_space();
        match scan.peek() {
            None | Some(b',') => return Ok(()),
            Some(b':') => scan.skip(1),
            Some(_) => return Err(scan.malformed("':', ',' or the end")),
        }
        scan.skip_space();
        if starts_tag(scan) {
            let tag = Some(tag(scan)?);
            intervals = sources.entry(Tsid { uuid, tag }).or_default();
        } else if let Some(interval) = interval(scan)? {
            intervals.push(interval);
        }
    }
}

/// `n` or `n-m`; none where m is below n, which the server takes for an interval that holds nothing.
fn interval(scan: &mut Scanner<'_>) -> Result<Option<Interval>, PositionError> {
    let first = number(scan, 1)?;
    scan.skip_space();
    let last = if scan.eat(b'-') {
        scan.skip_space();
        number(scan, 0)?
    } else {
        first
    };
    Ok((first <= last).then_some(Interval { first, last }))
}

fn number(scan: &mut Scanner<'_>, min: u64) -> Result<u64, PositionError> {
    if let [b'0', b'0'..=b'9', ..] = scan.rest() {
        // NOTE: 8.4 hands numbers to strtoll with base 0 and takes this for octal, 9.7 for decimal.
        return Err(scan.malformed("a transaction number without a leading zero"));
    }
    scan.number("a transaction number", min, MAX_NUMBER)
}

fn starts_tag(scan: &Scanner<'_>) -> bool {
    scan.peek()
        .is_some_and(|byte| byte.is_ascii_alphabetic() || byte == b'_')
}

fn tag(scan: &mut Scanner<'_>) -> Result<Tag, PositionError> {
    const EXPECTED: &str = "a tag of 1 to 32 letters, digits and underscores that starts with no digit";
    let start = scan.offset();
    if !starts_tag(scan) {
        return Err(scan.malformed(EXPECTED));
    }
    let tag = scan.take_while(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    if tag.len() > Tag::MAX_LENGTH {
        return Err(scan.malformed_at(start, EXPECTED));
    }
    Ok(Tag(tag.to_ascii_lowercase().into()))
}

/// A UUID with dashes, without, or with dashes and in braces.
fn uuid(scan: &mut Scanner<'_>) -> Result<Uuid, PositionError> {
    const EXPECTED: &str = "a UUID of 32 hexadecimal digits";
    let start = scan.offset();
    let braced = scan.eat(b'{');
    let dashed = scan.rest().get(8) == Some(&b'-');
    if braced && !dashed {
        return Err(scan.malformed_at(start, EXPECTED));
    }
    let mut value = 0_u128;
    for digit in 0..32 {
        if dashed && matches!(digit, 8 | 12 | 16 | 20) && !scan.eat(b'-') {
            return Err(scan.malformed_at(start, EXPECTED));
        }
        let nibble = scan.peek().and_then(|byte| char::from(byte).to_digit(16));
        value = value << 4 | u128::from(nibble.ok_or_else(|| scan.malformed_at(start, EXPECTED))?);
        scan.skip(1);
    }
    if braced && !scan.eat(b'}') {
        return Err(scan.malformed_at(start, EXPECTED));
    }
    Ok(Uuid::from_bytes(value.to_be_bytes()))
}

fn colon(scan: &mut Scanner<'_>) -> Result<(), PositionError> {
    scan.skip_space();
    if !scan.eat(b':') {
        return Err(scan.malformed("':'"));
    }
    scan.skip_space();
    Ok(())
}

/// Reads one thing that is the whole text but for white space around it.
fn whole<T>(
    mut scan: Scanner<'_>,
    read: impl FnOnce(&mut Scanner<'_>) -> Result<T, PositionError>,
) -> Result<T, PositionError> {
    scan.skip_space();
    let value = read(&mut scan)?;
    scan.skip_space();
    if scan.at_end() {
        Ok(value)
    } else {
        Err(scan.malformed("nothing more"))
    }
}
