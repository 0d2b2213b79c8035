//! What the boundary itself costs: calls into a host that does nothing.

use std::error::Error;
use std::hint::black_box;
use std::time::Instant;

use abi_stable::sabi_trait::TD_Opaque;
use abi_stable::std_types::{RSlice, RSliceMut, RVec};
use backstay_engine_api::abi::v1::{HostApi, HostApi_TO, HostPort};

use super::{RUNS, median, table};

/// How many bytes a call carries: a page of a pipe, the least that an engine with a child program reads.
const PIECE: usize = 4096;
/// How fast a backup is that leaves the boundary the largest share: none here is as fast, in bytes a second.
const FAST: f64 = 1e9;
const CALLS: u32 = 1_000_000;

struct Nowhere;

impl HostApi for Nowhere {
    fn request(&self, _: RSlice<'_, u8>) -> RVec<u8> {
        RVec::new()
    }

    fn write(&self, _: u64, bytes: RSlice<'_, u8>) -> u32 {
        u32::from(black_box(bytes).is_empty())
    }

    fn read(&self, _: u64, _: RSliceMut<'_, u8>) -> i64 {
        0
    }

    fn cancelled(&self) -> bool {
        false
    }
}

/// Writes across the boundary.
///
/// # Errors
/// None.
pub fn run() -> Result<String, Box<dyn Error>> {
    let port: HostPort = HostApi_TO::from_value(Nowhere, TD_Opaque);
    let bytes = vec![7_u8; PIECE];
    let mut nanoseconds = Vec::new();
    for _ in 0..=RUNS {
        let started = Instant::now();
        for _ in 0..CALLS {
            black_box(port.write(black_box(1), RSlice::from_slice(black_box(&bytes))));
        }
        nanoseconds.push(started.elapsed().as_nanos() as f64 / f64::from(CALLS));
    }
    let each = median(&nanoseconds[1..]).unwrap_or(f64::NAN);
    let share = each * 1e-9 / (PIECE as f64 / FAST) * 100.0;
    let verdict = if share < 1.0 { "< 1 %" } else { "MISSED: < 1 %" };
    Ok(table(
        &[
            "what",
            "median",
            "share of a backup of 1 GB/s in pieces of 4 KiB",
            "bar",
        ],
        &[vec![
            "a write across the boundary".into(),
            format!("{each:.1} ns"),
            format!("{share:.2} %"),
            verdict.into(),
        ]],
    ))
}
