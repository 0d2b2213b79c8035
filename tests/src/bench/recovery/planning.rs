//! How long it takes to plan a recovery.

use std::error::Error;
use std::fs;

use backstay::recovery::{Archived, ArchivedSegment, Holdings, Wanted, plan};
use backstay_engine_api::job::Segment;
use backstay_engine_api::position::{PointInTime, RecoveryPoint};
use backstay_engine_api::{BackupKind, BackupRecord, Position, PositionKind};

use super::super::{RUNS, median, table, time};

/// How many backups there are.
const BACKUPS: u64 = 10_000;
/// How many transactions are indexed, in segments of so many.
const TRANSACTIONS: u64 = 1_000_000;
const SEGMENT: u64 = 50;
/// Of so many backups one is full.
const FULL: u64 = 50;
/// The bars.
const SECONDS: f64 = 1.0;
const MEBIBYTES: f64 = 200.0;

const SOURCES: [&str; 2] = [
    "3e11fa47-71ca-11e1-9e33-c80aa9429562",
    "4f22ab58-82db-22f2-af44-d91bb053a673",
];

/// Plans over a long history that has had a failover, to points of each kind.
///
/// # Errors
/// There is no plan, or what was used can not be read.
pub(super) fn run() -> Result<String, Box<dyn Error>> {
    // The peak is counted from here on; see proc(5).
    fs::write("/proc/self/clear_refs", "5")?;
    let holdings = holdings()?;
    let late = TRANSACTIONS - 7_777;
    let before = format!("{}:{}", SOURCES[1], late - TRANSACTIONS / 2);
    let points = [
        ("the latest", RecoveryPoint::Latest),
        ("a time", RecoveryPoint::Time { time: at(late)? }),
        ("a GTID set", RecoveryPoint::gtid(&set(late))?),
        ("just before a transaction", RecoveryPoint::before_gtid(&before)?),
        ("an early time", RecoveryPoint::Time { time: at(7_777)? }),
    ];
    let mut rows = Vec::new();
    for (name, point) in points {
        let wanted = Wanted::from(point);
        let mut times = Vec::new();
        let mut steps = 0;
        for _ in 0..=RUNS {
            let (taken, plan) = time(|| plan(&holdings, &wanted).map_err(|reason| format!("{name}: {reason:?}")))?;
            steps = plan.chain.len() + plan.logs.len();
            times.push(taken.as_secs_f64());
        }
        let taken = median(&times[1..]).unwrap_or(f64::NAN);
        rows.push(vec![
            format!("planning to {name}, {steps} steps"),
            format!("{:.0} ms", taken * 1000.0),
            verdict(taken, SECONDS, "1 s"),
        ]);
    }
    let peak = peak()?;
    rows.push(vec![
        format!(
            "memory, with the records of {BACKUPS} backups and {} segments",
            TRANSACTIONS / SEGMENT
        ),
        format!("{peak:.0} MiB"),
        verdict(peak, MEBIBYTES, "200 MiB"),
    ]);
    Ok(table(&["what", "median", "bar"], &rows))
}

fn verdict(found: f64, bar: f64, shown: &str) -> String {
    let missed = if found < bar { "" } else { "MISSED: " };
    format!("{missed}< {shown}")
}

/// The process's peak resident memory, in MiB.
fn peak() -> Result<f64, Box<dyn Error>> {
    let status = fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kibibytes = line.and_then(|line| line.split_whitespace().next()).ok_or("no VmHWM")?;
    Ok(kibibytes.parse::<f64>()? / 1024.0)
}

/// The transactions up to a number: the second half is another server's.
fn set(last: u64) -> String {
    let half = TRANSACTIONS / 2;
    match last {
        0 => String::new(),
        last if last <= half => format!("{}:1-{last}", SOURCES[0]),
        last => format!("{}:1-{half},{}:1-{}", SOURCES[0], SOURCES[1], last - half),
    }
}

/// When the transaction of a number was committed: ten in a second.
fn at(number: u64) -> Result<PointInTime, Box<dyn Error>> {
    let micros = 1_700_000_000_000_000 + i64::try_from(number)? * 100_000;
    Ok(PointInTime::from_unix_microseconds(micros).ok_or("no such time")?)
}

fn position(last: u64) -> Result<Position, Box<dyn Error>> {
    Ok(Position::new(PositionKind::MYSQL_GTID, set(last)).at(at(last)?))
}

fn segment(name: String, from: u64, to: u64) -> Result<Segment, Box<dyn Error>> {
    Ok(Segment {
        name,
        from: vec![position(from)?],
        to: vec![position(to)?],
        first_time: Some(at(from + 1)?.to_string()),
        last_time: Some(at(to)?.to_string()),
        transactions: to - from,
        bytes: (to - from) * 400,
        ..Segment::default()
    })
}

fn holdings() -> Result<Holdings, Box<dyn Error>> {
    let mut backups = Vec::new();
    let step = TRANSACTIONS / BACKUPS;
    for number in 0..BACKUPS {
        let (from, to) = (number * step, (number + 1) * step);
        let full = number % FULL == 0;
        let record = serde_json::json!({
            "id": format!("{number:08}"),
            "cluster": "orders",
            "engine": { "name": "mysqlshell", "version": "1", "vendor": "", "digest": "" },
            "kind": if full { "full" } else { "incremental" },
            "parent": (!full).then(|| format!("{:08}", number - 1)),
            "server": { "flavour": "mysql", "version": "9.7.0" },
            "positions": [position(to)?],
            "started": at(to)?.to_string(),
            "finished": at(to)?.to_string(),
            "objects": 10,
            "bytes": if full { 40_000_000 } else { step * 400 },
            "stored_bytes": 1000,
        });
        let mut record: BackupRecord = serde_json::from_value(record)?;
        if record.kind == BackupKind::Incremental {
            record.from = vec![position(from)?];
            record.log = Some(segment(record.id.clone(), from, to)?);
        }
        backups.push(record);
    }
    let mut segments = Vec::new();
    for number in 0..TRANSACTIONS / SEGMENT {
        let (from, to) = (number * SEGMENT, (number + 1) * SEGMENT);
        segments.push(ArchivedSegment {
            segment: segment(format!("{number:012}"), from, to)?,
            origin: None,
        });
    }
    Ok(Holdings {
        backups,
        archives: vec![Archived {
            anew: false,
            stream: "one".to_owned(),
            segments,
        }],
        ..Holdings::default()
    })
}
