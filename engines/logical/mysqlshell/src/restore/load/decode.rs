//! [`Decoder`]: columns in base64 or hexadecimal into bytes that LOAD DATA reads, row after row as the file comes.

use backstay_engine_api::{EngineError, ErrorKind};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// How a column is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Decoding {
    /// As it is.
    None,
    Base64,
    Hex,
}

/// Decodes a file piece by piece; a piece may end anywhere.
#[derive(Debug)]
pub(super) struct Decoder {
    columns: Vec<Decoding>,
    /// The column in which the next byte is.
    column: usize,
    /// Whether some of the value was seen.
    begun: bool,
    /// Characters of an encoded value that do not make up a byte yet.
    held: Vec<u8>,
    /// The value is `\N`.
    null: bool,
    /// The last byte was the `\` of a line break.
    escaped: bool,
    bytes: Vec<u8>,
}

impl Decoder {
    /// For a file of these columns.
    pub(super) fn new(columns: Vec<Decoding>) -> Self {
        Self {
            columns,
            column: 0,
            begun: false,
            held: Vec::new(),
            null: false,
            escaped: false,
            bytes: Vec::new(),
        }
    }

    /// Adds to `out` what `input` is when decoded.
    ///
    /// # Errors
    /// [`ErrorKind::Damaged`] if a value is not what its column's encoding allows, or a row has too many columns.
    pub(super) fn decode(&mut self, mut input: &[u8], out: &mut Vec<u8>) -> Result<(), EngineError> {
        while !input.is_empty() {
            let end = memchr::memchr2(b'\t', b'\n', input);
            let (value, rest) = input.split_at(end.unwrap_or(input.len()));
            let decoding = *self
                .columns
                .get(self.column)
                .ok_or_else(|| wrong("a row has more columns than the dump says"))?;
            match decoding {
                Decoding::None => out.extend_from_slice(value),
                _ => self.value(decoding, value, end.is_some(), out)?,
            }
            let Some((separator, rest)) = rest.split_first() else {
                break;
            };
            out.push(*separator);
            self.column = if *separator == b'\t' { self.column + 1 } else { 0 };
            input = rest;
        }
        Ok(())
    }

    fn value(&mut self, decoding: Decoding, value: &[u8], ends: bool, out: &mut Vec<u8>) -> Result<(), EngineError> {
        self.null |= !self.begun && value.first() == Some(&b'\\');
        self.begun = !ends && (self.begun || !value.is_empty());
        if self.null {
            self.null = !ends;
            out.extend_from_slice(value);
            return Ok(());
        }
        match decoding == Decoding::Base64 && (self.escaped || value.contains(&b'\\')) {
            true => {
                let value = self.without_line_breaks(value)?;
                self.encoded(decoding, &value, out)?;
            }
            false => self.encoded(decoding, value, out)?,
        }
        if ends && (self.escaped || !self.held.is_empty()) {
            return Err(wrong("a value in base64 or hexadecimal is cut short"));
        }
        Ok(())
    }

    /// The server's TO_BASE64 breaks its lines after 76 characters, and old shells wrote the breaks as `\n`.
    fn without_line_breaks(&mut self, value: &[u8]) -> Result<Vec<u8>, EngineError> {
        let mut text = Vec::with_capacity(value.len());
        for byte in value {
            match (self.escaped, byte) {
                (true, b'n') => self.escaped = false,
                (true, _) => return Err(wrong("a value in base64 has an escape that is no line break")),
                (false, b'\\') => self.escaped = true,
                (false, byte) => text.push(*byte),
            }
        }
        Ok(text)
    }

    fn encoded(&mut self, decoding: Decoding, mut value: &[u8], out: &mut Vec<u8>) -> Result<(), EngineError> {
        let group = if decoding == Decoding::Base64 { 4 } else { 2 };
        if !self.held.is_empty() {
            let need = value.len().min(group - self.held.len());
            self.held.extend_from_slice(&value[..need]);
            value = &value[need..];
            if self.held.len() == group {
                let held = std::mem::take(&mut self.held);
                self.groups(decoding, &held, out)?;
            }
        }
        let whole = value.len() / group * group;
        self.groups(decoding, &value[..whole], out)?;
        self.held.extend_from_slice(&value[whole..]);
        Ok(())
    }

