//! Transactions that were open, or prepared, at the instant that the data is of.

use std::thread;
use std::time::Duration;

use backstay_engine_api::EngineError;
use backstay_engine_api::job::{JobContext, Level};

use crate::consistent::prepared;
use crate::session::Session;

/// How often it is looked whether they are gone.
const LOOK: Duration = Duration::from_millis(200);

/// What InnoDB has found when it recovered belongs to no session.
const RECOVERED: &str = "SELECT COUNT(*) FROM information_schema.INNODB_TRX WHERE trx_mysql_thread_id = 0";

/// Waits, however long it takes, until a server has rolled back what was open. It does that in the background, after it has begun to
/// answer. Who reads its files meanwhile reads rows that nobody has committed: MariaDB's FLUSH TABLES … FOR EXPORT waits for sessions
/// only (seen on 10.11). MySQL's waits for the metadata locks of what is rolled back too, and gives up after `lock_wait_timeout`.
///
/// XA transactions that are prepared stay: see [`roll_back_prepared`].
///
/// # Errors
/// The job is cancelled, or the session was lost.
pub fn until_rolled_back(job: &JobContext, session: &mut Session) -> Result<(), EngineError> {
    // They are among those that InnoDB shows.
    let prepared = prepared::list(session)?.len() as u64;
    let mut said = 0;
    loop {
        let found: u64 = session.query_first(RECOVERED)?.unwrap_or(0);
        let open = found.saturating_sub(prepared);
        if open == 0 {
            return Ok(());
        }
        job.check_cancelled()?;
        if open != said {
            job.doing(format!(
                "waiting until what was not committed is rolled back ({open} transactions)"
            ));
            said = open;
        }
        thread::sleep(LOOK);
    }
}

/// Rolls back what was prepared and not committed, which is no part of the point that the data shows; left alone, its rows stay
/// locked. Gives the XIDs.
///
/// # Errors
/// The server refuses, or the session was lost.
pub fn roll_back_prepared(job: &JobContext, session: &mut Session) -> Result<Vec<String>, EngineError> {
    let xids = prepared::list(session)?;
    for xid in &xids {
        job.log(
            Level::Info,
            format!("rolling back XA transaction {xid}, which was prepared and not committed"),
        );
        session.run(format!("XA ROLLBACK {xid}"))?;
    }
    Ok(xids)
}
