//! The events that begin a transaction and name it.

use std::fmt;

use backstay_engine_api::position::mariadb::MariadbGtid;
use backstay_engine_api::position::mysql::{Gtid, Tsid, Uuid};

use super::bytes::{Bytes, Malformed};
use super::gtid_set::tag_of;

/// The start of a transaction on MySQL, 5.6 and later; without a GTID where these are off.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GtidEvent {
    /// Its GTID; `None` if it is anonymous.
    pub gtid: Option<Gtid>,
    /// The logical clock: the number of the transaction that must be committed before this one may begin.
    pub last_committed: i64,
    /// The logical clock: its own number in this file.
    pub sequence_number: i64,
    /// When it was committed on the server whose log this is: microseconds since 1970 (MySQL 8.0.1 and later).
    pub immediate_commit_time: Option<u64>,
    /// When it was committed on the server that executed it first.
    pub original_commit_time: Option<u64>,
    /// How long all its events are, with this one, in bytes (MySQL 8.0.2 and later).
    pub transaction_length: Option<u64>,
}

/// The start of a transaction on MariaDB.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MariadbGtidEvent {
    /// Its GTID.
    pub gtid: MariadbGtid,
    /// Flags; see the constants.
    pub flags: u8,
    /// Transactions of one group commit have the same number.
    pub commit_id: Option<u64>,
    /// What it prepares or completes, if it is a part of an XA transaction.
    pub xid: Option<XidText>,
}

impl MariadbGtidEvent {
    /// One statement, with no COMMIT at its end.
    pub const STANDALONE: u8 = 0x01;
    /// It has a [`commit_id`](Self::commit_id).
    pub const GROUP_COMMIT: u8 = 0x02;
    /// It can be rolled back.
    pub const TRANSACTIONAL: u8 = 0x04;
    /// It is DDL.
    pub const DDL: u8 = 0x20;
    /// It ends with XA PREPARE.
    pub const PREPARED_XA: u8 = 0x40;
    /// It is an XA COMMIT or XA ROLLBACK of what was prepared before.
    pub const COMPLETED_XA: u8 = 0x80;

    /// Whether it has a flag.
    pub fn has(&self, flag: u8) -> bool {
        self.flags & flag != 0
    }

    /// MariaDB 10.0 and later.
    pub(super) fn parse(body: &[u8], server: u32) -> Result<Self, Malformed> {
        let mut bytes = Bytes::new("Gtid event of MariaDB", body);
        let sequence = bytes.u64()?;
        let domain = bytes.u32()?;
        let flags = bytes.u8()?;
        let commit_id = (flags & Self::GROUP_COMMIT != 0).then(|| bytes.u64()).transpose()?;
        let xa = flags & (Self::PREPARED_XA | Self::COMPLETED_XA) != 0;
        let xid = xa.then(|| XidText::parse(&mut bytes)).transpose()?;
        Ok(Self {
            gtid: MariadbGtid {
                domain,
                server,
                sequence,
            },
            flags,
            commit_id,
            xid,
        })
    }
}

/// The name of an XA transaction, as in XA RECOVER: `X'676c6f62616c',X'',1`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct XidText(pub String);

impl XidText {
    fn parse(bytes: &mut Bytes<'_>) -> Result<Self, Malformed> {
        let format = bytes.u32()?;
        let (global, branch) = (bytes.u8()?, bytes.u8()?);
        let global = bytes.take(usize::from(global))?;
        let branch = bytes.take(usize::from(branch))?;
        Ok(Self::of(format, global, branch))
    }

    pub(super) fn of(format: u32, global: &[u8], branch: &[u8]) -> Self {
        let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
        Self(format!("X'{}',X'{}',{format}", hex(global), hex(branch)))
    }
}

