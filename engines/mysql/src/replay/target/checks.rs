//! What a target must be like for no event to vanish.

use std::fs;

use backstay_engine_api::{EngineError, ErrorKind};

use super::super::plan::{Name, Plan};
use super::channel;
use crate::session::Session;

/// The first MySQL with the words for replication that are used here.
const OLDEST_MYSQL: (u32, u32, u32) = (8, 0, 26);

/// Looks at a target, without changing it.
///
/// # Errors
/// [`ErrorKind::Refused`], with what is to be done.
pub(super) fn check(session: &mut Session, plan: &Plan, mariadb: bool) -> Result<(), EngineError> {
    family(session, mariadb)?;
    version(session)?;
    channels(session)?;
    let skips = if mariadb {
        "slave_skip_errors"
    } else {
        "replica_skip_errors"
    };
    if let Some(value) = session.variable(skips)?.filter(|value| value != "OFF") {
        let message =
            format!("the target passes over errors while it replicates ({skips} = {value}): events would vanish");
        return Err(EngineError::refused(message).advise(format!("start it without {skips}")));
    }
    gtid_mode(session, plan)
}

/// Whether it is of the family that wrote the logs.
pub(super) fn family(session: &Session, mariadb: bool) -> Result<(), EngineError> {
    if session.flavour().is_mariadb() == mariadb {
        return Ok(());
    }
    let wrote = if mariadb { "MariaDB" } else { "MySQL" };
    let message = format!(
        "the logs are {wrote}'s, and the target is {} {}",
        session.flavour(),
        session.version()
    );
    Err(EngineError::refused(message).advise("recover to a server of the family that wrote the logs"))
}

/// Whether its version has the words that are used here.
pub(super) fn version(session: &Session) -> Result<(), EngineError> {
    let (major, minor, patch) = OLDEST_MYSQL;
    if session.flavour().is_mariadb() || session.version().at_least(major, minor, patch) {
        return Ok(());
    }
    let message = format!(
        "replay through replication needs MySQL {major}.{minor}.{patch}, and the target is {}",
        session.version()
    );
    Err(EngineError::new(ErrorKind::Unsupported, message).advise("use the option replay = \"client\""))
}

/// Whether it replicates from elsewhere at this moment, or an earlier replay has left it as none can go on.
pub(super) fn channels(session: &mut Session) -> Result<(), EngineError> {
    for channel in channel::all(session)? {
        if channel.name() != channel::CHANNEL && channel.runs() {
            let message = format!("the target replicates from {} at this moment", channel.host());
            return Err(EngineError::refused(message)
                .advise("it is no server that was restored; if it is, stop its replication (STOP REPLICA; STOP SLAVE on MariaDB)"));
        }
        if channel.name() == channel::CHANNEL {
            same_boot(session, channel.user())?;
        }
    }
    Ok(())
}

/// What the channel's account is called: it carries the machine's boot, for a server with a binary log.
///
/// # Errors
/// The server can not be asked.
pub(in crate::replay) fn account_name(session: &mut Session) -> Result<String, EngineError> {
    let logs = session.variable("log_bin")?.is_some_and(|value| value == "ON");
    let boot = boot().filter(|_| logs).unwrap_or_else(|| "any".to_owned());
    Ok(format!("backstay-{boot}"))
}

/// The first digits of what Linux calls a boot of the machine.
fn boot() -> Option<String> {
    let id = fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
    Some(id.split('-').next()?.to_owned())
}

/// Refuses to go on with a replay that was interrupted by the machine and not by a process: what the server had not yet written to
/// disk is lost, and its binary log, by which it counts GTIDs, may know more than its tables.
fn same_boot(session: &mut Session, user: &str) -> Result<(), EngineError> {
    let then = user.strip_prefix("backstay-").unwrap_or_default();
    if then == "any" || Some(then) == boot().as_deref() {
        return Ok(());
    }
    let message = format!(
        "an earlier replay on {} was interrupted by the machine's end: what it had applied may not be what the server says",
        session.address()
    );
    Err(EngineError::refused(message).advise("restore the backup again, and recover from there"))
}

/// Whether a MySQL target takes the plan's transactions; MariaDB's have GTIDs always.
pub(super) fn gtid_mode(session: &mut Session, plan: &Plan) -> Result<(), EngineError> {
    if session.flavour().is_mariadb() {
        return Ok(());
    }
    let mode = session.variable("gtid_mode")?.unwrap_or_default();
    let with = plan
        .transactions
        .iter()
        .any(|transaction| transaction.name != Name::Anonymous);
    let (fits, wanted) = if with {
        (mode == "ON", "ON")
    } else {
        (mode != "ON", "OFF")
    };
    if fits || plan.transactions.is_empty() {
        return Ok(());
    }
    let have = if with { "have GTIDs" } else { "have no GTIDs" };
    let message = format!("the logs' transactions {have}, and the target has gtid_mode = {mode}");
    Err(EngineError::refused(message).advise(format!(
        "start it with --gtid-mode={wanted} --enforce-gtid-consistency=ON, or set that on it"
    )))
}
