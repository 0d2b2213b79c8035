//! Replay through replication beside `mysqlbinlog | mysql`: the same log, onto servers with the same settings, on which the same
//! backup was restored.

use std::error::Error;
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Instant;

use backstay_bed::{Flavour, TestServer};
use mysql::prelude::Queryable;

use super::super::{median, verdict};
use super::load::{Bed, arguments};

/// How many transactions there are, what the reference takes about half a minute for, on MySQL and on MariaDB.
const TRANSACTIONS: (f64, f64) = (20_000.0, 70_000.0);
/// What writes them.
const SCRIPT: &str = "oltp_write_only";
/// How often each side is measured. Each time, it has a server of its own.
const RUNS: usize = 3;
/// The bar: a ratio of medians of times.
const BAR: f64 = 0.5;

/// What was measured.
pub(super) struct Row {
    load: String,
    reference: Vec<f64>,
    ours: Vec<f64>,
    whole: Vec<f64>,
}

pub(super) fn table(rows: &[Row]) -> String {
    let shown: Vec<Vec<String>> = rows
        .iter()
        .map(|row| {
            let middle = |values: &[f64]| median(values).unwrap_or(f64::NAN);
            let (reference, ours) = (middle(&row.reference), middle(&row.ours));
            vec![
                row.load.clone(),
                format!("{reference:.2} s"),
                format!("{ours:.2} s"),
                verdict(ours / reference, BAR),
                format!("{:.2} s", middle(&row.whole)),
            ]
        })
        .collect();
    super::super::table(
        &[
            "log",
            "mysqlbinlog \\| mysql",
            "recover: verifying and replaying the log",
            "ratio (bar)",
            "all of recover, with the restore",
        ],
        &shown,
    )
}

pub(super) fn run(flavour: Flavour, scale: f64) -> Result<Row, Box<dyn Error>> {
    eprintln!("  {}: {SCRIPT}", flavour.as_str());
    let bed = Bed::new(flavour)?;
    let transactions = if flavour.is_mariadb() {
        TRANSACTIONS.1
    } else {
        TRANSACTIONS.0
    };
    let transactions = ((transactions * scale) as u64).max(100);
    bed.sysbench(SCRIPT, &["--time=0", &format!("--events={transactions}"), "run"])?;
    let logs = bed.logs()?;
    bed.backstay.run(&["archive", "--once"]).ok();
    let bytes: u64 = logs
        .iter()
        .map(|log| fs::metadata(log).map_or(0, |file| file.len()))
        .sum();
    let mut row = Row {
        load: format!(
            "{}, {SCRIPT}, {transactions} transactions, {} MB",
            flavour.as_str(),
            bytes / 1_000_000
        ),
        reference: Vec::new(),
        ours: Vec::new(),
        whole: Vec::new(),
    };
    for round in 1..=RUNS {
        eprintln!("  round {round} of {RUNS}");
        let target = self::target(flavour);
        bed.backstay
            .run(&["restore", "latest", "--to-server", &target.url(), "-o", "gtid=set"])
            .ok();
        row.reference.push(reference(&bed.source, &target, &logs)?);
        let expected = sums(&target)?;
        drop(target);
        let target = self::target(flavour);
        let (log, whole) = recover(&bed, &target)?;
        row.ours.push(log);
        row.whole.push(whole);
        if sums(&target)? != expected || expected != sums(&bed.source)? {
            return Err("source, reference and what was recovered are not the same".into());
        }
    }
    Ok(row)
}

fn target(flavour: Flavour) -> TestServer {
    TestServer::start_with(flavour, &[&arguments(flavour)[..], &["--server-id=77"]].concat())
}

/// `mysqlbinlog FILE… | mysql`, in seconds.
fn reference(source: &TestServer, target: &TestServer, logs: &[PathBuf]) -> Result<f64, Box<dyn Error>> {
    let began = Instant::now();
    let mut read = Command::new(source.program("mysqlbinlog", "mariadb-binlog"))
        .arg("--no-defaults")
        .args(logs)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()?;
    let events = read.stdout.take().ok_or("mysqlbinlog has no output")?;
    let written = Command::new(source.program("mysql", "mariadb"))
        .args(["--no-defaults", "--binary-mode", "--user=root"])
        .arg(format!("--socket={}", target.server.socket().display()))
        .stdin(events)
        .output()?;
    if !written.status.success() || !read.wait()?.success() {
        return Err(format!("mysqlbinlog | mysql: {}", String::from_utf8_lossy(&written.stderr)).into());
    }
    Ok(began.elapsed().as_secs_f64())
}

/// A recovery: how many seconds it took for the log, and for all.
fn recover(bed: &Bed, target: &TestServer) -> Result<(f64, f64), Box<dyn Error>> {
    let began = Instant::now();
    let mut child = bed
        .backstay
        .command(&["recover", "--latest", "--to-server", &target.url()])
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()?;
    let said = child.stderr.take().ok_or("no standard error")?;
    let (mut lines, mut log, mut since) = (String::new(), 0.0, None);
    for line in BufReader::new(said).lines() {
        let line = line?;
        let about_log = line.starts_with("verifying the log") || line.starts_with("replaying the log");
        // A line with how far it is belongs to its stage.
        if about_log || line.starts_with("verifying") || line.starts_with("restoring") {
            log += since.take().map_or(0.0, |since: Instant| since.elapsed().as_secs_f64());
        }
        if about_log {
            since = Some(Instant::now());
        }
        lines.push_str(&line);
        lines.push('\n');
    }
    let status = child.wait()?;
    log += since.map_or(0.0, |since| since.elapsed().as_secs_f64());
    match status.success() {
        true => Ok((log, began.elapsed().as_secs_f64())),
        false => Err(lines.into()),
    }
}

/// The checksums of sysbench's tables.
fn sums(server: &TestServer) -> Result<Vec<(String, u64)>, Box<dyn Error>> {
    let mut conn = server.conn();
    let tables: Vec<String> = conn.query("SHOW TABLES FROM sbtest")?;
    let all: Vec<String> = tables.iter().map(|table| format!("sbtest.{table}")).collect();
    Ok(conn.query(format!("CHECKSUM TABLE {}", all.join(", ")))?)
}
