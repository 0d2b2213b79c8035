//! A backup by the engine `mysqldump` against `mysqldump | zstd -T0` to a file: the same options, the same level.

use std::error::Error;
use std::fs;
use std::process::{Command, Stdio};

use backstay_bed::{BOTH, Flavour, TestServer};

use super::usage::measured;
use super::{RUNS, median, table, time, verdict};
use crate::backstay::Backstay;

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
    for flavour in BOTH {
        rows.push(measure(flavour)?);
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

fn measure(flavour: Flavour) -> Result<Vec<String>, Box<dyn Error>> {
    let server = TestServer::start_with(flavour, &["--innodb-buffer-pool-size=1G"]);
    prepare(&server)?;
    let backstay = Backstay::new(&server.dir().join("backstay"), &[], &server.section("main"));
    let (mut peer, mut ours, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
    let (mut bytes, mut memory) = (1.0, 0.0_f64);
    for run in 0..=RUNS {
        let file = server.dir().join("dump.zst");
        let (theirs, ()) = time(|| pipe(&server, &file))?;
        let (taken, peak) = time(|| backup(&server, &backstay))?;
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
        format!("{} ({TABLES} x {ROWS} rows)", flavour.as_str()),
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
    if server.flavour == Flavour::MySql {
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
fn backup(server: &TestServer, backstay: &Backstay) -> Result<f64, Box<dyn Error>> {
    let start = || Ok(backstay.start(&["backup", "--engine", "mysqldump"]));
    Ok(measured(server.server.pid(), start)?.peak)
}
