//! The data: sysbench's tables, and wide ones of every sort of column.

use std::error::Error;
use std::fs;
use std::process::Command;
use std::thread;

use backstay_bed::{Flavour, TestServer, target_dir};
use mysql::prelude::Queryable;

use super::{Plan, say};

const SYSBENCH_TABLES: u64 = 8;
const SYSBENCH_ROWS: f64 = 500_000.0;
/// Of sysbench's row in a dump, in bytes.
const SYSBENCH_ROW: f64 = 194.0;

const WIDE_TABLES: u64 = 4;
/// Of a wide row in a dump, in bytes, about.
const WIDE_ROW: f64 = 1_200.0;
/// How many rows a statement inserts.
const BATCH: u64 = 10_000;

/// A server that holds one of the data sets.
pub(super) struct DataSet {
    pub(super) server: TestServer,
    pub(super) schema: &'static str,
    /// The tables; the primary key of each is `id`, from 1 on.
    pub(super) tables: Vec<String>,
    pub(super) rows: u64,
    /// For people.
    pub(super) about: String,
}

impl DataSet {
    pub(super) fn make(plan: &Plan, flavour: Flavour, name: &str) -> Result<Self, Box<dyn Error>> {
        if name == "sysbench" {
            sysbench(plan, flavour)
        } else {
            wide(plan, flavour)
        }
    }
}

/// A server on the disk that the build is on, whose buffer pool holds so many bytes of data where memory allows: what is
/// measured is the dump, and not the disk.
pub(super) fn server(flavour: Flavour, bytes: f64, arguments: &[&str]) -> Result<TestServer, Box<dyn Error>> {
    let folder = target_dir().join("bench");
    fs::create_dir_all(&folder)?;
    let pool = (bytes * 1.6 + 256e6).min(memory()? / 3.0);
    let pool = format!("--innodb-buffer-pool-size={}M", (pool / 1048576.0) as u64);
    let log = if flavour.is_mariadb() {
        "--innodb-log-file-size=512M"
    } else {
        "--innodb-redo-log-capacity=1G"
    };
    // MySQL's default, and Debian's for MariaDB; MariaDB's own is latin1, which would be other data.
    let charset = "--character-set-server=utf8mb4";
    let all: Vec<&str> = [pool.as_str(), log, charset]
        .into_iter()
        .chain(arguments.iter().copied())
        .collect();
    Ok(TestServer::start_in(flavour, &folder, &all))
}

/// The machine's memory, in bytes.
fn memory() -> Result<f64, Box<dyn Error>> {
    let text = fs::read_to_string("/proc/meminfo")?;
    let line = text
        .lines()
        .find(|line| line.starts_with("MemAvailable:"))
        .ok_or("no MemAvailable")?;
    let kilobytes: f64 = line.split_whitespace().nth(1).ok_or("no number")?.parse()?;
    Ok(kilobytes * 1024.0)
}

fn sysbench(plan: &Plan, flavour: Flavour) -> Result<DataSet, Box<dyn Error>> {
    let rows = ((SYSBENCH_ROWS * plan.scale) as u64).max(100);
    say(&format!("{}: preparing sysbench's tables", flavour.as_str()));
    let server = server(flavour, SYSBENCH_TABLES as f64 * rows as f64 * SYSBENCH_ROW, &[])?;
    server.conn().query_drop("CREATE DATABASE sbtest")?;
    let output = Command::new("sysbench")
        .arg(format!("--mysql-socket={}", server.server.socket().display()))
        .args(["--mysql-user=root", "--mysql-db=sbtest", "--threads=4"])
        .args([format!("--tables={SYSBENCH_TABLES}"), format!("--table-size={rows}")])
        .args(["oltp_read_write", "prepare"])
        .output()?;
    if !output.status.success() {
        return Err(format!("sysbench: {}", String::from_utf8_lossy(&output.stdout)).into());
    }
    let tables: Vec<String> = (1..=SYSBENCH_TABLES).map(|number| format!("sbtest{number}")).collect();
    settle(&server, "sbtest", &tables)?;
    Ok(DataSet {
        server,
        schema: "sbtest",
        tables,
        rows,
        about: format!("sysbench's {SYSBENCH_TABLES} x {rows} rows"),
    })
}

