//! The log that is backed up and archived, as `backstay log search` finds it.

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
