//! Running the dump tools and the clients, and what they say on stderr.

use std::io::Read;
use std::process::{ChildStdin, ChildStdout, ExitStatus, Stdio};
use std::thread::JoinHandle;

use backstay_engine_api::job::JobContext;
use backstay_engine_api::{EngineError, ErrorKind};
use backstay_mysql::programs::{Child, OptionFile, client_option_file};
use backstay_mysql::{Program, Session};

/// How much of a program's stderr is kept, in bytes. What comes after the first lines is their consequence.
const STDERR_KEPT: usize = 16 * 1024;
/// How many lines of it an error shows.
const STDERR_SHOWN: usize = 5;

/// Lines on stderr that take nothing away from a success, by what they contain, and why.
const HARMLESS: [&str; 4] = [
    // TLS without verification is what the operator configured (`required`, `preferred`).
    "WARNING: no verification of server certificate will be done.",
    // MariaDB 11.4 on, over a socket without a password: as above.
    "WARNING: option --ssl-verify-server-cert is disabled, because of an insecure passwordless login.",
    // MariaDB 11 on, started as mysqldump or mysql: the same program.
    "Deprecated program name. It will be removed in a future release, use ",
    // We pass `--loose-init-command` to tools that may be too old for it, and do without it then.
    "unknown option '--loose-init-command",
];

/// A program that runs. It is killed when dropped, and when the job is cancelled.
#[derive(Debug)]
pub(crate) struct Running {
    name: String,
    child: Child,
    stderr: Option<JoinHandle<String>>,
}

/// How a program ended.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) name: String,
    pub(crate) status: ExitStatus,
    /// Lines of stderr that are not known to be harmless.
    pub(crate) complaints: Vec<String>,
}

impl Running {
    /// Starts a program that logs in as `session` did; see [`Child::start`]. `args` hold no secret.
    ///
    /// # Errors
    /// [`ErrorKind::Program`] if it can not be started.
    pub(crate) fn start(
        job: &JobContext,
        program: &Program,
        session: &Session,
        args: &[String],
        stdin: Stdio,
        stdout: Stdio,
    ) -> Result<Self, EngineError> {
        let name = program.path.file_name().unwrap_or(program.path.as_os_str());
        let options = client_option_file(session, program.flavour);
        let mut child = Child::start(job, &program.path, OptionFile::Text(&options), args, stdin, stdout)?;
        let stderr = child
            .stderr()
            .map(|pipe| std::thread::spawn(move || keep_beginning(pipe)));
        Ok(Self {
            name: name.to_string_lossy().into_owned(),
            child,
            stderr,
        })
    }

    /// The program's stdout, once.
    pub(crate) fn stdout(&mut self) -> Option<ChildStdout> {
        self.child.stdout()
    }

    /// The program's stdin, once.
    pub(crate) fn stdin(&mut self) -> Option<ChildStdin> {
        self.child.stdin()
    }

    /// Waits for it to end.
    ///
    /// # Errors
    /// [`ErrorKind::Cancelled`], or the system can not say how it ended.
    pub(crate) fn wait(self) -> Result<Ended, EngineError> {
        let status = self.child.wait()?;
        let stderr = self.stderr.and_then(|thread| thread.join().ok());
        Ok(Ended {
            name: self.name,
            status,
            complaints: complaints(&stderr.unwrap_or_default()),
        })
    }
}

impl Ended {
    /// Whether it ended well and had nothing to complain of.
    pub(crate) fn is_clean(&self) -> bool {
        self.status.success() && self.complaints.is_empty()
    }

    /// The error that it is not [`is_clean`](Self::is_clean).
    pub(crate) fn error(&self, what: &str) -> EngineError {
        let message = if self.status.success() {
            format!(
                "{} {what} with something on stderr that is not known to be harmless",
                self.name
            )
        } else {
            format!("{} {what}: {}", self.name, self.status)
        };
        let said = |words: &[&str]| {
            self.complaints
                .iter()
                .any(|line| words.iter().any(|word| line.contains(word)))
        };
        let mut error = if said(&["Access denied", "insufficient privileges", "command denied"]) {
            EngineError::new(ErrorKind::Privilege, message)
        } else if said(&["Lost connection", "has gone away", "Can't connect"]) {
            EngineError::new(ErrorKind::Connection, message)
                .advise("look into the server's error log: did it restart, or was the session killed?")
        } else {
            EngineError::new(ErrorKind::Program, message)
        };
        error.causes = self.complaints.iter().take(STDERR_SHOWN).cloned().collect();
        error
    }
}

fn complaints(stderr: &str) -> Vec<String> {
    let known = |line: &str| HARMLESS.iter().any(|text| line.contains(text));
    stderr
        .lines()
        .map(str::trim)
        // The client draws a rule above and below a statement that it shows.
        .filter(|line| !line.is_empty() && !line.chars().all(|c| c == '-') && !known(line))
        .map(str::to_owned)
        .collect()
}

fn keep_beginning(mut pipe: impl Read) -> String {
    let mut kept = Vec::new();
    let mut buffer = [0; 4096];
    // To the end in any case, or the program would stop at a full pipe.
    while let Ok(count @ 1..) = pipe.read(&mut buffer) {
        let room = STDERR_KEPT.saturating_sub(kept.len()).min(count);
        kept.extend_from_slice(&buffer[..room]);
    }
    String::from_utf8_lossy(&kept).into_owned()
}

#[cfg(test)]
mod tests {
    use std::os::unix::process::ExitStatusExt as _;

    use super::*;

    #[test]
    fn only_known_warnings_are_harmless() {
        let stderr = "WARNING: no verification of server certificate will be done. Use --ssl-mode=VERIFY_CA.\n\
                      mysqldump: [Warning] unknown option '--loose-init-command=SELECT 1'\n--------------\n\n";
        assert_eq!(complaints(stderr), Vec::<String>::new());
        let stderr = format!("{stderr}mysqldump: Got error: 1356: View 'a.v' references invalid table(s)\n");
        assert_eq!(
            complaints(&stderr),
            ["mysqldump: Got error: 1356: View 'a.v' references invalid table(s)"]
        );
    }

    #[test]
    fn what_a_program_says_tells_the_kind_of_error() {
        for (said, kind) in [
            (
                "mysqldump: Got error: 1044: Access denied for user 'u'@'h'",
                ErrorKind::Privilege,
            ),
            (
                "mysqldump: Error 2013: Lost connection to MySQL server during query when dumping table `big` at row: 9",
                ErrorKind::Connection,
            ),
            (
                "mysqldump: Couldn't execute 'SHOW …': Server has gone away (2006)",
                ErrorKind::Connection,
            ),
            ("mysqldump: Got errno 28 on write", ErrorKind::Program),
        ] {
            let ended = Ended {
                name: "mysqldump".to_owned(),
                status: ExitStatus::from_raw(3 << 8),
                complaints: vec![said.to_owned()],
            };
            let error = ended.error("failed while it dumped table d.big");
            assert_eq!(error.kind, kind, "{error}");
            assert_eq!(error.advice.is_some(), kind == ErrorKind::Connection, "{error}");
        }
    }

    #[test]
    fn stderr_is_bounded_and_drained() {
        let text = "x".repeat(10 * STDERR_KEPT);
        let mut rest = text.as_bytes();
        assert_eq!(keep_beginning(&mut rest).len(), STDERR_KEPT);
        assert!(rest.is_empty());
    }
}
