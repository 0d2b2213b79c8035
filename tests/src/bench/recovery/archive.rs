//! What archiving the log takes while sysbench writes.

use std::error::Error;
use std::process::Stdio;
use std::time::{Duration, Instant};

use backstay_bed::Flavour;

use super::super::usage::children_seconds;
use super::load::Bed;
use crate::processes::terminate;

/// How long sysbench writes, in seconds.
const SECONDS: f64 = 30.0;
/// The bar: processor time over time, of one processor.
const BAR: f64 = 0.15;
/// How soon an archive must follow.
const STARTS_WITHIN: Duration = Duration::from_secs(30);

pub(super) fn table(rows: &[Vec<String>]) -> String {
    super::super::table(
        &[
            "server",
            "log",
            "transactions",
            "processor time of host and worker, of one processor (bar)",
            "not archived when the load had ended",
        ],
        rows,
    )
}

pub(super) fn run(flavour: Flavour, scale: f64) -> Result<Vec<String>, Box<dyn Error>> {
    eprintln!("  {}: archiving", flavour.as_str());
    let bed = Bed::new(flavour)?;
    let mut child = bed
        .backstay
        .command(&["archive"])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()?;
    let began = Instant::now();
    while status(&bed)?
        .pointer("/process/state")
        .and_then(serde_json::Value::as_str)
        != Some("following")
    {
        if began.elapsed() > STARTS_WITHIN {
            child.kill()?;
            child.wait()?;
            return Err("the archive does not follow the log".into());
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    let seconds = format!("--time={}", (SECONDS * scale).ceil().max(2.0));
    let began = Instant::now();
    let loaded = bed.sysbench("oltp_write_only", &[&seconds, "run"]);
    let wall = began.elapsed().as_secs_f64();
    let before = children_seconds()?;
    terminate(child.id());
    let ended = child.wait()?;
    // The archive's, from its start to its end: it is the only child that was waited for in between.
    let taken = children_seconds()? - before;
    loaded?;
    if !ended.success() {
        return Err(format!("the archive ended with {ended}").into());
    }
    let (transactions, bytes) = archived(&bed)?;
    bed.backstay.run(&["archive", "--once"]).ok();
    let (all, _) = archived(&bed)?;
    let share = taken / wall;
    Ok(vec![
        flavour.as_str().to_owned(),
        format!("{:.0} MB, {:.1} MB/s", bytes / 1e6, bytes / 1e6 / wall),
        format!("{all:.0}, {:.0}/s", all / wall),
        format!(
            "{:.1} % ({} {:.0} %)",
            share * 100.0,
            if share <= BAR { "<=" } else { "MISSED:" },
            BAR * 100.0
        ),
        format!(
            "{:.0} transactions, {:.2} s of the load",
            all - transactions,
            (all - transactions) / all * wall
        ),
    ])
}

fn status(bed: &Bed) -> Result<serde_json::Value, Box<dyn Error>> {
    Ok(bed.backstay.run(&["archive", "--status", "--json"]).json())
}

/// Transactions and bytes of the archived log.
fn archived(bed: &Bed) -> Result<(f64, f64), Box<dyn Error>> {
    let status = status(bed)?;
    let sum = |key: &str| -> Option<f64> {
        let logs = status["logs"].as_array()?;
        logs.iter().map(|log| log[key].as_f64()).sum()
    };
    let found = sum("transactions").zip(sum("bytes"));
    found.ok_or_else(|| format!("no archived log in {status}").into())
}
