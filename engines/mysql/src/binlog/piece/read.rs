//! [`PieceReader`]: the events of a piece's object, or of any binary log file.

use std::io::{self, BufRead, BufReader, Read};

use backstay_engine_api::{EngineError, ErrorKind, LoggedTransaction};

use crate::binlog::MAGIC;
use crate::binlog::event::{Event, RawEvent};
use crate::binlog::format::Format;
use crate::binlog::header::{EventType, HEADER, Header};
use crate::binlog::transaction::{Grouper, Place};

/// Reads a binary log event by event, or transaction by transaction. Memory is that of the largest event.
#[derive(Debug)]
pub struct PieceReader<R> {
    reader: BufReader<R>,
    name: String,
    format: Format,
    format_event: Vec<u8>,
    event: Vec<u8>,
    offset: u64,
    grouper: Grouper,
}

/// An event of a binary log file.
#[derive(Debug)]
pub struct PieceEvent<'a> {
    /// Where it begins in the file, in bytes.
    pub offset: u64,
    /// Its bytes.
    pub raw: RawEvent<'a>,
    /// What it says.
    pub event: Event<'a>,
    /// Where it stands in its transaction.
    pub place: Place,
}

impl<R: Read> PieceReader<R> {
    /// Reads the file's head; `name` is for messages.
    ///
    /// # Errors
    /// It is no binary log ([`ErrorKind::Damaged`]), is encrypted on its server's disk, or can not be read.
    pub fn open(reader: R, name: impl Into<String>) -> Result<Self, EngineError> {
        const BUFFER: usize = 256 * 1024;
        let name = name.into();
        let mut reader = BufReader::with_capacity(BUFFER, reader);
        let mut magic = [0; 4];
        reader.read_exact(&mut magic).map_err(|error| unread(&name, 0, error))?;
        if magic != MAGIC {
            let error = EngineError::new(ErrorKind::Damaged, format!("{name} is no binary log"));
            // What MySQL's encrypted files begin with.
            return Err(if magic == [0xfd, b'b', b'i', b'n'] {
                error.advise("it is encrypted: read it through its server, which decrypts it")
            } else {
                error
            });
        }
        let mut event = Vec::new();
        read_event(&mut reader, &mut event, &name, MAGIC.len() as u64)?;
        let format = Format::parse(&event)?;
        Ok(Self {
            reader,
            name,
            format,
            offset: (MAGIC.len() + event.len()) as u64,
            format_event: event,
            event: Vec::new(),
            grouper: Grouper::default(),
        })
    }

    /// The file's format.
    pub fn format(&self) -> &Format {
        &self.format
    }

    /// The file's format description event.
    pub fn format_event(&self) -> &[u8] {
        &self.format_event
    }

    /// Where the next event begins, in bytes.
    pub fn offset(&self) -> u64 {
        self.offset
    }

