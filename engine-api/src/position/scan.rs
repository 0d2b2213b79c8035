//! A cursor over a text, which turns what it does not find into a [`PositionError`] with its byte offset.

use super::PositionError;

/// How much of an offending part an error quotes, in characters: enough to recognise, short enough for a line.
const QUOTED: usize = 40;

/// Where a parser stands in a text. It steps over ASCII only, so it always stands at a character's first byte.
pub(super) struct Scanner<'a> {
    text: &'a str,
    offset: usize,
    what: &'static str,
    advice: &'static str,
}

impl<'a> Scanner<'a> {
    /// Starts at the beginning of `text`; `what` and `advice` are the first and the last words of its errors.
    pub(super) fn new(text: &'a str, what: &'static str, advice: &'static str) -> Self {
        Self {
            text,
            offset: 0,
            what,
            advice,
        }
    }

    pub(super) fn offset(&self) -> usize {
        self.offset
    }

    pub(super) fn at_end(&self) -> bool {
        self.offset == self.text.len()
    }

    pub(super) fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.offset).copied()
    }

    /// What is left of the text.
    pub(super) fn rest(&self) -> &'a [u8] {
        &self.text.as_bytes()[self.offset..]
    }

    /// Steps over `count` bytes, which the caller has seen to be ASCII.
    pub(super) fn skip(&mut self, count: usize) {
        self.offset += count;
    }

    /// Steps over white space as C's `isspace` knows it, which is what the servers use.
    pub(super) fn skip_space(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t'..=b'\r')) {
            self.offset += 1;
        }
    }

    /// Steps over `byte` if it comes next.
    pub(super) fn eat(&mut self, byte: u8) -> bool {
        let there = self.peek() == Some(byte);
        self.offset += usize::from(there);
        there
    }

    /// Steps over the bytes for which `wanted` holds, all of them ASCII, and returns them.
    pub(super) fn take_while(&mut self, wanted: impl Fn(u8) -> bool) -> &'a str {
        let length = self
            .rest()
            .iter()
            .take_while(|byte| byte.is_ascii() && wanted(**byte))
            .count();
        let start = self.offset;
        self.offset += length;
        &self.text[start..self.offset]
    }

    /// Reads a decimal number between `min` and `max`; `number` is what an error calls it, with its article.
    pub(super) fn number(&mut self, number: &'static str, min: u64, max: u64) -> Result<u64, PositionError> {
        let start = self.offset;
        let digits = self.take_while(|byte| byte.is_ascii_digit());
        if digits.is_empty() {
            return Err(self.malformed(number));
        }
        match digits.parse::<u64>() {
            Ok(value) if (min..=max).contains(&value) => Ok(value),
            _ => Err(PositionError::OutOfRange {
                what: self.what,
                number,
                min,
                max,
                found: quote(digits),
                offset: start,
                advice: self.advice,
            }),
        }
    }

    /// The error that `expected` is not what comes next.
    pub(super) fn malformed(&self, expected: &'static str) -> PositionError {
        self.malformed_at(self.offset, expected)
    }

    /// The error that `expected` is not what stands at `offset`.
    pub(super) fn malformed_at(&self, offset: usize, expected: &'static str) -> PositionError {
        let found = match &self.text[offset..] {
            "" => "the end of the text".to_owned(),
            rest => quote(rest),
        };
        PositionError::Malformed {
            what: self.what,
            expected,
            found,
            offset,
            advice: self.advice,
        }
    }
}

/// Quotes the start of a text for an error message: on one line, control characters escaped.
pub(super) fn quote(text: &str) -> String {
    match text.char_indices().nth(QUOTED) {
        Some((end, _)) => format!("{:?}…", &text[..end]),
        None => format!("{text:?}"),
    }
}

/// Serialises types as the text that they print and parse.
macro_rules! serde_as_text {
    ($($type:ty),+) => {$(
        impl serde::Serialize for $type {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> serde::Deserialize<'de> for $type {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = <std::borrow::Cow<'de, str> as serde::Deserialize>::deserialize(deserializer)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }
    )+};
}
pub(super) use serde_as_text;
