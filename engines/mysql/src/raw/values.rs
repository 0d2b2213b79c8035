//! Rows of the binary protocol: numbers and times come as they are, and all others as in the text protocol. What a sink gets is the
//! text protocol's text.

use std::io::Read;

use super::failure::Failure;
use super::large::Body;
use super::print::Text;
use super::rows::{Form, malformed};
use super::{RawColumn, RowSink};

/// `ZEROFILL_FLAG` of a column.
const ZEROFILL: u16 = 64;
/// `decimals` of a FLOAT or DOUBLE that has all its digits.
const ALL_DIGITS: u8 = 31;

/// How a column's values come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// Whole numbers of so many bytes.
    Signed(u8),
    Unsigned(u8),
    Year,
    Float,
    Double,
    Date,
    /// DATETIME and TIMESTAMP, with digits of a second.
    DateTime(u8),
    Time(u8),
    /// As bytes with their length.
    Bytes,
}

impl Kind {
    /// `None` where the text has more to say than the value: `ZEROFILL`, and `DOUBLE(7,2)`.
    pub(super) fn of(column: &RawColumn) -> Option<Self> {
        // `UNSIGNED_FLAG`.
        let unsigned = column.flags & 32 != 0;
        let integer = |bytes| match (column.flags & ZEROFILL != 0, unsigned) {
            (true, _) => None,
            (false, true) => Some(Self::Unsigned(bytes)),
            (false, false) => Some(Self::Signed(bytes)),
        };
        let real = |kind| (column.flags & ZEROFILL == 0 && column.decimals == ALL_DIGITS).then_some(kind);
        let digits = (column.decimals <= 6).then_some(column.decimals);
        match column.column_type {
            1 => integer(1),
            2 => integer(2),
            3 | 9 => integer(4),
            8 => integer(8),
            4 => real(Self::Float),
            5 => real(Self::Double),
            // MYSQL_TYPE_NULL has no values.
            6 => None,
            7 | 12 => digits.map(Self::DateTime),
            10 => Some(Self::Date),
            11 => digits.map(Self::Time),
            // MariaDB's YEAR(2) has no century.
            13 => (column.length == 4).then_some(Self::Year),
            _ => Some(Self::Bytes),
        }
    }

    /// How many bytes a value has; `None` if they have their length before them.
    fn width(self) -> Option<usize> {
        match self {
            Self::Signed(bytes) | Self::Unsigned(bytes) => Some(bytes.into()),
            Self::Year => Some(2),
            Self::Float => Some(4),
            Self::Double => Some(8),
            Self::Date | Self::DateTime(_) | Self::Time(_) | Self::Bytes => None,
        }
    }

    /// The text of a value that is no [`Bytes`](Self::Bytes); `None` if it is no value of this kind.
    #[inline]
    fn print(self, bytes: &[u8], text: &mut Text) -> Option<()> {
        text.clear();
        match self {
            Self::Signed(_) => match *bytes {
                [a] => text.integer(a as i8),
                [a, b] => text.integer(i16::from_le_bytes([a, b])),
                [a, b, c, d] => text.integer(i32::from_le_bytes([a, b, c, d])),
                _ => text.integer(i64::from_le_bytes(bytes.try_into().ok()?)),
            },
            Self::Unsigned(_) => match *bytes {
                [a] => text.integer(a),
                [a, b] => text.integer(u16::from_le_bytes([a, b])),
                [a, b, c, d] => text.integer(u32::from_le_bytes([a, b, c, d])),
                _ => text.integer(u64::from_le_bytes(bytes.try_into().ok()?)),
            },
            Self::Year => text.year(u16::from_le_bytes(bytes.try_into().ok()?)),
            // Each bit of a FLOAT is in the digits of the DOUBLE that it is.
            Self::Float => text.double(finite(f32::from_le_bytes(bytes.try_into().ok()?).into())?),
            Self::Double => text.double(finite(f64::from_le_bytes(bytes.try_into().ok()?))?),
            Self::Date => {
                let (date, _) = date_and_time(bytes)?;
                text.date(date.0, date.1, date.2);
            }
            Self::DateTime(digits) => {
                let (date, time) = date_and_time(bytes)?;
                text.date(date.0, date.1, date.2);
                text.space();
                text.time(time.0.into(), time.1, time.2, time.3, digits);
            }
            Self::Time(digits) => {
                let (negative, hours, minutes, seconds, microseconds) = duration(bytes)?;
                if negative {
                    text.minus();
                }
                text.time(hours, minutes, seconds, microseconds, digits);
            }
            Self::Bytes => return None,
        }
        Some(())
    }
}

