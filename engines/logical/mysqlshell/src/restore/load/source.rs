//! [`Source`]: a data file as a row of transactions' worth of rows.

use std::io::{self, Read};
use std::sync::atomic::{AtomicBool, Ordering};

use backstay_engine_api::job::Level;
use backstay_engine_api::{EngineError, ErrorKind, RestoreJob};

use super::decode::{Decoder, Decoding};

/// How much is read at once, in bytes.
const BUFFER: usize = 256 << 10;

/// Tells threads that another one has failed, or that the job is cancelled.
#[derive(Debug)]
pub(in crate::restore) struct Stop<'a> {
    failed: AtomicBool,
    job: Option<&'a RestoreJob>,
}

impl<'a> Stop<'a> {
    /// For the threads of a job.
    pub(in crate::restore) fn of(job: &'a RestoreJob) -> Self {
        Self {
            failed: AtomicBool::new(false),
            job: Some(job),
        }
    }

    /// Has the others stop.
    pub(in crate::restore) fn stop(&self) {
        self.failed.store(true, Ordering::Relaxed);
    }

    /// # Errors
    /// [`ErrorKind::Cancelled`] if the job is, or another thread has failed.
    pub(in crate::restore) fn check(&self) -> Result<(), EngineError> {
        if self.failed.load(Ordering::Relaxed) {
            return Err(EngineError::cancelled());
        }
        self.job.map_or(Ok(()), |job| job.check_cancelled())
    }

    /// Says something in the job's log.
    pub(in crate::restore) fn log(&self, text: String) {
        if let Some(job) = self.job {
            job.log(Level::Warn, text);
        }
    }
}

/// A data file that is being read.
pub(super) struct Source<'a> {
    reader: Box<dyn Read + Send>,
    stop: &'a Stop<'a>,
    buffer: Vec<u8>,
    /// What of the buffer is still to be handed on.
    from: usize,
    to: usize,
    ended: bool,
    decoder: Option<Decoder>,
}

impl<'a> Source<'a> {
    /// Of a file whose columns are to be decoded so; empty if none is.
    pub(super) fn new(reader: Box<dyn Read + Send>, decodings: &[Decoding], stop: &'a Stop<'a>) -> Self {
        let decodes = decodings.iter().any(|decoding| *decoding != Decoding::None);
        Self {
            reader,
            stop,
            buffer: vec![0; BUFFER],
            from: 0,
            to: 0,
            ended: false,
            decoder: decodes.then(|| Decoder::new(decodings.to_vec())),
        }
    }

    /// Passes over what is loaded already.
    ///
    /// # Errors
    /// [`ErrorKind::Damaged`] if there is less.
    pub(super) fn skip(&mut self, mut bytes: u64) -> Result<(), EngineError> {
        while bytes > 0 {
            if !self.has_more()? {
                return Err(EngineError::new(
                    ErrorKind::Damaged,
                    format!("the file is {bytes} bytes shorter than what was loaded of it before the interruption"),
                )
                .advise("restore from the same dump, or with --overwrite from the start"));
            }
            let step = usize::try_from(bytes).unwrap_or(usize::MAX).min(self.to - self.from);
            self.from += step;
            bytes -= step as u64;
        }
        Ok(())
    }

    /// Whether there are rows left.
    ///
    /// # Errors
    /// The file can not be read; the job is cancelled.
    pub(super) fn has_more(&mut self) -> Result<bool, EngineError> {
        if self.from == self.to && !self.ended {
            self.stop.check()?;
            self.from = 0;
            self.to = loop {
                match self.reader.read(&mut self.buffer) {
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                    result => break result?,
                }
            };
            self.ended = self.to == 0;
        }
        Ok(self.from < self.to)
    }

    /// The next rows, of so many bytes in all and the rest of the last one.
    pub(super) fn rows(&mut self, limit: u64) -> Rows<'_, 'a> {
        Rows {
            source: self,
            limit,
            bytes: 0,
            rows: 0,
            at_end: false,
            in_row: false,
            out: Vec::new(),
            out_from: 0,
        }
    }
}

/// Some rows, as LOAD DATA reads them.
pub(super) struct Rows<'s, 'a> {
    source: &'s mut Source<'a>,
    limit: u64,
    /// What was read of the file, before anything was decoded.
    pub(super) bytes: u64,
    pub(super) rows: u64,
    at_end: bool,
    /// Whether the last byte was no line's end.
    in_row: bool,
    /// Decoded bytes that did not fit into the reader's buffer.
    out: Vec<u8>,
    out_from: usize,
}

impl Rows<'_, '_> {
    /// What of the source's buffer belongs to these rows.
    fn take(&mut self) -> Result<(usize, usize), EngineError> {
        if self.at_end || !self.source.has_more()? {
            if self.in_row {
                return Err(
                    EngineError::new(ErrorKind::Damaged, "the file ends within a row: it has been cut short")
                        .advise("take the file from wherever the dump was copied from, or restore another dump"),
                );
            }
            return Ok((0, 0));
        }
        let from = self.source.from;
        let bytes = &self.source.buffer[from..self.source.to];
        let left = usize::try_from(self.limit.saturating_sub(self.bytes)).unwrap_or(usize::MAX);
        let mut length = bytes.len();
        if left < length {
            // Within a field no line's end stands bare.
            let least = left.saturating_sub(1);
            if let Some(end) = memchr::memchr(b'\n', &bytes[least..]) {
                length = least + end + 1;
                self.at_end = true;
            }
        }
        Ok((from, from + length))
    }

