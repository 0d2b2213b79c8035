//! The planner, by cases and against a model.

mod history;
mod latest;
mod logs;
mod mariadb;
mod model;
mod place;
mod to_position;
mod to_time;
mod trouble;

use backstay_engine_api::job::Segment;
use backstay_engine_api::position::RecoveryPoint;
use backstay_engine_api::{BackupKind, BackupRecord, EngineRef, Position, PositionKind, ServerFacts};

use super::*;

/// The server whose transactions most cases are about.
pub(super) const U: &str = "3e11fa47-71ca-11e1-9e33-c80aa9429562";
/// Another one.
pub(super) const V: &str = "4f22ab58-82db-22f2-af44-d91bb053a673";

/// A position of transactions of [`U`]: `1-50`; of any server where it names one.
pub(super) fn gtids(text: &str) -> Position {
    let set = if text.is_empty() || text.contains(':') {
        text.to_owned()
    } else {
        format!("{U}:{text}")
    };
    Position::new(PositionKind::MYSQL_GTID, set)
}

pub(super) fn record(id: &str, kind: BackupKind, position: Position) -> BackupRecord {
    BackupRecord {
        id: id.to_owned(),
        cluster: "orders".to_owned(),
        workflow: None,
        engine: EngineRef {
            name: "mysqldump".to_owned(),
            ..EngineRef::default()
        },
        kind,
        parent: None,
        server: ServerFacts::default(),
        positions: vec![position],
        from: Vec::new(),
        started: "2020-01-01T00:00:00Z".to_owned(),
        finished: "2020-01-01T00:00:00Z".to_owned(),
        objects: 1,
        bytes: 1000,
        stored_bytes: 100,
        partial: false,
        notices: Vec::new(),
        log: None,
        state: serde_json::Value::Null,
        other: serde_json::Map::new(),
    }
}

/// A full backup at a position; a time is when it shows that.
pub(super) fn full(id: &str, at: &str, time: Option<&str>) -> BackupRecord {
    let mut position = gtids(at);
    position.time = time.map(str::to_owned);
    record(id, BackupKind::Full, position)
}

/// A page-level incremental.
pub(super) fn pages(id: &str, parent: &str, from: &str, to: &str, bytes: u64) -> BackupRecord {
    let mut record = record(id, BackupKind::Incremental, gtids(to));
    record.parent = Some(parent.to_owned());
    record.from = vec![gtids(from)];
    record.bytes = bytes;
    record
}

/// A log-based incremental from one position to another; its id is `to:from`.
pub(super) fn incremental(to: &str, from: &str, bytes: u64) -> BackupRecord {
    let mut record = record(&format!("{to}:{from}"), BackupKind::Incremental, gtids(to));
    record.from = vec![gtids(from)];
    record.bytes = bytes;
    record.log = Some(segment(&record.id, from, to));
    record
}

/// The same, with the commit times of its first and last transaction.
pub(super) fn timed(to: &str, from: &str, bytes: u64, first: &str, last: &str) -> BackupRecord {
    let mut record = incremental(to, from, bytes);
    let log = record.log.as_mut().expect("it is of log events");
    log.first_time = Some(first.to_owned());
    log.last_time = Some(last.to_owned());
    record
}

pub(super) fn segment(name: &str, from: &str, to: &str) -> Segment {
    Segment {
        name: name.to_owned(),
        from: vec![gtids(from)],
        to: vec![gtids(to)],
        ..Segment::default()
    }
}

pub(super) fn holdings(backups: Vec<BackupRecord>) -> Holdings {
    Holdings {
        backups,
        ..Holdings::default()
    }
}

/// What a plan uses: the ids of its chain, and then the names of its pieces of log.
pub(super) fn used(plan: &Plan) -> Vec<String> {
    let logs = plan.logs.iter().map(|step| step.source.name());
    plan.chain.iter().cloned().chain(logs).collect()
}

pub(super) fn to(point: RecoveryPoint) -> Wanted {
    point.into()
}

/// To transactions of [`U`], such as `1-58`.
pub(super) fn to_set(text: &str) -> Wanted {
    let set = if text.contains(':') {
        text.to_owned()
    } else {
        format!("{U}:{text}")
    };
    RecoveryPoint::gtid(&set).expect("a set").into()
}

/// What there is no way to, and why: the message and its details.
pub(super) fn reason_of(result: Result<Plan, NoPlan>) -> String {
    match result {
        Ok(plan) => panic!("there is a plan: {:?}", used(&plan)),
        Err(reason) => format!("{}\n{}", reason.message, reason.details.join("\n")),
    }
}
