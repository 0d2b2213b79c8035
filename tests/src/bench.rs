//! Benchmarks: what is measured, and how.

pub mod abi;
mod compressing;
mod hashing;
pub mod logical;
pub mod mysqldump;
mod only;
pub mod physical;
pub mod pipeline;
pub mod plugins;
pub mod recovery;
mod usage;

use std::time::{Duration, Instant};

/// How often each side is measured, after one run that does not count.
pub const RUNS: usize = 5;

/// The middle one.
pub fn median<T: Copy + PartialOrd>(values: &[T]) -> Option<T> {
    let mut sorted = values.to_vec();
    sorted.sort_by(|a, b| a.partial_cmp(b).unwrap_or(std::cmp::Ordering::Equal));
    sorted.get(sorted.len() / 2).copied()
}

/// How long something takes.
pub fn time<T, E>(run: impl FnOnce() -> Result<T, E>) -> Result<(Duration, T), E> {
    let started = Instant::now();
    let value = run()?;
    Ok((started.elapsed(), value))
}

/// A table in Markdown.
pub fn table(header: &[&str], rows: &[Vec<String>]) -> String {
    let mut text = format!("| {} |\n|{}\n", header.join(" | "), " --- |".repeat(header.len()));
    for row in rows {
        text.push_str(&format!("| {} |\n", row.join(" | ")));
    }
    text
}

/// A ratio against its bar.
pub fn verdict(ratio: f64, bar: f64) -> String {
    format!("{ratio:.2} ({} {bar:.2})", if ratio <= bar { "<=" } else { "MISSED:" })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_in_the_middle() {
        assert_eq!(median(&[3, 1, 2]), Some(2));
        assert_eq!(median::<u8>(&[]), None);
    }
}