    fn taken(&mut self, from: usize, to: usize) {
        let bytes = &self.source.buffer[from..to];
        self.rows += memchr::memchr_iter(b'\n', bytes).count() as u64;
        self.in_row = bytes.last().is_some_and(|byte| *byte != b'\n');
        self.bytes += bytes.len() as u64;
        self.source.from = to;
        // The limit may end where the buffer does.
        if self.bytes >= self.limit && !self.in_row {
            self.at_end = true;
        }
    }

    fn fill(&mut self, target: &mut [u8]) -> Result<usize, EngineError> {
        if self.source.decoder.is_none() {
            let (from, mut to) = self.take()?;
            if from == to {
                return Ok(0);
            }
            if to - from > target.len() {
                to = from + target.len();
                self.at_end = false;
            }
            target[..to - from].copy_from_slice(&self.source.buffer[from..to]);
            self.taken(from, to);
            return Ok(to - from);
        }
        loop {
            if self.out_from < self.out.len() {
                let step = target.len().min(self.out.len() - self.out_from);
                target[..step].copy_from_slice(&self.out[self.out_from..self.out_from + step]);
                self.out_from += step;
                return Ok(step);
            }
            let (from, to) = self.take()?;
            if from == to {
                return Ok(0);
            }
            self.out.clear();
            self.out_from = 0;
            if let Some(decoder) = &mut self.source.decoder {
                decoder.decode(&self.source.buffer[from..to], &mut self.out)?;
            }
            self.taken(from, to);
        }
    }
}

impl Read for Rows<'_, '_> {
    fn read(&mut self, target: &mut [u8]) -> io::Result<usize> {
        if target.is_empty() {
            return Ok(0);
        }
        Ok(self.fill(target)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Gives a few bytes at a time.
    struct Pieces(io::Cursor<Vec<u8>>, usize);

    impl Read for Pieces {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            let length = buffer.len().min(self.1);
            self.0.read(&mut buffer[..length])
        }
    }

    fn stop() -> Stop<'static> {
        Stop {
            failed: AtomicBool::new(false),
            job: None,
        }
    }

    /// The parts into which a file is cut, read in pieces of some bytes.
    fn parts(text: &str, decodings: &[Decoding], limit: u64, piece: usize, skip: u64) -> Vec<(String, u64, u64)> {
        let stop = stop();
        let reader = Pieces(io::Cursor::new(text.as_bytes().to_vec()), piece);
        let mut source = Source::new(Box::new(reader), decodings, &stop);
        source.skip(skip).unwrap();
        let mut parts = Vec::new();
        while source.has_more().unwrap() {
            let mut rows = source.rows(limit);
            let mut part = Vec::new();
            let mut buffer = vec![0; piece + 1];
            loop {
                match rows.read(&mut buffer).unwrap() {
                    0 => break,
                    length => part.extend_from_slice(&buffer[..length]),
                }
            }
            parts.push((String::from_utf8(part).unwrap(), rows.bytes, rows.rows));
        }
        parts
    }

    #[test]
    fn cuts_after_rows() {
        let part = |text: &str, bytes, rows| (text.to_owned(), bytes, rows);
        for piece in [1, 2, 3, 4, 5, 7, 11, 100] {
            let none = [Decoding::None, Decoding::None];
            let text = "1\ta\n22\tbb\n333\tccc\n";
            let one = vec![part(text, 18, 3)];
            assert_eq!(parts(text, &none, 1000, piece, 0), one, "{piece}");
            let three = vec![part("1\ta\n", 4, 1), part("22\tbb\n", 6, 1), part("333\tccc\n", 8, 1)];
            assert_eq!(parts(text, &none, 1, piece, 0), three, "{piece}");
            assert_eq!(parts(text, &none, 4, piece, 0), three, "{piece}");
            let two = vec![part("1\ta\n22\tbb\n", 10, 2), part("333\tccc\n", 8, 1)];
            assert_eq!(parts(text, &none, 5, piece, 0), two, "{piece}");
            assert_eq!(parts(text, &none, 5, piece, 10), two[1..], "{piece}");
            let text = "1\tYQ==\n2\tYmI=\n3\tY2Nj\n";
            let two = vec![part("1\ta\n2\tbb\n", 14, 2), part("3\tccc\n", 7, 1)];
            assert_eq!(
                parts(text, &[Decoding::None, Decoding::Base64], 8, piece, 0),
                two,
                "{piece}"
            );
        }
    }

    #[test]
    fn a_file_that_is_cut_short() {
        let stop = stop();
        let mut source = Source::new(Box::new(&b"1\ta\n2\t"[..]), &[], &stop);
        let error = source.rows(100).read_to_end(&mut Vec::new()).unwrap_err();
        assert_eq!(EngineError::from(error).kind, ErrorKind::Damaged);
        let mut source = Source::new(Box::new(&b"1\n"[..]), &[], &stop);
        assert_eq!(source.skip(3).unwrap_err().kind, ErrorKind::Damaged);
    }

    #[test]
    fn what_is_decoded_may_be_larger_than_a_buffer() {
        let bytes: Vec<u8> = b"\\\t\n\0".repeat(BUFFER / 2);
        let text = format!(
            "1\t{}\n2\t\\N\n",
            base64::Engine::encode(&base64::engine::general_purpose::STANDARD, &bytes)
        );
        let found = parts(&text, &[Decoding::None, Decoding::Base64], 10, 100_000, 0);
        assert_eq!(found.len(), 2);
        assert_eq!(found[0].0.len(), 2 + bytes.len() / 4 * 7 + 1);
        assert_eq!(found[1].0, "2\t\\N\n");
    }
}
