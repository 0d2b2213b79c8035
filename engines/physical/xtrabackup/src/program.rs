//! Running the tool, judged by what it says at its end.

use std::collections::VecDeque;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{ChildStdout, ExitStatus, Stdio};
use std::thread::JoinHandle;

use backstay_engine_api::job::JobContext;
use backstay_engine_api::{EngineError, ErrorKind};
use backstay_mysql::Session;
use backstay_mysql::programs::{self, Child, Killer, client_option_file};

use crate::tool::Tool;
use crate::xbstream::Dialect;

/// The last line of a tool that was successful.
const COMPLETED: &str = "completed OK!";
/// How many lines of stderr an error shows.
const SHOWN: usize = 8;
/// How much of a line is kept, in bytes.
const LINE: u64 = 2048;

/// What a tool says that has waited for its first lock for as long as it may.
const UNOBTAINABLE: &str = "Unable to obtain lock";

/// What the server says of a wait for a metadata lock that was too long.
const TIMED_OUT: &str = "Lock wait timeout exceeded";

/// What MariaDB's tool says when a tablespace that it has listed is gone when it opens it: DDL beside it.
const VANISHED: &str = "Can't open datafile ";
/// What stands in a line that says why a tool failed. Their other lines are about every file that they copy.
const TELLING: [&str; 11] = [
    "rror:",
    "ERROR",
    "FATAL",
    "ailed",
    "annot",
    "an't",
    "denied",
    "privilege",
    "orrupt",
    "Waiting for query",
    UNOBTAINABLE,
];

/// A tool that runs. It is killed when dropped, and when the job is cancelled.
#[derive(Debug)]
pub(crate) struct Running {
    name: String,
    child: Child,
    stderr: Option<JoinHandle<Said>>,
}

