//! A backup by the engine `mysqldump` against `mysqldump | zstd -T0` to a file: the same options, the same level.

use std::error::Error;
use std::fs;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use super::{RUNS, median, table, time, verdict};
use crate::backstay::Backstay;
use crate::servers::{BOTH, Kind, TestServer};

/// sysbench's tables: so many, of so many rows. Some 190 bytes of text a row.
const TABLES: u32 = 4;
const ROWS: u32 = 250_000;
/// zstd's level on both sides.
const LEVEL: &str = "3";
const TIME_BAR: f64 = 1.10;
const BYTES_BAR: f64 = 1.02;
const MEMORY_BAR: f64 = 256.0;

/// Both servers.
///
/// # Errors
/// A program fails.
pub fn run() -> Result<String, Box<dyn Error>> {
    let mut rows = Vec::new();
    for kind in BOTH {
        rows.push(measure(kind)?);
    }
    Ok(table(
        &[
            "server",
            "mysqldump \\| zstd -T0",
            "backstay",
            "time, ratio (bar)",
            "bytes, ratio (bar)",
            "worker's peak memory (bar)",
        ],
        &rows,
    ))
}

fn measure(kind: Kind) -> Result<Vec<String>, Box<dyn Error>> {
    let server = TestServer::start_with(kind, &["--innodb-buffer-pool-size=1G"]);
    prepare(&server)?;
    let backstay = Backstay::new(&server.dir().join("backstay"), &[], &server.section("main"));
    let (mut peer, mut ours, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
    let (mut bytes, mut memory) = (1.0, 0.0_f64);
    for run in 0..=RUNS {
        let file = server.dir().join("dump.zst");
        let (theirs, ()) = time(|| pipe(&server, &file))?;
        let (taken, peak) = time(|| backup(&backstay))?;
        if run > 0 {
            peer.push(theirs.as_secs_f64());
            ours.push(taken.as_secs_f64());
            ratios.push(taken.as_secs_f64() / theirs.as_secs_f64());
        }
        memory = memory.max(peak);
        let stored: u64 = backstay.files().iter().map(|(_, size)| size).sum();
        bytes = stored as f64 / (run + 1) as f64 / fs::metadata(&file)?.len() as f64;
    }
    let middle = |values: &[f64]| median(values).unwrap_or(f64::NAN);
    let mark = if memory <= MEMORY_BAR { "<=" } else { "MISSED:" };
    Ok(vec![
        format!("{} ({TABLES} x {ROWS} rows)", kind.name()),
        format!("{:.2} s", middle(&peer)),
        format!("{:.2} s", middle(&ours)),
        verdict(middle(&ratios), TIME_BAR),
        verdict(bytes, BYTES_BAR),
        format!("{memory:.0} MiB ({mark} {MEMORY_BAR:.0})"),
    ])
}

fn prepare(server: &TestServer) -> Result<(), Box<dyn Error>> {
    use mysql::prelude::Queryable;
    server.conn().query_drop("CREATE DATABASE sbtest")?;
    if server.kind == Kind::MySql {
        // sysbench's client does not know MySQL's newer ways to log in, except over the socket without a password.
        server.conn().query_drop("SET GLOBAL local_infile = 1")?;
    }
    let output = Command::new("sysbench")
        .arg(format!("--mysql-socket={}", server.server.socket().display()))
        .args(["--mysql-user=root", "--mysql-db=sbtest", "--threads=2"])
        .args([format!("--tables={TABLES}"), format!("--table-size={ROWS}")])
        .args(["oltp_read_write", "prepare"])
        .output()?;
    if !output.status.success() {
        return Err(format!("sysbench: {}", String::from_utf8_lossy(&output.stdout)).into());
    }
    Ok(())
}

/// What an operator would write without Backstay.
fn pipe(server: &TestServer, file: &std::path::Path) -> Result<(), Box<dyn Error>> {
    let mut dump = Command::new(server.program("mysqldump", "mariadb-dump"))
        .arg("--no-defaults")
        .arg(format!("--socket={}", server.server.socket().display()))
        .args([
            "--user=root",
            "--single-transaction",
            "--routines",
            "--events",
            "--triggers",
            "--hex-blob",
        ])
        .args(["--databases", "sbtest"])
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()?;
    let output = dump.stdout.take().ok_or("no output")?;
    let zstd = Command::new("zstd")
        .args(["-T0", &format!("-{LEVEL}"), "-q", "-f", "-o"])
        .arg(file)
        .stdin(output)
        .status()?;
    if !dump.wait()?.success() || !zstd.success() {
        return Err("mysqldump | zstd failed".into());
    }
    // A backup is synced before it counts, and so is its peer.
    fs::File::open(file)?.sync_all()?;
    Ok(())
}

/// A backup, and its worker's peak memory in MiB.
fn backup(backstay: &Backstay) -> Result<f64, Box<dyn Error>> {
    let child = backstay.start(&["backup", "--engine", "mysqldump"]);
    let supervisor = child.id();
    let done = Arc::new(AtomicBool::new(false));
    let watcher = {
        let done = Arc::clone(&done);
        thread::spawn(move || {
            let mut peak = 0.0_f64;
            while !done.load(Ordering::Relaxed) {
                peak = peak.max(workers_peak(supervisor).unwrap_or(0.0));
                thread::sleep(Duration::from_millis(50));
            }
            peak
        })
    };
    let output = child.wait_with_output()?;
    done.store(true, Ordering::Relaxed);
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).into_owned().into());
    }
    watcher.join().map_err(|_| "the watcher panicked".into())
}

/// The peak resident memory so far of a supervisor's worker, in MiB (VmHWM of proc(5)).
fn workers_peak(supervisor: u32) -> Option<f64> {
    let children = fs::read_to_string(format!("/proc/{supervisor}/task/{supervisor}/children")).ok()?;
    let worker = children.split_whitespace().next()?;
    let status = fs::read_to_string(format!("/proc/{worker}/status")).ok()?;
    let line = status.lines().find(|line| line.starts_with("VmHWM:"))?;
    let kilobytes: f64 = line.split_whitespace().nth(1)?.parse().ok()?;
    Some(kilobytes / 1024.0)
}
