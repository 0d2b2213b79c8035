//! A server that sysbench writes to.

use std::error::Error;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use backstay_bed::{Flavour, TestServer};
use mysql::prelude::Queryable;

use crate::backstay::Backstay;

/// sysbench's tables, and how many rows each has.
const TABLES: u64 = 8;
const ROWS: u64 = 25_000;
/// What writes: as many connections as make two processors busy.
const CONNECTIONS: u64 = 4;

/// What servers are started with, source and targets alike: memory for the data, and no commit that waits for the disk.
pub(super) fn arguments(flavour: Flavour) -> Vec<&'static str> {
    let log = if flavour.is_mariadb() {
        "--innodb-log-file-size=512M"
    } else {
        "--innodb-redo-log-capacity=512M"
    };
    vec![
        "--innodb-buffer-pool-size=512M",
        log,
        "--character-set-server=utf8mb4",
        "--innodb-flush-log-at-trx-commit=2",
        "--sync-binlog=0",
        "--event-scheduler=OFF",
    ]
}

/// A source with sysbench's tables, and Backstay with a full backup of it.
pub(super) struct Bed {
    pub(super) source: TestServer,
    pub(super) backstay: Backstay,
    /// The file of the source's log that was begun before the backup, and that the load is written to.
    first: String,
}

impl Bed {
    pub(super) fn new(flavour: Flavour) -> Result<Self, Box<dyn Error>> {
        let source = TestServer::start_with(flavour, &arguments(flavour));
        let sections = format!("[archive]\nspool = \"spool\"\n\n{}", source.section("main"));
        let backstay = Backstay::new(&source.dir().join("backstay"), &[], &sections);
        source.conn().query_drop("CREATE DATABASE sbtest")?;
        let mut bed = Self {
            source,
            backstay,
            first: String::new(),
        };
        bed.sysbench("oltp_write_only", &["prepare"])?;
        bed.source.conn().query_drop("FLUSH BINARY LOGS")?;
        bed.first = bed.log_names()?.pop().ok_or("the source has no log")?;
        bed.backstay.run(&["backup", "--engine", "mysqlshell"]).ok();
        Ok(bed)
    }

    /// Runs sysbench to its end.
    pub(super) fn sysbench(&self, script: &str, arguments: &[&str]) -> Result<(), Box<dyn Error>> {
        let output = Command::new("sysbench")
            .arg(format!("--mysql-socket={}", self.source.server.socket().display()))
            .args(["--mysql-user=root", "--mysql-db=sbtest", "--rand-seed=7"])
            .args([format!("--tables={TABLES}"), format!("--table-size={ROWS}")])
            .arg(format!("--threads={CONNECTIONS}"))
            .arg(script)
            .args(arguments)
            .stdin(Stdio::null())
            .output()?;
        match output.status.success() {
            true => Ok(()),
            false => Err(format!("sysbench {script}: {}", String::from_utf8_lossy(&output.stdout)).into()),
        }
    }

    fn log_names(&self) -> Result<Vec<String>, Box<dyn Error>> {
        let rows: Vec<mysql::Row> = self.source.conn().query("SHOW BINARY LOGS")?;
        Ok(rows.iter().filter_map(|row| row.get(0)).collect())
    }

    /// Ends the file of the log that is written to. All files since the backup.
    pub(super) fn logs(&self) -> Result<Vec<PathBuf>, Box<dyn Error>> {
        self.source.conn().query_drop("FLUSH BINARY LOGS")?;
        let mut names = self.log_names()?;
        names.pop();
        let since = names.into_iter().skip_while(|name| *name != self.first);
        Ok(since.map(|name| self.source.server.data_dir().join(name)).collect())
    }
}
