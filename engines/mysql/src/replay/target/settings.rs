//! Settings of the server that a replay needs or is faster with: put on before, always put back.
//!
//! Two sorts. Some keep events from vanishing or the state from being another one: a `server_id` that is in no log, errors that stop
//! the applier, no events (as in CREATE EVENT) that run beside the replay. Others are for speed: parallel appliers, and no waiting
//! for the disk at each commit, which a server that is being recovered can do without: should the machine crash, the
//! restore is made again.

use backstay_engine_api::EngineError;
use backstay_engine_api::job::JobContext;
use rand::Rng;

use super::super::plan::Plan;
use super::channel;
use super::note::Note;
use crate::session::{Session, quote_text};

/// The largest packet that a replica takes, in bytes: the largest there is.
const PACKET: u64 = 1 << 30;

/// Changes them, after a note of what they were. Returns the target's `server_id` meanwhile.
///
/// # Errors
/// The account may not change one of them.
pub(super) fn put_on(
    job: &JobContext,
    session: &mut Session,
    plan: &Plan,
    workers: usize,
    resumed: bool,
) -> Result<u32, EngineError> {
    let mariadb = session.flavour().is_mariadb();
    // Ids that people choose are small. That this one is in no log is seen when the events are sent.
    let server_id: u32 = rand::rng().random_range(1 << 31..u32::MAX);
    // Without GTIDs the server must know for certain how far it has come: one transaction after the other.
    let workers = if plan.has_gtids() { workers } else { 0 };
    let wanted = wanted(mariadb, server_id, workers, resumed);
    let mut changes = Vec::new();
    let mut note = Note {
        job: job.id().to_owned(),
        ..Note::default()
    };
    for (name, value) in &wanted {
        // Not every version has each of them.
        let Some(before) = session.variable(name)? else {
            continue;
        };
        // A scheduler that is disabled can not be switched off.
        if before != *value && before != "DISABLED" {
            note.settings.push(((*name).to_owned(), before));
            changes.push((*name, value));
        }
    }
    let holder = holder(mariadb);
    note.statement = session.variable(holder)?.unwrap_or_default();
    set(session, holder, &note.to_statement())?;
    for (name, value) in changes {
        set(session, name, value)?;
    }
    Ok(server_id)
}

fn wanted(mariadb: bool, server_id: u32, workers: usize, resumed: bool) -> Vec<(&'static str, String)> {
    let text = |name: &'static str, value: &str| (name, value.to_owned());
    let mut wanted = vec![
        ("server_id", server_id.to_string()),
        text("event_scheduler", "OFF"),
        text("innodb_flush_log_at_trx_commit", "2"),
        text("sync_binlog", "0"),
        // What is applied makes room for what is not.
        text("relay_log_purge", "ON"),
    ];
    if mariadb {
        wanted.extend([
            ("slave_parallel_threads", workers.to_string()),
            // Per thread, in bytes: one large row must not have the coordinator wait.
            ("slave_parallel_max_queued", (16_u64 << 20).to_string()),
            ("slave_max_allowed_packet", PACKET.to_string()),
            text("slave_exec_mode", "STRICT"),
            // `IDEMPOTENT`, the default, replaces a table that is there. Only where a replay goes on may the first one be.
            text("slave_ddl_exec_mode", if resumed { "IDEMPOTENT" } else { "STRICT" }),
            text("slave_run_triggers_for_rbr", "NO"),
            text("gtid_strict_mode", "OFF"),
            text("gtid_ignore_duplicates", "OFF"),
            text("replicate_events_marked_for_skip", "REPLICATE"),
        ]);
    } else {
        wanted.extend([
            ("replica_parallel_workers", workers.to_string()),
            ("replica_max_allowed_packet", PACKET.to_string()),
            text("replica_exec_mode", "STRICT"),
            // A replay that is killed leaves a transaction half received, for whose rest nobody should wait for long.
            (channel::PATIENCE, channel::STOP_PATIENCE.to_string()),
            text("replica_parallel_type", "LOGICAL_CLOCK"),
        ]);
    }
    wanted
}

/// Puts back what a note says; nothing where there is none.
///
/// # Errors
/// The account may not.
pub(super) fn put_back(session: &mut Session) -> Result<(), EngineError> {
    let mariadb = session.flavour().is_mariadb();
    let holder = holder(mariadb);
    let held = session.variable(holder)?.unwrap_or_default();
    let Some(note) = Note::parse(&held) else {
        return Ok(());
    };
    // What was committed meanwhile may still be on its way to the disk.
    for logs in ["ENGINE LOGS", "BINARY LOGS"] {
        session.run(format!("FLUSH NO_WRITE_TO_BINLOG {logs}"))?;
    }
    for (name, value) in note.settings.iter().rev() {
        set(session, name, value)?;
    }
    set(session, holder, &note.statement)
}

fn holder(mariadb: bool) -> &'static str {
    if mariadb { "init_slave" } else { "init_replica" }
}

fn set(session: &mut Session, name: &str, value: &str) -> Result<(), EngineError> {
    let value = match value.parse::<u64>() {
        Ok(number) => number.to_string(),
        Err(_) => quote_text(value),
    };
    session.run(format!("SET GLOBAL {name} = {value}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn relay_logs_that_are_applied_make_room() {
        for mariadb in [false, true] {
            assert!(wanted(mariadb, 7, 4, false).contains(&("relay_log_purge", "ON".to_owned())));
        }
    }
}
