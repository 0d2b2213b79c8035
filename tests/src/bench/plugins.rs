//! Discovering and inspecting plug-ins.

use std::error::Error;
use std::fs;

use backstay::plugin::SearchPath;

use super::{RUNS, median, table, time};
use crate::build_dir;
use crate::plugins::built;

/// Six libraries: our engine, and those that are built out of tree.
///
/// # Errors
/// A library is missing.
pub fn run() -> Result<String, Box<dyn Error>> {
    let dir = tempfile::tempdir()?;
    let ours = build_dir().join("libbackstay_mysqldump.so");
    fs::copy(&ours, dir.path().join("libbackstay_mysqldump.so"))
        .map_err(|error| format!("{}: {error}", ours.display()))?;
    for library in [
        "libpgdump.so",
        "libcold_files.so",
        "libmisbehave.so",
        "libwrong_layout.so",
        "libwrong_major.so",
    ] {
        fs::copy(built().join(library), dir.path().join(library))?;
    }
    let path = SearchPath::only(&[dir.path().to_owned()]);
    let mut times = Vec::new();
    for _ in 0..=RUNS {
        let (taken, found) = time(|| path.discover())?;
        if found.found.len() != 6 {
            return Err(format!("expected 6 plug-ins, found {}", found.found.len()).into());
        }
        times.push(taken.as_secs_f64() * 1000.0);
    }
    let taken = median(&times[1..]).unwrap_or(f64::NAN);
    let verdict = if taken < 20.0 { "< 20 ms" } else { "MISSED: < 20 ms" };
    Ok(table(
        &["what", "median", "bar"],
        &[vec![
            "discovering and inspecting 6 plug-ins".into(),
            format!("{taken:.1} ms"),
            verdict.into(),
        ]],
    ))
}
