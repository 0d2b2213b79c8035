//! [`Splitter`]: cuts a dump into sections while it flows.
//!
//! The dump tools write a comment before each part, and only these tell the parts apart:
//!
//! ```text
//! --
//! -- Table structure for table `orders`
//! --
//! ```
//!
//! Text of users can look the same, so:
//! - rows can not: a dump's `INSERT` statements escape line breaks, so that no row's line starts with `-`;
//! - bodies of triggers, routines and events can, but stand between `DELIMITER ;;` and `DELIMITER ;`, where nothing is a
//!   comment to us;
//! - names with line breaks in them can, in theory. What they forge, or a `DELIMITER ;` line inside a string of a body
//!   lets through, appears a second time where it really is, or where it can not be: an error by the rules here, or
//!   by [`Expected`](crate::expected::Expected), which knows what the server has. Never a wrong cut.
//!
//! Bytes are passed on as they come, in slices of the caller's buffer; only lines that might be comments are held until they
//! are whole. So it runs about as fast as memory is searched for line breaks.

mod marker;
#[cfg(test)]
mod tests;

use std::collections::HashSet;

use backstay_engine_api::{EngineError, ErrorKind};
use memchr::{memchr, memchr_iter};

use crate::section::{Kind, Section};
use marker::{Marker, Parsed};

/// A line longer than this is no comment of the tool's, whose longest hold a name of 64 characters.
const MAX_COMMENT: usize = 4096;
/// The first line of the footer. The tools put back nothing before it, and nobody else writes this line.
const FOOTER: &[u8] = b"/*!40103 SET TIME_ZONE=@OLD_TIME_ZONE */;\n";
/// How the last line starts.
const COMPLETED: &[u8] = b"-- Dump completed";
/// Comments by which the tools say that something is missing from the dump, some of them without failing.
const LOSSES: [&[u8]; 6] = [
    b"-- insufficient privileges",
    b"-- does ",
    b"-- Warning",
    b"-- WARNING",
    b"-- failed on view",
    b"-- One or more of the libraries",
];

/// Takes the sections.
pub(crate) trait Sink {
    /// A section begins; the one before is whole.
    ///
    /// # Errors
    /// It is not one that may come now, or there is no place for it.
    fn begin(&mut self, section: &Section) -> Result<(), EngineError>;

    /// Bytes of the section.
    ///
    /// # Errors
    /// They can not be stored.
    fn bytes(&mut self, bytes: &[u8]) -> Result<(), EngineError>;
}

/// What the lines that are held may become.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Held {
    /// Nothing is held but the present line.
    Line,
    /// A `--` line, the frame of a section's comment.
    Frame,
    /// A frame, and a comment whose name has gone on to the next line.
    Name,
}

/// Cuts a dump into sections. Give it all bytes by [`push`](Self::push), then call [`finish`](Self::finish).
#[derive(Debug)]
pub(crate) struct Splitter {
    /// Bytes that are not passed on yet: whole lines before `line`, then the present one.
    held: Vec<u8>,
    /// Where in `held` the present line starts.
    line: usize,
    state: Held,
    /// The present line is being held.
    holding: bool,
    /// The next byte is a line's first.
    at_line_start: bool,
    /// Within `DELIMITER ;;`.
    in_body: bool,
    current: Section,
    /// Schemas that have begun; a second time their views follow.
    schemas: HashSet<String>,
    views: bool,
    begun: bool,
    completed: bool,
}

impl Default for Splitter {
    fn default() -> Self {
        Self {
            held: Vec::new(),
            line: 0,
            state: Held::Line,
            holding: false,
            at_line_start: true,
            in_body: false,
            current: Section::of_dump(Kind::Header),
            schemas: HashSet::new(),
            views: false,
            begun: false,
            completed: false,
        }
    }
}

impl Splitter {
    /// The section that the bytes belong to at present.
    pub(crate) fn current(&self) -> &Section {
        &self.current
    }

    /// Takes the next bytes of the dump.
    ///
    /// # Errors
    /// The dump is not of the expected form, or the sink failed.
    pub(crate) fn push(&mut self, mut rest: &[u8], sink: &mut impl Sink) -> Result<(), EngineError> {
        if !self.begun {
            self.begun = true;
            sink.begin(&self.current)?;
        }
        while let Some(first) = rest.first() {
            if self.holding {
                rest = self.hold(rest, sink)?;
            } else if self.at_line_start && self.interesting(*first) {
                self.holding = true;
            } else {
                if self.at_line_start {
                    self.pass_on(sink)?;
                }
                rest = self.run(rest, sink)?;
            }
        }
        Ok(())
    }

    /// Ends the dump.
    ///
    /// # Errors
    /// [`ErrorKind::Program`] if it is not whole.
    pub(crate) fn finish(mut self, sink: &mut impl Sink) -> Result<(), EngineError> {
        // The last line may lack its line break.
        if self.holding {
            self.line_is_whole(sink)?;
        }
        self.pass_on(sink)?;
        if self.completed {
            return Ok(());
        }
        let message = format!(
            "the dump is cut off: it ends in {}, without the line `-- Dump completed`",
            self.current
        );
        Err(EngineError::new(ErrorKind::Program, message))
    }

    /// Whether a line that starts so might mean something.
    fn interesting(&self, first: u8) -> bool {
        match first {
            b'D' => true,
            b'-' | b'/' => !self.in_body,
            _ => false,
        }
    }

