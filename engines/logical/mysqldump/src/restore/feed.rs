//! [`Feed`]: sections into the client's stdin, and its error back to the section.
//!
//! The client reads ahead of what it executes, and so do pipes; what we wrote last is not what failed. But it says the line
//! at which the failing statement starts, and lines are counted here as they are written.

use std::io::{self, BufRead as _, BufReader, Read, Write};
use std::process::{ChildStdin, Stdio};

use backstay_engine_api::job::SessionGuard;
use backstay_engine_api::{EngineError, ErrorKind, ObjectReader};
use memchr::memchr_iter;

use super::Restore;
use super::plan::Part;
use super::triggers::WithoutTriggers;
use crate::program::{Ended, Running};

/// The size of reads and writes, and of the pipe, in bytes.
const CHUNK: usize = 1 << 20;

/// A client that is being fed. It is killed when dropped.
pub(super) struct Feed<'a> {
    restore: &'a Restore<'a>,
    // Dropped first, so that the client would see an end; it is killed next.
    stdin: Option<ChildStdin>,
    program: Option<Running>,
    /// The line (from 1) that is written next, and those at which sections begin.
    line: u64,
    begins: Vec<(u64, String)>,
    buffer: Vec<u8>,
    /// The client's session on the server.
    session: Option<(u64, SessionGuard)>,
}

impl<'a> Feed<'a> {
    /// Starts the client.
    ///
    /// # Errors
    /// It can not be started.
    pub(super) fn start(restore: &'a Restore<'a>) -> Result<Self, EngineError> {
        let args = [
            "--batch".to_owned(),
            "--skip-column-names".to_owned(),
            // Its answer to our first question comes at once.
            "--unbuffered".to_owned(),
            // No commands but DELIMITER, and line breaks as they are.
            "--binary-mode".to_owned(),
            // In the bodies of routines.
            "--comments".to_owned(),
            // A new session would not have the header's settings.
            "--skip-reconnect".to_owned(),
            "--default-character-set=utf8mb4".to_owned(),
            format!("--max-allowed-packet={}", restore.options.max_allowed_packet),
        ];
        let job = restore.job;
        let mut program = Running::start(
            job,
            &restore.program,
            &restore.session,
            &args,
            Stdio::piped(),
            Stdio::piped(),
        )?;
        let stdout = program
            .stdout()
            .ok_or_else(|| EngineError::other("the client has no stdout"))?;
        let stdin = program
            .stdin()
            .ok_or_else(|| EngineError::other("the client has no stdin"))?;
        // As for the dump's: smaller is slower, not wrong.
        let _ = rustix::pipe::fcntl_setpipe_size(&stdin, CHUNK);
        let mut feed = Self {
            restore,
            stdin: Some(stdin),
            program: Some(program),
            line: 1,
            begins: vec![(1, "the session's settings".to_owned())],
            buffer: vec![0; CHUNK],
            session: None,
        };
        feed.text("SELECT CONNECTION_ID();\n")?;
        let mut stdout = BufReader::new(stdout);
        let mut line = String::new();
        stdout.read_line(&mut line)?;
        let Ok(id) = line.trim().parse::<u64>() else {
            feed.end()?;
            return Err(EngineError::new(
                ErrorKind::Program,
                format!("expected a session's id from the client, found `{line}`"),
            ));
        };
        feed.session = Some((id, job.guard(restore.session.guard_name(id))?));
        // A dump asks for nothing; what comes in spite of that is not left to fill the pipe.
        std::thread::spawn(move || io::copy(&mut stdout, &mut io::sink()));
        // Servers wait for a metadata lock for a day or a year.
        feed.text(&format!(
            "SET SESSION lock_wait_timeout = {};\n",
            restore.options.lock_wait
        ))?;
        if restore.options.skip_binary_log {
            feed.text("SET SESSION sql_log_bin = 0;\n")?;
        }
        Ok(feed)
    }

