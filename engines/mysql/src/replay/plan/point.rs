//! Where the replay ends.

use std::collections::HashSet;

use backstay_engine_api::job::Segment;
use backstay_engine_api::position::{
    BinlogFile, GtidTarget, Order, PointInTime, Position, RecoveryPoint, Transaction as Named, TypedPosition,
};
use backstay_engine_api::{EngineError, ErrorKind, Notice};

use super::start::place_of;
use super::{File, Name, Start, Transaction};

/// How many transactions a notice names.
const NAMED: usize = 5;

type Ended = Result<(Vec<Transaction>, Vec<Notice>), EngineError>;

/// The transactions up to the point, and what an operator must know of that.
///
/// # Errors
/// The logs do not lead there, or the target is beyond it.
pub(super) fn up_to(
    point: &RecoveryPoint,
    start: &Start,
    logs: &[Segment],
    files: &[File],
    mut all: Vec<Transaction>,
) -> Ended {
    match point {
        RecoveryPoint::Latest => Ok((all, Vec::new())),
        RecoveryPoint::Time { time } => Ok(by_time(*time, all)),
        RecoveryPoint::Gtid(target) => by_gtids(target, start, all),
        RecoveryPoint::BeforeGtid(named) => {
            let name = match named {
                Named::Mysql(gtid) => Name::Mysql(gtid.clone()),
                Named::Mariadb(gtid) => Name::Mariadb(*gtid),
            };
            let count = all.iter().position(|transaction| transaction.name == name);
            let Some(count) = count else {
                return Err(not_in_logs(&name, start));
            };
            all.truncate(count);
            Ok((all, Vec::new()))
        }
        RecoveryPoint::BinlogFile(place) => by_place(place, start, logs, files, all),
        RecoveryPoint::Position { position } => by_position(position, start, logs, files, all),
    }
}

fn by_position(position: &Position, start: &Start, logs: &[Segment], files: &[File], all: Vec<Transaction>) -> Ended {
    let usage = |error: &dyn std::fmt::Display| EngineError::new(ErrorKind::Usage, format!("the point: {error}"));
    match position.typed().map_err(|error| usage(&error))? {
        TypedPosition::MysqlGtid(set) => by_gtids(&GtidTarget::Mysql(set), start, all),
        TypedPosition::MariadbGtid(position) => by_gtids(&GtidTarget::Mariadb(position), start, all),
        TypedPosition::BinlogFile(place) => by_place(&place, start, logs, files, all),
        _ => Err(usage(&format!(
            "a binary log has no position of kind {}",
            position.kind
        ))),
    }
}

/// Ends before the first transaction that is later; later ones that are not are named.
fn by_time(time: PointInTime, mut all: Vec<Transaction>) -> (Vec<Transaction>, Vec<Notice>) {
    let limit = time.unix_microseconds();
    let count = all
        .iter()
        .position(|transaction| transaction.time > limit)
        .unwrap_or(all.len());
    let rest = all.split_off(count);
    let not_later: Vec<&Transaction> = rest.iter().filter(|transaction| transaction.time <= limit).collect();
    let notices = not_later.last().map(|last| {
        let names: Vec<String> = not_later
            .iter()
            .take(NAMED)
            .map(|transaction| transaction.name.to_string())
            .collect();
        let more = match not_later.len().saturating_sub(NAMED) {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        let text = format!(
            "the clock stepped back: {} transactions come later in the log than the first one after {time} though their times \
             are not: {}{more}; they are left out, and recovering to {} would include them",
            not_later.len(),
            names.join(", "),
            last.name
        );
        Notice::new("clock-stepped-back", text)
    });
    (all, notices.into_iter().collect())
}

fn by_gtids(target: &GtidTarget, start: &Start, mut all: Vec<Transaction>) -> Ended {
    match (target, start) {
        (GtidTarget::Mysql(set), Start::Mysql(from)) => {
            let mut missing = set.subtract(from);
            let mut count = 0;
            for (index, transaction) in all.iter().enumerate() {
                if missing.is_empty() {
                    break;
                }
                if let Name::Mysql(gtid) = &transaction.name
                    && missing.contains(gtid)
                {
                    missing = missing.subtract(&gtid.clone().into());
                    count = index + 1;
                }
            }
            if let Some(first) = missing.first() {
                return Err(not_in_logs(&Name::Mysql(first), start));
            }
            all.truncate(count);
            let beyond = all
                .iter()
                .filter(|transaction| matches!(&transaction.name, Name::Mysql(gtid) if !set.contains(gtid)));
            let notices = beyond_the_set(beyond);
            Ok((all, notices))
        }
        (GtidTarget::Mariadb(position), Start::Mariadb(from)) => {
            let mut last = 0;
            for gtid in position.iter().filter(|gtid| !from.covers(*gtid)) {
                let at = all
                    .iter()
                    .position(|transaction| transaction.name == Name::Mariadb(gtid))
                    .ok_or_else(|| not_in_logs(&Name::Mariadb(gtid), start))?;
                last = last.max(at + 1);
            }
            all.truncate(last);
            // Domains are independent of each other: in each that is named, nothing after its transaction.
            let mut passed: HashSet<u32> = position
                .iter()
                .filter(|gtid| from.covers(*gtid))
                .map(|gtid| gtid.domain)
                .collect();
            all.retain(|transaction| {
                let Name::Mariadb(gtid) = transaction.name else {
                    return true;
                };
                let included = !passed.contains(&gtid.domain);
                if position.get(gtid.domain) == Some(gtid) {
                    passed.insert(gtid.domain);
                }
                included
            });
            let beyond = all.iter().filter(
                |transaction| matches!(transaction.name, Name::Mariadb(gtid) if position.get(gtid.domain).is_none()),
            );
            let notices = beyond_the_set(beyond);
            Ok((all, notices))
        }
        (target, _) => Err(EngineError::new(
            ErrorKind::Usage,
            format!("the point {target} is of another kind than the log's transactions"),
        )
        .advise("name the point by a time, or by GTIDs as the server writes them")),
    }
}

fn beyond_the_set<'a>(beyond: impl Iterator<Item = &'a Transaction>) -> Vec<Notice> {
    let beyond: Vec<&Transaction> = beyond.collect();
    beyond
        .last()
        .map(|last| {
            let text = format!(
                "{} transactions stand before the point in the log without being named by it, and are included; the last is {}",
                beyond.len(),
                last.name
            );
            Notice::new("beyond-the-set", text)
        })
        .into_iter()
        .collect()
}

