//! Which accounts are the target's own. All others that are there are taken for made by the restore that was interrupted, and are given what
//! the backup grants them; as when that goes on, one that somebody has made since is not told from them.

use std::collections::HashSet;

use backstay_engine_api::EngineError;
use backstay_mysql::Session;
use backstay_mysql::accounts::{self, Account};

use super::identity::of_one_backup;
use super::noted_job;

/// Before a restore begins anew: of the accounts that are there, an unfinished restore of the same backup may have made some. `restored`:
/// whether this one restores accounts; if not, what the unfinished one has noted is kept for the next.
///
/// # Errors
/// The session's account may not see accounts; the advice names the GRANT.
pub(in crate::restore) fn own_accounts(
    session: &mut Session,
    identity: &str,
    restored: bool,
) -> Result<HashSet<Account>, EngineError> {
    let noted = noted(session, identity);
    if !restored {
        return Ok(noted.unwrap_or_default());
    }
    let mut there = accounts::existing(session)?;
    if let Some(noted) = noted {
        there.retain(|account| noted.contains(account));
    }
    Ok(there)
}

/// What an unfinished restore has noted. `None` if it restored no accounts, if it was of another backup, whose passwords and grants its
/// accounts have, or if it can not be read.
fn noted(session: &mut Session, identity: &str) -> Option<HashSet<Account>> {
    let job = noted_job(session).ok()??;
    if !of_one_backup(job.get(&["identity"])?, identity) {
        return None;
    }
    let noted: HashSet<Account> = serde_json::from_str(job.get(&["accounts"])?).ok()?;
    (!noted.is_empty()).then_some(noted)
}
