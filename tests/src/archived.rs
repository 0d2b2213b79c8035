//! What an archive has of a server's log: read from the repository's files and by the server's own program, and not by ours.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use backstay_bed::{Flavour, TestServer};
use backstay_engine_api::position::mariadb::{GtidPosition, MariadbGtid};
use backstay_engine_api::position::mysql::GtidSet;
use backstay_mysql::mysql::prelude::Queryable;
use serde_json::Value;

/// What the server has committed.
///
/// # Panics
/// The server does not say so.
pub fn executed(server: &TestServer) -> String {
    let variable = if server.flavour.is_mariadb() {
        "SELECT @@GLOBAL.gtid_binlog_pos"
    } else {
        "SELECT @@GLOBAL.gtid_executed"
    };
    let value: Option<String> = server.conn().query_first(variable).unwrap();
    value.unwrap_or_default().replace('\n', "")
}

/// Whether a log that ends there has all that was committed.
///
/// # Panics
/// What is given are no GTIDs.
pub fn covers(flavour: Flavour, ends: &str, committed: &str) -> bool {
    if flavour.is_mariadb() {
        let ends: GtidPosition = ends.parse().unwrap();
        ends.covers_position(&committed.parse().unwrap())
    } else {
        let ends: GtidSet = ends.parse().unwrap();
        ends.contains_set(&committed.parse().unwrap())
    }
}

/// What the listed transactions lack, or have too much, to lead from one state of the server to another.
///
/// # Panics
/// What is given are no GTIDs.
pub fn missing(flavour: Flavour, listed: &[&str], before: &str, after: &str) -> String {
    if flavour.is_mariadb() {
        let mut at: GtidPosition = before.parse().unwrap();
        for gtid in listed {
            let gtid: MariadbGtid = gtid.parse().unwrap();
            let last = at.get(gtid.domain).map_or(0, |last| last.sequence);
            if gtid.sequence != last + 1 {
                return format!("{gtid} comes after {at}");
            }
            at.set(gtid);
        }
        return if at == after.parse().unwrap() {
            String::new()
        } else {
            format!("ends at {at}, not at {after}")
        };
    }
    let mut set: GtidSet = before.parse().unwrap();
    for gtid in listed {
        let one: GtidSet = gtid.parse().unwrap();
        set.insert_all(&one);
    }
    let after: GtidSet = after.parse().unwrap();
    let (lacks, more) = (after.subtract(&set), set.subtract(&after));
    if lacks.is_empty() && more.is_empty() {
        String::new()
    } else {
        format!("lacks {lacks}, has more {more}")
    }
}

/// What is archived.
#[derive(Debug)]
pub struct Log {
    /// How many pieces without a hole there are.
    pub streams: usize,
    /// Its segments, in order.
    pub pieces: Vec<Piece>,
    /// Where the last segment, or the stream, ends, by GTID.
    pub ends: Option<String>,
}

/// A segment.
#[derive(Debug)]
pub struct Piece {
    /// Where it is.
    pub directory: PathBuf,
    /// Its binary logs, in order.
    pub files: Vec<String>,
    /// Its transactions, as its index lists them.
    pub gtids: Vec<String>,
}

impl Log {
    /// Of the cluster `main`.
    ///
    /// # Panics
    /// It can not be read.
    pub fn read(repository: &Path) -> Self {
        let streams = directories(&repository.join("clusters/main/logs"));
        let mut log = Self {
            streams: streams.len(),
            pieces: Vec::new(),
            ends: None,
        };
        for stream in streams {
            if let Some(record) = json(&stream.join("stream.json")) {
                log.ends = gtid_of(&record["from"]);
            }
            for directory in directories(&stream) {
                let Some(record) = json(&directory.join("segment.json")) else {
                    continue;
                };
                log.ends = gtid_of(&record["to"]);
                let objects = record["objects"].as_array().unwrap();
                let mut files: Vec<String> = objects.iter().map(|name| name.as_str().unwrap().to_owned()).collect();
                assert_eq!(files.pop().as_deref(), Some("transactions.jsonl"));
                log.pieces.push(Piece {
                    gtids: listed(&directory),
                    directory,
                    files,
                });
            }
        }
        log
    }
}

/// Where the log ends, by GTID, without looking at the rest of it. None while there is none.
pub fn end(repository: &Path) -> Option<String> {
    let stream = directories(&repository.join("clusters/main/logs")).pop()?;
    let segments = directories(&stream);
    let last = segments
        .iter()
        .rev()
        .find_map(|segment| json(&segment.join("segment.json")));
    match last {
        Some(record) => gtid_of(&record["to"]),
        None => gtid_of(&json(&stream.join("stream.json"))?["from"]),
    }
}

fn gtid_of(positions: &Value) -> Option<String> {
    let positions = positions.as_array()?;
    let gtid = positions
        .iter()
        .find(|position| position["kind"].as_str().is_some_and(|kind| kind.ends_with("-gtid")))?;
    gtid["value"].as_str().map(str::to_owned)
}

/// The transactions of a segment's index.
fn listed(directory: &Path) -> Vec<String> {
    let text = zstd(&directory.join("data/transactions.jsonl.zst"));
    let text = String::from_utf8(text).unwrap();
    let lines = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    lines.map(|line| line["gtid"].as_str().unwrap().to_owned()).collect()
}

/// The transactions that the server's own program finds in a segment's binary logs, after `zstd -d`.
///
/// # Panics
/// It can not be read.
pub fn decoded(server: &TestServer, directory: &Path, files: &[String]) -> Vec<String> {
    let mut gtids = Vec::new();
    for file in files {
        let plain = tempfile::NamedTempFile::new().unwrap();
        fs::write(plain.path(), zstd(&directory.join(format!("data/{file}.zst")))).unwrap();
        let output = Command::new(server.program("mysqlbinlog", "mariadb-binlog"))
            .args([
                "--no-defaults",
                "--verify-binlog-checksum",
                "--base64-output=DECODE-ROWS",
            ])
            .args(if server.flavour.is_mariadb() {
                &[][..]
            } else {
                &["--skip-gtids=0"][..]
            })
            .arg(plain.path())
            .output()
            .unwrap();
        assert!(
            output.status.success(),
            "{file}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        let text = String::from_utf8_lossy(&output.stdout);
        for line in text.lines() {
            let gtid = if server.flavour.is_mariadb() {
                line.split_once("\tGTID ").and_then(|(_, rest)| rest.split(' ').next())
            } else {
                line.split_once("GTID_NEXT= '")
                    .and_then(|(_, rest)| rest.split('\'').next())
            };
            gtids.extend(gtid.filter(|gtid| *gtid != "AUTOMATIC").map(str::to_owned));
        }
    }
    gtids
}

fn zstd(file: &Path) -> Vec<u8> {
    let output = Command::new("zstd").arg("-dc").arg(file).output().unwrap();
    assert!(
        output.status.success(),
        "{}: {}",
        file.display(),
        String::from_utf8_lossy(&output.stderr)
    );
    output.stdout
}

fn json(file: &Path) -> Option<Value> {
    serde_json::from_slice(&fs::read(file).ok()?).ok()
}

/// The directories in a directory, in the order of their names; none if it is not there.
pub fn directories(of: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(of) else {
        return Vec::new();
    };
    let mut all: Vec<PathBuf> = entries
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| path.is_dir())
        .collect();
    all.sort();
    all
}
