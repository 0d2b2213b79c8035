//! [`Wire`]: packets over a stream, read into one buffer and handed out where they lie.

use std::io::{self, Read, Write};

use super::failure::Failure;

/// How much is read at once, in bytes; what memory a connection needs, whatever the size of its rows. About what a Unix
/// socket holds, and small enough to stay in the processor's cache between reading and parsing.
const BUFFER: usize = 256 * 1024;
/// The longest packet, in bytes: one of this length is continued in the next.
const FULL: usize = 0xff_ffff;
/// A packet's length and number.
pub(super) const HEAD: usize = 4;

/// A stream with packets on it. `buffer[start..end]` is what was read and not yet taken.
#[derive(Debug)]
pub(super) struct Wire<S> {
    pub(super) stream: S,
    buffer: Box<[u8]>,
    start: usize,
    end: usize,
    sequence: u8,
    full: usize,
}

/// What is known of the next packet from its head; it has not been taken yet.
pub(super) enum Next {
    /// It lies in the buffer as a whole.
    Whole {
        /// Its length without the head.
        length: usize,
    },
    /// It, or it with the packets that continue it, may be larger than the buffer.
    Large,
}

impl<S> Wire<S> {
    pub(super) fn new(stream: S) -> Self {
        Self::sized(stream, BUFFER, FULL)
    }

    /// With sizes of one's own, for tests.
    pub(super) fn sized(stream: S, buffer: usize, full: usize) -> Self {
        Self {
            stream,
            buffer: vec![0; buffer].into_boxed_slice(),
            start: 0,
            end: 0,
            sequence: 0,
            full,
        }
    }

    /// The same exchange of packets over another stream, as TLS needs it.
    ///
    /// # Errors
    /// Something was received that is not part of what was to come over the other stream.
    pub(super) fn over<T>(self, change: impl FnOnce(S) -> Result<T, Failure>) -> Result<Wire<T>, Failure> {
        if self.buffered() > 0 {
            return Err(Failure::protocol(
                "the server sent more than its greeting before TLS began",
            ));
        }
        Ok(Wire {
            stream: change(self.stream)?,
            buffer: self.buffer,
            start: 0,
            end: 0,
            sequence: self.sequence,
            full: self.full,
        })
    }

    /// The longest value that is always handed over whole, in bytes.
    pub(super) fn whole(&self) -> usize {
        self.buffer.len() / 4
    }

    pub(super) fn buffered(&self) -> usize {
        self.end - self.start
    }

    /// Takes that many bytes, which are buffered.
    pub(super) fn take(&mut self, count: usize) -> &[u8] {
        let from = self.start;
        self.start += count;
        &self.buffer[from..self.start]
    }

    /// The packet that [`look`](Self::look) found to lie here as a whole, and takes it.
    #[inline]
    pub(super) fn packet_here(&mut self, length: usize) -> &[u8] {
        &self.take(HEAD + length)[HEAD..]
    }
}

impl<S: Read> Wire<S> {
    /// Reads until that many bytes, no more than a buffer, are there to be taken.
    #[inline]
    pub(super) fn fill(&mut self, wanted: usize) -> Result<(), Failure> {
        if self.buffered() < wanted {
            self.read(wanted)?;
        }
        Ok(())
    }

    #[cold]
    fn read(&mut self, wanted: usize) -> Result<(), Failure> {
        // What is left is at most the beginning of one packet: moving it makes room for large reads.
        self.buffer.copy_within(self.start..self.end, 0);
        self.end -= self.start;
        self.start = 0;
        while self.end < wanted {
            match self.stream.read(&mut self.buffer[self.end..]) {
                Ok(0) => {
                    return Err(
                        io::Error::new(io::ErrorKind::UnexpectedEof, "the server closed the connection").into(),
                    );
                }
                Ok(count) => self.end += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    /// Looks at the next packet, and reads it as a whole if it fits the buffer.
    #[inline]
    pub(super) fn look(&mut self) -> Result<Next, Failure> {
        self.fill(HEAD)?;
        let length = self.length_here();
        if length == self.full || HEAD + length > self.buffer.len() {
            return Ok(Next::Large);
        }
        self.fill(HEAD + length)?;
        let number = self.buffer[self.start + 3];
        // A session that was idle for too long is told so by an ERR out of turn.
        if number != self.sequence && (length == 0 || self.buffer[self.start + HEAD] != 0xff) {
            return Err(self.out_of_turn(number));
        }
        self.sequence = number.wrapping_add(1);
        Ok(Next::Whole { length })
    }

    /// Takes the head of a packet that may be larger than the buffer. Returns the packet's length, and whether another
    /// continues it.
    pub(super) fn take_head(&mut self) -> Result<(usize, bool), Failure> {
        self.fill(HEAD)?;
        let length = self.length_here();
        let number = self.buffer[self.start + 3];
        if number != self.sequence {
            return Err(self.out_of_turn(number));
        }
        self.sequence = number.wrapping_add(1);
        self.take(HEAD);
        Ok((length, length == self.full))
    }

    fn length_here(&self) -> usize {
        let head = &self.buffer[self.start..self.start + 3];
        usize::from(head[0]) | usize::from(head[1]) << 8 | usize::from(head[2]) << 16
    }

    #[cold]
    fn out_of_turn(&self, number: u8) -> Failure {
        Failure::Protocol(format!("expected packet {}, found {number}", self.sequence))
    }

    /// The next packet, which is no row and so no large one. An ERR is an error.
    pub(super) fn packet(&mut self) -> Result<&[u8], Failure> {
        let Next::Whole { length } = self.look()? else {
            return Err(Failure::protocol("a packet that is no row is larger than any can be"));
        };
        let packet = self.packet_here(length);
        match packet.first() {
            None => Err(Failure::protocol("a packet is empty")),
            Some(0xff) => Err(Failure::of_err_packet(packet)),
            Some(_) => Ok(packet),
        }
    }
}

impl<S: Write> Wire<S> {
    /// Sends a command: the first packet of an exchange.
    pub(super) fn command(&mut self, code: u8, body: &[u8]) -> Result<(), Failure> {
        self.sequence = 0;
        let mut packet = Vec::with_capacity(HEAD + 1 + body.len());
        packet.extend([0; HEAD]);
        packet.push(code);
        packet.extend(body);
        self.send_in_place(&mut packet)
    }

    /// Sends one packet.
    pub(super) fn send(&mut self, body: &[u8]) -> Result<(), Failure> {
        let mut packet = Vec::with_capacity(HEAD + body.len());
        packet.extend([0; HEAD]);
        packet.extend(body);
        self.send_in_place(&mut packet)
    }

    /// Sends a packet that has room for its head in front, in one write.
    pub(super) fn send_in_place(&mut self, packet: &mut [u8]) -> Result<(), Failure> {
        let length = packet.len() - HEAD;
        if length >= self.full {
            // No statement of ours is that long, and data is sent in smaller packets.
            return Err(Failure::Protocol(format!(
                "a packet of {length} bytes is too long to be sent"
            )));
        }
        packet[..3].copy_from_slice(&(length as u32).to_le_bytes()[..3]);
        packet[3] = self.sequence;
        self.sequence = self.sequence.wrapping_add(1);
        self.stream.write_all(packet)?;
        self.stream.flush()?;
        Ok(())
    }
}
