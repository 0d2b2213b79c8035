//! [`WithoutTriggers`]: a table's section up to its triggers, which come last in it.
//!
//! A table that is put beside the one it was, under another schema, must not have its triggers: their bodies speak of the
//! schema that they were in, and so a rescued table's row would be noted in the living one's log.

use std::io::{self, Read};

use memchr::memmem;

/// What both tools write before a table's first trigger, at the beginning of a line. Nothing else in a table's section has it:
/// in rows and in comments a line break is escaped.
const TRIGGERS: &[u8] = b"\n/*!50003 SET @saved_cs_client ";

/// Reads a table's section without its triggers.
pub(super) struct WithoutTriggers<R> {
    inner: R,
    /// Bytes that are read and not given out: the end of them may be the beginning of [`TRIGGERS`].
    held: Vec<u8>,
    /// How many of them may be given out.
    free: usize,
    ended: bool,
    /// Whether there were triggers.
    cut: bool,
}

impl<R: Read> WithoutTriggers<R> {
    pub(super) fn new(inner: R) -> Self {
        Self {
            inner,
            held: Vec::new(),
            free: 0,
            ended: false,
            cut: false,
        }
    }

    /// Whether triggers were left out; known at the end.
    pub(super) fn cut(&self) -> bool {
        self.cut
    }

    fn fill(&mut self) -> io::Result<()> {
        const CHUNK: usize = 1 << 18;
        let start = self.held.len();
        self.held.resize(start + CHUNK, 0);
        let count = self.inner.read(&mut self.held[start..])?;
        self.held.truncate(start + count);
        let from = start.saturating_sub(TRIGGERS.len());
        if let Some(at) = memmem::find(&self.held[from..], TRIGGERS) {
            // The line break belongs to what is before.
            self.held.truncate(from + at + 1);
            self.cut = true;
        }
        self.ended = self.cut || count == 0;
        self.free = if self.ended {
            self.held.len()
        } else {
            self.held.len().saturating_sub(TRIGGERS.len())
        };
        Ok(())
    }
}

impl<R: Read> Read for WithoutTriggers<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.free == 0 && !self.ended {
            self.fill()?;
        }
        let count = self.free.min(buffer.len());
        buffer[..count].copy_from_slice(&self.held[..count]);
        self.held.drain(..count);
        self.free -= count;
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Gives out a few bytes at a time.
    struct Slow<'a>(&'a [u8], usize);

    impl Read for Slow<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            let count = self.1.min(self.0.len()).min(buffer.len());
            buffer[..count].copy_from_slice(&self.0[..count]);
            self.0 = &self.0[count..];
            Ok(count)
        }
    }

    #[test]
    fn ends_before_the_first_trigger() {
        let table = "CREATE TABLE `t`;\n/*!40101 SET @saved_cs_client     = @@character_set_client */;\nINSERT INTO `t` \
                     VALUES ('/*!50003 SET @saved_cs_client ');\nUNLOCK TABLES;\n";
        let triggers = "/*!50003 SET @saved_cs_client      = @@character_set_client */ ;\nDELIMITER ;;\n";
        for piece in [1, 2, 7, 1000] {
            let whole = format!("{table}{triggers}");
            let mut reader = WithoutTriggers::new(Slow(whole.as_bytes(), piece));
            let mut text = String::new();
            reader.read_to_string(&mut text).unwrap();
            assert_eq!(text, table);
            assert!(reader.cut());
            let mut reader = WithoutTriggers::new(Slow(table.as_bytes(), piece));
            let mut text = String::new();
            reader.read_to_string(&mut text).unwrap();
            assert_eq!(text, table);
            assert!(!reader.cut());
        }
    }
}
