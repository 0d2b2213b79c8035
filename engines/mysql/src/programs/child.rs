//! [`Child`]: a program that runs for a job. Credentials by descriptor, nothing inherited that changes it, and no process that
//! outlives us.

use std::fs::File;
use std::io::Write as _;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::process::{ChildStderr, ChildStdin, ChildStdout, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, mpsc};
use std::thread;
use std::time::Duration;

use backstay_engine_api::job::JobContext;
use backstay_engine_api::{EngineError, ErrorKind};
use command_fds::{CommandFdExt as _, FdMapping};
use rustix::fs::{MemfdFlags, Mode};

use super::find_by_name;

/// The descriptor that the option file has in the child. Any that is not 0, 1 or 2.
const OPTION_FILE_FD: i32 = 3;
/// How often it is looked whether the job is cancelled.
const LOOK: Duration = Duration::from_millis(200);
/// How often a wait looks whether the program has ended; what programs do takes longer.
const LOOK_FOR_END: Duration = Duration::from_millis(5);

/// What the environment could tell a server or a client besides its option file, or whom a server would tell of its start.
const ENVIRONMENT: [&str; 7] = [
    "MYSQL_PWD",
    "MYSQL_HOST",
    "MYSQL_TCP_PORT",
    "MYSQL_UNIX_PORT",
    "MYSQL_GROUP_SUFFIX",
    "MYSQL_HOME",
    "NOTIFY_SOCKET",
];

/// A command for a program that the kernel ends when its parent is gone, where util-linux's `setpriv` is installed (on Debian it
/// always is).
///
/// NOTE: the kernel's "parent" is the *thread* that starts the child.
pub(crate) fn command(program: &Path) -> Command {
    let mut command = match find_by_name(&["setpriv"], &[]) {
        Some(setpriv) => {
            let mut command = Command::new(setpriv);
            command.args(["--pdeathsig", "KILL", "--"]).arg(program);
            command
        }
        None => Command::new(program),
    };
    for variable in ENVIRONMENT {
        command.env_remove(variable);
    }
    command.stdin(Stdio::null());
    command
}

/// The only option file that a program reads: what stands in the files of whoever runs us is not about its server.
#[derive(Debug, Clone, Copy)]
pub enum OptionFile<'a> {
    /// One with this text, that is in memory only: it may hold a password.
    Text(&'a str),
    /// A file without secrets.
    Path(&'a Path),
}

/// A program that runs, its stderr captured. It is killed when this is dropped, and when the job is cancelled.
#[derive(Debug)]
pub struct Child {
    child: Arc<Mutex<std::process::Child>>,
    /// Dropped with the rest: the watcher goes then.
    _watched: mpsc::Sender<()>,
    job: JobContext,
}

/// Ends a [`Child`] from another thread.
#[derive(Debug, Clone)]
pub struct Killer(Arc<Mutex<std::process::Child>>);

impl Killer {
    /// Ends it, if it has not ended by itself.
    pub fn kill(&self) {
        let _ = locked(&self.0).kill();
    }
}

impl Child {
    /// Starts a program. `args` hold no secret, and come after the option file.
    ///
    /// Where util-linux's `setpriv` is installed (on Debian it always is), the kernel kills the program should this process, or the
    /// thread that calls this, end without having waited for it. Elsewhere it ends when it next writes to us.
    ///
    /// # Errors
    /// [`ErrorKind::Program`] if it can not be started.
    pub fn start(
        job: &JobContext,
        program: &Path,
        options: OptionFile<'_>,
        args: &[String],
        stdin: Stdio,
        stdout: Stdio,
    ) -> Result<Self, EngineError> {
        let failed = |error: &(dyn std::error::Error + 'static)| {
            let message = format!("{} can not be started", program.display());
            EngineError::new(ErrorKind::Program, message).because(error)
        };
        let mut command = command(program);
        // Not --defaults-extra-file, which is read besides the usual ones. MySQL's clients read a login file besides, wherever
        // the variable says.
        command.env("MYSQL_TEST_LOGIN_FILE", "/dev/null/none");
        match options {
            OptionFile::Text(text) => command
                .arg(format!("--defaults-file=/dev/fd/{OPTION_FILE_FD}"))
                .fd_mappings(vec![FdMapping {
                    parent_fd: in_memory(text).map_err(|error| failed(&error))?,
                    child_fd: OPTION_FILE_FD,
                }])
                .map_err(|error| failed(&error))?,
            OptionFile::Path(path) => command.arg(format!("--defaults-file={}", path.display())),
        };
        let child = command
            .args(args)
            .stdin(stdin)
            .stdout(stdout)
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|error| failed(&error))?;
        let child = Arc::new(Mutex::new(child));
        let (watched, watch) = mpsc::channel();
        let (killer, watched_job) = (Killer(Arc::clone(&child)), job.clone());
        // A thread of its own: whoever reads from or writes to a program that waits for a lock blocks as long as the program does.
        thread::spawn(move || {
            while watch.recv_timeout(LOOK) == Err(mpsc::RecvTimeoutError::Timeout) {
                if watched_job.cancelled() {
                    return killer.kill();
                }
            }
        });
        Ok(Self {
            child,
            _watched: watched,
            job: job.clone(),
        })
    }

    /// Its stdin if it is a pipe, once.
    pub fn stdin(&mut self) -> Option<ChildStdin> {
        locked(&self.child).stdin.take()
    }

    /// Its stdout if it is a pipe, once.
    pub fn stdout(&mut self) -> Option<ChildStdout> {
        locked(&self.child).stdout.take()
    }

    /// Its stderr, once. Somebody must read it to its end, or the program stops at a full pipe.
    pub fn stderr(&mut self) -> Option<ChildStderr> {
        locked(&self.child).stderr.take()
    }

    /// What ends it from another thread.
    pub fn killer(&self) -> Killer {
        Killer(Arc::clone(&self.child))
    }

    /// Waits for it to end.
    ///
    /// # Errors
    /// [`ErrorKind::Cancelled`], or the system can not say how it ended.
    pub fn wait(&self) -> Result<ExitStatus, EngineError> {
        loop {
            if let Some(status) = locked(&self.child).try_wait()? {
                self.job.check_cancelled()?;
                return Ok(status);
            }
            thread::sleep(LOOK_FOR_END);
        }
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        // Both do nothing if it has been waited for.
        let mut child = locked(&self.child);
        let _ = child.kill();
        let _ = child.wait();
    }
}

fn locked(child: &Mutex<std::process::Child>) -> MutexGuard<'_, std::process::Child> {
    child.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A text as a file that is in memory only. A pipe would not do: programs read their option file more than once.
fn in_memory(text: &str) -> std::io::Result<OwnedFd> {
    let fd = rustix::fs::memfd_create("backstay-option-file", MemfdFlags::CLOEXEC)?;
    // Option files that everybody may write, which a new one is, are ignored.
    rustix::fs::fchmod(&fd, Mode::RUSR | Mode::WUSR)?;
    let mut file = File::from(fd);
    file.write_all(text.as_bytes())?;
    Ok(file.into())
}
