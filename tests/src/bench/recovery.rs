//! Recovery: how long it takes to plan one, to replay a log, and what archiving the log takes, on both servers.
//!
//! `BACKSTAY_BENCH_SCALE`, such as 0.05, shrinks the load, to try the benchmark itself; `BACKSTAY_BENCH_ONLY` names parts (`planning`,
//! `replay`, `archive`) and servers (`mysql`, `mariadb`), all by default.

mod archive;
mod load;
mod planning;
mod replay;

use std::error::Error;

use backstay_bed::BOTH;

use super::only::Only;

/// All of it, or what the environment says.
///
/// # Errors
/// A server or a program fails.
pub fn run() -> Result<String, Box<dyn Error>> {
    let scale: f64 = std::env::var("BACKSTAY_BENCH_SCALE").map_or(Ok(1.0), |text| text.parse())?;
    let (parts, servers) = (["planning", "replay", "archive"], ["mysql", "mariadb"]);
    let only = Only::from_environment(&[&parts, &servers])?;
    let part = |name: &str| only.has(&parts, name);
    let flavours = || BOTH.into_iter().filter(|flavour| only.has(&servers, flavour.as_str()));
    let mut text = String::new();
    if part("planning") {
        text.push_str(&format!("### planning\n\n{}\n", planning::run()?));
    }
    if part("replay") {
        let mut rows = Vec::new();
        for flavour in flavours() {
            rows.push(replay::run(flavour, scale)?);
        }
        text.push_str(&format!("### replay\n\n{}\n", replay::table(&rows)));
    }
    if part("archive") {
        let mut rows = Vec::new();
        for flavour in flavours() {
            rows.push(archive::run(flavour, scale)?);
        }
        text.push_str(&format!("### archive\n\n{}\n", archive::table(&rows)));
    }
    Ok(text)
}
