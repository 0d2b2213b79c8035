//! What of a cluster can be recovered, drawn as text.

use super::output;
use crate::recovery::{Coverage, Span};

/// How wide it is drawn, in characters.
const WIDTH: usize = 64;
/// How many windows, and how many gaps, are named: the latest.
const NAMED: usize = 10;

/// A line for each kind of what there is, on one scale of time; nothing where there is neither an incremental nor a log.
pub(super) fn draw(cluster: &str, coverage: &Coverage) -> String {
    if coverage.incremental.is_empty() && coverage.log.is_empty() {
        return String::new();
    }
    let lines = [
        ("full", 'F', &coverage.full),
        ("incremental", 'i', &coverage.incremental),
        ("log", '=', &coverage.log),
        ("recoverable", '#', &coverage.recoverable),
    ];
    let spans = || lines.iter().flat_map(|(_, _, spans)| spans.iter());
    let first = spans().min_by_key(|span| span.micros.0);
    let last = spans().max_by_key(|span| span.micros.1);
    let (Some(first), Some(last)) = (first, last) else {
        return String::new();
    };
    let scale = Scale {
        from: first.micros.0,
        to: last.micros.1,
    };
    let mut text = format!("\n{cluster}: from {} to {}\n", first.from, last.to);
    let rows = lines.iter().filter(|(_, _, spans)| !spans.is_empty());
    let rows: Vec<Vec<String>> = rows
        .map(|(name, mark, spans)| vec![(*name).to_owned(), format!("|{}|", scale.line(*mark, spans))])
        .collect();
    text.push_str(&output::table(&rows));
    for span in latest(&coverage.recoverable) {
        text.push_str(&match span.micros.0 == span.micros.1 {
            true => format!("recoverable only at {}\n", span.from),
            false => format!("recoverable from {} to {}\n", span.from, span.to),
        });
    }
    for gap in latest(&coverage.gaps) {
        text.push_str(&format!("gap from {} to {}: no log leads over it\n", gap.from, gap.to));
    }
    if coverage.recoverable.len() > NAMED {
        text.push_str("there are more, which `--json` shows\n");
    }
    text
}

fn latest(spans: &[Span]) -> &[Span] {
    &spans[spans.len().saturating_sub(NAMED)..]
}

/// From times to columns.
struct Scale {
    from: i64,
    to: i64,
}

impl Scale {
    fn column(&self, time: i64) -> usize {
        let length = i128::from(self.to) - i128::from(self.from);
        let at = i128::from(time) - i128::from(self.from);
        // NOTE: rounded down, and the very end is in the last column.
        (at * WIDTH as i128 / length.max(1)).clamp(0, WIDTH as i128 - 1) as usize
    }

    fn line(&self, mark: char, spans: &[Span]) -> String {
        let mut line = vec![' '; WIDTH];
        for span in spans {
            let (from, to) = (self.column(span.micros.0), self.column(span.micros.1));
            line[from..=to].fill(mark);
        }
        line.into_iter().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn span(from: i64, to: i64) -> Span {
        let text = |minutes: i64| format!("{:02}:{:02}", minutes / 60, minutes % 60);
        Span {
            from: text(from),
            to: text(to),
            micros: (from * 60_000_000, to * 60_000_000),
        }
    }

    #[test]
    fn windows_and_gaps_line_up() {
        let coverage = Coverage {
            full: vec![span(0, 0), span(480, 480)],
            incremental: vec![span(10, 120)],
            log: vec![span(130, 240), span(420, 600)],
            recoverable: vec![span(0, 240), span(480, 600)],
            gaps: vec![span(240, 480)],
        };
        insta::assert_snapshot!(draw("orders", &coverage), @"

        orders: from 00:00 to 10:00
        full         |F                                                  F            |
        incremental  | iiiiiiiiiiii                                                   |
        log          |             =============                  ====================|
        recoverable  |##########################                         #############|
        recoverable from 00:00 to 04:00
        recoverable from 08:00 to 10:00
        gap from 04:00 to 08:00: no log leads over it
        ");
    }

    #[test]
    fn nothing_is_drawn_of_full_backups_alone() {
        let coverage = Coverage {
            full: vec![span(0, 0)],
            recoverable: vec![span(0, 0)],
            ..Coverage::default()
        };
        assert_eq!(draw("orders", &coverage), "");
    }
}
