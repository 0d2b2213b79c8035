//! A moment that means the same on every server.

use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::str::FromStr;

use jiff::Timestamp;
use jiff::fmt::temporal::{Pieces, PiecesOffset};
use jiff::tz::Offset;

use super::PositionError;
use super::scan::{quote, serde_as_text};

serde_as_text!(PointInTime);

/// A moment in microseconds, as MySQL's commit timestamps have them, with the offset from UTC that it was written with.
///
/// Text is RFC 3339: `2026-11-22T10:15:30.25+02:00`, or with `Z` for UTC. A text without an offset is refused: it would be
/// another moment in every time zone. What is finer than a microsecond is cut off, which changes nothing in what has
/// been committed by then. Two moments are equal if they are the same moment, whatever their offsets.
#[derive(Debug, Clone, Copy)]
pub struct PointInTime {
    microseconds: i64,
    /// None for `Z`.
    offset: Option<Offset>,
}

impl PointInTime {
    /// The current time of this machine's clock, in UTC.
    pub fn now() -> Self {
        Self {
            microseconds: Timestamp::now().as_microsecond(),
            offset: None,
        }
    }

    /// The moment this many microseconds after 1970-01-01T00:00:00Z, in UTC; the unit of `immediate_commit_timestamp`.
    /// None outside the years -9999 to 9999.
    pub fn from_unix_microseconds(microseconds: i64) -> Option<Self> {
        Timestamp::from_microsecond(microseconds).ok().map(|_| Self {
            microseconds,
            offset: None,
        })
    }

    /// Microseconds since 1970-01-01T00:00:00Z.
    pub fn unix_microseconds(&self) -> i64 {
        self.microseconds
    }
}

impl PartialEq for PointInTime {
    fn eq(&self, other: &Self) -> bool {
        self.microseconds == other.microseconds
    }
}

impl Eq for PointInTime {}

impl PartialOrd for PointInTime {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for PointInTime {
    fn cmp(&self, other: &Self) -> Ordering {
        self.microseconds.cmp(&other.microseconds)
    }
}

impl Hash for PointInTime {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.microseconds.hash(state);
    }
}

impl fmt::Display for PointInTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let time = Timestamp::from_microsecond(self.microseconds).map_err(|_| fmt::Error)?;
        match self.offset {
            Some(offset) => write!(f, "{}", time.display_with_offset(offset)),
            None => write!(f, "{time}"),
        }
    }
}

impl FromStr for PointInTime {
    type Err = PositionError;

    fn from_str(text: &str) -> Result<Self, PositionError> {
        let unreadable = |source| PositionError::Time {
            found: quote(text),
            source,
        };
        let pieces = Pieces::parse(text.trim()).map_err(|source| unreadable(Some(source)))?;
        let time = pieces.time().ok_or_else(|| unreadable(None))?;
        let offset = match pieces.offset() {
            Some(PiecesOffset::Zulu) => None,
            Some(offset) => Some(offset.to_numeric_offset()),
            None => return Err(PositionError::TimeWithoutOffset { found: quote(text) }),
        };
        // NOTE: the parser also takes what RFC 3339 does not have: a zone's name in brackets, which may contradict the
        // offset, and an offset with seconds, which printing would round to another moment.
        if pieces.time_zone_annotation().is_some() || offset.is_some_and(|offset| offset.seconds() % 60 != 0) {
            return Err(unreadable(None));
        }
        let moment = offset
            .unwrap_or(Offset::UTC)
            .to_timestamp(pieces.date().to_datetime(time));
        let moment = moment.map_err(|source| unreadable(Some(source)))?;
        // Rounds down before 1970 as after it.
        let microseconds = i64::try_from(moment.as_nanosecond().div_euclid(1_000)).map_err(|_| unreadable(None))?;
        Ok(Self { microseconds, offset })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn moment(text: &str) -> PointInTime {
        text.parse().unwrap_or_else(|error| panic!("{text}: {error}"))
    }

    #[test]
    fn text_keeps_offset_and_microseconds() {
        for text in [
            "2026-11-22T10:15:30Z",
            "2026-11-22T10:15:30.123456+02:00",
            "2026-11-22T10:15:30.000001-09:30",
            "1969-12-31T23:59:59.999999Z",
        ] {
            assert_eq!(moment(text).to_string(), text);
            let json = serde_json::to_string(&moment(text)).unwrap();
            assert_eq!(serde_json::from_str::<PointInTime>(&json).unwrap(), moment(text));
        }
        assert_eq!(
            moment("2026-11-22 10:15:30.123456789z").to_string(),
            "2026-11-22T10:15:30.123456Z"
        );
        assert_eq!(moment("1969-12-31T23:59:59.9999995Z").unix_microseconds(), -1);
        assert_eq!(moment("1970-01-01T02:00:01.5+02:00").unix_microseconds(), 1_500_000);
    }

    #[test]
    fn the_same_moment_is_equal() {
        assert_eq!(moment("2026-11-22T10:15:30+02:00"), moment("2026-11-22T08:15:30Z"));
        assert!(moment("2026-11-22T10:15:30+02:00") < moment("2026-11-22T08:15:30.000001Z"));
        let noon = moment("2026-11-22T12:00:00Z");
        assert_eq!(
            PointInTime::from_unix_microseconds(noon.unix_microseconds()),
            Some(noon)
        );
        assert_eq!(PointInTime::from_unix_microseconds(i64::MAX), None);
    }

    #[test]
    fn a_time_without_an_offset_is_refused() {
        assert_eq!(
            "2026-11-22T10:15:30".parse::<PointInTime>().unwrap_err().to_string(),
            "time: expected an offset from UTC at the end of \"2026-11-22T10:15:30\", found none; without it the time is \
             another moment in every time zone: add Z for UTC or an offset such as +02:00"
        );
        let bracket = "2026-11-22T10:15:30[Europe/Berlin]".parse::<PointInTime>().unwrap_err();
        assert!(matches!(bracket, PositionError::TimeWithoutOffset { .. }));
    }

    #[test]
    fn what_is_not_a_time_is_refused() {
        assert_eq!(
            "yesterday".parse::<PointInTime>().unwrap_err().to_string(),
            "time: expected an RFC 3339 date and time, found \"yesterday\"; write it like 2026-11-22T10:15:30.25+02:00"
        );
        for text in [
            "",
            "2026-11-22",
            "2026-11-22T25:00:00Z",
            "2026-02-30T00:00:00Z",
            "2026-11-22T10:15:30+02:00[Europe/Berlin]",
            "2026-11-22T10:15:30+02:00:30",
            "2026-11-22T10:15:30Z junk",
            "9999-12-31T23:59:59-23:00",
        ] {
            assert!(text.parse::<PointInTime>().is_err(), "{text:?}");
        }
    }
}
