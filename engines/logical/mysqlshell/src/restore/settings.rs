//! The settings of the sessions that restore.

use backstay_engine_api::{EngineError, ErrorKind};
use backstay_mysql::Session;

use crate::format::instance::InstanceFile;
use crate::options::Options;

/// For how long a statement waits for a row that another session has locked, in seconds: the restore's own sessions hold one for
/// as long as a transaction's rows take.
const ROW_LOCK_WAIT: u32 = 600;

/// How much memory of MySQL's all sessions together may take to sort the entries of new indexes, in bytes. The default of a session is
/// 1 MiB (`innodb_ddl_buffer_size`, 8.0.27 and later), for which a large index is written to temporary files and merged in pairs many
/// times. MariaDB's `innodb_sort_buffer_size` is not a session's.
const SORTED_AT_ONCE: usize = 128 << 20;

/// What makes columns of type TIMESTAMP have the defaults that they are given, and no other.
pub(super) const EXPLICIT_TIMESTAMPS: &str = "explicit_defaults_for_timestamp";

/// Whether new columns of type TIMESTAMP are going to be as SHOW CREATE TABLE prints them, which holds only where they have no defaults
/// that nobody gave them. The session is set so.
///
/// # Errors
/// The session was lost.
pub(super) fn explicit_timestamps(session: &mut Session) -> Result<bool, EngineError> {
    if session.variable(EXPLICIT_TIMESTAMPS)?.as_deref() != Some("OFF") {
        return Ok(true);
    }
    match session.run(format!("SET SESSION {EXPLICIT_TIMESTAMPS} = ON")) {
        Err(error) if error.kind == ErrorKind::Connection => Err(error),
        done => Ok(done.is_ok()),
    }
}

/// Statements that each of so many sessions begins with.
///
/// # Errors
/// The server's.
pub(super) fn settings(
    session: &mut Session,
    options: &Options,
    dump: &InstanceFile,
    sessions: usize,
) -> Result<Vec<String>, EngineError> {
    let mut all = vec![
        // The least that all engines have; MyRocks has no other below its own.
        "SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED".to_owned(),
        format!(
            "SET SESSION foreign_key_checks = 0, unique_checks = 0, innodb_lock_wait_timeout = {ROW_LOCK_WAIT}, lock_wait_timeout = {}",
            options.lock_wait
        ),
    ];
    if dump.tz_utc {
        all.push("SET SESSION time_zone = '+00:00'".to_owned());
    }
    if options.skip_binary_log {
        all.push("SET SESSION sql_log_bin = 0".to_owned());
    }
    let format = session.variable("binlog_format")?;
    let timestamps = session.variable(EXPLICIT_TIMESTAMPS)?;
    let sorted = session
        .variable("innodb_ddl_buffer_size")?
        .and_then(|bytes| bytes.parse().ok());
    let mut set = |name: &str, value: &str| -> Result<(), EngineError> {
        // One that the account may not set is left: where it matters, the statement that needs it says so.
        let setting = format!("SET SESSION {name} = {value}");
        if session.variable(name)?.is_some() && session.run(&setting).is_ok() {
            all.push(setting);
        }
        Ok(())
    };
    // So that every warning of a statement can be looked at, and is known by its text.
    set("max_error_count", "65535")?;
    set("lc_messages", "'en_US'")?;
    // A dump has the keys that its tables had, and no other; unless its shell was told to leave it to the loader to make some.
    let makes_keys = dump
        .compatibility_options
        .iter()
        .any(|option| option == "create_invisible_pks");
    set(
        "sql_generate_invisible_primary_key",
        if makes_keys { "ON" } else { "OFF" },
    )?;
    set("restrict_fk_on_non_standard_key", "OFF")?;
    set("sql_require_primary_key", "OFF")?;
    // Where it may not be set, tables to which it matters are refused beforehand.
    if timestamps.as_deref() == Some("OFF") {
        set(EXPLICIT_TIMESTAMPS, "ON")?;
    }
    // A table that was made without this may have a format or a width that it forbids.
    set("innodb_strict_mode", "OFF")?;
    // MariaDB: what was there when a constraint came, or was let in against it, is in the dump too.
    set("check_constraint_checks", "OFF")?;
    // Statements of LOAD DATA are not in a log that takes no rows.
    if format.as_deref() == Some("STATEMENT") {
        set("binlog_format", "ROW")?;
    }
    let more = SORTED_AT_ONCE / sessions.max(1);
    if sorted.is_some_and(|bytes: usize| bytes < more) {
        set("innodb_ddl_buffer_size", &more.to_string())?;
    }
    // MariaDB: rows of the past are rows like others to a restore, and indexes are no change that needs a history.
    set("system_versioning_insert_history", "1")?;
    set("system_versioning_alter_history", "KEEP")?;
    Ok(all)
}
