//! [`Format`]: the format description at the start of each file, by which the rest of it is read.

use super::bytes::{Bytes, Malformed, text};
use super::header::{EventFlags, EventType, HEADER, Header};

const WHAT: &str = "Format_desc event";

/// The length of a checksum at an event's end, in bytes.
pub(super) const CHECKSUM: usize = 4;

/// What is at the end of each event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Checksum {
    /// Nothing (`binlog_checksum = NONE`).
    None,
    /// The CRC-32 of what comes before it.
    Crc32,
}

/// A format description event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Format {
    /// When the file was begun: seconds since 1970 by the server's clock. From the header, for what the body says is cleared when a
    /// replica starts in the middle of the file.
    pub begun: u32,
    /// The server that wrote it, such as `9.7.0` or `10.11.14-MariaDB-log`.
    pub server_version: String,
    /// The length of each type's post-header; that of type 1 comes first.
    pub post_headers: Vec<u8>,
    /// What is at the end of each event.
    pub checksum: Checksum,
}

impl Format {
    /// Reads a format description, whose checksum is verified.
    ///
    /// # Errors
    /// It is none, is damaged, or is of another version than 4.
    pub fn parse(event: &[u8]) -> Result<Self, Malformed> {
        let header = Header::parse(event)?;
        let malformed = |found: String| Malformed::new(WHAT, found);
        if header.kind != EventType::FORMAT_DESCRIPTION {
            return Err(malformed(format!("expected one, found a {} event", header.kind)));
        }
        if header.size as usize != event.len() {
            return Err(malformed(format!(
                "expected {} bytes, found {}",
                header.size,
                event.len()
            )));
        }
        let mut bytes = Bytes::new(WHAT, &event[HEADER..]);
        let version = bytes.u16()?;
        let server_version = bytes.take(50)?;
        bytes.u32()?;
        let header_length = bytes.u8()?;
        if version != 4 || usize::from(header_length) != HEADER {
            return Err(malformed(format!(
                "expected version 4 with headers of {HEADER} bytes, found version {version} with {header_length}"
            )));
        }
        // Servers since MySQL 5.6 and MariaDB 5.3 end it with the checksum's number and room for a checksum, also where there is none.
        let Some(lengths) = bytes.len().checked_sub(1 + CHECKSUM) else {
            return Err(malformed(
                "it has no checksum's number; the server is older than MySQL 5.6 and MariaDB 5.3".to_owned(),
            ));
        };
        let post_headers = bytes.take(lengths)?.to_vec();
        let checksum = match bytes.u8()? {
            0 => Checksum::None,
            1 => Checksum::Crc32,
            odd => return Err(malformed(format!("expected checksum 0 or 1, found {odd}"))),
        };
        if checksum == Checksum::Crc32 {
            verify(event)?;
        }
        let end = server_version
            .iter()
            .position(|byte| *byte == 0)
            .unwrap_or(server_version.len());
        Ok(Self {
            begun: header.timestamp,
            server_version: text(&server_version[..end]),
            post_headers,
            checksum,
        })
    }

    /// How long a type's post-header is, if the server that wrote the file knew the type.
    pub(super) fn post_header(&self, kind: EventType) -> Option<u8> {
        self.post_headers.get(usize::from(kind.0).checked_sub(1)?).copied()
    }
}

/// Compares an event with the CRC-32 at its end.
///
/// # Errors
/// It is another.
pub(super) fn verify(event: &[u8]) -> Result<(), Malformed> {
    let (bytes, stated) = event
        .split_last_chunk::<CHECKSUM>()
        .ok_or_else(|| Malformed::new("event", "it is shorter than its checksum"))?;
    let stated = u32::from_le_bytes(*stated);
    let found = crc_of(bytes);
    if found == stated {
        return Ok(());
    }
    let header = Header::parse(event)?;
    Err(Malformed::new(
        "event",
        format!(
            "{} that ends at {} is damaged: its CRC-32 is {found:08x}, it should be {stated:08x}",
            header.kind, header.end
        ),
    ))
}

/// The CRC-32 of an event without its checksum. That of a format description is counted as if the file had been closed.
pub(super) fn crc_of(bytes: &[u8]) -> u32 {
    const FLAGS: usize = 17;
    let mut crc = crc32fast::Hasher::new();
    let in_use = bytes.get(4) == Some(&EventType::FORMAT_DESCRIPTION.0)
        && bytes
            .get(FLAGS)
            .is_some_and(|flags| EventFlags(u16::from(*flags)).has(EventFlags::IN_USE));
    if in_use {
        crc.update(&bytes[..FLAGS]);
        crc.update(&[bytes[FLAGS] & !1]);
        crc.update(&bytes[FLAGS + 1..]);
    } else {
        crc.update(bytes);
    }
    crc.finalize()
}
