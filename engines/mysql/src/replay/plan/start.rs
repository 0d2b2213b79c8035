//! What comes after where the target stands; gaps are found here.

use std::collections::{HashMap, HashSet};

use backstay_engine_api::job::Segment;
use backstay_engine_api::position::mariadb::GtidPosition;
use backstay_engine_api::position::mysql::GtidSet;
use backstay_engine_api::position::{BinlogFile, Order, Position, TypedPosition};
use backstay_engine_api::{EngineError, ErrorKind};

use super::{File, Name, Start, Transaction};

/// Where the target stands, and the transactions after that; each once.
///
/// # Errors
/// It is not said where the target stands; the logs begin later, or have a gap.
pub(super) fn after(
    from: &[Position],
    logs: &[Segment],
    files: &[File],
    transactions: Vec<Transaction>,
) -> Result<(Start, Vec<Transaction>), EngineError> {
    let anonymous = transactions
        .iter()
        .find(|transaction| transaction.name == Name::Anonymous);
    let mut place = None;
    for position in from {
        let typed = position
            .typed()
            .map_err(|error| EngineError::new(ErrorKind::Usage, format!("where the target stands: {error}")))?;
        match typed {
            TypedPosition::MysqlGtid(set) if anonymous.is_none() => {
                let after = after_set(&set, logs, files, transactions)?;
                return Ok((Start::Mysql(set), after));
            }
            TypedPosition::MariadbGtid(position) => {
                let after = after_position(&position, logs, files, transactions)?;
                return Ok((Start::Mariadb(position), after));
            }
            TypedPosition::BinlogFile(found) => place = Some(found),
            _ => {}
        }
    }
    match place {
        Some(place) => {
            let after = after_place(&place, logs, files, transactions)?;
            if let Some(gtid) = after.iter().find(|transaction| transaction.name != Name::Anonymous) {
                return Err(mixed(&gtid.name));
            }
            Ok((Start::Place(place), after))
        }
        None if from.is_empty() => Err(EngineError::refused(
            "what was restored has no place in the log: it is not known where replay would go on",
        )
        .advise(
            "restore a backup that has a position; of a dump into a running server, with the option gtid = \"set\"",
        )),
        None => Err(EngineError::refused(match anonymous {
            Some(_) => "the logs have transactions without GTIDs, and where the target stands is only known by GTID",
            None => "where the target stands is not known in a way that this log has",
        })
        .advise("restore a backup whose positions name a binary log file, or of another time")),
    }
}

fn mixed(name: &Name) -> EngineError {
    EngineError::refused(format!(
        "where the target stands is only known by a place in the log, and the log has a transaction with a GTID, {name}"
    ))
    .advise("take a full backup after GTIDs were switched on, and recover from that")
}

fn gap(segment: &str, missing: &str) -> EngineError {
    EngineError::refused(format!(
        "the log has a gap before {segment}: the target would lack {missing}"
    ))
    .advise("recover from a backup that was taken after the gap, or archive the missing logs while the server still has them")
}

fn after_set(
    from: &GtidSet,
    logs: &[Segment],
    files: &[File],
    transactions: Vec<Transaction>,
) -> Result<Vec<Transaction>, EngineError> {
    let mut has = from.clone();
    let mut next_log = 0;
    let mut after = Vec::new();
    let mut enter = |until: usize, has: &mut GtidSet| -> Result<(), EngineError> {
        while next_log <= until && next_log < logs.len() {
            if next_log > 0 {
                insert_end(has, &logs[next_log - 1]);
            }
            if let Some(begins) = set_of(&logs[next_log].from) {
                let missing = begins.subtract(has);
                if !missing.is_empty() {
                    return Err(gap(&logs[next_log].name, &missing.to_string()));
                }
            }
            next_log += 1;
        }
        Ok(())
    };
    for transaction in transactions {
        enter(files[transaction.file].log, &mut has)?;
        match &transaction.name {
            Name::Mysql(gtid) if has.contains(gtid) => {}
            Name::Mysql(gtid) => {
                has.insert(gtid.clone());
                after.push(transaction);
            }
            Name::Mariadb(gtid) => return Err(other_family(&gtid.to_string())),
            Name::Anonymous => {}
        }
    }
    Ok(after)
}

/// GTIDs that a server came to have without their transactions, as by `SET GLOBAL gtid_purged`, are in no index.
fn insert_end(has: &mut GtidSet, segment: &Segment) {
    if let Some(end) = set_of(&segment.to) {
        has.insert_all(&end);
    }
}

fn set_of(positions: &[Position]) -> Option<GtidSet> {
    positions.iter().find_map(|position| match position.typed() {
        Ok(TypedPosition::MysqlGtid(set)) => Some(set),
        _ => None,
    })
}

