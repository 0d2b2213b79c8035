//! [`Indexer`]: a line of the index from a transaction's events.

use std::collections::{BTreeMap, HashMap};

use backstay_engine_api::LoggedTransaction;
use backstay_engine_api::position::PointInTime;

use super::bytes::Malformed;
use super::event::{Event, RawEvent};
use super::format::Format;
use super::query::Query;
use super::statement::{self, Look};
use super::table_map::TableMap;

/// How much of a statement is kept, in characters.
const STATEMENT: usize = 1000;
/// How many tables are remembered from one transaction to the next.
const TABLES: usize = 1024;

/// Gathers what is said of one transaction after the other.
#[derive(Debug, Default)]
pub struct Indexer {
    line: LoggedTransaction,
    /// What the last map of each number said: rows are of the one before them, which most often says what its predecessor did.
    tables: HashMap<u64, TableMap>,
    /// The commit time that the transaction's first event says, in microseconds.
    committed: Option<u64>,
    /// What the last event's header says, in seconds.
    last: u32,
    /// A time in microseconds, and its text: where only seconds are known, thousands of transactions have the same.
    time: (u64, String),
    /// Whether the statement that is kept is DDL.
    ddl: bool,
}

impl Indexer {
    /// Takes an event of a transaction, the first to the last.
    ///
    /// # Errors
    /// It can not be read.
    pub fn take(&mut self, raw: &RawEvent<'_>, event: &Event<'_>, format: &Format) -> Result<(), Malformed> {
        if let Event::TransactionPayload(payload) = event {
            let mut inner = payload.events(format)?;
            while let Some(event) = inner.next()? {
                self.see(&event);
            }
        } else {
            self.see(event);
        }
        self.last = raw.header.timestamp;
        Ok(())
    }

    /// The line of the transaction whose last event was taken.
    pub fn finish(&mut self) -> LoggedTransaction {
        // Where nothing else says it: when the last statement began, which of a transaction is its COMMIT.
        let micros = self.committed.take().unwrap_or(u64::from(self.last) * 1_000_000);
        if self.time.0 != micros || self.time.1.is_empty() {
            let time = i64::try_from(micros).ok().and_then(PointInTime::from_unix_microseconds);
            self.time = (micros, time.map(|time| time.to_string()).unwrap_or_default());
        }
        self.line.time.clone_from(&self.time.1);
        if self.tables.len() > TABLES {
            self.tables.clear();
        }
        self.ddl = false;
        std::mem::take(&mut self.line)
    }

    fn see(&mut self, event: &Event<'_>) {
        match event {
            Event::Gtid(gtid) => {
                self.line.gtid = gtid.gtid.as_ref().map(ToString::to_string);
                self.committed = gtid.immediate_commit_time;
            }
            Event::MariadbGtid(gtid) => self.line.gtid = Some(gtid.gtid.to_string()),
            Event::TableMap(map) => {
                let is_it = |name: &String| {
                    let table = name.strip_prefix(&map.schema).and_then(|rest| rest.strip_prefix('.'));
                    table == Some(&map.table)
                };
                if !self.line.tables.iter().any(is_it) {
                    self.line.tables.push(format!("{}.{}", map.schema, map.table));
                }
                if self.tables.get(&map.table_id) != Some(map) {
                    self.tables.insert(map.table_id, map.clone());
                }
            }
            Event::Rows(rows) => {
                let change = rows.change.as_str();
                note(&mut self.line.kinds, change);
                // Of a type whose length is not known the number is left out: it is for people.
                let table = self.tables.get(&rows.table_id);
                if let Some(Ok(count)) = table.map(|table| rows.count(table)) {
                    add(&mut self.line.rows, change, count);
                }
            }
            Event::Query(query) => self.statement(query),
            Event::RowsQuery(statement) if self.line.statement.is_none() => {
                self.line.statement = Some(shortened(&String::from_utf8_lossy(statement)));
            }
            Event::XaPrepare(prepare) if !prepare.one_phase => note(&mut self.line.kinds, "xa-prepare"),
            _ => {}
        }
    }

    fn statement(&mut self, query: &Query<'_>) {
        let text = query.text();
        let Look { kind, tables } = statement::look(&text, &String::from_utf8_lossy(query.schema));
        let Some(kind) = kind else { return };
        note(&mut self.line.kinds, kind);
        for table in tables {
            note(&mut self.line.tables, &table);
        }
        let ddl = kind == "ddl";
        if self.line.statement.is_none() || ddl && !self.ddl {
            self.line.statement = Some(shortened(&text));
            self.ddl = ddl;
        }
    }
}

/// Each once, in the order in which they came.
fn note(all: &mut Vec<String>, one: &str) {
    if !all.iter().any(|other| other == one) {
        all.push(one.to_owned());
    }
}

fn add(rows: &mut BTreeMap<String, u64>, change: &str, count: u64) {
    match rows.get_mut(change) {
        Some(sum) => *sum += count,
        None => {
            rows.insert(change.to_owned(), count);
        }
    }
}

fn shortened(statement: &str) -> String {
    statement.chars().take(STATEMENT).collect()
}
