//! [`Line`]: the values between two of a key column's, as whole numbers, so that there is a middle.
//!
//! It only guesses: a table is cut at values that rows have, and whether one lies between two others the server says. Where a
//! line's order is not the server's, as with collations, cuts are less even.

use super::kind::Kind;

/// Values between two.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Line {
    shape: Shape,
    /// The key has the column in descending order: places are negated.
    descending: bool,
    pub(crate) low: i128,
    pub(crate) high: i128,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Shape {
    /// Numbers, with so many digits after the point.
    Number {
        scale: usize,
    },
    Year,
    /// Microseconds in a calendar of months of 32 days and years of 13 months; a date without a time of day if not `time`.
    Date {
        time: bool,
    },
    /// Microseconds.
    Time,
    /// The bytes after a prefix.
    Bytes {
        prefix: Vec<u8>,
    },
    /// The characters after a prefix, by an alphabet.
    Text {
        prefix: String,
        alphabet: Alphabet,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Alphabet {
    /// ASCII, as collations that ignore case have it: signs, digits, letters.
    Folded,
    /// ASCII by code.
    Ascii,
    /// All characters by code.
    Unicode,
}

const DAY: i128 = 86_400_000_000;
/// So many bytes of a binary value count: what a number has room for.
const BYTES: usize = 15;

impl Line {
    /// From the first value to the last, in the key's order. `None` where there is nothing in between, or a value can not be
    /// read.
    pub(crate) fn between(kind: &Kind, descending: bool, first: &str, last: &str) -> Option<Self> {
        let shape = Shape::of(kind, first, last)?;
        let mut line = Self {
            shape,
            descending,
            low: 0,
            high: 0,
        };
        (line.low, line.high) = (line.place(first)?, line.place(last)?);
        (line.low < line.high).then_some(line)
    }

    /// Where a value lies.
    pub(crate) fn place(&self, value: &str) -> Option<i128> {
        let place = self.shape.place(value)?;
        Some(if self.descending { -place } else { place })
    }

    /// The text of the value at a place; one near it, where there is none just there.
    pub(crate) fn value(&self, place: i128) -> String {
        self.shape.value(if self.descending { -place } else { place })
    }
}

/// Texts that may lie between two, for collations whose order is not that of a line: after what they have in common, and after
/// the first's next character, each digit and letter; and some of the characters between their next ones.
pub(crate) fn samples(first: &str, last: &str) -> Vec<String> {
    const BETWEEN: u32 = 24;
    let same = first.chars().zip(last.chars()).take_while(|(a, b)| a == b).count();
    let next = |text: &str| text.chars().nth(same).map_or(0, u32::from);
    let (low, high) = (next(first).min(next(last)), next(first).max(next(last)));
    let between = (1..BETWEEN).filter_map(|part| char::from_u32(low + (high - low) / BETWEEN * part));
    let prefix: String = first.chars().take(same).collect();
    let longer: String = first.chars().take(same + 1).collect();
    let plain = || ('0'..='9').chain('A'..='Z');
    let after = |prefix: String| move |c| format!("{prefix}{c}");
    let more = between.filter(|c| !c.is_ascii()).map(after(prefix.clone()));
    plain()
        .map(after(prefix))
        .chain(plain().map(after(longer)))
        .chain(more)
        .collect()
}

impl Shape {
    fn of(kind: &Kind, first: &str, last: &str) -> Option<Self> {
        Some(match kind {
            Kind::Number => Self::Number {
                scale: first.split_once('.').map_or(0, |(_, digits)| digits.len()),
            },
            Kind::Year => Self::Year,
            Kind::Date => Self::Date {
                time: first.contains(' '),
            },
            Kind::Time => Self::Time,
            Kind::Bytes => {
                let (first, last) = (bytes_of_hex(first)?, bytes_of_hex(last)?);
                let same = first.iter().zip(&last).take_while(|(a, b)| a == b).count();
                Self::Bytes {
                    prefix: first[..same].to_vec(),
                }
            }
            Kind::Text { collation, .. } => {
                let same = first.chars().zip(last.chars()).take_while(|(a, b)| a == b);
                let length = same.map(|(c, _)| c.len_utf8()).sum();
                let alphabet = match (first[length..].is_ascii() && last[length..].is_ascii(), collation) {
                    (false, _) => Alphabet::Unicode,
                    (true, collation) if collation.ends_with("_bin") => Alphabet::Ascii,
                    (true, _) => Alphabet::Folded,
                };
                Self::Text {
                    prefix: first[..length].to_owned(),
                    alphabet,
                }
            }
        })
    }

    fn place(&self, value: &str) -> Option<i128> {
        match self {
            Self::Number { scale } => {
                let (whole, digits) = value.split_once('.').unwrap_or((value, ""));
                (digits.len() == *scale).then(|| format!("{whole}{digits}").parse().ok())?
            }
            Self::Year => value.parse().ok(),
            Self::Date { .. } => place_of_date(value),
            Self::Time => place_of_time(value),
            Self::Bytes { prefix } => {
                let bytes = bytes_of_hex(value)?;
                let rest = bytes.strip_prefix(&prefix[..])?;
                let digits = rest.iter().copied().map(i128::from);
                Some(number(digits, 256, BYTES))
            }
            Self::Text { prefix, alphabet } => {
                let rest = value.strip_prefix(prefix.as_str())?;
                let (base, length) = alphabet.size();
                Some(number(rest.chars().map(|c| alphabet.rank(c)), base, length))
            }
        }
    }

    fn value(&self, place: i128) -> String {
        match self {
            Self::Number { scale: 0 } => place.to_string(),
            Self::Number { scale } => {
                let digits = format!("{:0width$}", place.unsigned_abs(), width = scale + 1);
                let (whole, fraction) = digits.split_at(digits.len() - scale);
                format!("{}{whole}.{fraction}", if place < 0 { "-" } else { "" })
            }
            Self::Year => format!("{place:04}"),
            Self::Date { time } => {
                let date = place.div_euclid(DAY);
                let (year, month, day) = (date / (13 * 32), date / 32 % 13, date % 32);
                let month = month.max(1);
                let date = format!("{year:04}-{month:02}-{:02}", day.clamp(1, days(year, month)));
                if *time {
                    format!("{date} {}", text_of_time(place.rem_euclid(DAY)))
                } else {
                    date
                }
            }
            Self::Time => text_of_time(place),
            Self::Bytes { prefix } => {
                let digits = digits(place, 256, BYTES);
                let rest = digits.iter().map(|digit| u8::try_from(*digit).unwrap_or(u8::MAX));
                let hex = prefix.iter().copied().chain(rest);
                hex.map(|byte| format!("{byte:02X}")).collect()
            }
            Self::Text { prefix, alphabet } => {
                let (base, length) = alphabet.size();
                let rest = digits(place, base, length);
                prefix
                    .chars()
                    .chain(rest.iter().map(|rank| alphabet.character(*rank)))
                    .collect()
            }
        }
    }
}

impl Alphabet {
    /// How many characters it has (or has room for), and how many of them a number has room for.
    fn size(self) -> (i128, usize) {
        match self {
            Self::Folded | Self::Ascii => (128, 18),
            Self::Unicode => (0x11_0000, 6),
        }
    }

    fn rank(self, character: char) -> i128 {
        let code = i128::from(u32::from(character));
        if self != Self::Folded {
            return if self == Self::Ascii { code.min(127) } else { code };
        }
        match character.to_ascii_uppercase() {
            c @ '0'..='9' => 92 + i128::from(u32::from(c) - u32::from('0')),
            c @ 'A'..='Z' => 102 + i128::from(u32::from(c) - u32::from('A')),
            // The 66 others in the order of their codes.
            c => match u32::from(c) {
                code @ 0..0x30 => i128::from(code),
                code @ 0x3a..0x41 => i128::from(code - 10),
                code @ 0x5b..0x61 => i128::from(code - 36),
                code @ 0x7b..0x80 => i128::from(code - 62),
                _ => 127,
            },
        }
    }

    fn character(self, rank: i128) -> char {
        let rank = u32::try_from(rank).unwrap_or(0);
        let code = match (self, rank) {
            (Self::Folded, 102..) => rank - 102 + 0x41,
            (Self::Folded, 92..) => rank - 92 + 0x30,
            // Signs that many collations ignore are no good as a cut: a zero comes after all of them.
            (Self::Folded, _) => 0x30,
            _ => rank,
        };
        // There are no characters from D800 to DFFF.
        char::from_u32(code).unwrap_or('\u{d7ff}')
    }
}

/// The number of which these are the first `length` digits.
fn number(mut digits: impl Iterator<Item = i128>, base: i128, length: usize) -> i128 {
    (0..length).fold(0, |number, _| number * base + digits.next().unwrap_or(0))
}

/// A number's digits, without zeros at the end.
fn digits(mut number: i128, base: i128, length: usize) -> Vec<i128> {
    let mut digits = vec![0; length];
    for digit in digits.iter_mut().rev() {
        (number, *digit) = (number / base, number % base);
    }
    let used = digits.iter().rposition(|digit| *digit != 0).map_or(0, |at| at + 1);
    digits.truncate(used);
    digits
}

fn bytes_of_hex(hex: &str) -> Option<Vec<u8>> {
    let (pairs, rest) = hex.as_bytes().as_chunks::<2>();
    let byte = |pair: &[u8; 2]| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok();
    rest.is_empty().then(|| pairs.iter().map(byte).collect())?
}

fn place_of_date(text: &str) -> Option<i128> {
    let (date, time) = text.split_once(' ').unwrap_or((text, "00:00:00"));
    let mut parts = date.split('-').map(|part| part.parse::<i128>().ok());
    let (year, month, day) = (parts.next()??, parts.next()??, parts.next()??);
    Some(((year * 13 + month) * 32 + day) * DAY + place_of_time(time)?)
}

fn days(year: i128, month: i128) -> i128 {
    match month {
        4 | 6 | 9 | 11 => 30,
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        _ => 31,
    }
}

fn place_of_time(text: &str) -> Option<i128> {
    let (sign, text) = text.strip_prefix('-').map_or((1, text), |rest| (-1, rest));
    let (time, fraction) = text.split_once('.').unwrap_or((text, ""));
    let mut parts = time.split(':').map(|part| part.parse::<i128>().ok());
    let (hours, minutes, seconds) = (parts.next()??, parts.next()??, parts.next()??);
    let fraction: i128 = format!("{fraction:0<6}").parse().ok()?;
    Some(sign * (((hours * 60 + minutes) * 60 + seconds) * 1_000_000 + fraction))
}

fn text_of_time(place: i128) -> String {
    let sign = if place < 0 { "-" } else { "" };
    let microseconds = place.unsigned_abs();
    let seconds = microseconds / 1_000_000;
    let (hours, minutes) = (seconds / 3600, seconds / 60 % 60);
    let (seconds, fraction) = (seconds % 60, microseconds % 1_000_000);
    format!("{sign}{hours:02}:{minutes:02}:{seconds:02}.{fraction:06}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(collation: &str) -> Kind {
        Kind::Text {
            character_set: "utf8mb4".into(),
            collation: collation.into(),
        }
    }

    #[test]
    fn middles() {
        for (kind, first, last, middle) in [
            (Kind::Number, "1", "9", "5"),
            (Kind::Number, "-9223372036854775808", "9223372036854775807", "-1"),
            (Kind::Number, "0", "18446744073709551615", "9223372036854775807"),
            (Kind::Number, "-0.50", "1.00", "0.25"),
            (Kind::Number, "-0.50", "0.00", "-0.25"),
            (Kind::Year, "0000", "2024", "1012"),
            (Kind::Date, "2020-01-01", "2022-01-01", "2021-01-01"),
            (Kind::Date, "2020-03-30", "2020-04-01", "2020-03-31"),
            (
                Kind::Date,
                "0000-00-00 00:00:00",
                "0000-00-00 01:00:00",
                "0000-01-01 00:30:00.000000",
            ),
            (Kind::Time, "-01:00:00.5", "01:00:00.0", "-00:00:00.250000"),
            (Kind::Time, "-838:59:59", "838:59:59", "00:00:00.000000"),
            (Kind::Bytes, "AB00", "AB04", "AB02"),
            (Kind::Bytes, "00", "02", "01"),
            (text("utf8mb4_bin"), "user_a", "user_c", "user_b"),
            (text("utf8mb4_general_ci"), "user_a", "user_C", "user_B"),
            (text("utf8mb4_0900_ai_ci"), "а", "в", "б"),
        ] {
            let line = Line::between(&kind, false, first, last).unwrap_or_else(|| panic!("{first} to {last}"));
            let at = line.low + (line.high - line.low) / 2;
            assert_eq!(line.value(at), middle, "{first} to {last}");
        }
    }

    #[test]
    fn what_can_not_be_halved() {
        for (kind, first, last) in [
            (Kind::Number, "5", "5"),
            (Kind::Number, "9", "1"),
            (Kind::Number, "1", "1.5"),
            (Kind::Date, "2020", "2021-01-01"),
            (Kind::Bytes, "0", "11"),
            (text("utf8mb4_general_ci"), "a", "A"),
            (
                Kind::Number,
                "0",
                "99999999999999999999999999999999999999999999999999999999999999999",
            ),
        ] {
            assert_eq!(Line::between(&kind, false, first, last), None, "{first} to {last}");
        }
    }

    #[test]
    fn descending() {
        let line = Line::between(&Kind::Number, true, "9", "1").unwrap();
        assert_eq!((line.low, line.high, line.value(-7).as_str()), (-9, -1, "7"));
    }

    #[test]
    fn places_and_values_agree() {
        for alphabet in [Alphabet::Folded, Alphabet::Ascii, Alphabet::Unicode] {
            for c in ('0'..='9').chain('A'..='Z') {
                assert_eq!(alphabet.character(alphabet.rank(c)), c, "{alphabet:?}");
            }
        }
        let ranks: Vec<i128> = (0..128_u8)
            .map(|code| Alphabet::Folded.rank(char::from(code)))
            .collect();
        assert!(ranks.iter().all(|rank| (0..128).contains(rank)));
        let mut distinct = ranks.clone();
        distinct.sort_unstable();
        distinct.dedup();
        assert_eq!(distinct.len(), 128 - 26, "only case is folded");
    }
}
