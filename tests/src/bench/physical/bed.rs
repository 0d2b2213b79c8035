//! The server that is backed up, and what is measured of each side.

use std::error::Error;
use std::fs;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use backstay_bed::{Flavour, TestServer};
use mysql::prelude::Queryable;

use super::usage::{Usage, measured};
use super::{MEMORY, TABLES, median};
use crate::backstay::Backstay;
use crate::volumes::{FileSystem, Volume};

/// A server with data on a volume.
pub(super) struct Bed {
    pub(super) backstay: Backstay,
    pub(super) server: TestServer,
    pub(super) rows: u64,
    // Last, so that the server is gone when it is unmounted.
    pub(super) volume: Volume,
}

impl Bed {
    pub(super) fn new(kind: FileSystem, rows: u64) -> Result<Self, Box<dyn Error>> {
        eprintln!("  preparing sysbench's tables on {}", kind.name());
        let volume = Volume::new(kind, 12_000);
        let arguments = [
            "--innodb-buffer-pool-size=1G",
            "--innodb-log-file-size=256M",
            "--innodb-flush-log-at-trx-commit=1",
            "--sync-binlog=1",
        ];
        let server = TestServer::start_in(Flavour::MariaDb, &volume.point(), &arguments);
        let backstay = Backstay::new(&volume.dir().join("backstay"), &[], &server.section("main"));
        let bed = Self {
            backstay,
            server,
            rows,
            volume,
        };
        bed.server.conn().query_drop("CREATE DATABASE sbtest")?;
        let prepared = bed.sysbench().arg("prepare").output()?;
        if !prepared.status.success() {
            return Err(format!("sysbench: {}", String::from_utf8_lossy(&prepared.stdout)).into());
        }
        bed.settle()?;
        Ok(bed)
    }

    /// Waits until the server has written all pages: what is measured is the backup, and not the writing of what has just changed.
    pub(super) fn settle(&self) -> Result<(), Box<dyn Error>> {
        let mut conn = self.server.conn();
        let most: Option<f64> = conn.query_first("SELECT @@GLOBAL.innodb_max_dirty_pages_pct")?;
        conn.query_drop("SET GLOBAL innodb_max_dirty_pages_pct = 0")?;
        loop {
            let dirty: Option<(String, u64)> =
                conn.query_first("SHOW GLOBAL STATUS LIKE 'Innodb_buffer_pool_pages_dirty'")?;
            if dirty.is_none_or(|(_, pages)| pages < 10) {
                break;
            }
            std::thread::sleep(std::time::Duration::from_millis(100));
        }
        let most = most.ok_or("no innodb_max_dirty_pages_pct")?;
        conn.query_drop(format!("SET GLOBAL innodb_max_dirty_pages_pct = {most}"))?;
        Ok(())
    }

    pub(super) fn sysbench(&self) -> Command {
        let mut command = Command::new("sysbench");
        command
            .arg(format!("--mysql-socket={}", self.server.server.socket().display()))
            .args(["--mysql-user=root", "--mysql-db=sbtest", "--threads=2"])
            .args([format!("--tables={TABLES}"), format!("--table-size={}", self.rows)])
            .arg("oltp_read_write");
        command
    }

    /// Lets the volume's file system end what it does with files that were removed: whoever came next would pay for it, or be given blocks
    /// that nobody has used yet.
    fn sync(&self) -> Result<(), Box<dyn Error>> {
        rustix::fs::syncfs(fs::File::open(self.volume.point())?)?;
        Ok(())
    }

    fn measured(&self, start: impl FnOnce() -> std::io::Result<Child>) -> Result<Usage, Box<dyn Error>> {
        self.sync()?;
        measured(self.server.server.pid(), || Ok(start()?))
    }

    pub(super) fn shell(&self, script: &str) -> Result<Usage, Box<dyn Error>> {
        let start = || {
            Command::new("bash")
                .args(["-o", "pipefail", "-ec", script])
                .stdin(Stdio::null())
                .stdout(Stdio::null())
                .stderr(Stdio::piped())
                .spawn()
        };
        self.measured(start)
            .map_err(|error| format!("{script}: {error}").into())
    }

    pub(super) fn file(&self, name: &str) -> PathBuf {
        self.volume.dir().join(name)
    }

    /// A full backup, and how many bytes it has stored. Those before it are deleted first.
    pub(super) fn full(&self, engine: &str) -> Result<(Usage, f64), Box<dyn Error>> {
        let _ = fs::remove_dir_all(self.backstay.backups("main"));
        self.backup(engine, &[])
    }

    /// A backup, and how many bytes it has stored.
    pub(super) fn backup(&self, engine: &str, more: &[&str]) -> Result<(Usage, f64), Box<dyn Error>> {
        let arguments = [&["backup", "--engine", engine], more].concat();
        let usage = self.measured(|| Ok(self.backstay.start(&arguments)))?;
        Ok((usage, self.shown("stored_bytes")?))
    }

    pub(super) fn restore(&self) -> Result<Usage, Box<dyn Error>> {
        let target = self.volume.point().join("restored");
        let _ = fs::remove_dir_all(&target);
        let text = target.to_string_lossy().into_owned();
        let usage = self.measured(|| Ok(self.backstay.start(&["restore", "latest", "--to-datadir", &text])))?;
        fs::remove_dir_all(&target)?;
        Ok(usage)
    }

    /// A number of the latest backup's.
    pub(super) fn shown(&self, pointer: &str) -> Result<f64, Box<dyn Error>> {
        let output = self.backstay.run(&["show", "latest", "--json"]);
        let pointer = format!("/backup/{pointer}");
        let value = output.json().pointer(&pointer).and_then(serde_json::Value::as_f64);
        value.ok_or_else(|| format!("no {pointer} in {}", output.stdout).into())
    }
}

/// What was measured of one side.
#[derive(Debug, Default)]
pub(super) struct Side {
    seconds: Vec<f64>,
    pub(super) bytes: f64,
    peak: f64,
}

impl Side {
    pub(super) fn add(&mut self, round: usize, usage: Usage, bytes: f64) {
        if round > 0 {
            self.seconds.push(usage.seconds);
        }
        self.bytes = bytes;
        self.peak = self.peak.max(usage.peak);
    }

    pub(super) fn median(&self) -> f64 {
        median(&self.seconds).unwrap_or(f64::NAN)
    }

    pub(super) fn to(&self, other: &Self) -> f64 {
        self.median() / other.median()
    }

    /// The median of its times, for people.
    pub(super) fn time(&self) -> String {
        format!("{:.2} s", self.median())
    }

    /// Its bytes, for people.
    pub(super) fn megabytes(&self) -> String {
        format!("{:.1} MB", self.bytes / 1e6)
    }

    /// The worker's memory against its bar.
    pub(super) fn memory(&self) -> String {
        let mark = if self.peak <= MEMORY { "<=" } else { "MISSED:" };
        format!("{:.0} MiB ({mark} {MEMORY:.0})", self.peak)
    }
}
