//! Packets of the client protocol, as a server reads and writes them.

use std::io::{self, Read, Write};

/// The longest packet, in bytes: one of this length is continued in the next.
const FULL: usize = 0xff_ffff;
/// The longest command that a replica has to say: a set of GTIDs may be large, a statement is not.
const LONGEST_COMMAND: usize = 64 << 20;

/// A stream with packets on it.
#[derive(Debug)]
pub(super) struct Packets<S> {
    stream: S,
    sequence: u8,
}

impl<S: Read + Write> Packets<S> {
    pub(super) fn new(stream: S) -> Self {
        Self { stream, sequence: 0 }
    }

    /// Begins a new exchange: the next packet is the first of a command.
    pub(super) fn begin(&mut self) {
        self.sequence = 0;
    }

    /// The next packet, with those that continue it.
    pub(super) fn read(&mut self) -> io::Result<Vec<u8>> {
        let mut packet = Vec::new();
        loop {
            let mut head = [0; 4];
            self.stream.read_exact(&mut head)?;
            if head[3] != self.sequence {
                return Err(wrong("a packet is out of turn"));
            }
            self.sequence = head[3].wrapping_add(1);
            let length = usize::from(head[0]) | usize::from(head[1]) << 8 | usize::from(head[2]) << 16;
            if packet.len() + length > LONGEST_COMMAND {
                return Err(wrong("a command is longer than any can be"));
            }
            let at = packet.len();
            packet.resize(at + length, 0);
            self.stream.read_exact(&mut packet[at..])?;
            if length < FULL {
                return Ok(packet);
            }
        }
    }

    /// Writes one packet of less than 16 MiB.
    pub(super) fn write(&mut self, body: &[u8]) -> io::Result<()> {
        self.stream_of(body.len() as u64, &mut &*body)
    }

    /// Writes `length` bytes of `body` as one packet, or as several where they are too many for one.
    ///
    /// # Errors
    /// The peer is gone; or `body` fails or ends early, which is an error of the kind that it gives.
    pub(super) fn stream_of(&mut self, length: u64, body: &mut dyn Read) -> io::Result<()> {
        let mut left = length;
        loop {
            let now = left.min(FULL as u64);
            let mut head = (now as u32).to_le_bytes();
            head[3] = self.sequence;
            self.sequence = self.sequence.wrapping_add(1);
            self.stream.write_all(&head)?;
            let copied = io::copy(&mut body.take(now), &mut self.stream)?;
            if copied != now {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            left -= now;
            // One of exactly the full length is followed by another, and be it empty.
            if now < FULL as u64 {
                return Ok(());
            }
        }
    }

    pub(super) fn flush(&mut self) -> io::Result<()> {
        self.stream.flush()
    }

    /// An OK packet.
    pub(super) fn ok(&mut self) -> io::Result<()> {
        // No rows, no id; autocommit; no warnings.
        self.write(&[0, 0, 0, 2, 0, 0, 0])?;
        self.flush()
    }

    /// An error.
    pub(super) fn error(&mut self, code: u16, message: &str) -> io::Result<()> {
        let mut body = vec![0xff];
        body.extend(code.to_le_bytes());
        body.extend(b"#HY000");
        body.extend(message.as_bytes());
        self.write(&body)?;
        self.flush()
    }

    /// A result of one row; `None` is NULL.
    pub(super) fn row(&mut self, columns: &[(&str, Option<&str>)]) -> io::Result<()> {
        const VAR_STRING: u8 = 253;
        self.write(&[columns.len() as u8])?;
        for (name, _) in columns {
            let mut body = Vec::new();
            for text in ["def", "", "", "", name, ""] {
                text_to(&mut body, text);
            }
            body.push(12);
            // utf8mb4_general_ci, and the longest value.
            body.extend(45_u16.to_le_bytes());
            body.extend(1024_u32.to_le_bytes());
            body.push(VAR_STRING);
            body.extend([0; 5]);
            self.write(&body)?;
        }
        self.end_of_part()?;
        let mut row = Vec::new();
        for (_, value) in columns {
            match value {
                Some(text) => text_to(&mut row, text),
                None => row.push(0xfb),
            }
        }
        self.write(&row)?;
        self.end_of_part()?;
        self.flush()
    }

    fn end_of_part(&mut self) -> io::Result<()> {
        self.write(&[0xfe, 0, 0, 2, 0])
    }
}

/// A text with its length in front; all of ours are short.
fn text_to(body: &mut Vec<u8>, text: &str) {
    debug_assert!(text.len() < 0xfb, "a long text has a long length");
    body.push(text.len() as u8);
    body.extend(text.as_bytes());
}

pub(super) fn wrong(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Reads from one end, writes to the other.
    struct Ends(io::Cursor<Vec<u8>>, Vec<u8>);

    impl Read for Ends {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            self.0.read(buffer)
        }
    }

    impl Write for Ends {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.1.write(bytes)
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn long_bodies_are_cut_and_put_together_again() {
        for length in [0, 1, FULL - 1, FULL, FULL + 1, 2 * FULL] {
            let body: Vec<u8> = (0..length).map(|at| at as u8).collect();
            let mut out = Packets::new(Ends(io::Cursor::new(Vec::new()), Vec::new()));
            out.write(&body).unwrap();
            let wire = out.stream.1;
            assert_eq!(wire.len(), length + 4 * (length / FULL + 1));
            let mut back = Packets::new(Ends(io::Cursor::new(wire), Vec::new()));
            assert_eq!(back.read().unwrap(), body);
        }
    }

    #[test]
    fn a_body_that_ends_early_is_an_error() {
        let mut out = Packets::new(Ends(io::Cursor::new(Vec::new()), Vec::new()));
        let error = out.stream_of(10, &mut &[1_u8, 2][..]).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof);
    }
}