    /// The next event; `None` at the file's end. Not an iterator, for the event lies in a buffer of this.
    ///
    /// # Errors
    /// It is damaged ([`ErrorKind::Damaged`]), or the file can not be read.
    #[allow(clippy::should_implement_trait, reason = "the item borrows from the iterator")]
    pub fn next(&mut self) -> Result<Option<PieceEvent<'_>>, EngineError> {
        let at_end = self.reader.fill_buf().map(<[u8]>::is_empty);
        if at_end.map_err(|error| unread(&self.name, self.offset, error))? {
            return Ok(None);
        }
        let offset = self.offset;
        read_event(&mut self.reader, &mut self.event, &self.name, offset)?;
        self.offset += self.event.len() as u64;
        let wrong =
            |error: crate::binlog::Malformed| EngineError::from(error).detail(format!("at {offset} in {}", self.name));
        let raw = RawEvent::check(&self.event, &self.format).map_err(wrong)?;
        let event = raw.parse(&self.format).map_err(wrong)?;
        if raw.header.kind == EventType::START_ENCRYPTION {
            let message = format!("{} is encrypted on its server's disk", self.name);
            return Err(EngineError::refused(message).advise("read it through its server, which decrypts it"));
        }
        let place = self.grouper.place(&raw, &event).map_err(wrong)?;
        Ok(Some(PieceEvent {
            offset,
            raw,
            event,
            place,
        }))
    }

    /// Goes on to the transaction of that line of the index and hands its events to `take`, the first to the last. Lines come in
    /// the order of the index; what lies between them is passed over.
    ///
    /// # Errors
    /// The index is not that of this file ([`ErrorKind::Damaged`]), an event is damaged; what `take` says.
    pub fn transaction(
        &mut self,
        line: &LoggedTransaction,
        mut take: impl FnMut(PieceEvent<'_>) -> Result<(), EngineError>,
    ) -> Result<(), EngineError> {
        let not_there = |found: String| {
            EngineError::new(
                ErrorKind::Damaged,
                format!(
                    "the index says that {} is at {} in {}, {} bytes long; {found}",
                    line.gtid.as_deref().unwrap_or("a transaction"),
                    line.offset,
                    line.file,
                    line.length
                ),
            )
        };
        let ahead = line
            .offset
            .checked_sub(self.offset)
            .ok_or_else(|| not_there(format!("reading is at {} already", self.offset)))?;
        let skipped = io::copy(&mut self.reader.by_ref().take(ahead), &mut io::sink());
        if skipped.map_err(|error| unread(&self.name, self.offset, error))? != ahead {
            return Err(not_there("the file ends before it".to_owned()));
        }
        self.offset = line.offset;
        let end = line.offset.saturating_add(line.length);
        let mut first = true;
        while self.offset < end {
            let Some(event) = self.next()? else {
                return Err(not_there("the file ends within it".to_owned()));
            };
            let fits = match event.place {
                Place::Begins => first,
                Place::Within => !first,
                Place::Ends => event.offset + event.raw.bytes.len() as u64 == end,
                Place::Outside => false,
            };
            if !fits {
                return Err(not_there(format!(
                    "a {} event at {} does not fit that",
                    event.raw.header.kind, event.offset
                )));
            }
            first = false;
            take(event)?;
        }
        if self.grouper.inside() {
            return Err(not_there("it is not whole then".to_owned()));
        }
        Ok(())
    }
}

/// Reads the next event's bytes.
fn read_event(reader: &mut impl Read, event: &mut Vec<u8>, name: &str, offset: u64) -> Result<(), EngineError> {
    event.clear();
    event.resize(HEADER, 0);
    reader.read_exact(event).map_err(|error| unread(name, offset, error))?;
    let size = Header::parse(event)?.size as usize;
    // Not by the length that it says, which may be anything: what is not there needs no memory.
    let wanted = (size - HEADER) as u64;
    let read = reader.take(wanted).read_to_end(event);
    if read.map_err(|error| unread(name, offset, error))? as u64 != wanted {
        return Err(unread(name, offset, io::ErrorKind::UnexpectedEof.into()));
    }
    Ok(())
}

fn unread(name: &str, offset: u64, error: io::Error) -> EngineError {
    match error.kind() {
        io::ErrorKind::UnexpectedEof => EngineError::new(
            ErrorKind::Damaged,
            format!("{name} ends in the middle of the event that begins at {offset}"),
        ),
        _ => EngineError::from(error).detail(format!("while {name} was read, at {offset}")),
    }
}

/// The lines of an index.
pub fn read_index(reader: impl Read) -> impl Iterator<Item = Result<LoggedTransaction, EngineError>> {
    BufReader::new(reader).lines().map(|line| {
        let line =
            line.map_err(|error| EngineError::new(ErrorKind::Io, "the log's index can not be read").because(&error))?;
        serde_json::from_str(&line).map_err(|error| {
            EngineError::new(ErrorKind::Damaged, "a line of the log's index can not be read").because(&error)
        })
    })
}
