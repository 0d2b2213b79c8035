//! Why a replay by replication stopped, in the operator's words.

use std::collections::HashMap;

use backstay_engine_api::position::mariadb::MariadbGtid;
use backstay_engine_api::{EngineError, ErrorKind};

use super::plan::{Name, Plan, Start, Transaction};
use super::target::{self, channel};
use crate::session::{Session, quote_text};

/// How many causes are told.
const TOLD: usize = 3;

/// What the applier stopped on.
///
/// # Errors
/// The target can not be asked.
pub(super) fn applier(
    session: &mut Session,
    status: &channel::Status,
    plan: &Plan,
) -> Result<EngineError, EngineError> {
    let (number, text) = status.applier_error();
    let (number, text) = (number, text.to_owned());
    if number == 0 {
        return Ok(
            EngineError::other("the target's applier was stopped from outside while the replay ran")
                .advise("see that nobody else works on the target, and recover again"),
        );
    }
    let mut causes = Vec::new();
    if !session.flavour().is_mariadb() {
        // The coordinator's error only points at those of its workers.
        let sql = format!(
            "SELECT LAST_ERROR_MESSAGE FROM performance_schema.replication_applier_status_by_worker WHERE CHANNEL_NAME = {} AND \
             LAST_ERROR_NUMBER <> 0 LIMIT {TOLD}",
            quote_text(channel::CHANNEL)
        );
        causes = session.query::<String>(sql)?;
    }
    if causes.is_empty() {
        causes.push(text);
    }
    let stopped_at = first_missing(session, plan)?.map_or_else(
        || "a transaction of the log".to_owned(),
        |(name, place)| format!("{name}{place}"),
    );
    let mut error = EngineError::other(format!(
        "the target could not apply the log: error {number}; the first transaction that it lacks is {stopped_at}"
    ));
    error.causes = causes;
    Ok(error.advise(advice(number)))
}

/// What can be done about an error of an applier's.
fn advice(number: u32) -> &'static str {
    match number {
        // Something is there already, or is not there: schemas, tables, columns, keys, rows, accounts.
        1007 | 1008 | 1032 | 1050 | 1051 | 1054 | 1060 | 1061 | 1062 | 1091 | 1146 | 1304 | 1305 | 1359 | 1396
        | 1397 => {
            "the target is not what the backup left: restore the backup again, to a server that nobody else writes to, and recover \
             from there"
        }
        1590 => {
            "the source lost events there and noted an incident: recover to just before it, or from a backup that was taken later"
        }
        1205 | 1213 | 3058 => "recover again: it goes on where it was",
        3 | 1021 | 1114 => "make room on the target, and recover again: it goes on where it was",
        _ => {
            "mend what the message says and recover again, which goes on where it was; or recover to just before that transaction"
        }
    }
}

/// What the receiver says.
pub(super) fn receiver(number: u32, text: &str) -> EngineError {
    EngineError::new(
        ErrorKind::Connection,
        format!("the target can not read from the replay's source: error {number}"),
    )
    .detail(text)
    .advise(
        "the target must run on this machine and be able to connect to 127.0.0.1; otherwise use replay = \"client\"",
    )
}

/// The replica has nothing to do, and lacks something.
///
/// # Errors
/// The target can not be asked.
pub(super) fn lost(session: &mut Session, plan: &Plan) -> Result<EngineError, EngineError> {
    let missing = first_missing(session, plan)?.map_or_else(
        || "its last transaction".to_owned(),
        |(name, place)| format!("{name}{place}"),
    );
    Ok(EngineError::other(format!(
        "the target has read all of the log and applied less: the first transaction that it lacks is {missing}"
    ))
    .advise("look at the target's error log and its replication settings; restore again before the next attempt"))
}

/// The first transaction of a plan that a target does not have, and where it is.
fn first_missing(session: &mut Session, plan: &Plan) -> Result<Option<(Name, String)>, EngineError> {
    let stands = match plan.start {
        Start::Place(_) => None,
        _ => Some(target::stands_at(session)?),
    };
    let applied = channel::status(session)?.and_then(|status| status.applied());
    // In the log's order: numbers need not grow.
    let last_applied = |gtid: MariadbGtid| {
        let same = |transaction: &Transaction| transaction.name == Name::Mariadb(gtid);
        Some((gtid.domain, plan.transactions.iter().rposition(same)?))
    };
    let applied_of: HashMap<u32, usize> = match &stands {
        Some(Start::Mariadb(position)) => position.iter().filter_map(last_applied).collect(),
        _ => HashMap::new(),
    };
    let mut all = plan.transactions.iter().enumerate();
    let first = all.find(|(index, transaction)| match (&transaction.name, &stands) {
        (Name::Mysql(gtid), Some(Start::Mysql(set))) => !set.contains(gtid),
        (Name::Mariadb(gtid), _) => applied_of.get(&gtid.domain).is_none_or(|last| index > last),
        _ => applied.as_ref().is_some_and(|at| {
            at.file() == plan.files[transaction.file].name
                && transaction.place.is_some_and(|(_, end)| end > at.offset())
        }),
    });
    Ok(first.map(|(_, transaction)| {
        let place = transaction.place.map_or_else(String::new, |(start, _)| {
            format!(" at {}:{start}", plan.files[transaction.file].name)
        });
        (transaction.name.clone(), place)
    }))
}