    fn groups(&mut self, decoding: Decoding, text: &[u8], out: &mut Vec<u8>) -> Result<(), EngineError> {
        self.bytes.clear();
        if decoding == Decoding::Base64 {
            STANDARD
                .decode_vec(text, &mut self.bytes)
                .map_err(|error| wrong("a value is no base64").because(&error))?;
        } else {
            for pair in text.chunks_exact(2) {
                let digit = |byte: u8| char::from(byte).to_digit(16);
                let (Some(high), Some(low)) = (digit(pair[0]), digit(pair[1])) else {
                    return Err(wrong("a value is not hexadecimal"));
                };
                self.bytes.push(u8::try_from(high * 16 + low).unwrap_or_default());
            }
        }
        escape(&self.bytes, out);
        Ok(())
    }
}

/// Bytes such that LOAD DATA reads them as they are.
fn escape(mut bytes: &[u8], out: &mut Vec<u8>) {
    while let Some(at) = memchr::memchr3(b'\\', b'\t', b'\n', bytes) {
        out.extend_from_slice(&bytes[..at]);
        out.extend_from_slice(match bytes[at] {
            b'\\' => b"\\\\",
            b'\t' => b"\\t",
            _ => b"\\n",
        });
        bytes = &bytes[at + 1..];
    }
    out.extend_from_slice(bytes);
}

fn wrong(what: &str) -> EngineError {
    EngineError::new(ErrorKind::Damaged, what)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_of_any_size_give_the_same() {
        let all: Vec<u8> = (0..=255).collect();
        let text = format!(
            "1\ta\\tb\t{}\t0aFF\n\\N\t\\N\t\\N\t\\N\n2\t\t\t\n",
            STANDARD.encode(&all)
        );
        let columns = vec![Decoding::None, Decoding::None, Decoding::Base64, Decoding::Hex];
        let mut expected = b"1\ta\\tb\t".to_vec();
        escape(&all, &mut expected);
        expected.extend_from_slice(b"\t\\n\xFF\n\\N\t\\N\t\\N\t\\N\n2\t\t\t\n");
        for size in [1, 2, 3, 5, 7, 64, 10_000] {
            let mut decoder = Decoder::new(columns.clone());
            let mut out = Vec::new();
            for piece in text.as_bytes().chunks(size) {
                decoder.decode(piece, &mut out).unwrap();
            }
            assert_eq!(out, expected, "{size}");
        }
    }

    #[test]
    fn lines_that_are_broken() {
        let all: Vec<u8> = (0..=255).collect();
        let encoded = STANDARD.encode(&all);
        let lines: Vec<&str> = encoded
            .as_bytes()
            .chunks(76)
            .map(|line| str::from_utf8(line).unwrap())
            .collect();
        let text = format!("1\t{}\n\\N\t\\N\n", lines.join("\\n"));
        let mut expected = b"1\t".to_vec();
        escape(&all, &mut expected);
        expected.extend_from_slice(b"\n\\N\t\\N\n");
        for size in [1, 2, 3, 76, 77, 78, 10_000] {
            let mut decoder = Decoder::new(vec![Decoding::None, Decoding::Base64]);
            let mut out = Vec::new();
            for piece in text.as_bytes().chunks(size) {
                decoder.decode(piece, &mut out).unwrap();
            }
            assert_eq!(out, expected, "{size}");
        }
    }

    #[test]
    fn what_is_wrong() {
        for (text, expected) in [
            ("YQ=\n", "a value in base64 or hexadecimal is cut short"),
            ("Y?==\n", "a value is no base64: Invalid symbol 63, offset 1."),
            ("YQ==YQ==\n", "a value is no base64: Invalid symbol 61, offset 2."),
            ("YQ==\\\n", "a value in base64 or hexadecimal is cut short"),
            ("YQ==\\t\n", "a value in base64 has an escape that is no line break"),
            ("YQ==\tx\n", "a row has more columns than the dump says"),
        ] {
            let error = Decoder::new(vec![Decoding::Base64])
                .decode(text.as_bytes(), &mut Vec::new())
                .unwrap_err();
            assert_eq!(error.to_string(), expected, "{text}");
        }
    }
}