fn other_family(gtid: &str) -> EngineError {
    EngineError::refused(format!(
        "the target and the log are of two families: the log has {gtid}"
    ))
}

fn after_position(
    from: &GtidPosition,
    logs: &[Segment],
    files: &[File],
    transactions: Vec<Transaction>,
) -> Result<Vec<Transaction>, EngineError> {
    // In a domain the order is that of the log: a number need not be higher than the one before.
    let mut begins: HashMap<u32, usize> = HashMap::new();
    for (index, transaction) in transactions.iter().enumerate() {
        match &transaction.name {
            Name::Mariadb(gtid) if from.get(gtid.domain) == Some(*gtid) => {
                begins.insert(gtid.domain, index + 1);
            }
            Name::Mysql(gtid) => return Err(other_family(&gtid.to_string())),
            _ => {}
        }
    }
    let mut has = from.clone();
    let mut seen = HashSet::new();
    let mut after = Vec::new();
    let mut next_log = 0;
    for (index, transaction) in transactions.into_iter().enumerate() {
        while next_log <= files[transaction.file].log {
            let segment = &logs[next_log];
            let missing = position_of(&segment.from)
                .and_then(|begins| begins.iter().find(|gtid| !has.covers(*gtid) && !seen.contains(gtid)));
            if let Some(missing) = missing {
                return Err(gap(&segment.name, &format!("all up to {missing}")));
            }
            next_log += 1;
        }
        let Name::Mariadb(gtid) = transaction.name else {
            continue;
        };
        let applied = match begins.get(&gtid.domain) {
            Some(first) => index < *first,
            None => from.covers(gtid),
        };
        if !applied && seen.insert(gtid) {
            has.set(gtid);
            after.push(transaction);
        }
    }
    Ok(after)
}

fn position_of(positions: &[Position]) -> Option<GtidPosition> {
    positions.iter().find_map(|position| match position.typed() {
        Ok(TypedPosition::MariadbGtid(position)) => Some(position),
        _ => None,
    })
}

fn after_place(
    from: &BinlogFile,
    logs: &[Segment],
    files: &[File],
    transactions: Vec<Transaction>,
) -> Result<Vec<Transaction>, EngineError> {
    // How far a target is that has applied what was gone through.
    let mut at = from.clone();
    // Where the log that is being gone through ends; in a file without a transaction, perhaps.
    let mut log_ends: Option<BinlogFile> = None;
    let mut last_file = None;
    let mut next_log = 0;
    let mut after = Vec::new();
    for transaction in transactions {
        while next_log <= files[transaction.file].log {
            if let Some(end) = log_ends.take().filter(|end| end.compare(&at) == Order::After) {
                at = end;
            }
            let log = &logs[next_log];
            if let Some(begins) = place_of(&log.from) {
                if begins.compare(&at) == Order::After {
                    return Err(gap(&log.name, &format!("what is between {at} and {begins}")));
                }
                log_ends = place_of(&log.to);
            }
            next_log += 1;
        }
        let damaged = |what: String| EngineError::new(ErrorKind::Damaged, what);
        let name = &files[transaction.file].name;
        let (start, end) = transaction.place.ok_or_else(|| {
            damaged(format!(
                "the log's index does not say where in {name} a transaction was"
            ))
        })?;
        let here = BinlogFile::new(name.clone(), end).map_err(|error| damaged(error.to_string()))?;
        if here.base() != at.base() {
            let message =
                format!("the log goes on in {here} after {at}: without GTIDs no log follows on another server's");
            return Err(EngineError::refused(message));
        }
        let first = last_file.replace(here.number()) != Some(here.number()) && start < LONGEST_HEAD;
        // It has been applied: it is before where the target stands, or comes a second time.
        if (here.number(), end) <= (at.number(), at.offset()) {
            continue;
        }
        let follows = match here.number() == at.number() {
            true => start == at.offset() || first && at.offset() <= start,
            // Files in between may have none: a server that starts begins one, and FLUSH BINARY LOGS does.
            false => first,
        };
        if !follows {
            return Err(gap(&here.to_string(), &format!("what is between {at} and it")));
        }
        at = here;
        after.push(transaction);
    }
    Ok(after)
}

/// Where the first transaction of a file may begin at most: after a format description and a (small) set of former GTIDs.
const LONGEST_HEAD: u64 = 4096;

pub(super) fn place_of(positions: &[Position]) -> Option<BinlogFile> {
    positions.iter().find_map(|position| match position.typed() {
        Ok(TypedPosition::BinlogFile(place)) => Some(place),
        _ => None,
    })
}

#[cfg(test)]
mod tests;
