//! `backstay log search`

use backstay_engine_api::LoggedTransaction;
use backstay_engine_api::position::PointInTime;
use clap::{Args, Subcommand};
use serde_json::json;

use super::context::{Context, Stoppable};
use super::selection::patterns;
use super::{list, output};
use crate::error::{Error, ErrorKind, ExitCode, Result};
use crate::jobs::search::{Criteria, Search};

/// How much of a statement a line shows, in characters.
const SHOWN: usize = 100;
/// How many tables a line names.
const TABLES: usize = 4;

/// What is done with logs.
#[derive(Debug, Subcommand)]
pub(super) enum Log {
    /// Find transactions, such as the one that was a mistake, and how each is undone
    Search(LogSearch),
}

/// Looks through the indexes of all logs of a cluster, archived and backed up. Exits 1 if a log could not be read: there may be
/// something in it.
#[derive(Debug, Args)]
pub(super) struct LogSearch {
    /// The cluster; may be left out if there is only one
    #[arg(long, value_name = "NAME")]
    cluster: Option<String>,
    /// Committed at this time or later, RFC 3339 with an offset
    #[arg(long, value_name = "TIME")]
    since: Option<String>,
    /// Committed at this time or earlier
    #[arg(long, value_name = "TIME")]
    until: Option<String>,
    /// In this schema; may be given again
    #[arg(long = "schema", value_name = "NAME")]
    schemas: Vec<String>,
    /// In these tables: SCHEMA.TABLE,… where * and ? stand for characters
    #[arg(long = "table", value_name = "TABLES")]
    tables: Vec<String>,
    /// Of this kind; may be given again
    #[arg(long = "kind", value_name = "KIND", value_parser = ["insert", "update", "delete", "ddl", "xa-prepare", "xa-commit", "xa-rollback", "other"])]
    kinds: Vec<String>,
    /// With at least so many changed rows
    #[arg(long, value_name = "N")]
    min_rows: Option<u64>,
    /// This transaction
    #[arg(long, value_name = "GTID")]
    gtid: Option<String>,
    /// Print at most so many
    #[arg(long, value_name = "N", default_value_t = 100)]
    limit: usize,
}

impl Log {
    pub(super) fn run(&self, context: &Context) -> Result<ExitCode> {
        let Self::Search(search) = self;
        search.run(context)
    }
}

impl LogSearch {
    fn run(&self, context: &Context) -> Result<ExitCode> {
        let criteria = self.criteria()?;
        let host = context.host(Stoppable::AtOnce)?;
        let cluster = list::cluster_or_only(self.cluster.as_deref(), &host.config)?;
        let search = host.search_logs(&cluster, &criteria)?;
        match context.json() {
            true => output::print_json(&as_json(&cluster, &search))?,
            false => output::print(&as_text(&cluster, &search))?,
        }
        Ok(if search.unread.is_empty() {
            ExitCode::Done
        } else {
            ExitCode::Failed
        })
    }

    fn criteria(&self) -> Result<Criteria> {
        let time = |text: &Option<String>| {
            let time = text.as_deref().map(str::parse::<PointInTime>).transpose();
            time.map_err(|error| Error::new(ErrorKind::Usage, error.to_string()))
        };
        Ok(Criteria {
            since: time(&self.since)?,
            until: time(&self.until)?,
            tables: patterns(&self.tables)?,
            schemas: self.schemas.clone(),
            kinds: self.kinds.clone(),
            min_rows: self.min_rows,
            gtid: self.gtid.as_ref().map(|gtid| gtid.to_lowercase()),
            limit: self.limit,
        })
    }
}

/// The command that recovers to just before a transaction.
fn undo(cluster: &str, transaction: &LoggedTransaction) -> Option<String> {
    let point = match &transaction.gtid {
        Some(gtid) => format!("--before-gtid {gtid}"),
        None => {
            let (file, end) = transaction.end.rsplit_once(':')?;
            let begin = end.parse::<u64>().ok()?.checked_sub(transaction.length)?;
            format!("--to-position {file}:{begin}")
        }
    };
    Some(format!("backstay recover --cluster {cluster} {point}"))
}

fn as_json(cluster: &str, search: &Search) -> serde_json::Value {
    json!({
        "transactions": search.found.iter().map(|found| json!({
            "transaction": found.transaction,
            "in": found.source.name(),
            "undo": undo(cluster, &found.transaction),
        })).collect::<Vec<_>>(),
        "more": search.more,
        "unread": search.unread.iter().map(|(name, why)| json!({ "name": name, "why": why })).collect::<Vec<_>>(),
    })
}

