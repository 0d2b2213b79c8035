//! How two tables of a server differ: columns and keys by the server's own catalogue, rows by statements that only count, so that
//! neither we nor the server keep rows in memory.
//!
//! Rows are found by a key that both tables have and that can be no NULL. Values are compared as they are stored, not as a collation
//! sees them: `a` is not `A`. Without such a key rows are grouped by a digest, on the server's disk where there are many; a row that
//! was changed is then one that only the one has, and one that only the other has.
//!
//! Both tables are read in one snapshot, so that a table that is written to meanwhile is seen at one instant (where its engine has
//! snapshots).

mod definition;
mod sql;

use backstay_engine_api::job::CompareJob;
use backstay_engine_api::{EngineError, RowComparison, TableComparison, TableKind, TablePair};

use crate::session::Session;
use definition::{Definition, kind};

/// Compares a job's tables. See [`Engine::compare`](backstay_engine_api::Engine::compare).
///
/// # Errors
/// The server's.
pub fn compare(job: &CompareJob) -> Result<Vec<TableComparison>, EngineError> {
    let mut session = Session::connect(job.server())?;
    let guard = job.guard(session.guard_name(session.connection_id()))?;
    let limit = if session.flavour().is_mariadb() {
        "SET SESSION max_statement_time = 0"
    } else {
        "SET SESSION max_execution_time = 0"
    };
    for statement in [limit, "SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ"] {
        session.run(statement)?;
    }
    let mut all = Vec::with_capacity(job.tables().len());
    for pair in job.tables() {
        job.check_cancelled()?;
        all.push(one(job, &mut session, pair)?);
    }
    drop((session, guard));
    Ok(all)
}

fn one(job: &CompareJob, session: &mut Session, pair: &TablePair) -> Result<TableComparison, EngineError> {
    let mut comparison = TableComparison {
        left: pair.left.clone(),
        right: pair.right.clone(),
        left_kind: kind(session, &pair.left)?,
        right_kind: kind(session, &pair.right)?,
        ..TableComparison::default()
    };
    if pair.left == pair.right {
        // There is no other.
        comparison.right_kind = None;
    }
    match (comparison.left_kind, comparison.right_kind) {
        (Some(TableKind::Table), Some(TableKind::Table)) => {}
        (Some(TableKind::Table), None) if job.rows() => {
            comparison.rows = Some(RowComparison {
                only_left: session.query_first(sql::count(&pair.left))?.unwrap_or(0),
                ..RowComparison::default()
            });
            return Ok(comparison);
        }
        _ => return Ok(comparison),
    }
    let left = Definition::read(session, &pair.left)?;
    let right = Definition::read(session, &pair.right)?;
    comparison.definitions = left.differences(&right);
    if !job.rows() {
        return Ok(comparison);
    }
    let columns = left.shared(&right);
    if columns.is_empty() {
        comparison.note = Some("they have no column in common, so that no rows were compared".to_owned());
        return Ok(comparison);
    }
    if columns.len() < left.columns.len().max(right.columns.len()) {
        comparison.note = Some("rows were compared by the columns that both have".to_owned());
    }
    job.doing(format!("comparing {} with {}", pair.left, pair.right));
    session.run("START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY")?;
    let rows = match left.common_key(&right) {
        Some(key) => by_key(session, pair, &columns, key),
        None => by_content(session, pair, &columns),
    };
    session.run("COMMIT")?;
    comparison.rows = Some(rows?);
    Ok(comparison)
}

fn by_key(
    session: &mut Session,
    pair: &TablePair,
    columns: &[sql::Shared<'_>],
    key: Vec<String>,
) -> Result<RowComparison, EngineError> {
    let (left, matched, different) = first(session, &sql::joined(pair, columns, &key))?;
    let right: u64 = session.query_first(sql::count(&pair.right))?.unwrap_or(0);
    Ok(RowComparison {
        key,
        same: matched.saturating_sub(different),
        different,
        only_left: left.saturating_sub(matched),
        only_right: right.saturating_sub(matched),
    })
}

fn by_content(
    session: &mut Session,
    pair: &TablePair,
    columns: &[sql::Shared<'_>],
) -> Result<RowComparison, EngineError> {
    let (same, only_left, only_right) = first(session, &sql::grouped(pair, columns))?;
    Ok(RowComparison {
        key: Vec::new(),
        same,
        different: 0,
        only_left,
        only_right,
    })
}

/// The counts that a statement gives.
fn first(session: &mut Session, sql: &str) -> Result<(u64, u64, u64), EngineError> {
    session
        .query_first(sql)?
        .ok_or_else(|| EngineError::other("the server counted nothing"))
}
