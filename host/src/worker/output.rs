//! What a worker prints: read to the end so that it never blocks, counted, and only a little of it kept.

use std::collections::VecDeque;

use tokio::io::{AsyncRead, AsyncReadExt};

/// Lines that are kept for an error message.
const KEPT_LINES: usize = 5;
/// A longer line is cut, in bytes.
const LINE_BYTES: usize = 300;

/// What a worker printed on one of its outputs.
#[derive(Debug, Default)]
pub(super) struct Printed {
    /// How many bytes.
    pub(super) bytes: u64,
    /// The last lines.
    pub(super) last_lines: VecDeque<String>,
}

/// Reads an output to its end.
pub(super) async fn drain(mut from: impl AsyncRead + Unpin) -> Printed {
    let mut printed = Printed::default();
    let mut line = Vec::new();
    let mut buffer = vec![0; 64 << 10];
    loop {
        let count = match from.read(&mut buffer).await {
            Ok(0) | Err(_) => break,
            Ok(count) => count,
        };
        printed.bytes += count as u64;
        for piece in buffer[..count].split_inclusive(|byte| *byte == b'\n') {
            let room = LINE_BYTES.saturating_sub(line.len());
            line.extend_from_slice(&piece[..piece.len().min(room)]);
            if piece.ends_with(b"\n") {
                keep(&mut printed, &mut line);
            }
        }
    }
    keep(&mut printed, &mut line);
    printed
}

fn keep(printed: &mut Printed, line: &mut Vec<u8>) {
    let text: String = String::from_utf8_lossy(line).chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    line.clear();
    let text = text.trim();
    if text.is_empty() {
        return;
    }
    if printed.last_lines.len() == KEPT_LINES {
        printed.last_lines.pop_front();
    }
    printed.last_lines.push_back(text.to_owned());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn counts_all_and_keeps_the_last_lines() {
        let text = (0..1000).map(|n| format!("line {n}\n")).collect::<String>() + "no end\u{7}";
        let printed = drain(text.as_bytes()).await;
        assert_eq!(printed.bytes, text.len() as u64);
        assert_eq!(printed.last_lines, ["line 996", "line 997", "line 998", "line 999", "no end"]);
    }
}