fn as_text(cluster: &str, search: &Search) -> String {
    let mut text = String::new();
    for found in &search.found {
        let transaction = &found.transaction;
        let name = transaction.gtid.as_deref().unwrap_or(&transaction.end);
        text.push_str(&format!("{}  {name}  {}\n", transaction.time, summary(transaction)));
        if let Some(statement) = &transaction.statement {
            text.push_str(&format!("    {}\n", one_line(statement)));
        }
        if let Some(undo) = undo(cluster, transaction) {
            text.push_str(&format!("    undone by: {undo} (--to-server URL | --to-datadir DIR)\n"));
        }
    }
    if search.found.is_empty() {
        text.push_str("no such transaction\n");
    }
    if search.more {
        text.push_str("there are more: narrow the search, or raise `--limit`\n");
    }
    for (name, why) in &search.unread {
        text.push_str(&format!("not read: {name}: {why}\n"));
    }
    text
}

/// What a transaction did: `delete 20 rows in shop.orders, shop.lines`.
fn summary(transaction: &LoggedTransaction) -> String {
    let kinds = transaction.kinds.iter().map(|kind| match transaction.rows.get(kind) {
        Some(1) => format!("{kind} 1 row"),
        Some(rows) => format!("{kind} {rows} rows"),
        None => kind.clone(),
    });
    let mut text = kinds.collect::<Vec<_>>().join(", ");
    if !transaction.tables.is_empty() {
        let named: Vec<&str> = transaction.tables.iter().take(TABLES).map(String::as_str).collect();
        text.push_str(&format!(" in {}", named.join(", ")));
    }
    if transaction.tables.len() > TABLES {
        text.push_str(&format!(" and {} more", transaction.tables.len() - TABLES));
    }
    text
}

/// A statement comes from a server: nothing of it may move the terminal's cursor.
fn one_line(statement: &str) -> String {
    let words = statement.split_whitespace().collect::<Vec<_>>().join(" ");
    let shown: String = words.chars().filter(|c| !c.is_control()).take(SHOWN).collect();
    if words.chars().count() > SHOWN {
        shown + "…"
    } else {
        shown
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::jobs::search::Found;
    use crate::recovery::LogSource;

    #[test]
    fn transactions_and_what_undoes_them() {
        let found = |transaction| Found {
            transaction,
            source: LogSource::Backup { id: "a".to_owned() },
        };
        let search = Search {
            found: vec![
                found(LoggedTransaction {
                    gtid: Some("0-1-270".to_owned()),
                    time: "2026-11-22T10:15:30Z".to_owned(),
                    kinds: vec!["delete".to_owned(), "insert".to_owned()],
                    tables: vec!["shop.orders".to_owned(), "shop.lines".to_owned()],
                    rows: BTreeMap::from([("delete".to_owned(), 20), ("insert".to_owned(), 1)]),
                    ..LoggedTransaction::default()
                }),
                found(LoggedTransaction {
                    file: "binlog.000007".to_owned(),
                    end: "binlog.000007:1234".to_owned(),
                    length: 200,
                    time: "2026-11-22T10:15:31Z".to_owned(),
                    kinds: vec!["ddl".to_owned()],
                    tables: vec!["shop.orders".to_owned()],
                    statement: Some("DROP TABLE\n  `orders`\u{1b}[2J /* generated by server */".to_owned()),
                    ..LoggedTransaction::default()
                }),
            ],
            more: true,
            unread: vec![("b".to_owned(), "a digest is wrong".to_owned())],
        };
        insta::assert_snapshot!(as_text("orders", &search), @"
        2026-11-22T10:15:30Z  0-1-270  delete 20 rows, insert 1 row in shop.orders, shop.lines
            undone by: backstay recover --cluster orders --before-gtid 0-1-270 (--to-server URL | --to-datadir DIR)
        2026-11-22T10:15:31Z  binlog.000007:1234  ddl in shop.orders
            DROP TABLE `orders`[2J /* generated by server */
            undone by: backstay recover --cluster orders --to-position binlog.000007:1034 (--to-server URL | --to-datadir DIR)
        there are more: narrow the search, or raise `--limit`
        not read: b: a digest is wrong
        ");
        assert!(as_text("orders", &Search::default()).starts_with("no such transaction"));
    }
}
