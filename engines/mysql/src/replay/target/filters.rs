//! Replication filters: our channel has none, whatever the server's configuration says.

use backstay_engine_api::{EngineError, Notice};

use super::channel::{self, CHANNEL};
use crate::session::{Session, quote_text};

/// What CHANGE REPLICATION FILTER takes.
const MYSQL: [&str; 7] = [
    "REPLICATE_DO_DB",
    "REPLICATE_IGNORE_DB",
    "REPLICATE_DO_TABLE",
    "REPLICATE_IGNORE_TABLE",
    "REPLICATE_WILD_DO_TABLE",
    "REPLICATE_WILD_IGNORE_TABLE",
    "REPLICATE_REWRITE_DB",
];
/// The variables of a MariaDB connection, which are columns of its status as well.
const MARIADB: [&str; 7] = [
    "replicate_do_db",
    "replicate_ignore_db",
    "replicate_do_table",
    "replicate_ignore_table",
    "replicate_wild_do_table",
    "replicate_wild_ignore_table",
    "replicate_rewrite_db",
];

/// Clears our channel's filters, before it is started; a notice for each that the server has.
///
/// # Errors
/// The server refuses, or a filter is there all the same.
pub(super) fn neutralise(session: &mut Session) -> Result<Vec<Notice>, EngineError> {
    let found = if session.flavour().is_mariadb() {
        mariadb(session)?
    } else {
        mysql(session)?
    };
    let notice = |(name, value): (String, String)| {
        let text = format!(
            "the target's configuration filters what it replicates ({name}: {value}); the replay was not filtered"
        );
        Notice::new("replication-filter", text).about(name)
    };
    Ok(found.into_iter().map(notice).collect())
}

fn mysql(session: &mut Session) -> Result<Vec<(String, String)>, EngineError> {
    let of_channel = format!(
        "SELECT FILTER_NAME, FILTER_RULE FROM performance_schema.replication_applier_filters WHERE CHANNEL_NAME = {}",
        quote_text(CHANNEL)
    );
    let found: Vec<(String, String)> = session.query(&of_channel)?;
    let none = MYSQL.map(|filter| format!("{filter} = ()")).join(", ");
    session.run(format!("CHANGE REPLICATION FILTER {none} FOR CHANNEL '{CHANNEL}'"))?;
    let left: Vec<(String, String)> = session.query(&of_channel)?;
    left_over(left.into_iter().find(|(_, rule)| !rule.is_empty()))?;
    Ok(found.into_iter().filter(|(_, rule)| !rule.is_empty()).collect())
}

fn mariadb(session: &mut Session) -> Result<Vec<(String, String)>, EngineError> {
    let mut found = Vec::new();
    for name in MARIADB {
        let Some(value) = of_connection(session, name)? else {
            continue;
        };
        session.run(format!("SET GLOBAL {CHANNEL}.{name} = ''"))?;
        left_over(of_connection(session, name)?.map(|value| (name.to_owned(), value)))?;
        found.push((name.to_owned(), value));
    }
    Ok(found)
}

/// A filter of our connection's.
fn of_connection(session: &mut Session, name: &str) -> Result<Option<String>, EngineError> {
    let status = channel::status(session)?;
    Ok(status.and_then(|status| status.filter(name)))
}

fn left_over(filter: Option<(String, String)>) -> Result<(), EngineError> {
    match filter {
        None => Ok(()),
        Some((name, rule)) => Err(EngineError::refused(format!(
            "the target filters what it replicates ({name}: {rule}), and that can not be switched off: events would vanish"
        ))
        .advise("start it without replication filters")),
    }
}
