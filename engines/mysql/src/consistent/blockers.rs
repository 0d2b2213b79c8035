//! Who stands in the way of a lock, from the process list.

use std::time::Duration;

use backstay_engine_api::{EngineError, ErrorKind};

use crate::session::errors::shown;
use crate::session::{NamedRow, Session};

/// How many sessions an error names.
const NAMED: usize = 5;

/// An error that says who is in the way of session `waiting`, which runs `sql`.
pub(super) fn in_the_way(watcher: &mut Session, waiting: u64, sql: &str, lock_wait: Duration) -> EngineError {
    let message = format!("`{sql}` did not get its lock within {:.0} s", lock_wait.as_secs_f64());
    let locks = if sql.starts_with("LOCK TABLES") {
        TABLE_LOCKS
    } else {
        GLOBAL_LOCKS
    };
    named(
        watcher,
        Some(waiting),
        locks,
        EngineError::new(ErrorKind::Busy, message),
    )
}

/// An error that names the queries for which the lock was not even tried.
pub(super) fn long_queries(watcher: &mut Session, lock_wait: Duration) -> EngineError {
    let seconds = lock_wait.as_secs_f64();
    let message =
        format!("long queries, for which a global read lock would have to wait, did not end within {seconds:.0} s");
    named(watcher, None, GLOBAL_LOCKS, EngineError::new(ErrorKind::Busy, message))
}

fn named(watcher: &mut Session, waiting: Option<u64>, locks: &str, mut error: EngineError) -> EngineError {
    let rows = match watcher.query_named("SHOW FULL PROCESSLIST") {
        Ok(rows) => rows,
        Err(problem) => return error.detail(format!("who is in the way is not known: {problem}")),
    };
    let own = [Some(watcher.connection_id()), waiting];
    let others: Vec<&NamedRow> = rows
        .iter()
        .filter(|row| !own.contains(&Some(number(row, "Id"))))
        .collect();
    let mut suspects: Vec<&NamedRow> = others.iter().copied().filter(|row| runs(row)).collect();
    let holders = lock_holders(watcher, locks);
    suspects.extend(
        others
            .iter()
            .copied()
            .filter(|row| !runs(row) && holders.contains(&number(row, "Id"))),
    );
    suspects.sort_by_key(|row| std::cmp::Reverse(number(row, "Time")));
    for row in suspects.iter().take(NAMED) {
        error.causes.push(describe(row));
    }
    if suspects.len() > NAMED {
        error.causes.push(format!("and {} more", suspects.len() - NAMED));
    }
    let advice = match suspects.first() {
        Some(row) => format!("wait for it or end it (KILL {}), or raise lock_wait", number(row, "Id")),
        None => format!(
            "no query of this account's is in the way; to see those of others run: {}; an idle session may hold LOCK TABLES",
            watcher.grant("PROCESS")
        ),
    };
    error.advise(advice)
}

/// Whether it runs a statement, and is not itself waiting for somebody's lock. Replication's own threads are not
/// counted.
fn runs(row: &NamedRow) -> bool {
    let command = row.get(&["Command"]).unwrap_or_default();
    let state = row.get(&["State"]).unwrap_or_default().to_ascii_lowercase();
    let idle = [
        "Sleep",
        "Daemon",
        "Binlog Dump",
        "Binlog Dump GTID",
        "Connect",
        "Slave_IO",
        "Slave_SQL",
        "Slave_worker",
    ];
    // "Waiting for table flush" waits for the query that we wait for; so does everything behind a global lock.
    let waits = [
        "waiting for global read lock",
        "waiting for backup lock",
        "waiting for commit lock",
        "waiting for table flush",
    ];
    !idle.contains(&command) && !waits.iter().any(|text| state.contains(text))
}

/// What a global read lock waits for, in performance_schema.metadata_locks.
const GLOBAL_LOCKS: &str = "m.OBJECT_TYPE IN ('GLOBAL', 'COMMIT', 'BACKUP LOCK') AND \
                            m.LOCK_TYPE IN ('INTENTION_EXCLUSIVE', 'EXCLUSIVE')";
/// What LOCK TABLES … READ waits for: whoever wrote to a table in a transaction that is open, or alters it.
const TABLE_LOCKS: &str = "m.OBJECT_TYPE = 'TABLE' AND m.LOCK_TYPE IN ('SHARED_WRITE', 'SHARED_WRITE_LOW_PRIO', \
                           'SHARED_NO_READ_WRITE', 'EXCLUSIVE') AND m.OBJECT_SCHEMA NOT IN ('mysql', 'performance_schema')";

/// Sessions that hold such locks, though they may be idle (LOCK TABLES … WRITE, an open transaction): MySQL's
/// performance_schema knows them. Where it does not answer, there are just fewer names.
fn lock_holders(watcher: &mut Session, locks: &str) -> Vec<u64> {
    if watcher.flavour().is_mariadb() {
        return Vec::new();
    }
    let holders = format!(
        "SELECT DISTINCT t.PROCESSLIST_ID FROM performance_schema.metadata_locks m JOIN performance_schema.threads t ON \
         t.THREAD_ID = m.OWNER_THREAD_ID WHERE m.LOCK_STATUS = 'GRANTED' AND {locks} AND t.PROCESSLIST_ID IS NOT NULL"
    );
    watcher.query(holders).unwrap_or_default()
}

fn number(row: &NamedRow, column: &str) -> u64 {
    row.get(&[column]).and_then(|text| text.parse().ok()).unwrap_or(0)
}

fn describe(row: &NamedRow) -> String {
    let text = row.get(&["Info"]).map_or_else(|| "(idle)".to_owned(), shown);
    let (user, host) = (row.get(&["User"]).unwrap_or("?"), row.get(&["Host"]).unwrap_or("?"));
    format!(
        "session {} of {user}@{host}, for {} s: {text}",
        number(row, "Id"),
        number(row, "Time")
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(command: &str, state: &str, info: &str) -> NamedRow {
        let columns = [
            ("Id", "7"),
            ("User", "app"),
            ("Host", "web1"),
            ("Time", "93"),
            ("Command", command),
            ("State", state),
            ("Info", info),
        ];
        NamedRow(
            columns
                .map(|(name, value)| (name.to_owned(), Some(value.to_owned())))
                .into(),
        )
    }

    #[test]
    fn who_counts_as_in_the_way() {
        assert!(runs(&row("Query", "Sending data", "SELECT 1")));
        assert!(runs(&row("Execute", "User sleep", "SELECT SLEEP(9)")));
        assert!(!runs(&row("Sleep", "", "")));
        assert!(!runs(&row("Query", "Waiting for global read lock", "INSERT …")));
        assert!(!runs(&row(
            "Binlog Dump GTID",
            "Source has sent all binlog to replica",
            ""
        )));
    }

    #[test]
    fn a_query_is_shown_on_one_line_and_cut() {
        let long = format!("SELECT\n\t{}", "x".repeat(200));
        let text = describe(&row("Query", "", &long));
        assert_eq!(
            text,
            format!("session 7 of app@web1, for 93 s: SELECT {}…", "x".repeat(93))
        );
    }

    #[test]
    fn a_query_with_a_secret_is_not_shown() {
        let text = describe(&row("Query", "", "ALTER USER app IDENTIFIED BY 'secret'"));
        assert_eq!(text, "session 7 of app@web1, for 93 s: ALTER USER …");
    }
}
