//! How long nobody can commit, while sysbench writes.

use std::error::Error;
use std::fs;
use std::process::Stdio;

use super::{Bed, RUNS, median, table};

/// In milliseconds, of the median.
const LOCK: f64 = 100.0;

/// Backups by a provider under load, as a row of the table.
pub(super) fn row(bed: &Bed, provider: &str) -> Result<Vec<String>, Box<dyn Error>> {
    eprintln!("  lock, by {provider}");
    let mut load = bed
        .sysbench()
        .args(["--time=3600", "run"])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()?;
    let measured = locks(bed, provider);
    load.kill()?;
    load.wait()?;
    let (locks, pauses) = measured?;
    let middle = median(&locks).unwrap_or(f64::NAN);
    let mark = if middle < LOCK { "<" } else { "MISSED:" };
    Ok(vec![
        provider.to_owned(),
        format!("{middle:.0} ms ({mark} {LOCK:.0})"),
        list(&locks),
        median(&pauses).map_or_else(String::new, |pause| format!("{pause:.0} ms")),
    ])
}

/// The table.
pub(super) fn show(rows: &[Vec<String>]) -> String {
    let header = [
        "by",
        "nobody could commit for, median (bar)",
        "each, in ms",
        "of which the server was stopped, median",
    ];
    format!("### The lock, under sysbench's load\n\n{}\n", table(&header, rows))
}

fn list(values: &[f64]) -> String {
    let all: Vec<String> = values.iter().map(|value| format!("{value:.0}")).collect();
    all.join(", ")
}

fn locks(bed: &Bed, provider: &str) -> Result<(Vec<f64>, Vec<f64>), Box<dyn Error>> {
    let (mut locks, mut pauses) = (Vec::new(), Vec::new());
    for _ in 0..RUNS {
        let _ = fs::remove_dir_all(bed.backstay.backups("main"));
        let option = format!("provider={provider}");
        let output = bed
            .backstay
            .run(&["backup", "--engine", "snapshot", "--option", &option]);
        if output.code != Some(0) {
            return Err(output.stderr.into());
        }
        locks.push(bed.shown("state/lock_milliseconds")?);
        pauses.extend(bed.shown("state/pause_milliseconds").ok());
    }
    Ok((locks, pauses))
}
