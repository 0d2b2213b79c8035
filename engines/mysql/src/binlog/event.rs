//! [`RawEvent`], an event's bytes, and [`Event`], what they say.

use backstay_engine_api::position::mariadb::GtidPosition;
use backstay_engine_api::position::mysql::GtidSet;

use super::bytes::{Bytes, Malformed};
use super::format::{CHECKSUM, Checksum, Format, crc_of, verify};
use super::gtid::{GtidEvent, MariadbGtidEvent};
use super::header::{EventType, HEADER, Header};
use super::others::{Heartbeat, Incident, IntVar, Rotate, UserVar, XaPrepare};
use super::payload::TransactionPayload;
use super::query::Query;
use super::rows::Rows;
use super::table_map::TableMap;
use super::{gtid_list, gtid_set};

/// An event whose length and checksum are right.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RawEvent<'a> {
    /// Its header.
    pub header: Header,
    /// All of it: header, body and checksum.
    pub bytes: &'a [u8],
    body: &'a [u8],
}

impl<'a> RawEvent<'a> {
    /// Takes `bytes` for an event of a file of that format.
    ///
    /// # Errors
    /// It is not as long as it says, or its checksum is not right.
    pub fn check(bytes: &'a [u8], format: &Format) -> Result<Self, Malformed> {
        let header = Header::parse(bytes)?;
        if header.size as usize != bytes.len() {
            return Err(Malformed::new(
                "event",
                format!(
                    "a {} event says that it has {} bytes, found {}",
                    header.kind,
                    header.size,
                    bytes.len()
                ),
            ));
        }
        // A format description is read by itself: it says what the others have.
        let trailer = match (header.kind, format.checksum) {
            (EventType::FORMAT_DESCRIPTION, _) => 0,
            (_, Checksum::None) => 0,
            (_, Checksum::Crc32) => {
                verify(bytes)?;
                CHECKSUM
            }
        };
        let body = bytes
            .get(HEADER..bytes.len() - trailer)
            .ok_or_else(|| Malformed::new("event", "it is shorter than its header and checksum"))?;
        Ok(Self { header, bytes, body })
    }

    /// The CRC-32 of header and body, whether or not the file has it too.
    pub fn crc32(&self) -> u32 {
        crc_of(&self.bytes[..HEADER + self.body.len()])
    }

    /// What is between header and checksum.
    pub fn body(&self) -> &'a [u8] {
        self.body
    }

    /// What it says.
    ///
    /// # Errors
    /// Its body is not that of its type.
    pub fn parse(&self, format: &Format) -> Result<Event<'a>, Malformed> {
        let body = self.body;
        let kind = self.header.kind;
        Ok(match kind {
            EventType::FORMAT_DESCRIPTION => Event::FormatDescription(Format::parse(self.bytes)?),
            EventType::ROTATE => Event::Rotate(Rotate::parse(body)?),
            EventType::STOP => Event::Stop,
            EventType::PREVIOUS_GTIDS => Event::PreviousGtids(gtid_set::decode_gtid_set(body)?),
            EventType::GTID => Event::Gtid(GtidEvent::parse(body, true)?),
            EventType::ANONYMOUS_GTID => Event::Gtid(GtidEvent::parse(body, false)?),
            EventType::GTID_TAGGED => Event::Gtid(GtidEvent::parse_tagged(body)?),
            EventType::MARIADB_GTID => Event::MariadbGtid(MariadbGtidEvent::parse(body, self.header.server_id)?),
            EventType::GTID_LIST => Event::GtidList(gtid_list::parse(body)?),
            EventType::QUERY => Event::Query(Query::parse(body, format.post_header(kind).unwrap_or(13))?),
            EventType::QUERY_COMPRESSED => {
                Event::Query(Query::parse_compressed(body, format.post_header(kind).unwrap_or(13))?)
            }
            EventType::TABLE_MAP => Event::TableMap(TableMap::parse(body, format.post_header(kind).unwrap_or(8))?),
            EventType::XID => Event::Xid(Bytes::new("Xid event", body).u64()?),
            EventType::XA_PREPARE => Event::XaPrepare(XaPrepare::parse(body)?),
            EventType::TRANSACTION_PAYLOAD => Event::TransactionPayload(TransactionPayload::parse(body)?),
            EventType::HEARTBEAT => Event::Heartbeat(Heartbeat::parse(body)),
            EventType::HEARTBEAT_V2 => Event::Heartbeat(Heartbeat::parse_v2(body)?),
            EventType::INCIDENT => Event::Incident(Incident::parse(body)?),
            EventType::INTVAR => Event::IntVar(IntVar::parse(body)?),
            EventType::USER_VAR => Event::UserVar(UserVar::parse(body)?),
            EventType::RAND => {
                let mut seeds = Bytes::new("RAND event", body);
                Event::Rand(seeds.u64()?, seeds.u64()?)
            }
            // After a length of one byte, which is modulo 256.
            EventType::ROWS_QUERY => {
                let mut text = Bytes::new("Rows_query event", body);
                text.u8()?;
                Event::RowsQuery(text.rest())
            }
            EventType::ANNOTATE_ROWS => Event::RowsQuery(body),
            EventType::BINLOG_CHECKPOINT => Event::BinlogCheckpoint,
            EventType::START_ENCRYPTION => Event::StartEncryption,
            _ => match Rows::parse(kind, body, format)? {
                Some(rows) => Event::Rows(rows),
                None => Event::Other(kind),
            },
        })
    }
}

/// What an event says.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(clippy::large_enum_variant, reason = "there is one at a time, and none is kept")]
pub enum Event<'a> {
    /// How the rest of the file is to be read.
    FormatDescription(Format),
    /// The log goes on in another file.
    Rotate(Rotate),
    /// The server was stopped in an orderly way.
    Stop,
    /// MySQL: the transactions that were logged before this file.
    PreviousGtids(GtidSet),
    /// MySQL: a transaction begins.
    Gtid(GtidEvent),
    /// MariaDB: a transaction begins.
    MariadbGtid(MariadbGtidEvent),
    /// MariaDB: the last transactions that were logged before this file.
    GtidList(GtidPosition),
    /// A statement.
    Query(Query<'a>),
    /// The table that the next rows are of.
    TableMap(TableMap),
    /// Changed rows.
    Rows(Rows<'a>),
    /// A transaction is committed; the number is the server's own.
    Xid(u64),
    /// A transaction is prepared.
    XaPrepare(XaPrepare),
    /// A transaction, compressed.
    TransactionPayload(TransactionPayload<'a>),
    /// Nothing happened.
    Heartbeat(Heartbeat),
    /// Something happened that the log does not have.
    Incident(Incident),
    /// A number that the next statement uses.
    IntVar(IntVar),
    /// A user variable that the next statement uses.
    UserVar(UserVar<'a>),
    /// The seeds of the next statement's RAND().
    Rand(u64, u64),
    /// The statement that the next rows come from (`binlog_rows_query_log_events`, `binlog_annotate_row_events`).
    RowsQuery(&'a [u8]),
    /// MariaDB: which older files it needs after a crash.
    BinlogCheckpoint,
    /// MariaDB: what follows is encrypted on the server's disk.
    StartEncryption,
    /// Anything else: parts of LOAD DATA, a group's view, types that are not known.
    Other(EventType),
}
