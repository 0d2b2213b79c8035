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

use std::error::Error;
use std::io;
use std::thread;
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

/// The same work on as many threads as there are processors.
fn on_all_processors(work: impl Fn() -> io::Result<()> + Sync) -> Result<(), Box<dyn Error>> {
    let processors = thread::available_parallelism().map_or(1, usize::from);
    thread::scope(|scope| {
        let threads: Vec<_> = (0..processors).map(|_| scope.spawn(&work)).collect();
        threads
            .into_iter()
            .try_for_each(|thread| thread.join().map_err(|_| "a thread panicked")?.map_err(Into::into))
    })
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