fn by_place(place: &BinlogFile, start: &Start, logs: &[Segment], files: &[File], mut all: Vec<Transaction>) -> Ended {
    let in_file = |transaction: &Transaction| files[transaction.file].name == place.file();
    let holding: HashSet<usize> = all
        .iter()
        .filter(|transaction| in_file(transaction))
        .map(|transaction| transaction.file)
        .collect();
    if holding.iter().any(|file| files[*file].object.contains('/')) && holding.len() > 1 {
        let message = format!("there are several logs {}, of different servers", place.file());
        return Err(EngineError::new(ErrorKind::Usage, message).advise("name the point by a GTID or a time"));
    }
    let ends = |transaction: &Transaction| transaction.place.map_or(0, |(_, end)| end);
    let inside = all.iter().find(|transaction| {
        in_file(transaction)
            && transaction
                .place
                .is_some_and(|(start, end)| start < place.offset() && place.offset() < end)
    });
    if let Some(inside) = inside {
        let (begins, end) = inside.place.unwrap_or_default();
        let message = format!(
            "{place} is in the middle of a transaction, {}, that lasts from {begins} to {end}",
            inside.name
        );
        return Err(EngineError::new(ErrorKind::Usage, message).advise("name the place where a transaction ends"));
    }
    let count = all
        .iter()
        .rposition(|transaction| in_file(transaction) && ends(transaction) <= place.offset());
    let count = match count {
        Some(last) if ends(&all[last]) == place.offset() || all.get(last + 1).is_some() => Some(last + 1),
        // Before its file's first transaction: the end of what came before.
        None if all.first().is_some_and(in_file) || matches!(start, Start::Place(from) if from == place) => Some(0),
        None => all.iter().position(in_file),
        Some(_) => None,
    };
    let count = count
        .or_else(|| by_order(place, start, logs, files, &all))
        .ok_or_else(|| beyond(place, &all, files))?;
    all.truncate(count);
    Ok((all, Vec::new()))
}

/// How many transactions come before a place at which none ends, such as one in a file without any. Only without GTIDs, where all
/// files are one server's, are they in order.
fn by_order(place: &BinlogFile, start: &Start, logs: &[Segment], files: &[File], all: &[Transaction]) -> Option<usize> {
    let Start::Place(from) = start else { return None };
    let reaches = |one: &BinlogFile| matches!(one.compare(place), Order::Equal | Order::After);
    if !matches!(from.compare(place), Order::Equal | Order::Before) {
        return None;
    }
    let before = |transaction: &&Transaction| {
        let end = transaction.place.map_or(0, |(_, end)| end);
        BinlogFile::new(files[transaction.file].name.clone(), end).is_ok_and(|end| end.compare(place) != Order::After)
    };
    let count = all.iter().take_while(before).count();
    let known = count < all.len() || logs.iter().any(|log| place_of(&log.to).is_some_and(|to| reaches(&to)));
    known.then_some(count)
}

fn beyond(place: &BinlogFile, all: &[Transaction], files: &[File]) -> EngineError {
    let end = all.last().map_or_else(
        || "the logs have nothing after where the target stands".to_owned(),
        |last| {
            format!(
                "the logs end at {}:{}",
                files[last.file].name,
                last.place.map_or(0, |(_, end)| end)
            )
        },
    );
    EngineError::refused(format!("{place} is not in the logs: {end}"))
        .advise("name a place that `backstay log search` shows, or recover to the latest")
}

fn not_in_logs(name: &Name, start: &Start) -> EngineError {
    let applied = match (name, start) {
        (Name::Mysql(gtid), Start::Mysql(from)) => from.contains(gtid),
        (Name::Mariadb(gtid), Start::Mariadb(from)) => from.covers(*gtid),
        _ => false,
    };
    if applied {
        EngineError::refused(format!("the backup has {name} already"))
            .advise("recover from a backup that was taken before that transaction")
    } else {
        EngineError::refused(format!("{name} is not in the logs that were given"))
            .advise("look for it with `backstay log search`; it may not have been archived yet")
    }
}

#[cfg(test)]
mod tests;
