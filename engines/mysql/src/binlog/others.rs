//! The smaller events.

use std::borrow::Cow;

use super::bytes::{Bytes, Malformed, text};
use super::gtid::XidText;

/// The log goes on in another file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rotate {
    /// Where in it; 4 but for an artificial one.
    pub offset: u64,
    /// The file's name.
    pub file: String,
}

impl Rotate {
    pub(super) fn parse(body: &[u8]) -> Result<Self, Malformed> {
        let mut bytes = Bytes::new("Rotate event", body);
        let offset = bytes.u64()?;
        let name = bytes.rest();
        let file = std::str::from_utf8(name).ok().filter(|name| !name.is_empty());
        let file = file.ok_or_else(|| bytes.malformed(format!("expected a file's name, found {:?}", text(name))))?;
        Ok(Self {
            offset,
            file: file.to_owned(),
        })
    }
}

/// Nothing happened: the log's end, as the server sends it now and then.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Heartbeat {
    /// The file.
    pub file: String,
    /// The offset, where the event says it (v2, MySQL 8.0.26 and later); else it is in the header, modulo 2^32.
    pub offset: Option<u64>,
}

impl Heartbeat {
    pub(super) fn parse(body: &[u8]) -> Self {
        Self {
            file: text(body),
            offset: None,
        }
    }

    pub(super) fn parse_v2(body: &[u8]) -> Result<Self, Malformed> {
        const END: u64 = 0;
        const FILE: u64 = 1;
        const OFFSET: u64 = 2;
        let mut bytes = Bytes::new("Heartbeat event", body);
        let mut heartbeat = Self {
            file: String::new(),
            offset: None,
        };
        while !bytes.is_empty() {
            let field = bytes.packed()?;
            if field == END {
                break;
            }
            let value = bytes.packed_bytes()?;
            match field {
                FILE => heartbeat.file = text(value),
                OFFSET => heartbeat.offset = Some(Bytes::new("Heartbeat event", value).packed()?),
                _ => {}
            }
        }
        Ok(heartbeat)
    }
}

/// Something happened that the log does not have; replicas stop there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Incident {
    /// Which: 1 is that events were lost.
    pub number: u16,
    /// What the server says of it.
    pub message: String,
}

impl Incident {
    pub(super) fn parse(body: &[u8]) -> Result<Self, Malformed> {
        let mut bytes = Bytes::new("Incident event", body);
        let number = bytes.u16()?;
        let message = match bytes.is_empty() {
            true => String::new(),
            false => {
                let length = bytes.u8()?;
                text(bytes.take(usize::from(length))?)
            }
        };
        Ok(Self { number, message })
    }
}

/// A number that the next statement uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct IntVar {
    /// 1 for `LAST_INSERT_ID()`, 2 for the next AUTO_INCREMENT.
    pub kind: u8,
    /// The number.
    pub value: u64,
}

impl IntVar {
    pub(super) fn parse(body: &[u8]) -> Result<Self, Malformed> {
        let mut bytes = Bytes::new("Intvar event", body);
        Ok(Self {
            kind: bytes.u8()?,
            value: bytes.u64()?,
        })
    }
}

/// A user variable that the next statement uses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UserVar<'a> {
    /// Its name, without `@`.
    pub name: Cow<'a, str>,
    /// Its value, in the form of its type; `None` for NULL.
    pub value: Option<&'a [u8]>,
}

impl<'a> UserVar<'a> {
    pub(super) fn parse(body: &'a [u8]) -> Result<Self, Malformed> {
        let mut bytes = Bytes::new("User_var event", body);
        let length = bytes.u32()?;
        let name = String::from_utf8_lossy(bytes.take_counted(u64::from(length))?);
        if bytes.u8()? != 0 {
            return Ok(Self { name, value: None });
        }
        // Type and collation.
        bytes.u8()?;
        bytes.u32()?;
        let length = bytes.u32()?;
        let value = Some(bytes.take_counted(u64::from(length))?);
        Ok(Self { name, value })
    }
}

/// The end of a transaction that is prepared (XA PREPARE), or committed in one phase.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct XaPrepare {
    /// Whether it is committed with this.
    pub one_phase: bool,
    /// The XA transaction.
    pub xid: XidText,
}

impl XaPrepare {
    pub(super) fn parse(body: &[u8]) -> Result<Self, Malformed> {
        let mut bytes = Bytes::new("XA_prepare event", body);
        let one_phase = bytes.u8()? != 0;
        let format = bytes.u32()?;
        let (global, branch) = (bytes.u32()?, bytes.u32()?);
        let global = bytes.take_counted(u64::from(global))?;
        let branch = bytes.take_counted(u64::from(branch))?;
        Ok(Self {
            one_phase,
            xid: XidText::of(format, global, branch),
        })
    }
}
