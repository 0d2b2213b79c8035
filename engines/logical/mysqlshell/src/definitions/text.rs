//! Statements as text: what may stand in a comment, which delimiter ends a body, and where a version comment may go around.

use std::fmt::Write as _;

/// What comes into a `--` comment: a name must not end the line, for what follows would be a statement.
pub(crate) fn in_comment(name: &str) -> String {
    name.replace(['\n', '\r'], " ")
}

/// The positions and bytes of `text` that stand outside quotes and comments. A version comment (`/*! … */`) is a comment.
pub(crate) fn outside(text: &str) -> impl Iterator<Item = (usize, u8)> + '_ {
    let bytes = text.as_bytes();
    let mut at = 0;
    std::iter::from_fn(move || {
        while let Some(&byte) = bytes.get(at) {
            let rest = &bytes[at..];
            let dashes = rest.starts_with(b"--") && rest.get(2).is_none_or(u8::is_ascii_whitespace);
            at += match byte {
                b'\'' | b'"' | b'`' => quoted(rest),
                b'#' => to_line_end(rest),
                b'-' if dashes => to_line_end(rest),
                b'/' if rest.starts_with(b"/*") => comment(rest),
                _ => {
                    at += 1;
                    return Some((at - 1, byte));
                }
            };
        }
        None
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

fn to_line_end(text: &[u8]) -> usize {
    memchr::memchr(b'\n', text).map_or(text.len(), |end| end + 1)
}

fn comment(text: &[u8]) -> usize {
    memchr::memmem::find(&text[2..], b"*/").map_or(text.len(), |end| end + 4)
}

/// What ends a body: `;;`, unless that stands in it where a reader would see it.
pub(super) fn delimiter(body: &str) -> String {
    let seen = |delimiter: &str| outside(body).any(|(at, _)| body.as_bytes()[at..].starts_with(delimiter.as_bytes()));
    let mut delimiter = ";;".to_owned();
    if seen(&delimiter) {
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
