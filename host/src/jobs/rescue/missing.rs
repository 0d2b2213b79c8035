//! What the log knows of a table that is not there.

use backstay_engine_api::{LoggedTransaction, Selection};

use super::super::Host;
use super::super::search::Criteria;
use crate::error::Error;

/// How many definitions are shown of a table.
const SHOWN: usize = 5;

impl Host {
    /// Adds to an error what was done to the tables that were asked for: one may have been dropped before the point, or made
    /// after it.
    pub(super) fn with_history(&self, cluster: &str, selection: &Selection, mut error: Error) -> Error {
        for pattern in selection.include.iter().filter(|pattern| pattern.exact().is_some()) {
            let criteria = Criteria {
                tables: vec![pattern.clone()],
                kinds: vec!["ddl".to_owned()],
                limit: usize::MAX,
                ..Criteria::default()
            };
            // The error that there is counts more than one that comes while it is explained.
            let Ok(search) = self.search_logs(cluster, &criteria) else {
                continue;
            };
            let last = search.found.len().saturating_sub(SHOWN);
            for found in &search.found[last..] {
                error = error.detail(event(&pattern.to_string(), &found.transaction));
            }
        }
        error
    }
}

fn event(table: &str, transaction: &LoggedTransaction) -> String {
    let statement = transaction.statement.as_deref().unwrap_or_default();
    let words: Vec<String> = statement
        .split_whitespace()
        .take(3)
        .map(str::to_ascii_uppercase)
        .collect();
    let name = transaction.gtid.as_deref().unwrap_or(&transaction.end);
    let what = match words.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["DROP", "TABLE" | "DATABASE" | "SCHEMA", ..] => match &transaction.gtid {
            Some(gtid) => {
                return format!(
                    "{table} was dropped at {} by {gtid}: --before-gtid {gtid} is when it was there last",
                    transaction.time
                );
            }
            None => "was dropped",
        },
        ["CREATE", "TABLE", ..] | ["CREATE", "OR", "REPLACE"] => "was created",
        ["RENAME", ..] => "was renamed",
        _ => "was defined anew",
    };
    format!("{table} {what} at {} by {name}", transaction.time)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_done_to_a_table() {
        let transaction = |gtid: Option<&str>, statement: &str| LoggedTransaction {
            gtid: gtid.map(str::to_owned),
            end: "binlog.000002:900".to_owned(),
            time: "2026-11-22T10:15:30Z".to_owned(),
            statement: Some(statement.to_owned()),
            ..LoggedTransaction::default()
        };
        for (transaction, text) in [
            (
                transaction(Some("0-1-7"), "DROP TABLE `orders` /* generated */"),
                "shop.orders was dropped at 2026-11-22T10:15:30Z by 0-1-7: --before-gtid 0-1-7 is when it was there last",
            ),
            (
                transaction(None, "drop table orders"),
                "shop.orders was dropped at 2026-11-22T10:15:30Z by binlog.000002:900",
            ),
            (
                transaction(Some("0-1-8"), "CREATE TABLE orders (id INT)"),
                "shop.orders was created at 2026-11-22T10:15:30Z by 0-1-8",
            ),
            (
                transaction(Some("0-1-9"), "ALTER TABLE orders ADD x INT"),
                "shop.orders was defined anew at 2026-11-22T10:15:30Z by 0-1-9",
            ),
        ] {
            assert_eq!(event("shop.orders", &transaction), text);
        }
    }
}
