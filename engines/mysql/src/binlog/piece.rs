//! Pieces of a log that are kept: an incremental backup's, or a segment of an archive.
//!
//! A piece has an object for each file of the server's that it touches, and the index. An object is a binary log by itself, which the
//! servers' own `mysqlbinlog` reads: the magic bytes, the source's format description, what came before (`Previous_gtids`,
//! `Gtid_list`), then whole transactions, byte for byte. What belongs to no transaction (the file's own bookkeeping) is left out.

mod read;

use std::collections::HashSet;
use std::io::{BufWriter, Write};

use backstay_engine_api::job::Segment;
use backstay_engine_api::position::BinlogFile;
use backstay_engine_api::{ArchiveJob, Attributes, BackupJob, EngineError, LOG_INDEX, ObjectWriter, Position, Storage};

use super::MAGIC;
use super::event::Event;
use super::gtids::Gtids;
use super::header::{EventFlags, Header};
use super::index::Indexer;
use super::make::{self, Head};
use super::stream::LogEvent;
use super::transaction::Place;
pub use read::{PieceEvent, PieceReader, read_index};

/// How much is gathered before the host is given it, in bytes: events are small.
const BUFFER: usize = 64 << 10;

/// The kind of a binary log's object.
pub const BINLOG_OBJECT: &str = "binlog";
/// The kind of the index's object.
pub const INDEX_OBJECT: &str = "log-index";

/// Where a piece's objects go.
pub trait PieceObjects {
    /// An object that is being written.
    type Object: Write;

    /// Begins an object.
    ///
    /// # Errors
    /// The host's.
    fn create(&mut self, name: &str, attributes: Attributes) -> Result<Self::Object, EngineError>;

    /// Ends an object.
    ///
    /// # Errors
    /// Its bytes did not reach the repository.
    fn finish(&mut self, object: Self::Object) -> Result<(), EngineError>;
}

impl PieceObjects for &BackupJob {
    type Object = ObjectWriter;

    fn create(&mut self, name: &str, attributes: Attributes) -> Result<ObjectWriter, EngineError> {
        BackupJob::create(self, name, attributes, Storage::Compress)
    }

    fn finish(&mut self, object: ObjectWriter) -> Result<(), EngineError> {
        object.finish().map(drop)
    }
}

impl PieceObjects for &ArchiveJob {
    type Object = ObjectWriter;

    fn create(&mut self, name: &str, attributes: Attributes) -> Result<ObjectWriter, EngineError> {
        ArchiveJob::create(self, name, attributes, Storage::Compress)
    }

    fn finish(&mut self, object: ObjectWriter) -> Result<(), EngineError> {
        object.finish().map(drop)
    }
}

/// Writes one piece. Its objects are begun when its first transaction comes: one without any has none.
#[derive(Debug)]
pub struct PieceWriter<O: PieceObjects> {
    objects: O,
    from: Vec<Position>,
    gtids: Gtids,
    names: Vec<String>,
    used: HashSet<String>,
    current: Option<Current<O::Object>>,
    index: Option<BufWriter<O::Object>>,
    indexer: Indexer,
    end: Option<BinlogFile>,
    transactions: u64,
    bytes: u64,
    index_bytes: u64,
    first_time: Option<String>,
    last_time: Option<String>,
}

/// The object that is being written.
#[derive(Debug)]
struct Current<W: Write> {
    object: BufWriter<W>,
    /// The server's file.
    file: String,
    name: String,
    offset: u64,
    /// Where the transaction began that is being written.
    transaction: u64,
}

impl<O: PieceObjects> PieceWriter<O> {
    /// A piece that begins at these positions: what a server must have that it is applied to.
    pub fn new(objects: O, from: Vec<Position>) -> Self {
        Self {
            objects,
            gtids: Gtids::of(&from),
            from,
            names: Vec::new(),
            used: HashSet::new(),
            current: None,
            index: None,
            indexer: Indexer::default(),
            end: None,
            transactions: 0,
            bytes: 0,
            index_bytes: 0,
            first_time: None,
            last_time: None,
        }
    }

    /// Whole transactions so far.
    pub fn transactions(&self) -> u64 {
        self.transactions
    }

    /// Bytes of binary logs so far.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// What a server has that has all up to the last whole transaction.
    pub fn gtids(&self) -> &Gtids {
        &self.gtids
    }

    /// What comes next is another server's, or another history's, whose files may have the same names.
    ///
    /// # Errors
    /// The object that ends with this did not reach the repository.
    pub fn new_source(&mut self) -> Result<(), EngineError> {
        self.end = None;
        self.close()
    }