/// No column of a server holds another number.
fn finite(number: f64) -> Option<f64> {
    number.is_finite().then_some(number)
}

type Date = (u16, u8, u8);
type Time = (u8, u8, u8, u32);

/// Zeros at the end are not sent.
#[inline]
fn date_and_time(bytes: &[u8]) -> Option<(Date, Time)> {
    let (date, time) = match *bytes {
        [] => ((0, 0, 0), (0, 0, 0, 0)),
        [y, z, month, day] => ((u16::from_le_bytes([y, z]), month, day), (0, 0, 0, 0)),
        [y, z, month, day, hour, minute, second] => {
            ((u16::from_le_bytes([y, z]), month, day), (hour, minute, second, 0))
        }
        [y, z, month, day, hour, minute, second, a, b, c, d] => (
            (u16::from_le_bytes([y, z]), month, day),
            (hour, minute, second, u32::from_le_bytes([a, b, c, d])),
        ),
        _ => return None,
    };
    // A server has no others; larger ones would not fit their text.
    let fits = date.0 < 10_000 && [date.1, date.2, time.0, time.1, time.2].iter().all(|part| *part < 100);
    fits.then_some((date, time))
}

/// Whether it is negative; hours, minutes, seconds, microseconds.
#[inline]
fn duration(bytes: &[u8]) -> Option<(bool, u32, u8, u8, u32)> {
    let (&[negative, a, b, c, d, hours, minutes, seconds], rest) = match bytes {
        [] => return Some((false, 0, 0, 0, 0)),
        bytes => bytes.split_first_chunk()?,
    };
    let microseconds = match *rest {
        [] => 0,
        [a, b, c, d] => u32::from_le_bytes([a, b, c, d]),
        _ => return None,
    };
    let days = u32::from_le_bytes([a, b, c, d]);
    let hours = days.checked_mul(24)?.checked_add(hours.into())?;
    Some((negative != 0, hours, minutes, seconds, microseconds))
}

/// Rows of these kinds of columns.
pub(super) struct Values<'a>(pub(super) &'a [Kind]);

impl Values<'_> {
    fn bitmap(&self) -> usize {
        // Two bits are not used.
        (self.0.len() + 2).div_ceil(8)
    }
}

/// Whether the bitmap says that a column is NULL.
fn is_null(bitmap: &[u8], column: usize) -> bool {
    let bit = column + 2;
    bitmap[bit / 8] >> (bit % 8) & 1 != 0
}

impl Form for Values<'_> {
    #[inline]
    fn whole<K: RowSink>(&self, packet: &[u8], sink: &mut K) -> Result<(), Failure> {
        let (&[0], rest) = packet.split_first_chunk().ok_or_else(malformed)? else {
            return Err(malformed());
        };
        let (bitmap, mut rest) = rest.split_at_checked(self.bitmap()).ok_or_else(malformed)?;
        let mut text = Text::new();
        for (column, kind) in self.0.iter().enumerate() {
            if is_null(bitmap, column) {
                sink.null(column);
                continue;
            }
            let length = match kind.width() {
                Some(width) => width,
                None => super::rows::take_length(&mut rest)?,
            };
            let (value, left) = rest.split_at_checked(length).ok_or_else(malformed)?;
            rest = left;
            match kind {
                Kind::Bytes => sink.value(column, value),
                kind => {
                    kind.print(value, &mut text).ok_or_else(malformed)?;
                    let (text, length) = text.in_room();
                    sink.short(column, text, length);
                }
            }
        }
        if rest.is_empty() { Ok(()) } else { Err(malformed()) }
    }

    fn large<S: Read, K: RowSink>(&self, body: &mut Body<'_, S>, sink: &mut K) -> Result<(), Failure> {
        if body.byte()? != 0 {
            return Err(malformed());
        }
        let mut bitmap = Vec::with_capacity(self.bitmap());
        for _ in 0..self.bitmap() {
            bitmap.push(body.byte()?);
        }
        let mut text = Text::new();
        for (column, kind) in self.0.iter().enumerate() {
            if is_null(&bitmap, column) {
                sink.null(column);
                continue;
            }
            let length = match kind.width() {
                Some(width) => width,
                None => body.length()?.ok_or_else(malformed)?,
            };
            match kind {
                Kind::Bytes => body.value(column, length, sink)?,
                // The longest is a time of 12 bytes.
                _ if length > 12 => return Err(malformed()),
                kind => {
                    kind.print(body.whole(length)?, &mut text).ok_or_else(malformed)?;
                    let (text, length) = text.in_room();
                    sink.short(column, text, length);
                }
            }
        }
        Ok(())
    }
}