    /// Feeds sections.
    ///
    /// # Errors
    /// The client's, the repository's, or the job is cancelled.
    pub(super) fn parts<'p>(&mut self, parts: impl Iterator<Item = &'p Part>) -> Result<(), EngineError> {
        for part in parts {
            self.part(part)?;
        }
        Ok(())
    }

    /// Feeds a section.
    ///
    /// # Errors
    /// As [`parts`](Self::parts).
    pub(super) fn part(&mut self, part: &Part) -> Result<(), EngineError> {
        let mut object = self.begin(part)?;
        self.copy(&mut object)
    }

    /// Feeds a table's section but for its triggers, and says whether it has any.
    ///
    /// # Errors
    /// As [`parts`](Self::parts).
    pub(super) fn without_triggers(&mut self, part: &Part) -> Result<bool, EngineError> {
        let mut table = WithoutTriggers::new(self.begin(part)?);
        self.copy(&mut table)?;
        Ok(table.cut())
    }

    fn begin(&mut self, part: &Part) -> Result<ObjectReader, EngineError> {
        self.restore.job.doing(format!("restoring {}", part.section));
        self.begins.push((self.line, part.section.to_string()));
        self.restore.link.open(&part.object)
    }

    fn copy(&mut self, object: &mut impl Read) -> Result<(), EngineError> {
        let mut buffer = std::mem::take(&mut self.buffer);
        loop {
            self.restore.job.check_cancelled()?;
            match object.read(&mut buffer)? {
                0 => break,
                count => self.write(&buffer[..count])?,
            }
        }
        self.buffer = buffer;
        Ok(())
    }

    /// Feeds a statement of our own.
    ///
    /// # Errors
    /// As [`parts`](Self::parts).
    pub(super) fn text(&mut self, text: &str) -> Result<(), EngineError> {
        self.write(text.as_bytes())
    }

    /// Ends the input and waits until the client has executed all of it.
    ///
    /// # Errors
    /// The client's.
    pub(super) fn finish(mut self) -> Result<(), EngineError> {
        self.restore.job.doing("waiting for the last statements");
        self.end()?;
        self.session = None;
        Ok(())
    }

    fn write(&mut self, bytes: &[u8]) -> Result<(), EngineError> {
        self.line += memchr_iter(b'\n', bytes).count() as u64;
        let Some(stdin) = &mut self.stdin else {
            return Err(EngineError::other("the client's input has ended"));
        };
        match stdin.write_all(bytes) {
            Ok(()) => Ok(()),
            // It has given up, or was killed because the job is cancelled.
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {
                self.end()?;
                let message = "the client closed its input before the end, and does not say why";
                Err(EngineError::new(ErrorKind::Program, message))
            }
            Err(error) => Err(error.into()),
        }
    }

    fn end(&mut self) -> Result<(), EngineError> {
        self.stdin = None;
        let Some(program) = self.program.take() else {
            return Ok(());
        };
        let ended = program.wait()?;
        if ended.is_clean() {
            Ok(())
        } else {
            Err(self.error(&ended))
        }
    }

    fn error(&self, ended: &Ended) -> EngineError {
        let section = ended
            .complaints
            .iter()
            .find_map(|line| error_line(line))
            .and_then(|line| section_at(&self.begins, line))
            .unwrap_or("the dump");
        let mut error = ended.error(&format!("failed while it restored {section}"));
        // With --batch the client shows the statement above the error, which can be a row of a megabyte.
        if let Some(at) = ended.complaints.iter().position(|line| line.starts_with("ERROR ")) {
            error.causes = vec![ended.complaints[at].clone()];
        }
        if error.causes.iter().any(|line| line.contains("max_allowed_packet")) {
            error = error.advise("raise max_allowed_packet on the target (SET GLOBAL max_allowed_packet = 1073741824)");
        }
        error
    }
}

impl Drop for Feed<'_> {
    fn drop(&mut self) {
        // It was not finished: the server might go on with a statement that nobody waits for.
        if let Some((id, guard)) = self.session.take() {
            self.stdin = None;
            self.program = None;
            let ended = self.restore.session.another().and_then(|mut session| session.kill(id));
            if ended.is_err() {
                // Still guarded when the call ends, it is ended by whoever cleans up after it.
                std::mem::forget(guard);
            }
        }
    }
}

/// The line in `ERROR 1064 (42000) at line 12: …`.
fn error_line(text: &str) -> Option<u64> {
    let rest = text.strip_prefix("ERROR ")?.split_once(" at line ")?.1;
    rest.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()
}

/// The section that a line belongs to: the last one that begins at it or before.
fn section_at(begins: &[(u64, String)], line: u64) -> Option<&str> {
    let after = begins.partition_point(|(begin, _)| *begin <= line);
    begins.get(after.checked_sub(1)?).map(|(_, section)| section.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_leads_to_its_section() {
        assert_eq!(
            error_line("ERROR 1146 (42S02) at line 12: Table 'x' at line 13"),
            Some(12)
        );
        assert_eq!(error_line("ERROR 2006 (HY000): gone"), None);
        let begins: Vec<(u64, String)> = [(1, "a"), (1, "b"), (10, "c")]
            .map(|(line, name)| (line, name.to_owned()))
            .into();
        let at = |line| section_at(&begins, line).unwrap();
        assert_eq!([at(1), at(9), at(10), at(99)], ["b", "b", "c", "c"]);
    }
}