impl fmt::Display for XidText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl GtidEvent {
    /// `Gtid` and `Anonymous_Gtid`: MySQL 5.6 and later. What a later version added comes at the end.
    pub(super) fn parse(body: &[u8], named: bool) -> Result<Self, Malformed> {
        let mut bytes = Bytes::new("Gtid event", body);
        bytes.u8()?;
        let tsid = Tsid {
            uuid: Uuid::from_bytes(bytes.array()?),
            tag: None,
        };
        let number = bytes.u64()?;
        let gtid = named.then(|| gtid(&bytes, tsid, number)).transpose()?;
        let mut event = Self {
            gtid,
            last_committed: 0,
            sequence_number: 0,
            immediate_commit_time: None,
            original_commit_time: None,
            transaction_length: None,
        };
        const LOGICAL_CLOCK: u8 = 2;
        if bytes.is_empty() || bytes.u8()? != LOGICAL_CLOCK {
            return Ok(event);
        }
        event.last_committed = bytes.u64()? as i64;
        event.sequence_number = bytes.u64()? as i64;
        if bytes.len() >= 7 {
            const HAS_ORIGINAL: u64 = 1 << 55;
            let immediate = bytes.number(7)?;
            let original = if immediate & HAS_ORIGINAL != 0 {
                bytes.number(7)?
            } else {
                immediate
            };
            event.immediate_commit_time = Some(immediate & !HAS_ORIGINAL);
            event.original_commit_time = Some(original);
        }
        if !bytes.is_empty() {
            event.transaction_length = Some(bytes.packed()?);
        }
        Ok(event)
    }

    /// `Gtid_tagged`: MySQL 8.3 and later, written by its serialisation library: fields by number, some of which may be missing.
    pub(super) fn parse_tagged(body: &[u8]) -> Result<Self, Malformed> {
        let mut bytes = Bytes::new("Gtid_tagged event", body);
        let version = bytes.varlen()?;
        if version != 1 {
            return Err(bytes.malformed(format!("expected serialisation 1, found {version}")));
        }
        let size = bytes.varlen()?;
        if size != body.len() as u64 {
            return Err(bytes.malformed(format!("expected {size} bytes, found {}", body.len())));
        }
        // The last field that must not be passed over by who does not know it.
        let must_know = bytes.varlen()?;
        if must_know > LAST_FIELD {
            return Err(bytes.malformed(format!(
                "it has field {must_know}, which must be known to read it; known are fields up to {LAST_FIELD}"
            )));
        }
        let mut fields = Fields::default();
        while !bytes.is_empty() {
            let field = bytes.varlen()?;
            if field > LAST_FIELD {
                // A later version's, which may be passed over, with all that comes after it.
                break;
            }
            fields.read(field, &mut bytes)?;
        }
        let (Some(uuid), Some(number)) = (fields.uuid, fields.number) else {
            return Err(bytes.malformed("it has no UUID or no number"));
        };
        let tag = tag_of(fields.tag, &bytes)?;
        let uuid = Uuid::from_bytes(uuid);
        Ok(Self {
            gtid: Some(gtid(&bytes, Tsid { uuid, tag }, number)?),
            last_committed: fields.last_committed,
            sequence_number: fields.sequence_number,
            immediate_commit_time: fields.immediate,
            original_commit_time: fields.original.or(fields.immediate),
            transaction_length: fields.length,
        })
    }
}

/// The number of the last field of `Gtid_tagged` in MySQL 9.7.
const LAST_FIELD: u64 = 11;

#[derive(Debug, Default)]
struct Fields<'a> {
    uuid: Option<[u8; 16]>,
    number: Option<u64>,
    tag: &'a [u8],
    last_committed: i64,
    sequence_number: i64,
    immediate: Option<u64>,
    original: Option<u64>,
    length: Option<u64>,
}

impl<'a> Fields<'a> {
    fn read(&mut self, field: u64, bytes: &mut Bytes<'a>) -> Result<(), Malformed> {
        match field {
            1 => {
                let mut uuid = [0; 16];
                for byte in &mut uuid {
                    let number = bytes.varlen()?;
                    *byte = u8::try_from(number)
                        .map_err(|_| bytes.malformed(format!("expected a byte of the UUID, found {number}")))?;
                }
                self.uuid = Some(uuid);
            }
            2 => self.number = Some(bytes.varlen_signed()? as u64),
            3 => {
                let length = bytes.varlen()?;
                self.tag = bytes.take_counted(length)?;
            }
            4 => self.last_committed = bytes.varlen_signed()?,
            5 => self.sequence_number = bytes.varlen_signed()?,
            6 => self.immediate = Some(bytes.varlen()?),
            7 => self.original = Some(bytes.varlen()?),
            8 => self.length = Some(bytes.varlen()?),
            // Flags, versions of the servers, the group commit's ticket.
            _ => {
                bytes.varlen()?;
            }
        }
        Ok(())
    }
}

fn gtid(bytes: &Bytes<'_>, tsid: Tsid, number: u64) -> Result<Gtid, Malformed> {
    Gtid::new(tsid, number).map_err(|error| bytes.malformed(format!("{error}")))
}