    /// Takes an event; what is of no transaction is passed over. Returns whether a transaction is whole with it.
    ///
    /// # Errors
    /// It can not be written or read.
    pub fn take(&mut self, event: &LogEvent<'_>) -> Result<bool, EngineError> {
        match event.place {
            Place::Outside => return Ok(false),
            Place::Begins => self.begin(event)?,
            Place::Within | Place::Ends => {}
        }
        let current = self.current.as_mut();
        let current =
            current.ok_or_else(|| EngineError::other("an event comes before the transaction that it is of"))?;
        current.object.write_all(event.raw.bytes)?;
        current.offset += event.raw.bytes.len() as u64;
        self.bytes += event.raw.bytes.len() as u64;
        self.indexer.take(&event.raw, &event.event, event.format)?;
        if event.place != Place::Ends {
            return Ok(false);
        }
        let mut line = self.indexer.finish();
        line.file.clone_from(&current.name);
        line.offset = current.transaction;
        line.length = current.offset - current.transaction;
        let end = BinlogFile::new(event.file, event.end);
        let end = end.map_err(|error| EngineError::other("a binary log's name can not be read").because(&error))?;
        line.end = end.to_string();
        self.end = Some(end);
        self.transactions += 1;
        if self.first_time.is_none() {
            self.first_time = Some(line.time.clone());
        }
        self.last_time = Some(line.time.clone());
        let mut text = serde_json::to_vec(&line)
            .map_err(|error| EngineError::other("a line of the index is no JSON").because(&error))?;
        text.push(b'\n');
        if let Some(index) = &mut self.index {
            index.write_all(&text)?;
            self.index_bytes += text.len() as u64;
        }
        Ok(true)
    }

    /// Makes ready for a transaction that begins with this event.
    fn begin(&mut self, event: &LogEvent<'_>) -> Result<(), EngineError> {
        if self.index.is_none() {
            let index = self.objects.create(LOG_INDEX, Attributes::kind(INDEX_OBJECT))?;
            self.index = Some(BufWriter::with_capacity(BUFFER, index));
        }
        if self.current.as_ref().is_none_or(|current| current.file != event.file) {
            self.close()?;
            self.open(event)?;
        }
        if let Some(current) = &mut self.current {
            current.transaction = current.offset;
        }
        self.gtids.add(&event.event);
        Ok(())
    }

    fn open(&mut self, event: &LogEvent<'_>) -> Result<(), EngineError> {
        let mut name = event.file.to_owned();
        let mut number = 2;
        while !self.used.insert(name.clone()) {
            name = format!("{number}/{}", event.file);
            number += 1;
        }
        let attributes = Attributes::kind(BINLOG_OBJECT).with("file", event.file);
        let mut object = BufWriter::with_capacity(BUFFER, self.objects.create(&name, attributes)?);
        let head = head(event, &self.gtids)?;
        object.write_all(&head)?;
        self.bytes += head.len() as u64;
        self.current = Some(Current {
            object,
            file: event.file.to_owned(),
            name: name.clone(),
            offset: head.len() as u64,
            transaction: 0,
        });
        self.names.push(name);
        Ok(())
    }

    fn close(&mut self) -> Result<(), EngineError> {
        match self.current.take() {
            Some(current) => self.objects.finish(whole(current.object)?),
            None => Ok(()),
        }
    }

    /// Ends the piece, and says what it is. The last transaction must be whole.
    ///
    /// # Errors
    /// An object did not reach the repository.
    pub fn finish(mut self, name: impl Into<String>) -> Result<Segment, EngineError> {
        self.close()?;
        if let Some(index) = self.index.take() {
            self.objects.finish(whole(index)?)?;
            self.names.push(LOG_INDEX.to_owned());
        }
        let mut to: Vec<Position> = self.gtids.position().into_iter().collect();
        to.extend(self.end.as_ref().map(Position::binlog_file));
        if self.transactions == 0 {
            to.clone_from(&self.from);
        }
        Ok(Segment {
            name: name.into(),
            objects: self.names,
            from: self.from,
            to,
            first_time: self.first_time,
            last_time: self.last_time,
            transactions: self.transactions,
            bytes: self.bytes + self.index_bytes,
            state: serde_json::Value::Null,
        })
    }
}

/// The object, with all that was written to it.
fn whole<W: Write>(object: BufWriter<W>) -> Result<W, EngineError> {
    object.into_inner().map_err(|error| error.into_error().into())
}

/// What an object begins with: what the server's file does, with what comes before the object's first transaction.
fn head(event: &LogEvent<'_>, before: &Gtids) -> Result<Vec<u8>, EngineError> {
    let checksum = event.format.checksum;
    let source = Header::parse(event.format_event)?;
    let mut head = MAGIC.to_vec();
    let end = |head: &[u8], more: usize| u32::try_from(head.len() + more).unwrap_or(u32::MAX);
    let flags = EventFlags(source.flags.0 & !(EventFlags::IN_USE | EventFlags::ARTIFICIAL));
    let format_end = end(&head, event.format_event.len());
    head.extend(make::placed(event.format_event, format_end, flags, checksum));
    let previous = |end: u32| {
        let place = Head {
            timestamp: source.timestamp,
            server_id: source.server_id,
            end,
            flags: EventFlags::default(),
        };
        match (before, &event.event) {
            (Gtids::Mysql(set), _) => {
                let flags = EventFlags(EventFlags::IGNORABLE);
                make::previous_gtids(Head { flags, ..place }, set, checksum)
            }
            (Gtids::Mariadb(position), _) => make::gtid_list(place, position, checksum),
            (Gtids::None, Event::MariadbGtid(_)) => make::gtid_list(place, &Default::default(), checksum),
            (Gtids::None, _) => {
                let flags = EventFlags(EventFlags::IGNORABLE);
                make::previous_gtids(Head { flags, ..place }, &Default::default(), checksum)
            }
        }
    };
    let length = previous(0).len();
    let previous = previous(end(&head, length));
    head.extend(previous);
    Ok(head)
}
