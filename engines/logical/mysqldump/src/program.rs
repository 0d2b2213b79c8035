//! Running the dump tools and the clients: credentials by descriptor, nothing inherited that changes them, and no process that
//! outlives us.

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::process::{Child, ChildStdin, ChildStdout, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, mpsc};
use std::thread::JoinHandle;
use std::time::Duration;

use backstay_engine_api::job::JobContext;
use backstay_engine_api::{EngineError, ErrorKind};
use backstay_mysql::programs::{client_option_file, find_by_name};
use backstay_mysql::{Program, Session};
use command_fds::{CommandFdExt, FdMapping};
use rustix::fs::{MemfdFlags, Mode};

/// The descriptor that the option file has in the child. Any that is not 0, 1 or 2.
const OPTION_FILE_FD: i32 = 3;
/// How much of a program's stderr is kept, in bytes. What comes after the first lines is their consequence.
const STDERR_KEPT: usize = 16 * 1024;
/// How many lines of it an error shows.
const STDERR_SHOWN: usize = 5;

/// What the environment could tell a client program besides the option file.
const ENVIRONMENT: [&str; 6] = [
    "MYSQL_PWD",
    "MYSQL_HOST",
    "MYSQL_TCP_PORT",
    "MYSQL_UNIX_PORT",
    "MYSQL_GROUP_SUFFIX",
    "MYSQL_HOME",
];

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

/// How often a wait looks whether the job is cancelled.
const LOOK: Duration = Duration::from_millis(200);
/// How often it looks whether the program has ended; a dump takes longer.
const LOOK_FOR_END: Duration = Duration::from_millis(5);

/// A program that runs. It is killed when dropped, and when the job is cancelled.
#[derive(Debug)]
pub(crate) struct Running {
    name: String,
    child: Arc<Mutex<Child>>,
    stderr: Option<JoinHandle<String>>,
    /// Dropped with the rest: the watcher goes then.
    _watched: mpsc::Sender<()>,
    job: JobContext,
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
    /// Starts a program that logs in as `session` did. `args` hold no secret.
    ///
    /// Where util-linux's `setpriv` is installed (on Debian it always is), the kernel kills the program should this process,
    /// or the thread that calls this, end without having waited for it. Elsewhere a dump ends when it next writes.
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
        let name = program
            .path
            .file_name()
            .unwrap_or(program.path.as_os_str())
            .to_string_lossy()
            .into_owned();
        let failed = |error: &(dyn std::error::Error + 'static)| {
            EngineError::new(
                ErrorKind::Program,
                format!("{} can not be started", program.path.display()),
            )
            .because(error)
        };
        let options = option_file(&client_option_file(session, program.flavour)).map_err(|error| failed(&error))?;
        let mut command = match find_by_name(&["setpriv"], &[]) {
            Some(setpriv) => {
                let mut command = Command::new(setpriv);
                command.args(["--pdeathsig", "KILL", "--"]).arg(&program.path);
                command
            }
            None => Command::new(&program.path),
        };
        // Not --defaults-extra-file: what stands in the files of whoever runs us is not about this server. MySQL's clients
        // read a login file besides, wherever this variable says.
        command
            .arg(format!("--defaults-file=/dev/fd/{OPTION_FILE_FD}"))
            .args(args);
        for variable in ENVIRONMENT {
            command.env_remove(variable);
        }
        command.env("MYSQL_TEST_LOGIN_FILE", "/dev/null/none");
        command
            .fd_mappings(vec![FdMapping {
                parent_fd: options,
                child_fd: OPTION_FILE_FD,
            }])
            .map_err(|error| failed(&error))?;
        let mut child = command
            .stdin(stdin)
            .stdout(stdout)
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|error| failed(&error))?;
        let stderr = child
            .stderr
            .take()
            .map(|pipe| std::thread::spawn(move || keep_beginning(pipe)));
        let child = Arc::new(Mutex::new(child));
        let (watched, watch) = mpsc::channel();
        let (watched_child, watched_job) = (Arc::clone(&child), job.clone());
        // A thread of its own, for a write to a program that waits for a lock blocks as long as the program does.
        std::thread::spawn(move || {
            while watch.recv_timeout(LOOK) == Err(mpsc::RecvTimeoutError::Timeout) {
                if watched_job.cancelled() {
                    // It may have ended by itself.
                    let _ = lock(&watched_child).kill();
                    return;
                }
            }
        });
        Ok(Self {
            name,
            child,
            stderr,
            _watched: watched,
            job: job.clone(),
        })
    }

    /// The program's stdout, once.
    pub(crate) fn stdout(&mut self) -> Option<ChildStdout> {
        lock(&self.child).stdout.take()
    }

    /// The program's stdin, once.
    pub(crate) fn stdin(&mut self) -> Option<ChildStdin> {
        lock(&self.child).stdin.take()
    }

    /// Waits for it to end.
    ///
    /// # Errors
    /// [`ErrorKind::Cancelled`], or the system can not say how it ended.
    pub(crate) fn wait(mut self) -> Result<Ended, EngineError> {
        let status = loop {
            if let Some(status) = lock(&self.child).try_wait()? {
                break status;
            }
            std::thread::sleep(LOOK_FOR_END);
        };
        self.job.check_cancelled()?;
        let text = self
            .stderr
            .take()
            .and_then(|thread| thread.join().ok())
            .unwrap_or_default();
        Ok(Ended {
            name: self.name.clone(),
            status,
            complaints: complaints(&text),
        })
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Both do nothing if it has been waited for.
        let mut child = lock(&self.child);
        let _ = child.kill();
        let _ = child.wait();
    }
}

fn lock(child: &Mutex<Child>) -> MutexGuard<'_, Child> {
    child.lock().unwrap_or_else(PoisonError::into_inner)
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
        let privilege = self.complaints.iter().any(|line| {
            line.contains("Access denied")
                || line.contains("insufficient privileges")
                || line.contains("command denied")
        });
        let kind = if privilege {
            ErrorKind::Privilege
        } else {
            ErrorKind::Program
        };
        let mut error = EngineError::new(kind, message);
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

/// The option file's text as a file that is in memory only. A pipe would not do: MySQL's client reads it twice.
fn option_file(text: &str) -> std::io::Result<OwnedFd> {
    let fd = rustix::fs::memfd_create("backstay-option-file", MemfdFlags::CLOEXEC)?;
    // The clients ignore an option file that everybody may write, which a new one is.
    rustix::fs::fchmod(&fd, Mode::RUSR | Mode::WUSR)?;
    let mut file = File::from(fd);
    file.write_all(text.as_bytes())?;
    Ok(file.into())
}

#[cfg(test)]
mod tests {
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
    fn stderr_is_bounded_and_drained() {
        let text = "x".repeat(10 * STDERR_KEPT);
        let mut rest = text.as_bytes();
        assert_eq!(keep_beginning(&mut rest).len(), STDERR_KEPT);
        assert!(rest.is_empty());
    }
}
