//! The replication channel of the replay, and those that a target has besides.

use std::thread;
use std::time::{Duration, Instant};

use backstay_engine_api::position::BinlogFile;
use backstay_engine_api::{EngineError, Notice};

use super::super::plan::{Plan, Start};
use super::super::source::Account;
use crate::session::{NamedRow, Session, quote_text};

/// Its name.
pub(in crate::replay) const CHANNEL: &str = "backstay";
/// How long a replica waits between attempts to connect, in seconds, and how often it tries.
const RETRY: (u32, u32) = (1, 10);
/// How often the replica wants to hear that its source is alive, in seconds.
const HEARTBEAT: u32 = 2;

/// How long STOP REPLICA waits (in seconds), and the variable that says so.
pub(super) const STOP_PATIENCE: u32 = 5;
pub(super) const PATIENCE: &str = "rpl_stop_replica_timeout";
/// How long an applier that was killed may take to end: it may wait for a minute for the rest of a transaction.
const STOPS_WITHIN: Duration = Duration::from_secs(120);

/// What the server says of a channel.
#[derive(Debug, Clone)]
pub(in crate::replay) struct Status(NamedRow);

impl Status {
    fn get(&self, names: &[&str]) -> &str {
        self.0.get(names).unwrap_or_default()
    }

    pub(super) fn name(&self) -> &str {
        self.get(&["Channel_Name", "Connection_name"])
    }

    /// The account it logs in with.
    pub(super) fn user(&self) -> &str {
        self.get(&["Source_User", "Master_User"])
    }

    pub(super) fn host(&self) -> String {
        let port = self.get(&["Source_Port", "Master_Port"]);
        format!("{}:{port}", self.get(&["Source_Host", "Master_Host"]))
    }

    /// A filter of it by the name of its column, whatever the case.
    pub(super) fn filter(&self, column: &str) -> Option<String> {
        self.0.get(&[column]).filter(|rule| !rule.is_empty()).map(str::to_owned)
    }

    /// Whether its receiver runs: `Yes`, `No`, or `Connecting` (MariaDB says `Preparing` too).
    pub(in crate::replay) fn receiver(&self) -> &str {
        self.get(&["Replica_IO_Running", "Slave_IO_Running"])
    }

    pub(in crate::replay) fn applier_runs(&self) -> bool {
        self.get(&["Replica_SQL_Running", "Slave_SQL_Running"]) == "Yes"
    }

    /// Whether it does anything at all.
    pub(super) fn runs(&self) -> bool {
        self.applier_runs() || !matches!(self.receiver(), "No" | "")
    }

    /// Number and text of the receiver's last error; 0 if there was none.
    pub(in crate::replay) fn receiver_error(&self) -> (u32, &str) {
        let number = self.get(&["Last_IO_Errno"]).parse().unwrap_or(0);
        (number, self.get(&["Last_IO_Error"]))
    }

    /// The same of the applier's.
    pub(in crate::replay) fn applier_error(&self) -> (u32, &str) {
        let number = self.get(&["Last_SQL_Errno"]).parse().unwrap_or(0);
        (number, self.get(&["Last_SQL_Error"]))
    }

    /// Whether the applier has nothing to do.
    pub(in crate::replay) fn idle(&self) -> bool {
        self.get(&["Replica_SQL_Running_State", "Slave_SQL_Running_State"])
            .contains("has read all relay log")
    }

    /// The size of the relay logs that were not yet applied and deleted, in bytes.
    pub(in crate::replay) fn relay_log_space(&self) -> u64 {
        self.get(&["Relay_Log_Space"]).parse().unwrap_or(0)
    }

    /// The place in the source's log up to which all is applied.
    pub(in crate::replay) fn applied(&self) -> Option<BinlogFile> {
        let offset = self.get(&["Exec_Source_Log_Pos", "Exec_Master_Log_Pos"]).parse().ok()?;
        BinlogFile::new(self.get(&["Relay_Source_Log_File", "Relay_Master_Log_File"]), offset).ok()
    }
}

