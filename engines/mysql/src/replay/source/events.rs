//! The format description of a log, and the events that the source makes itself, as a server's own dump thread does: where the
//! stream is, and that it is alive.

use std::io::{self, Read};

use super::packets::wrong;
use crate::binlog::make::{self, Head};
use crate::binlog::{Checksum, EventFlags, EventType, Format, HEADER, Header, MAGIC};

/// Where a format description says when the server that wrote it started: header, version of the format, version of the server.
const STARTED: usize = HEADER + 2 + 50;
/// The longest format description, in bytes; those of today have some 250.
const LONGEST: usize = 1 << 16;

fn head(server_id: u32, end: u32) -> Head {
    Head {
        server_id,
        end,
        flags: EventFlags(EventFlags::ARTIFICIAL),
        ..Head::default()
    }
}

/// Where the stream is from now on.
pub(super) fn rotate(server_id: u32, file: &str, place: u64, checksum: Checksum) -> Vec<u8> {
    make::rotate(head(server_id, 0), file, place, checksum)
}

/// That the source is alive, and where.
pub(super) fn heartbeat(server_id: u32, file: &str, place: u32, checksum: Checksum) -> Vec<u8> {
    make::heartbeat(head(server_id, place), file, checksum)
}

/// A log's format description, with its bytes.
#[derive(Debug, Clone)]
pub(in crate::replay) struct Description {
    event: Vec<u8>,
    pub(in crate::replay) format: Format,
}

impl Description {
    /// Reads a log's magic number and format description; the reader is at the event after it then.
    ///
    /// # Errors
    /// It is no log, or one that is encrypted or damaged.
    pub(in crate::replay) fn read(log: &mut dyn Read) -> io::Result<Self> {
        let mut magic = MAGIC;
        log.read_exact(&mut magic)?;
        if magic != MAGIC {
            return Err(wrong("it does not start as a binary log does (0xfe, bin)"));
        }
        let mut event = vec![0; HEADER];
        log.read_exact(&mut event)?;
        let header = Header::parse(&event).map_err(|error| wrong(&error.to_string()))?;
        let length = header.size as usize;
        if header.kind != EventType::FORMAT_DESCRIPTION || length > LONGEST {
            return Err(wrong("its first event is no format description"));
        }
        event.resize(length, 0);
        log.read_exact(&mut event[HEADER..])?;
        let format = Format::parse(&event).map_err(|error| wrong(&error.to_string()))?;
        Ok(Self { event, format })
    }

    /// Its length, with the magic number in front: where the next event is.
    pub(in crate::replay) fn length(&self) -> u64 {
        (MAGIC.len() + self.event.len()) as u64
    }

    /// As it is sent. It has no place in the stream. Only where the log `begins` with what follows may it say that the server
    /// started then: a replica drops all temporary tables when it reads that.
    pub(in crate::replay) fn for_stream(&self, begins: bool) -> Vec<u8> {
        let mut event = self.event.clone();
        if !begins {
            event[STARTED..STARTED + 4].fill(0);
        }
        // Its checksum is there whatever the others have.
        make::placed(&event, 0, EventFlags::default(), Checksum::Crc32)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn log() -> Vec<u8> {
        let mut body = vec![4, 0];
        body.extend(b"9.7.0");
        body.resize(2 + 50, 0);
        // Started at 5; the length of headers, those of 42 types, and the algorithm of checksums.
        body.extend([5, 0, 0, 0, HEADER as u8]);
        body.extend([0; 42]);
        body.push(1);
        let head = Head {
            server_id: 9,
            end: 126,
            flags: EventFlags(EventFlags::IN_USE),
            ..Head::default()
        };
        let event = make::event(EventType::FORMAT_DESCRIPTION, head, &body, Checksum::None);
        let event = make::placed(
            &[event, vec![0; 4]].concat(),
            126,
            EventFlags::default(),
            Checksum::Crc32,
        );
        let mut event = event;
        let length = event.len() as u32;
        event[9..13].copy_from_slice(&length.to_le_bytes());
        let event = make::placed(&event, 126, EventFlags(0), Checksum::Crc32);
        [MAGIC.to_vec(), event, vec![7; 10]].concat()
    }

    #[test]
    fn a_format_description() {
        let log = log();
        let mut rest = &log[..];
        let description = Description::read(&mut rest).unwrap();
        assert_eq!(rest, [7; 10]);
        assert_eq!(description.length(), log.len() as u64 - 10);
        assert_eq!(description.format.server_version, "9.7.0");
        assert_eq!(description.format.checksum, Checksum::Crc32);
        for begins in [true, false] {
            let event = description.for_stream(begins);
            let header = Header::parse(&event).unwrap();
            assert_eq!((header.size as usize, header.end), (event.len(), 0));
            assert_eq!(event[STARTED], if begins { 5 } else { 0 });
            Format::parse(&event).unwrap();
        }
        let error = Description::read(&mut &b"\xfdbin"[..]).unwrap_err().to_string();
        assert!(error.contains("0xfe, bin"), "{error}");
        assert!(Description::read(&mut &log[..40]).is_err());
    }
}
