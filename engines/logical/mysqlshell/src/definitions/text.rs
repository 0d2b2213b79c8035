//! Statements as text: what may stand in a comment, which delimiter ends a body, and where a version comment may go around.

use std::fmt::Write as _;

use crate::dollar_quotes::Head;

/// What comes into a `--` comment: a name must not end the line, for what follows would be a statement.
pub(crate) fn in_comment(name: &str) -> String {
    name.replace(['\n', '\r'], " ")
}

/// What stands at a place of a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    Byte(u8),
    /// Something quoted, or a comment.
    Apart,
    /// Something in dollar quotes.
    Code,
}

/// The parts of a text, and where each begins.
fn parts(text: &str) -> impl Iterator<Item = (usize, Part)> + '_ {
    let bytes = text.as_bytes();
    let mut head = Head::default();
    let mut at = 0;
    std::iter::from_fn(move || {
        let byte = *bytes.get(at)?;
        let (start, rest) = (at, &bytes[at..]);
        let comment = comment(rest);
        let seen = if comment.is_some() { b' ' } else { byte };
        let (length, part) = match (head.see(bytes, at, seen), comment, byte) {
            (Some(length), _, _) => (length, Part::Code),
            (None, Some(length), _) => (length, Part::Apart),
            (None, None, b'\'' | b'"' | b'`') => (quoted(rest), Part::Apart),
            (None, None, _) => (1, Part::Byte(byte)),
        };
        at += length;
        Some((start, part))
    })
}

/// The positions and bytes of `text` that stand outside quotes and comments. A version comment (`/*! … */`) is a comment.
pub(crate) fn outside(text: &str) -> impl Iterator<Item = (usize, u8)> + '_ {
    parts(text).filter_map(|(at, part)| match part {
        Part::Byte(byte) => Some((at, byte)),
        _ => None,
    })
}

/// The length of what is quoted at the start. A doubled quote ends it and begins it again.
fn quoted(text: &[u8]) -> usize {
    let quote = text[0];
    let mut at = 1;
    while let Some(&byte) = text.get(at) {
        at += 1;
        if byte == quote {
            return at;
        }
        if byte == b'\\' && quote != b'`' {
            at += 1;
        }
    }
    text.len()
}

/// The length of the comment at the start, if one is there.
fn comment(text: &[u8]) -> Option<usize> {
    let dashes = text.starts_with(b"--") && text.get(2).is_none_or(u8::is_ascii_whitespace);
    if dashes || text.starts_with(b"#") {
        Some(memchr::memchr(b'\n', text).map_or(text.len(), |end| end + 1))
    } else if text.starts_with(b"/*") {
        Some(memchr::memmem::find(&text[2..], b"*/").map_or(text.len(), |end| end + 4))
    } else {
        None
    }
}

/// What ends a body: `;;`, unless that stands in it where a reader would see it.
pub(super) fn delimiter(body: &str) -> String {
    let seen = |delimiter: &str| outside(body).any(|(at, _)| body.as_bytes()[at..].starts_with(delimiter.as_bytes()));
    let mut delimiter = ";;".to_owned();
    if parts(body).any(|(_, part)| part == Part::Code) {
        // Not every reader of a script knows dollar quotes: for it, their code is statements.
        while body.contains(&delimiter) {
            delimiter.push(';');
        }
    } else if seen(&delimiter) {
        delimiter = "$$".to_owned();
        while body.contains(&delimiter) {
            delimiter.push('$');
        }
    }
    delimiter
}

/// A body that is followed by something on its line: not if it ends in a comment that reaches to the end of the line.
pub(super) fn closed(body: &str) -> String {
    let last = body.rsplit('\n').next().unwrap_or(body);
    let open = last.contains("--") || last.contains('#');
    format!("{body}{}", if open { "\n" } else { "" })
}

/// A statement inside a version comment, as dumps have it for old servers; as it is if it has comments of its own, or what
/// looks like one, for then not every reader finds the end.
pub(super) fn versioned(version: u32, statement: &str, space: &str) -> String {
    let statement = closed(statement);
    if statement.contains("/*") || statement.contains("*/") {
        return statement;
    }
    format!("/*!{version} {statement}{space}*/")
}

/// Adds a line.
macro_rules! line {
    ($text:expr, $($format:tt)+) => {
        // A string takes all that is written to it.
        let _ = writeln!($text, $($format)+);
    };
}
pub(super) use line;

/// Adds the frame of a comment with a title, as it stands before each part of a file.
pub(super) fn title(text: &mut String, title: &str) {
    line!(text, "--\n-- {}\n--", in_comment(title));
}