/// The only option file that the tool reads.
#[derive(Debug)]
pub(crate) enum OptionFile<'a> {
    /// One with which it logs in as a session did.
    Login(&'a Session),
    /// The one that it has written with a backup: how the server's files are laid out.
    File(&'a Path),
}

impl Running {
    /// Starts the tool with an option file; see [`Child::start`]. `args` hold no secret.
    ///
    /// # Errors
    /// [`ErrorKind::Program`] if it can not be started.
    pub(crate) fn start(
        job: &JobContext,
        tool: &Tool,
        options: &OptionFile<'_>,
        args: &[String],
        stdout: Stdio,
    ) -> Result<Self, EngineError> {
        let start = |options| Child::start(job, &tool.path, options, args, Stdio::null(), stdout);
        let (mut child, secrets) = match options {
            OptionFile::Login(session) => {
                let text = options_for(tool, session);
                (start(programs::OptionFile::Text(&text))?, passwords(&text))
            }
            OptionFile::File(path) => (start(programs::OptionFile::Path(path))?, Vec::new()),
        };
        let stderr = child
            .stderr()
            .map(|pipe| std::thread::spawn(move || Said::read(pipe, &secrets)));
        Ok(Self {
            name: tool.name(),
            child,
            stderr,
        })
    }

    /// The tool's stdout, once.
    pub(crate) fn stdout(&mut self) -> Option<ChildStdout> {
        self.child.stdout()
    }

    /// What ends it from another thread.
    pub(crate) fn killer(&self) -> Killer {
        self.child.killer()
    }

    /// Waits for it to end, and judges it: by its exit code, and by its own last word.
    ///
    /// # Errors
    /// [`ErrorKind::Cancelled`]; [`ErrorKind::Program`] or [`ErrorKind::Privilege`] with what it said, if `what` failed.
    pub(crate) fn wait(self, what: &str) -> Result<(), EngineError> {
        let status = self.child.wait()?;
        let said = self.stderr.and_then(|thread| thread.join().ok()).unwrap_or_default();
        if status.success() && said.completed {
            return Ok(());
        }
        Err(said.error(&self.name, what, status))
    }
}

/// What a tool said on stderr: the end of it, and what tells why it failed.
#[derive(Debug, Default)]
struct Said {
    last: VecDeque<String>,
    telling: VecDeque<String>,
    completed: bool,
}

impl Said {
    /// To the end in any case, or the tool would stop at a full pipe.
    fn read(pipe: impl Read, secrets: &[String]) -> Self {
        let mut said = Self::default();
        let mut pipe = BufReader::new(pipe);
        let mut line = Vec::new();
        while let Ok(1..) = pipe.by_ref().take(LINE).read_until(b'\n', &mut line) {
            said.line(&String::from_utf8_lossy(&line), secrets);
            line.clear();
        }
        said
    }

    fn line(&mut self, line: &str, secrets: &[String]) {
        let mut text = without_stamp(line.trim()).to_owned();
        if text.is_empty() {
            return;
        }
        for secret in secrets {
            text = text.replace(secret, "[secret]");
        }
        self.completed = text.ends_with(COMPLETED);
        // Those of which it is the consequence come first, so that the first are dropped last.
        if TELLING.iter().any(|word| text.contains(word)) && !self.telling.contains(&text) {
            keep(&mut self.telling, text.clone());
        }
        keep(&mut self.last, text);
    }

    fn error(&self, name: &str, what: &str, status: ExitStatus) -> EngineError {
        let message = if status.success() {
            format!("{name} failed to {what}: it did not say \"{COMPLETED}\" at its end")
        } else {
            format!("{name} failed to {what}: {status}")
        };
        let lines = if self.telling.is_empty() {
            &self.last
        } else {
            &self.telling
        };
        let missing = lines.iter().find_map(|line| missing_privilege(line));
        let denied = lines.iter().any(|line| line.contains("Access denied"));
        let vanished = lines.iter().any(|line| line.contains(VANISHED));
        let kind = if missing.is_some() || denied {
            ErrorKind::Privilege
        } else if lines
            .iter()
            .any(|line| line.contains(UNOBTAINABLE) || line.contains(TIMED_OUT))
            || vanished
        {
            ErrorKind::Busy
        } else {
            ErrorKind::Program
        };
        let mut error = EngineError::new(kind, message);
        error.causes = lines.iter().cloned().collect();
        match missing {
            Some((privilege, on)) => error.advise(format!("GRANT {privilege} ON {on} TO the account of the backup")),
            None if vanished => {
                error.advise("a table was dropped or renamed before the tool could open it: take the backup again")
            }
            None => error,
        }
    }
}

fn keep(lines: &mut VecDeque<String>, line: String) {
    if lines.len() == SHOWN {
        lines.pop_front();
    }
    lines.push_back(line);
}

/// `… missing required privilege RELOAD on *.*`, as both tools say it.
fn missing_privilege(line: &str) -> Option<(&str, &str)> {
    let (_, rest) = line.split_once("missing required privilege ")?;
    let (privilege, on) = rest.split_once(" on ")?;
    Some((privilege, on.trim_end_matches('.').trim()))
}

/// A line without `[00] 2026-11-22 15:41:19 ` or `2026-11-22T15:41:19.123456-00:00 0 [Note] [MY-011825] [Xtrabackup] ` before it.
fn without_stamp(line: &str) -> &str {
    let mut rest = line;
    if let Some(after) = rest.strip_prefix('[')
        && let Some((thread, after)) = after.split_once("] ")
        && thread.bytes().all(|byte| byte.is_ascii_digit())
    {
        rest = after;
    }
    if let Some((_, after)) = rest.split_once("[Xtrabackup] ") {
        return after;
    }
    let stamp = |text: &str| {
        text.len() > 20
            && text.is_char_boundary(20)
            && text[..20]
                .bytes()
                .all(|byte| byte.is_ascii_digit() || b"-: T.".contains(&byte))
    };
    if stamp(rest) { &rest[20..] } else { rest }
}

/// The option file with which the tool logs in as the session did. In the tools' own group: not each version reads `[client]`.
fn options_for(tool: &Tool, session: &Session) -> String {
    let text = client_option_file(session, session.flavour());
    let group = match tool.dialect {
        Dialect::MariaDb => "[mariabackup]",
        Dialect::Percona => "[xtrabackup]",
    };
    text.replacen("[client]", group, 1)
}

/// The passwords in it, as they could turn up in a line.
fn passwords(options: &str) -> Vec<String> {
    options
        .lines()
        .filter_map(|line| line.strip_prefix("password=\"")?.strip_suffix('"'))
        .filter(|password| !password.is_empty())
        .map(|password| password.replace("\\\"", "\"").replace("\\\\", "\\"))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_lose_their_stamps() {
        for (line, text) in [
            ("[00] 2026-11-22 15:41:19 completed OK!", "completed OK!"),
            ("2026-11-22 15:41:19 0 [Note] InnoDB: x", "0 [Note] InnoDB: x"),
            (
                "2024-01-01T00:00:00.000000-00:00 0 [Note] [MY-011825] [Xtrabackup] completed OK!",
                "completed OK!",
            ),
            ("mariabackup: Error: x", "mariabackup: Error: x"),
        ] {
            assert_eq!(without_stamp(line), text);
        }
    }

    /// As MariaDB's tool 10.11.19 says it.
    #[test]
    fn a_table_that_was_dropped_before_it_was_opened() {
        let stderr = "[00] FATAL ERROR: 2026-11-22 18:55:38 Can't open datafile ddl/r2000026\n";
        let error = Said::read(stderr.as_bytes(), &[]).error("mariadb-backup", "take a backup", ExitStatus::default());
        assert_eq!(error.kind, ErrorKind::Busy);
        assert!(
            error
                .advice
                .is_some_and(|advice| advice.ends_with("take the backup again"))
        );
    }

    #[test]
    fn the_last_word_counts_and_secrets_are_not_shown() {
        let stderr =
            "[00] 2026-11-22 15:41:19 completed OK!\n[00] 2026-11-22 15:41:20 Error: password hunter2 failed\n";
        let said = Said::read(stderr.as_bytes(), &["hunter2".to_owned()]);
        assert!(!said.completed);
        assert_eq!(said.telling, ["Error: password [secret] failed"]);
        let said = Said::read(
            format!("{}\n[00] completed OK!\n\n", "x".repeat(100_000)).as_bytes(),
            &[],
        );
        assert!(said.completed && said.last.len() == SHOWN);
        assert_eq!(
            missing_privilege("Error: missing required privilege RELOAD on *.*"),
            Some(("RELOAD", "*.*"))
        );
        assert_eq!(passwords("[x]\nuser=\"a\"\npassword=\"q\\\"q\\\\\"\n"), ["q\"q\\"]);
    }
}
