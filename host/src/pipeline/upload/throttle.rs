//! [`Throttle`]: how fast files are written.

use std::num::NonZeroU64;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use super::super::budget::lock;

/// Stored bytes per second, at most, over all files.
#[derive(Debug)]
pub(in crate::pipeline) struct Throttle {
    bytes_per_second: NonZeroU64,
    /// When the next bytes may be written.
    next: Mutex<Option<Instant>>,
}

impl Throttle {
    pub(in crate::pipeline) fn new(bytes_per_second: NonZeroU64) -> Self {
        Self {
            bytes_per_second,
            next: Mutex::new(None),
        }
    }

    pub(super) async fn wait(&self, bytes: usize) {
        // A quarter of a second may be caught up: enough not to lose rate to the timer's coarseness.
        const BURST: Duration = Duration::from_millis(250);
        let now = Instant::now();
        let start = {
            let mut next = lock(&self.next);
            let start = next.unwrap_or(now).max(now.checked_sub(BURST).unwrap_or(now));
            *next = Some(start + Duration::from_secs_f64(bytes as f64 / self.bytes_per_second.get() as f64));
            start
        };
        if start > now {
            tokio::time::sleep_until(start.into()).await;
        }
    }
}
