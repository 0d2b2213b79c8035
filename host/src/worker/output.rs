//! What a worker prints: read to the end so that it never blocks, counted, and only its end kept.

use tokio::io::{AsyncRead, AsyncReadExt};

/// Lines that are kept for an error message.
const KEPT_LINES: usize = 5;
/// A longer line is cut, in bytes.
const LINE_BYTES: usize = 600;
/// What is kept to find these lines in.
const KEPT_BYTES: usize = KEPT_LINES * LINE_BYTES;

/// What a worker printed on one of its outputs.
#[derive(Debug, Default)]
pub(super) struct Printed {
    /// How many bytes.
    pub(super) bytes: u64,
    /// The last lines.
    pub(super) last_lines: Vec<String>,
}

/// Reads an output to its end, at the pace of a pipe: an engine that prints a gigabyte is a nuisance, and no more.
pub(super) async fn drain(mut from: impl AsyncRead + Unpin) -> Printed {
    let mut bytes = 0;
    let mut tail = Vec::with_capacity(2 * KEPT_BYTES);
    let mut buffer = vec![0; 64 << 10];
    loop {
        let count = match from.read(&mut buffer).await {
            Ok(0) | Err(_) => break,
            Ok(count) => count,
        };
        bytes += count as u64;
        let new = &buffer[count.saturating_sub(KEPT_BYTES)..count];
        let keep = KEPT_BYTES.saturating_sub(new.len()).min(tail.len());
        tail.drain(..tail.len() - keep);
        tail.extend_from_slice(new);
    }
    Printed {
        bytes,
        last_lines: last_lines(&tail),
    }
}

fn last_lines(tail: &[u8]) -> Vec<String> {
    let text = String::from_utf8_lossy(tail);
    let mut lines: Vec<String> = text
        .lines()
        .rev()
        .map(tidy)
        .filter(|line| !line.is_empty())
        .take(KEPT_LINES)
        .collect();
    lines.reverse();
    lines
}

/// One line without control characters, cut where it is long.
pub(super) fn tidy(text: &str) -> String {
    let mut line = String::new();
    for word in text
        .split(|c: char| c.is_whitespace() || c.is_control())
        .filter(|word| !word.is_empty())
    {
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(word);
        if line.len() > LINE_BYTES {
            line.truncate(line.floor_char_boundary(LINE_BYTES));
            line.push('…');
            break;
        }
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn counts_all_and_keeps_the_last_lines() {
        let text = (0..1000).map(|n| format!("line {n}\n")).collect::<String>() + "no\tend\u{7}";
        let printed = drain(text.as_bytes()).await;
        assert_eq!(printed.bytes, text.len() as u64);
        assert_eq!(
            printed.last_lines,
            ["line 996", "line 997", "line 998", "line 999", "no end"]
        );
    }

    #[test]
    fn a_long_line_is_cut() {
        let line = tidy(&"é".repeat(1000));
        assert!(line.len() <= LINE_BYTES + 4 && line.ends_with('…'), "{line}");
    }
}
