//! Incrementals of the engine `snapshot`: what takes a hundredth of the pages of a full backup should take little of its time and bytes.

use std::error::Error;

use mysql::prelude::Queryable;

use super::{Bed, RUNS, Side, TABLES, table, verdict};

// Ratios to the full backup before it.
const TIME: f64 = 0.25;
const BYTES: f64 = 0.05;
/// sysbench's rows lie some 75 on a page: one of so many is one of every hundred pages.
const EVERY: u64 = 7500;

/// Full backups, each with an incremental after a hundredth of the pages has changed and was written.
pub(super) fn run(bed: &Bed) -> Result<String, Box<dyn Error>> {
    let (mut full, mut incremental) = (Side::default(), Side::default());
    let mut share = 0.0;
    for round in 0..=RUNS {
        eprintln!("  incremental {round} of {RUNS}");
        let (usage, bytes) = bed.full("snapshot")?;
        full.add(round, usage, bytes);
        let mut conn = bed.server.conn();
        for number in 1..=TABLES {
            let at = round as u64 * 977 % EVERY;
            conn.query_drop(format!(
                "UPDATE sbtest.sbtest{number} SET pad = REVERSE(pad) WHERE id % {EVERY} = {at}"
            ))?;
        }
        bed.settle()?;
        let (usage, bytes) = bed.backup("snapshot", &["--incremental"])?;
        incremental.add(round, usage, bytes);
        share = bed.shown("state/pages/pages/changed")? / bed.shown("state/pages/pages/read")?;
    }
    let rows = [
        vec![
            "full".into(),
            full.time(),
            String::new(),
            full.megabytes(),
            String::new(),
            full.memory(),
        ],
        vec![
            format!("incremental, {:.1} % of the pages", share * 100.0),
            incremental.time(),
            verdict(incremental.to(&full), TIME),
            incremental.megabytes(),
            verdict(incremental.bytes / full.bytes, BYTES),
            incremental.memory(),
        ],
    ];
    Ok(format!(
        "### Incrementals of the engine `snapshot`, by reflink, files cached\n\n{}\n",
        table(
            &[
                "what",
                "median",
                "to the full (bar)",
                "bytes",
                "bytes to the full (bar)",
                "worker's peak memory (bar)"
            ],
            &rows
        )
    ))
}
