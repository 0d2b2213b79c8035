//! The log that is backed up and archived, as `backstay log search` finds it.

use backstay_bed::until;
use mysql::prelude::Queryable;
use mysql::{Conn, Row};
use serde_json::Value;

use crate::backstay::Backstay;

/// The transactions that are logged, in order.
///
/// # Panics
/// They can not be listed.
pub fn logged(backstay: &Backstay) -> Vec<Value> {
    let found = backstay
        .run(&["log", "search", "--limit", "1000000", "--json"])
        .ok()
        .json();
    let found = found["transactions"].as_array().expect("transactions").iter();
    found.map(|found| found["transaction"].clone()).collect()
}

/// Where a transaction ends in the source's own log.
///
/// # Panics
/// It does not say so.
pub fn end(transaction: &Value) -> (String, u64) {
    let end = transaction["end"].as_str().expect("where it ends");
    let (file, offset) = end.rsplit_once(':').expect("file:offset");
    (file.to_owned(), offset.parse().expect("an offset"))
}

/// Purges all of a server's binary logs but the last.
///
/// # Panics
/// They do not go.
pub fn purge_all_but_the_last(conn: &mut Conn) {
    until("all but the last log are gone", || {
        // One that is still being sent is kept.
        let logs: Vec<String> = conn
            .query_map("SHOW BINARY LOGS", |row: Row| row.get(0).expect("a log's name"))
            .expect("the server's logs");
        let last = logs.last().expect("a log");
        conn.query_drop(format!("PURGE BINARY LOGS TO '{last}'"))
            .expect("PURGE");
        logs.len() == 1
    });
}
