//! The target's GTID state: it says where the target stands, and is made to say so where a restore has left that to us.

use backstay_engine_api::EngineError;
use backstay_engine_api::position::mariadb::GtidPosition;
use backstay_engine_api::position::mysql::GtidSet;

use super::super::plan::{Name, Plan, Start};
use crate::session::{Session, quote_text};

/// What a server has applied: a MySQL set or a MariaDB position.
///
/// # Errors
/// The server can not be asked.
pub(in crate::replay) fn stands_at(session: &mut Session) -> Result<Start, EngineError> {
    let variable = if session.flavour().is_mariadb() {
        "gtid_slave_pos"
    } else {
        "gtid_executed"
    };
    let text = session.variable(variable)?.unwrap_or_default();
    let wrong = |error: &dyn std::fmt::Display| EngineError::other(format!("{variable} = {text}: {error}"));
    if session.flavour().is_mariadb() {
        text.parse().map(Start::Mariadb).map_err(|error| wrong(&error))
    } else {
        text.parse().map(Start::Mysql).map_err(|error| wrong(&error))
    }
}

/// Sees to it that the target says that it stands where the plan starts, or where an earlier replay of it was interrupted.
///
/// # Errors
/// It has transactions that the plan does not lead to.
pub(super) fn set(session: &mut Session, plan: &Plan, resumed: bool) -> Result<(), EngineError> {
    match (&plan.start, stands_at(session)?) {
        (Start::Mysql(from), Start::Mysql(executed)) => mysql(session, plan, from, &executed),
        (Start::Mariadb(from), Start::Mariadb(stands)) => mariadb(session, plan, from, &stands, resumed),
        // Without GTIDs only the channel knew how far it had come, and the host says where the restored server stands.
        _ => Ok(()),
    }
}

fn beyond(has: &str) -> EngineError {
    EngineError::refused(format!(
        "the target has {has}, which is neither in the backup nor among what is replayed: it is beyond the point, or of another history"
    ))
    .advise("recover to a server on which the backup was just restored")
}

fn mysql(session: &mut Session, plan: &Plan, from: &GtidSet, executed: &GtidSet) -> Result<(), EngineError> {
    let all = plan.gtid_set();
    // Of servers that the logs do not know, such as the target itself while it was restored, anything may be there.
    let foreign = executed.subtract(from).subtract(&all);
    let known = |tsid: &backstay_engine_api::position::mysql::Tsid| {
        from.union(&all).sources().any(|(source, _)| source.uuid == tsid.uuid)
    };
    if let Some((tsid, interval)) = foreign.intervals().find(|(tsid, _)| known(tsid)) {
        return Err(beyond(&format!("{tsid}:{interval}")));
    }
    let missing = from.subtract(executed);
    if missing.is_empty() {
        return Ok(());
    }
    let replayed = executed.intersect(&all);
    if !replayed.is_empty() {
        let message = format!("the target has {replayed} of the log, and lacks {missing} of the backup");
        return Err(EngineError::refused(message).advise("recover to a server on which the backup was just restored"));
    }
    session.run(format!(
        "SET GLOBAL gtid_purged = {}",
        quote_text(&format!("+{missing}"))
    ))
}

/// A statement that changes definitions is in the target's binary log before it is in `gtid_slave_pos`: a server that was killed in
/// between would execute it twice. So if the log ends with just the next transaction of a domain, that has been applied.
fn with_binary_log(session: &mut Session, plan: &Plan, stands: &GtidPosition) -> Result<GtidPosition, EngineError> {
    let logged = session.variable("gtid_binlog_pos")?.unwrap_or_default();
    let Ok(logged) = logged.parse::<GtidPosition>() else {
        return Ok(stands.clone());
    };
    let mut further = stands.clone();
    for gtid in logged.iter() {
        let mut domain = plan
            .transactions
            .iter()
            .filter_map(|transaction| match transaction.name {
                Name::Mariadb(other) if other.domain == gtid.domain => Some(other),
                _ => None,
            });
        let stood = stands.get(gtid.domain);
        if domain.any(|other| Some(other) == stood) && domain.next() == Some(gtid) {
            further.set(gtid);
        }
    }
    if further != *stands {
        session.run(format!(
            "SET GLOBAL gtid_slave_pos = {}",
            quote_text(&further.to_string())
        ))?;
    }
    Ok(further)
}

fn mariadb(
    session: &mut Session,
    plan: &Plan,
    from: &GtidPosition,
    stands: &GtidPosition,
    resumed: bool,
) -> Result<(), EngineError> {
    let further = if resumed {
        with_binary_log(session, plan, stands)?
    } else {
        stands.clone()
    };
    let stands = &further;
    if stands == from {
        return Ok(());
    }
    // Where an interrupted replay left it: at a transaction of the plan in some domains, and at the start in the others.
    let mut on_the_way = false;
    let mut elsewhere = None;
    for gtid in stands.iter().filter(|gtid| from.get(gtid.domain) != Some(*gtid)) {
        let planned = plan
            .transactions
            .iter()
            .any(|transaction| transaction.name == Name::Mariadb(gtid));
        if planned {
            on_the_way = true;
        } else {
            elsewhere = Some(gtid);
        }
    }
    let complete = from.iter().all(|gtid| stands.get(gtid.domain).is_some());
    if on_the_way && elsewhere.is_none() && complete {
        return Ok(());
    }
    if let Some(gtid) =
        elsewhere.filter(|gtid| resumed || from.get(gtid.domain).is_some_and(|at| at.sequence < gtid.sequence))
    {
        return Err(beyond(&gtid.to_string()));
    }
    // A restored server has the position of the source's own replication, or none.
    session.run(format!("SET GLOBAL gtid_slave_pos = {}", quote_text(&from.to_string())))
}
