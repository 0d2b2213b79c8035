//! The binary log, read as a replica reads it, against real servers.

mod follow;
mod gaps;
mod pieces;
mod workload;

use std::collections::BTreeMap;
use std::time::Duration;

use backstay_bed::TestServer;
use backstay_engine_api::job::Segment;
use backstay_engine_api::{Attributes, EngineError, LOG_INDEX, LoggedTransaction, Position};
use backstay_mysql::binlog::{
    LogStream, Mode, PieceObjects, PieceWriter, Received, Resume, Start, log_end, read_index, resume,
};
use backstay_mysql::{Session, facts};

/// How long a test waits for one event.
const WAIT: Duration = Duration::from_secs(20);

/// A piece in memory.
#[derive(Debug, Default)]
struct Piece {
    objects: BTreeMap<String, Vec<u8>>,
    segment: Segment,
}

impl Piece {
    fn index(&self) -> Vec<LoggedTransaction> {
        let index = self.objects.get(LOG_INDEX).map(Vec::as_slice).unwrap_or_default();
        read_index(index).map(|line| line.unwrap()).collect()
    }
}

/// Objects in memory.
struct Objects<'a>(&'a mut BTreeMap<String, Vec<u8>>);

impl PieceObjects for Objects<'_> {
    type Object = Object;

    fn create(&mut self, name: &str, _: Attributes) -> Result<Object, EngineError> {
        assert!(!self.0.contains_key(name), "{name} comes twice");
        self.0.insert(name.to_owned(), Vec::new());
        Ok(Object {
            name: name.to_owned(),
            bytes: Vec::new(),
        })
    }

    fn finish(&mut self, object: Object) -> Result<(), EngineError> {
        self.0.insert(object.name, object.bytes);
        Ok(())
    }
}

struct Object {
    name: String,
    bytes: Vec<u8>,
}

impl std::io::Write for Object {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.bytes.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// Where the server's log ends now.
fn end(session: &mut Session) -> Vec<Position> {
    let server = facts(session).unwrap();
    log_end(session, &server).unwrap_or_else(|error| panic!("{error}"))
}

/// Where to read from, after positions of this same server.
fn after(session: &mut Session, positions: &[Position]) -> Result<Resume, EngineError> {
    let server = facts(session)?;
    let now = log_end(session, &server)?;
    resume(session, &server, &now, &server, positions, "backup b1")
}

/// All that the server has logged after these positions.
fn since(server: &TestServer, positions: &[Position]) -> Piece {
    let mut session = server.session();
    match after(&mut session, positions).unwrap_or_else(|error| panic!("{error}")) {
        Resume::Nothing => Piece::default(),
        Resume::From { start, from } => read(&mut session, &start, from),
    }
}

fn read(session: &mut Session, start: &Start, from: Vec<Position>) -> Piece {
    let mut objects = BTreeMap::new();
    let mut writer = PieceWriter::new(Objects(&mut objects), from);
    let mut stream = LogStream::open(session, start, Mode::Once).unwrap_or_else(|error| panic!("{error}"));
    loop {
        match stream.next(WAIT).unwrap_or_else(|error| panic!("{error}")) {
            Received::Event(event) => {
                writer.take(&event).unwrap_or_else(|error| panic!("{error}"));
            }
            Received::Heartbeat { .. } | Received::Nothing => {}
            Received::End => break,
        }
    }
    assert!(!stream.inside_transaction());
    let segment = writer.finish("piece").unwrap();
    Piece { objects, segment }
}