    /// Passes on bytes that mean nothing, up to a line that might.
    fn run<'a>(&mut self, bytes: &'a [u8], sink: &mut impl Sink) -> Result<&'a [u8], EngineError> {
        if self.completed {
            return Err(self.unexpected("bytes after the line `-- Dump completed`"));
        }
        for end in memchr_iter(b'\n', bytes) {
            match bytes.get(end + 1) {
                Some(next) if !self.interesting(*next) => {}
                _ => {
                    sink.bytes(&bytes[..=end])?;
                    self.at_line_start = true;
                    return Ok(&bytes[end + 1..]);
                }
            }
        }
        sink.bytes(bytes)?;
        self.at_line_start = false;
        Ok(&[])
    }

    /// Holds bytes up to the line's end.
    fn hold<'a>(&mut self, bytes: &'a [u8], sink: &mut impl Sink) -> Result<&'a [u8], EngineError> {
        let end = memchr(b'\n', bytes).map_or(bytes.len(), |at| at + 1);
        self.held.extend_from_slice(&bytes[..end]);
        let whole = self.held.ends_with(b"\n");
        if self.held.len() > MAX_COMMENT {
            self.holding = false;
            self.at_line_start = whole;
            self.pass_on(sink)?;
        } else if whole {
            self.line_is_whole(sink)?;
        }
        Ok(&bytes[end..])
    }

    /// What is held is no section's beginning: it goes to the present section.
    fn pass_on(&mut self, sink: &mut impl Sink) -> Result<(), EngineError> {
        self.state = Held::Line;
        self.line = 0;
        if self.held.is_empty() {
            return Ok(());
        }
        if self.completed {
            return Err(self.unexpected("bytes after the line `-- Dump completed`"));
        }
        sink.bytes(&self.held)?;
        self.held.clear();
        Ok(())
    }

    fn line_is_whole(&mut self, sink: &mut impl Sink) -> Result<(), EngineError> {
        self.holding = false;
        self.at_line_start = true;
        if self.in_body {
            self.in_body = self.held != b"DELIMITER ;\n";
            return self.pass_on(sink);
        }
        let line = &self.held[self.line..];
        if LOSSES.iter().any(|loss| line.starts_with(loss)) {
            let text = String::from_utf8_lossy(line).trim_end().to_owned();
            let message = format!("the dump lacks something in {}: the tool wrote `{text}`", self.current);
            return Err(EngineError::new(ErrorKind::Program, message));
        }
        if self.state == Held::Line && line == b"--\n" {
            return self.keep(Held::Frame);
        }
        if self.state != Held::Line && (line == b"--\n" || !line.starts_with(b"-")) {
            // The line below a comment, not the one above: what is held is text, and this line is looked at by itself.
            let line = self.held.split_off(self.line);
            self.pass_on(sink)?;
            self.held = line;
            return self.line_is_whole(sink);
        }
        if self.state != Held::Line {
            let comment = &self.held[b"--\n".len()..];
            return match marker::parse(comment, &self.current.schema) {
                Parsed::Marker(marker) => self.section(marker, sink),
                Parsed::Partial => self.keep(Held::Name),
                _ if self.current.kind == Kind::Header => self.pass_on(sink),
                _ => Err(self.unexpected(&format!("`{}`", String::from_utf8_lossy(comment).trim_end()))),
            };
        }
        if line == FOOTER {
            if self.current.kind == Kind::Header {
                return Err(self.unexpected("the footer"));
            }
            self.enter(Section::of_dump(Kind::Footer), sink)?;
        } else if line.starts_with(COMPLETED) && self.current.kind == Kind::Footer {
            self.pass_on(sink)?;
            self.completed = true;
            return Ok(());
        } else if line.starts_with(b"DELIMITER ") {
            self.in_body = line != b"DELIMITER ;\n";
        }
        self.pass_on(sink)
    }

    fn keep(&mut self, state: Held) -> Result<(), EngineError> {
        self.state = state;
        self.line = self.held.len();
        Ok(())
    }

    /// A section's comment is whole.
    fn section(&mut self, marker: Marker, sink: &mut impl Sink) -> Result<(), EngineError> {
        let in_schema = |kind, name| Ok(Section::of_table(kind, self.current.schema.clone(), name));
        let may_define = !self.views && !matches!(self.current.kind, Kind::Header | Kind::Footer);
        let next = match marker {
            Marker::Database(schema) if self.current.kind != Kind::Footer => {
                self.views = !self.schemas.insert(schema.clone());
                Ok(Section::of_schema(
                    if self.views { Kind::Views } else { Kind::Schema },
                    schema,
                ))
            }
            Marker::Table(name) if may_define => in_schema(Kind::Table, name),
            Marker::Sequence(name) if may_define => in_schema(Kind::Sequence, name),
            Marker::ViewStub(name) if may_define => in_schema(Kind::ViewStub, name),
            Marker::Events if may_define => in_schema(Kind::Events, String::new()),
            Marker::Routines if may_define => in_schema(Kind::Routines, String::new()),
            Marker::View(name) if self.views => in_schema(Kind::View, name),
            Marker::Data(name) if self.current.kind == Kind::Table && self.current.name == name => {
                return self.pass_on(sink);
            }
            other => Err(self.unexpected(&format!("{other:?}"))),
        }?;
        self.enter(next, sink)?;
        self.pass_on(sink)
    }

    fn enter(&mut self, section: Section, sink: &mut impl Sink) -> Result<(), EngineError> {
        sink.begin(&section)?;
        self.current = section;
        Ok(())
    }

    fn unexpected(&self, what: &str) -> EngineError {
        let message = format!(
            "the dump is not of a form that can be split safely: in {}, found {what}",
            self.current
        );
        EngineError::new(ErrorKind::Program, message).advise(
            "look for a name or a body there that holds lines like the dump's own comments, and rename or rewrite it",
        )
    }
}
