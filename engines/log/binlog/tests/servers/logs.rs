//! A server's logs as a backup or an archive would keep them: cut at transactions, with an index.

use std::collections::BTreeMap;
use std::fs;

use backstay_bed::TestServer;
use backstay_binlog::Binlog;
use backstay_engine_api::job::Segment;
use backstay_engine_api::position::PointInTime;
use backstay_engine_api::position::mariadb::GtidPosition;
use backstay_engine_api::position::mysql::GtidSet;
use backstay_engine_api::testing::{Backup, Object};
use backstay_engine_api::{Attributes, LOG_INDEX, LoggedTransaction, Position};
use backstay_mysql::binlog::{Event, EventType, Format, HEADER, Header, MAGIC, RawEvent};

/// A host in memory with the engine.
pub(crate) type TestHost = backstay_bed::MemoryHost<Binlog>;

/// A transaction as a test sees it.
#[derive(Debug, Clone)]
pub(crate) struct Logged {
    pub(crate) line: LoggedTransaction,
    /// The server's file, and where it ends there.
    pub(crate) file: String,
    pub(crate) end: u64,
    /// What the server has after it.
    pub(crate) after: Position,
    bytes: Vec<u8>,
}

/// What a server has logged.
pub(crate) struct Logs {
    pub(crate) transactions: Vec<Logged>,
    formats: BTreeMap<String, Vec<u8>>,
}

/// Reads the binary logs in a server's data directory.
pub(crate) fn read(server: &TestServer) -> Logs {
    let mut session = server.session();
    session.run("FLUSH BINARY LOGS").expect("the log is closed");
    let names: Vec<String> = session
        .query_named("SHOW BINARY LOGS")
        .expect("the logs")
        .iter()
        .map(|row| row.get(&["Log_name"]).unwrap_or_default().to_owned())
        .collect();
    let mut logs = Logs {
        transactions: Vec::new(),
        formats: BTreeMap::new(),
    };
    let (mut set, mut position) = (GtidSet::new(), GtidPosition::new());
    for name in names {
        let bytes = fs::read(server.server.data_dir().join(&name)).expect("a log");
        assert_eq!(bytes[..4], MAGIC);
        let mut at = 4;
        let mut format: Option<Format> = None;
        let mut open: Option<Logged> = None;
        while at < bytes.len() {
            let header = Header::parse(&bytes[at..at + HEADER]).expect("a header");
            let event = &bytes[at..at + header.size as usize];
            at += event.len();
            let Some(format) = &format else {
                format = Some(Format::parse(event).expect("a format description"));
                logs.formats.insert(name.clone(), event.to_vec());
                continue;
            };
            let parsed = RawEvent::check(event, format).and_then(|raw| raw.parse(format));
            let begins = match parsed.expect("an event") {
                Event::Gtid(gtid) => {
                    let time = gtid.immediate_commit_time.expect("a time");
                    gtid.gtid.iter().for_each(|gtid| set.insert(gtid.clone()));
                    let after = Position::mysql_gtid(&set);
                    Some((gtid.gtid.map(|gtid| gtid.to_string()), time as i64, after))
                }
                Event::MariadbGtid(gtid) => {
                    position.set(gtid.gtid);
                    let time = i64::from(header.timestamp) * 1_000_000;
                    Some((Some(gtid.gtid.to_string()), time, Position::mariadb_gtid(&position)))
                }
                _ => None,
            };
            let outside = [
                EventType::ROTATE,
                EventType::STOP,
                EventType::PREVIOUS_GTIDS,
                EventType::GTID_LIST,
                EventType::BINLOG_CHECKPOINT,
            ];
            if outside.contains(&header.kind) || begins.is_some() {
                logs.transactions.extend(open.take());
            }
            if let Some((gtid, time, after)) = begins {
                let time = PointInTime::from_unix_microseconds(time).expect("a time");
                open = Some(Logged {
                    line: LoggedTransaction {
                        gtid,
                        file: name.clone(),
                        time: time.to_string(),
                        ..LoggedTransaction::default()
                    },
                    file: name.clone(),
                    end: 0,
                    after,
                    bytes: Vec::new(),
                });
            }
            if let Some(open) = &mut open {
                open.bytes.extend(event);
                open.end = at as u64;
            }
        }
        logs.transactions.extend(open);
    }
    logs
}

impl Logs {
    /// Puts all of it into a host, in segments of so many transactions; returns them.
    pub(crate) fn put_into(&self, host: &TestHost, per_segment: usize) -> Vec<Segment> {
        self.put_some_into(host, 0, per_segment)
    }

    /// The same, without the first transactions.
    pub(crate) fn put_some_into(&self, host: &TestHost, skipped: usize, per_segment: usize) -> Vec<Segment> {
        host.backups().clear();
        let mut segments = Vec::new();
        let mut from = match skipped {
            0 => Vec::new(),
            count => self.positions_after(count - 1),
        };
        for (number, part) in self.transactions[skipped..].chunks(per_segment).enumerate() {
            let mut objects: BTreeMap<String, Object> = BTreeMap::new();
            let mut names = Vec::new();
            let mut index = String::new();
            for logged in part {
                let object = objects.entry(logged.file.clone()).or_insert_with(|| {
                    names.push(logged.file.clone());
                    Object {
                        attributes: Attributes::kind("binlog"),
                        bytes: [&MAGIC, self.formats[&logged.file].as_slice()].concat(),
                    }
                });
                let mut line = logged.line.clone();
                line.offset = object.bytes.len() as u64;
                line.length = logged.bytes.len() as u64;
                line.end = format!("{}:{}", logged.file, logged.end);
                object.bytes.extend(&logged.bytes);
                index += &serde_json::to_string(&line).expect("a line");
                index.push('\n');
            }
            names.push(LOG_INDEX.to_owned());
            let attributes = Attributes::kind("log-index");
            let bytes = index.into_bytes();
            objects.insert(LOG_INDEX.to_owned(), Object { attributes, bytes });
            let last = skipped + number * per_segment + part.len() - 1;
            let to = self.positions_after(last);
            segments.push(Segment {
                name: format!("{number:06}"),
                objects: names,
                from: std::mem::replace(&mut from, to.clone()),
                to,
                transactions: part.len() as u64,
                ..Segment::default()
            });
            let record = TestHost::holding(BTreeMap::new()).backups()[0].record.clone();
            host.backups().push(Backup { record, objects });
        }
        segments
    }

    /// Where a server stands after a transaction.
    pub(crate) fn positions_after(&self, index: usize) -> Vec<Position> {
        let logged = &self.transactions[index];
        let place = format!("{}:{}", logged.file, logged.end);
        let place = Position::binlog_file(&place.parse().expect("a place"));
        let anonymous = logged.line.gtid.is_none();
        (!anonymous)
            .then(|| logged.after.clone())
            .into_iter()
            .chain([place])
            .collect()
    }
}
