//! Physical backups: the engines `xtrabackup` and `snapshot`, through the real host, beside `mariadb-backup` and `tar`, on MariaDB with
//! sysbench's tables on an XFS volume (and, for the lock, on a Btrfs one) that is a file in memory.
//!
//! Each side runs in turn, in the same run, on the same server and volume; the first round does not count. Both sides compress with
//! the same level and sync what they have written; before each the volume's file system has done with what was there. `BACKSTAY_BENCH_SCALE`,
//! such as 0.01, shrinks the data, to try the benchmark itself; `BACKSTAY_BENCH_ONLY` names parts (`full`, `incremental`, `lock`), all by default.

mod bed;
mod incremental;
mod lock;
mod sides;

use std::error::Error;

use super::only::Only;
use super::{RUNS, median, table, usage, verdict};
use crate::volumes::FileSystem;
use bed::{Bed, Side};

/// sysbench's tables, and the rows of each, of 190 bytes.
const TABLES: u64 = 8;
const ROWS: f64 = 500_000.0;
/// zstd's level on both sides.
const LEVEL: &str = "3";
/// The most memory that a worker may take, in MiB.
const MEMORY: f64 = 256.0;

/// All of it.
///
/// # Errors
/// A program fails.
pub fn run() -> Result<String, Box<dyn Error>> {
    let scale: f64 = std::env::var("BACKSTAY_BENCH_SCALE").map_or(Ok(1.0), |text| text.parse())?;
    let rows = ((ROWS * scale) as u64).max(100);
    let parts = ["full", "incremental", "lock"];
    let only = Only::from_environment(&[&parts])?;
    let part = |name: &str| only.has(&parts, name);
    let mut text = String::new();
    let mut locks = Vec::new();
    {
        let bed = Bed::new(FileSystem::Xfs, rows)?;
        if part("full") {
            text.push_str(&sides::run(&bed)?);
        }
        if part("incremental") {
            text.push_str(&incremental::run(&bed)?);
        }
        if part("lock") {
            locks.push(lock::row(&bed, "reflink")?);
        }
    }
    if part("lock") {
        let bed = Bed::new(FileSystem::Btrfs, rows)?;
        locks.push(lock::row(&bed, "btrfs")?);
        text.push_str(&lock::show(&locks));
    }
    Ok(text)
}