/// All channels.
pub(super) fn all(session: &mut Session) -> Result<Vec<Status>, EngineError> {
    let statement = if session.flavour().is_mariadb() {
        "SHOW ALL SLAVES STATUS"
    } else {
        "SHOW REPLICA STATUS"
    };
    let rows = session.query_named(statement)?;
    Ok(rows.into_iter().map(Status).collect())
}

/// Ours, if there is one.
///
/// # Errors
/// The server can not be asked.
pub(in crate::replay) fn status(session: &mut Session) -> Result<Option<Status>, EngineError> {
    Ok(all(session)?.into_iter().find(|status| status.name() == CHANNEL))
}

/// Makes our channel.
///
/// # Errors
/// The account may not.
pub(in crate::replay) fn make(
    session: &mut Session,
    port: u16,
    account: &Account,
    place: Option<&BinlogFile>,
) -> Result<(), EngineError> {
    let (retry, count) = RETRY;
    let (user, password) = (quote_text(&account.user), quote_text(&account.password));
    let sql = if session.flavour().is_mariadb() {
        format!(
            "CHANGE MASTER '{CHANNEL}' TO MASTER_HOST = '127.0.0.1', MASTER_PORT = {port}, MASTER_USER = {user}, MASTER_PASSWORD = \
             {password}, MASTER_CONNECT_RETRY = {retry}, MASTER_HEARTBEAT_PERIOD = {HEARTBEAT}, MASTER_SSL = 0, \
             MASTER_SSL_VERIFY_SERVER_CERT = 0, MASTER_USE_GTID = slave_pos"
        )
    } else {
        let place = match place {
            Some(place) => format!(
                "SOURCE_AUTO_POSITION = 0, SOURCE_LOG_FILE = {}, SOURCE_LOG_POS = {}",
                quote_text(place.file()),
                place.offset()
            ),
            None => "SOURCE_AUTO_POSITION = 1".to_owned(),
        };
        format!(
            "CHANGE REPLICATION SOURCE TO SOURCE_HOST = '127.0.0.1', SOURCE_PORT = {port}, SOURCE_USER = {user}, SOURCE_PASSWORD = \
             {password}, SOURCE_CONNECT_RETRY = {retry}, SOURCE_RETRY_COUNT = {count}, SOURCE_HEARTBEAT_PERIOD = {HEARTBEAT}, \
             SOURCE_SSL = 0, SOURCE_CONNECTION_AUTO_FAILOVER = 0, {place} FOR CHANNEL '{CHANNEL}'"
        )
    };
    // The password is good for this replay only; the general log is not to have it all the same.
    session.run("SET SESSION sql_log_off = 1")?;
    session.run(sql)
}

/// Starts our channel, and no other.
///
/// # Errors
/// The account may not, or the server can not.
pub(in crate::replay) fn start(session: &mut Session) -> Result<(), EngineError> {
    if session.flavour().is_mariadb() {
        session.run(format!("START SLAVE '{CHANNEL}'"))
    } else {
        session.run(format!("START REPLICA FOR CHANNEL '{CHANNEL}'"))
    }
}

/// Stops our channel, where there is one: whether there is.
///
/// # Errors
/// The account may not.
pub(super) fn stop(session: &mut Session) -> Result<bool, EngineError> {
    let Some(found) = status(session)? else {
        return Ok(false);
    };
    if !found.runs() {
        return Ok(true);
    }
    if session.flavour().is_mariadb() {
        session.run(format!("STOP SLAVE '{CHANNEL}'"))?;
    } else {
        stop_mysql(session)?;
    }
    Ok(true)
}

