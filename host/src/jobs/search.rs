//! Looking for transactions in what was logged.

use std::collections::HashSet;
use std::io::{BufRead, BufReader, Read};

use backstay_engine_api::job::Segment;
use backstay_engine_api::position::PointInTime;
use backstay_engine_api::{LOG_INDEX, LoggedTransaction, TablePattern};

use super::Host;
use crate::error::{Error, ErrorKind, Result};
use crate::pipeline::ObjectStream;
use crate::recovery::{self, LogSource};

/// What is looked for: a transaction must be all of it. What is empty or none leaves all through.
#[derive(Debug, Clone, Default)]
pub struct Criteria {
    /// Committed at this time or later.
    pub since: Option<PointInTime>,
    /// Committed at this time or earlier.
    pub until: Option<PointInTime>,
    /// It touched one of these tables.
    pub tables: Vec<TablePattern>,
    /// It touched something in one of these schemas.
    pub schemas: Vec<String>,
    /// It did one of these: `insert`, `update`, `delete`, `ddl`, ….
    pub kinds: Vec<String>,
    /// It changed at least so many rows.
    pub min_rows: Option<u64>,
    /// It has this name, or this is the beginning of it.
    pub gtid: Option<String>,
    /// How many are wanted at most.
    pub limit: usize,
}

/// A transaction, and where it was found.
#[derive(Debug, Clone)]
pub struct Found {
    /// What is known of it.
    pub transaction: LoggedTransaction,
    /// The piece of log that it is in.
    pub source: LogSource,
}

/// What came of it.
#[derive(Debug, Default)]
pub struct Search {
    /// The transactions, in the order of the log.
    pub found: Vec<Found>,
    /// Whether there are more than were wanted.
    pub more: bool,
    /// Pieces of log that could not be read, and why: there may be something in them.
    pub unread: Vec<(String, String)>,
}

impl Criteria {
    fn may_be_in(&self, segment: &Segment) -> bool {
        let time = |text: &Option<String>| text.as_deref().and_then(|text| text.parse::<PointInTime>().ok());
        // A clock may step back within a piece, not by more than this is likely to.
        const SLACK: i64 = 60 * 60 * 1_000_000;
        let micros = |time: PointInTime| time.unix_microseconds();
        let after = match (self.until, time(&segment.first_time)) {
            (Some(until), Some(first)) => micros(first) > micros(until).saturating_add(SLACK),
            _ => false,
        };
        let before = match (self.since, time(&segment.last_time)) {
            (Some(since), Some(last)) => micros(last).saturating_add(SLACK) < micros(since),
            _ => false,
        };
        !after && !before
    }

    fn fits(&self, transaction: &LoggedTransaction) -> bool {
        let time: Option<PointInTime> = transaction.time.parse().ok();
        let in_time = self.since.is_none_or(|since| time.is_some_and(|time| time >= since))
            && self.until.is_none_or(|until| time.is_some_and(|time| time <= until));
        let tables = || transaction.tables.iter().filter_map(|table| table.split_once('.'));
        let table = self.tables.is_empty()
            || tables().any(|(schema, table)| {
                self.tables
                    .iter()
                    .any(|pattern| pattern.matches(schema, table) || table == "*" && pattern.matches_schema(schema))
            });
        let schema =
            self.schemas.is_empty() || tables().any(|(schema, _)| self.schemas.iter().any(|wanted| wanted == schema));
        let kind = self.kinds.is_empty() || transaction.kinds.iter().any(|kind| self.kinds.contains(kind));
        let rows = self
            .min_rows
            .is_none_or(|min| transaction.rows.values().sum::<u64>() >= min);
        let gtid = self
            .gtid
            .as_ref()
            .is_none_or(|wanted| transaction.gtid.as_ref() == Some(wanted));
        in_time && table && schema && kind && rows && gtid
    }
}

impl Host {
    /// Looks through the indexes of all the logs of a cluster: incremental backups that are made of log events, and archives. A
    /// transaction that is in several is found once.
    ///
    /// # Errors
    /// The repository can not be read. A piece that is damaged is no error here.
    pub fn search_logs(&self, cluster: &str, criteria: &Criteria) -> Result<Search> {
        let holdings = self.holdings(cluster)?;
        let mut search = Search::default();
        for (name, why) in &holdings.unusable {
            search.unread.push((name.clone(), why.reason().to_owned()));
        }
        let mut seen = HashSet::new();
        for (source, segment) in recovery::pieces_in_order(&holdings) {
            if !criteria.may_be_in(segment) {
                continue;
            }
            if let Err(error) = self.search_piece(cluster, &source, criteria, &mut seen, &mut search) {
                if error.kind != ErrorKind::Damaged {
                    return Err(error);
                }
                search.unread.push((source.name(), error.message));
            }
            if search.more {
                break;
            }
        }
        Ok(search)
    }

    fn search_piece(
        &self,
        cluster: &str,
        source: &LogSource,
        criteria: &Criteria,
        seen: &mut HashSet<String>,
        search: &mut Search,
    ) -> Result<()> {
        let mut failed = None;
        let index = Lines {
            stream: self.open_source(cluster, source)?.open_object(LOG_INDEX)?,
            failed: &mut failed,
        };
        let mut lines = BufReader::with_capacity(1 << 18, index);
        let mut line = Vec::new();
        let read = loop {
            line.clear();
            match lines.read_until(b'\n', &mut line) {
                Ok(0) => break Ok(()),
                Ok(_) => {}
                Err(error) => break Err(Error::from(error)),
            }
            let transaction: LoggedTransaction = serde_json::from_slice(&line).map_err(|error| {
                Error::new(
                    ErrorKind::Damaged,
                    format!("{LOG_INDEX} of {} is no index", source.name()),
                )
                .because(&error)
            })?;
            if !criteria.fits(&transaction) {
                continue;
            }
            let name = transaction.gtid.clone().unwrap_or_else(|| transaction.end.clone());
            if !seen.insert(name) {
                continue;
            }
            if search.found.len() == criteria.limit {
                search.more = true;
                break Ok(());
            }
            search.found.push(Found {
                transaction,
                source: source.clone(),
            });
        };
        match failed {
            Some(error) => Err(error),
            None => read,
        }
    }
}

/// An object as a reader; what went wrong is kept as it was said.
struct Lines<'a> {
    stream: ObjectStream,
    failed: &'a mut Option<Error>,
}

impl Read for Lines<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        self.stream.fill(buffer).map_err(|error| {
            let shown = std::io::Error::other(error.message.clone());
            *self.failed = Some(error);
            shown
        })
    }
}
