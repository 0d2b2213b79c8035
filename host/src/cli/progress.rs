//! How far a job is: a bar on a terminal, a line now and then otherwise.

use std::io::IsTerminal;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

use super::output::size;
use crate::jobs::Observer;
use crate::worker::protocol::Progress;

/// How often a line is printed where there is no terminal.
const LINE_EVERY: Duration = Duration::from_secs(10);

/// Shows progress on standard error.
pub(super) struct Display {
    bar: Option<ProgressBar>,
    last_line: Instant,
    started: Instant,
}

impl Display {
    pub(super) fn new() -> Self {
        let bar = std::io::stderr().is_terminal().then(|| {
            let bar = ProgressBar::new_spinner();
            bar.enable_steady_tick(Duration::from_millis(200));
            bar
        });
        Self {
            bar,
            last_line: Instant::now(),
            started: Instant::now(),
        }
    }

    fn bar(bar: &ProgressBar, progress: &Progress) {
        // Both templates are constants that parse.
        let with_total = "{bar:30} {bytes}/{total_bytes} {bytes_per_sec} {eta} left  {msg}";
        let without = "{spinner} {bytes} {bytes_per_sec}  {msg}";
        let template = if progress.total_bytes.is_some() {
            with_total
        } else {
            without
        };
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style);
        }
        if let Some(total) = progress.total_bytes {
            // An estimate may be low: the bar is full then, and no more.
            bar.set_length(total.max(progress.bytes));
        }
        bar.set_position(progress.bytes);
        bar.set_message(progress.doing.clone().unwrap_or_default());
    }

    fn line(&self, progress: &Progress) -> String {
        let seconds = self.started.elapsed().as_secs_f64().max(0.001);
        let rate = progress.bytes as f64 / seconds;
        let mut line = size(progress.bytes);
        if let Some(total) = progress.total_bytes {
            line.push_str(&format!(" of {}", size(total.max(progress.bytes))));
        }
        line.push_str(&format!(", {}/s", size(rate as u64)));
        if let Some(total) = progress
            .total_bytes
            .filter(|total| *total > progress.bytes && rate > 0.0)
        {
            line.push_str(&format!(", {:.0} s left", (total - progress.bytes) as f64 / rate));
        }
        if let Some(doing) = &progress.doing {
            line.push_str(&format!(", {doing}"));
        }
        line
    }
}

impl Observer for Display {
    fn stage(&mut self, what: &str) {
        match &self.bar {
            Some(bar) => bar.println(what),
            None => eprintln!("{what}"),
        }
        self.started = Instant::now();
    }

    fn progress(&mut self, progress: &Progress) {
        if let Some(bar) = &self.bar {
            Self::bar(bar, progress);
        } else if self.last_line.elapsed() >= LINE_EVERY {
            self.last_line = Instant::now();
            eprintln!("{}", self.line(progress));
        }
    }
}

impl Drop for Display {
    fn drop(&mut self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}
