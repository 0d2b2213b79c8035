//! Prepared XA transactions.

use std::time::Duration;

use backstay_engine_api::{EngineError, ErrorKind};

use crate::session::Session;

/// How many transactions an error names.
const NAMED: usize = 10;

/// The XIDs of prepared transactions, as `XA COMMIT` takes them.
pub(crate) fn list(session: &mut Session) -> Result<Vec<String>, EngineError> {
    if session.flavour().is_mariadb() {
        let rows = session.query_named("XA RECOVER FORMAT='SQL'")?;
        return Ok(rows
            .iter()
            .filter_map(|row| row.get(&["data"]).map(str::to_owned))
            .collect());
    }
    let rows: Vec<(u64, usize, usize, String)> = session.query("XA RECOVER CONVERT XID")?;
    Ok(rows
        .iter()
        .map(|(format, gtrid, bqual, hex)| xid(*format, *gtrid, *bqual, hex))
        .collect())
}

/// MySQL gives the two parts as one hexadecimal number with their lengths in bytes.
fn xid(format: u64, gtrid: usize, bqual: usize, hex: &str) -> String {
    let digits = hex.strip_prefix("0x").unwrap_or(hex);
    let part = |from: usize, bytes: usize| digits.get(2 * from..2 * (from + bytes)).unwrap_or_default();
    format!("X'{}',X'{}',{format}", part(0, gtrid), part(gtrid, bqual))
}

/// Prepared transactions that would not go.
pub(super) fn in_the_way(xids: &[String], lock_wait: Duration) -> EngineError {
    let seconds = lock_wait.as_secs_f64();
    let count = xids.len();
    let message = format!("prepared XA transactions did not end within {seconds:.0} s: {count} left");
    let mut error = EngineError::new(ErrorKind::Busy, message);
    error.causes = xids.iter().take(NAMED).map(|xid| format!("XID {xid}")).collect();
    if count > NAMED {
        error.causes.push(format!("and {} more", count - NAMED));
    }
    let example = xids.first().map_or("", String::as_str);
    error.advise(format!(
        "no backup can hold them: let their transaction manager end them, or run XA COMMIT {example} or XA ROLLBACK \
         {example}, or raise lock_wait"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn xids_as_xa_commit_takes_them() {
        assert_eq!(xid(1, 2, 1, "0x616263"), "X'6162',X'63',1");
        assert_eq!(xid(1, 3, 0, "0x616263"), "X'616263',X'',1");
    }
}
