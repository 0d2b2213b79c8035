//! Sessions on a server, and that none stays.

use backstay_bed::until;
use mysql::Conn;
use mysql::prelude::Queryable;

/// The ids of the sessions of clients, in order.
///
/// # Panics
/// The query fails.
pub fn sessions(conn: &mut Conn) -> Vec<u64> {
    conn.query(
        "SELECT id FROM information_schema.processlist WHERE command NOT IN ('Daemon', 'Binlog Dump', 'Binlog Dump GTID') \
         AND user NOT IN ('event_scheduler', 'system user') ORDER BY id",
    )
    .expect("the sessions")
}

/// Waits until there are no sessions but those that were there before: a killed one takes a moment to be gone.
///
/// # Panics
/// One stays.
#[track_caller]
pub fn none_stays(conn: &mut Conn, before: &[u64]) {
    until("no session stays", || {
        sessions(conn).iter().all(|id| before.contains(id))
    });
}