fn wide(plan: &Plan, flavour: Flavour) -> Result<DataSet, Box<dyn Error>> {
    let disk = rustix::fs::statvfs(target_dir())?;
    // The data, a dump of each side, and the redo and binary logs lie on it.
    let most = (disk.f_bavail * disk.f_frsize) as f64 / 5.0;
    let bytes = plan.wide_bytes.min(most);
    let batches = ((bytes / WIDE_ROW / WIDE_TABLES as f64 / BATCH as f64) as u64).max(1);
    say(&format!(
        "{}: making wide tables of {:.1} GB",
        flavour.as_str(),
        bytes / 1e9
    ));
    let server = server(flavour, bytes, &[])?;
    let tables: Vec<String> = (1..=WIDE_TABLES).map(|number| format!("wide{number}")).collect();
    let mut conn = server.conn();
    conn.query_drop("CREATE DATABASE wide CHARACTER SET utf8mb4")?;
    conn.query_drop("CREATE TABLE wide.numbers (n INT PRIMARY KEY)")?;
    let digits = "(SELECT 0 d UNION SELECT 1 UNION SELECT 2 UNION SELECT 3 UNION SELECT 4 UNION SELECT 5 UNION SELECT 6 \
                  UNION SELECT 7 UNION SELECT 8 UNION SELECT 9)";
    conn.query_drop(format!(
        "INSERT INTO wide.numbers SELECT 1 + a.d + 10 * b.d + 100 * c.d + 1000 * e.d FROM {digits} a, {digits} b, {digits} c, {digits} e"
    ))?;
    thread::scope(|scope| {
        let fill = |table: &String| -> Result<(), mysql::Error> {
            let mut conn = server.conn();
            conn.query_drop("SET SESSION sql_log_bin = 0")?;
            conn.query_drop("SET NAMES utf8mb4")?;
            conn.query_drop(format!("CREATE TABLE wide.{table} ({WIDE_COLUMNS})"))?;
            for batch in 0..batches {
                let insert = WIDE_ROWS.replace("$ID", &format!("(n + {})", batch * BATCH));
                conn.query_drop(format!("INSERT INTO wide.{table} SELECT {insert} FROM wide.numbers"))?;
            }
            Ok(())
        };
        let threads: Vec<_> = tables.iter().map(|table| scope.spawn(move || fill(table))).collect();
        threads.into_iter().try_for_each(|thread| {
            thread
                .join()
                .map_err(|_| "a thread panicked")?
                .map_err(Box::<dyn Error>::from)
        })
    })?;
    conn.query_drop("DROP TABLE wide.numbers")?;
    settle(&server, "wide", &tables)?;
    let rows = batches * BATCH;
    Ok(DataSet {
        server,
        schema: "wide",
        tables,
        rows,
        about: format!("{WIDE_TABLES} wide tables of {rows} rows"),
    })
}

/// Fresh statistics, which engines split tables by.
fn settle(server: &TestServer, schema: &str, tables: &[String]) -> Result<(), Box<dyn Error>> {
    for table in tables {
        server.conn().query_drop(format!("ANALYZE TABLE {schema}.{table}"))?;
    }
    Ok(())
}

/// Both servers take it: numbers, times, text of several languages and character sets, bytes, JSON.
const WIDE_COLUMNS: &str = "id BIGINT UNSIGNED PRIMARY KEY, tiny TINYINT, small SMALLINT UNSIGNED, medium MEDIUMINT, plain INT, \
    big BIGINT, many DECIMAL(30,10), price DECIMAL(10,2) NOT NULL, single FLOAT, twice DOUBLE, flags BIT(12), born DATE, \
    made DATETIME, changed DATETIME(6) NOT NULL, stamped TIMESTAMP NULL, took TIME(3), vintage YEAR, \
    colour ENUM('red','green','blue'), tags SET('a','b','c','d'), code CHAR(12) CHARACTER SET latin1, \
    name VARCHAR(80) NOT NULL, city VARCHAR(60), mail VARCHAR(120), street VARCHAR(120), phone VARCHAR(30), \
    note VARCHAR(400), latin VARCHAR(100) CHARACTER SET latin1, words TEXT, story MEDIUMTEXT, escapes TEXT, \
    token BINARY(16), digest VARBINARY(64), picture BLOB, document JSON, KEY made (made), KEY name (name)";

/// A row by its id. MySQL 9.6 and later have no MD5().
const WIDE_ROWS: &str = "$ID, $ID % 256 - 128, $ID % 65536, $ID * 7 % 8388608, $ID * 31 % 2147483647, \
    $ID * -922337203, $ID * 1.0000000001, ($ID * 17 % 1000000) / 100, $ID / 7, SQRT($ID), $ID % 4096, \
    DATE_ADD('1970-01-01', INTERVAL $ID % 20000 DAY), DATE_ADD('2001-01-01', INTERVAL $ID SECOND), \
    DATE_ADD('2001-01-01', INTERVAL $ID * 997 MICROSECOND), IF($ID % 5 = 0, NULL, DATE_ADD('2011-01-01', INTERVAL $ID MINUTE)), \
    SEC_TO_TIME($ID % 80000 + 0.125), 1901 + $ID % 250, ELT(1 + $ID % 3, 'red', 'green', 'blue'), $ID % 16, \
    HEX($ID), CONCAT('Zo\u{eb} M\u{fc}ller ', $ID), ELT(1 + $ID % 4, 'K\u{f6}ln', '\u{5317}\u{4eac}', 'S\u{e3}o Paulo', NULL), \
    CONCAT('someone.', $ID, '@example.', ELT(1 + $ID % 3, 'com', 'org', 'net')), CONCAT($ID % 999, ' Long Street, back door'), \
    CONCAT('+49 ', $ID), REPEAT(CONCAT('note ', $ID, ' '), 1 + $ID % 12), CONCAT('caf\u{e9} cr\u{e8}me ', $ID), \
    REPEAT(CONCAT('the quick brown fox ', $ID, ' jumps; '), 1 + $ID % 8), \
    REPEAT(CONCAT('\u{1f600} \u{65e5}\u{672c}\u{8a9e} ', LEFT(SHA2($ID, 256), 32), ' '), 1 + $ID % 6), \
    CONCAT('tab\\there, line\\nbreak, \\\\back\\\\slash, \\'quotes\\' \"double\", \\0 zero ', $ID), \
    UNHEX(LEFT(SHA2($ID, 256), 32)), UNHEX(SHA2($ID, 512)), IF($ID % 3 = 0, NULL, UNHEX(REPEAT(LEFT(SHA2($ID, 256), 32), 1 + $ID % 10))), \
    JSON_OBJECT('id', $ID, 'tags', JSON_ARRAY('x', $ID % 10, NULL), 'name', CONCAT('n\u{e4}me ', $ID), 'nested', JSON_OBJECT('deep', $ID / 3))";