/// Stops our channel on MySQL.
///
/// NOTE: a source that dies leaves the applier with the first half of a transaction, and there STOP REPLICA can wait without an end
/// (seen on 9.7: the coordinator waits for a worker that waits for it). So it waits for a few seconds only, and then the
/// threads are killed; what they had begun is rolled back.
fn stop_mysql(session: &mut Session) -> Result<(), EngineError> {
    let statement = format!("STOP REPLICA FOR CHANNEL '{CHANNEL}'");
    let before = session.variable(PATIENCE)?.unwrap_or_default();
    let patience = STOP_PATIENCE.to_string();
    if before != patience {
        session.run(format!("SET GLOBAL {PATIENCE} = {patience}"))?;
    }
    let stopped = session.run(statement);
    if before != patience {
        session.run(format!("SET GLOBAL {PATIENCE} = {before}"))?;
    }
    let runs =
        |session: &mut Session| -> Result<bool, EngineError> { Ok(status(session)?.is_some_and(|found| found.runs())) };
    if stopped.is_ok() || !runs(session)? {
        return Ok(());
    }
    for threads in ["coordinator", "worker"] {
        let sql = format!(
            "SELECT PROCESSLIST_ID FROM performance_schema.replication_applier_status_by_{threads} JOIN performance_schema.threads USING \
             (THREAD_ID) WHERE CHANNEL_NAME = {} AND PROCESSLIST_ID IS NOT NULL",
            quote_text(CHANNEL)
        );
        for id in session.query::<u64>(sql)? {
            session.kill(id)?;
        }
    }
    let deadline = Instant::now() + STOPS_WITHIN;
    while runs(session)? {
        if Instant::now() > deadline {
            return stopped;
        }
        thread::sleep(Duration::from_millis(50));
    }
    Ok(())
}

/// Stops and removes our channel, where there is one: whether there was.
///
/// # Errors
/// The account may not.
pub(super) fn remove(session: &mut Session) -> Result<bool, EngineError> {
    let found = stop(session)?;
    if found {
        forget(session, CHANNEL)?;
    }
    Ok(found)
}

/// Whether we have a channel whose server counts what was applied by places in the log, and not by GTIDs.
///
/// # Errors
/// The server can not be asked.
pub(super) fn counts_by_place(session: &mut Session) -> Result<bool, EngineError> {
    let mariadb = session.flavour().is_mariadb();
    Ok(status(session)?.is_some_and(|status| !mariadb && status.get(&["Auto_Position"]) == "0"))
}

/// Where a replay of a plan without GTIDs goes on; `None` of a plan with.
///
/// # Errors
/// An earlier replay came to where this one does not come by.
pub(super) fn place(session: &mut Session, plan: &Plan) -> Result<Option<BinlogFile>, EngineError> {
    let Start::Place(start) = &plan.start else {
        return Ok(None);
    };
    if !counts_by_place(session)? {
        return Ok(Some(start.clone()));
    }
    stop(session)?;
    let Some(applied) = status(session)?.and_then(|status| status.applied()) else {
        return Ok(Some(start.clone()));
    };
    let planned = plan.transactions.iter().any(|transaction| {
        let here = plan.files[transaction.file].name == applied.file();
        here && transaction
            .place
            .is_some_and(|(start, end)| [start, end].contains(&applied.offset()))
    });
    if planned || applied == *start {
        return Ok(Some(applied));
    }
    Err(EngineError::refused(format!(
        "an earlier replay on the target was interrupted at {applied}, where this one does not come by"
    ))
    .advise("restore the backup again, and recover from there"))
}

fn forget(session: &mut Session, name: &str) -> Result<(), EngineError> {
    let name = quote_text(name);
    if session.flavour().is_mariadb() {
        session.run(format!("RESET SLAVE {name} ALL"))
    } else {
        session.run(format!("RESET REPLICA ALL FOR CHANNEL {name}"))
    }
}

/// Removes the channels that the target has from the server that was backed up: after a recovery to a point they would lead past it.
/// None of them runs; that has been checked.
///
/// # Errors
/// The account may not.
pub(super) fn forget_others(session: &mut Session) -> Result<Vec<Notice>, EngineError> {
    let mut notices = Vec::new();
    for other in all(session)? {
        // Those of group replication are the plug-in's own.
        if other.name().starts_with("group_replication") || other.host().starts_with(':') {
            continue;
        }
        forget(session, other.name())?;
        let text = format!(
            "the target was configured as a replica of {}, from where it would have gone on beyond the point: that is removed",
            other.host()
        );
        notices.push(Notice::new("replica-configuration-removed", text).about(other.host()));
    }
    Ok(notices)
}
