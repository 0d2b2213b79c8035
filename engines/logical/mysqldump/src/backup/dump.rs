//! [`Dump`]: the dump tool, started under the global read lock.
//!
//! How it is known that the tool's snapshot is open: the tool opens it (`START TRANSACTION WITH CONSISTENT SNAPSHOT`) before
//! it looks at the first schema, and waits for the answer. So once a byte of the first schema's section has arrived on its
//! stdout, or its stdout has ended, the snapshot is open. The tool writes when its buffer of 4 KiB is full, which takes a
//! few tables; reads go on under the lock. It opens no other transaction later: between tables it goes back to a savepoint
//! of this one.

use std::io::Read;
use std::process::{ChildStdout, Stdio};
use std::time::{Duration, Instant};

use backstay_engine_api::job::SessionGuard;
use backstay_engine_api::{BackupJob, EngineError, ErrorKind};
use backstay_mysql::{Program, Session, quote_text};
use memchr::memmem;
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use crate::inventory;
use crate::options::Options;
use crate::program::Running;
use crate::split::{Sink, Splitter};

/// The pipe's size and that of reads, in bytes: fewer switches between the tool and us.
const CHUNK: usize = 1 << 20;
/// How often a wait looks whether the job is cancelled.
const LOOK: Duration = Duration::from_millis(200);
/// What the first schema's section starts with.
const FIRST_SCHEMA: &[u8] = b"\n-- Current Database: ";

/// A dump that runs, its snapshot open.
#[derive(Debug)]
pub(crate) struct Dump {
    // Dropped in this order: the program ends before the guard of its session does.
    stdout: ChildStdout,
    program: Running,
    /// What was read of its stdout so far.
    beginning: Vec<u8>,
    ended: bool,
    /// Its session on the server, if that is known.
    session: Option<(u64, SessionGuard)>,
}

impl Dump {
    /// Starts the tool and waits until its snapshot is open.
    ///
    /// # Errors
    /// [`ErrorKind::Busy`] if it is not open in time; the tool's own errors; [`ErrorKind::Cancelled`].
    pub(crate) fn start(
        job: &BackupJob,
        options: &Options,
        program: &Program,
        locking: &mut Session,
        schemas: &[String],
    ) -> Result<Self, EngineError> {
        inventory::refuse_endless_events(locking, schemas)?;
        let history = locking.flavour().is_mariadb() && inventory::has_history(locking, schemas)?;
        let lock_name = lock_name(job.id());
        let args = arguments(options, program, history, &lock_name, schemas);
        let before = newest_session(locking)?;
        let mut running = Running::start(job, program, locking, &args, Stdio::null(), Stdio::piped())?;
        let stdout = running
            .stdout()
            .ok_or_else(|| EngineError::other("the dump tool has no stdout"))?;
        // A smaller pipe is slower, not wrong: unprivileged users may have used up their share.
        let _ = rustix::pipe::fcntl_setpipe_size(&stdout, CHUNK);
        let mut dump = Self {
            stdout,
            program: running,
            beginning: Vec::new(),
            ended: false,
            session: None,
        };

        let deadline = Instant::now() + options.lock_wait();
        let mut buffer = vec![0; CHUNK];
        while !dump.ended && memmem::find(&dump.beginning, FIRST_SCHEMA).is_none() {
            job.check_cancelled()?;
            if Instant::now() > deadline {
                let message = format!("the dump tool did not open its snapshot within {} s", options.lock_wait);
                return Err(EngineError::new(ErrorKind::Busy, message)
                    .advise("look for its session in SHOW PROCESSLIST, or raise the option lock_wait"));
            }
            if dump.wait_for_bytes()? {
                let count = dump.read(&mut buffer)?;
                dump.beginning.extend_from_slice(&buffer[..count]);
            }
        }
        if !dump.ended
            && let Some(id) = session_of_dump(locking, &lock_name, before)?
        {
            dump.session = Some((id, job.guard(locking.guard_name(id))?));
        }
        Ok(dump)
    }

    /// Splits the dump into sections, to its end. Where that fails, the tool's session is ended by `own`: the server might go
    /// on with a query that nobody waits for.
    ///
    /// # Errors
    /// The tool failed or complained, the dump is not whole, or `sink` failed.
    pub(crate) fn split_into(
        mut self,
        job: &BackupJob,
        own: &mut Session,
        sink: &mut impl Sink,
    ) -> Result<(), EngineError> {
        let session = self.session.take();
        let result = self.split(job, sink);
        if let (Err(_), Some((id, _guard))) = (&result, session) {
            // The first error is what is reported.
            let _ = own.kill(id);
        }
        result
    }

    fn split(mut self, job: &BackupJob, sink: &mut impl Sink) -> Result<(), EngineError> {
        let mut splitter = Splitter::default();
        let mut buffer = vec![0; CHUNK];
        let mut split = splitter.push(&std::mem::take(&mut self.beginning), sink);
        while split.is_ok() && !self.ended {
            job.check_cancelled()?;
            if self.wait_for_bytes()? {
                let count = self.read(&mut buffer)?;
                split = splitter.push(&buffer[..count], sink);
            }
        }
        // A cut-off dump is mostly the consequence of what the tool says.
        if self.ended {
            let section = splitter.current().to_string();
            let ended = self.program.wait()?;
            if !ended.is_clean() {
                return Err(ended.error(&format!("failed while it dumped {section}")));
            }
        }
        split?;
        splitter.finish(sink)
    }

    fn wait_for_bytes(&self) -> Result<bool, EngineError> {
        let mut fds = [PollFd::new(&self.stdout, PollFlags::IN)];
        let timeout = Timespec {
            tv_sec: 0,
            tv_nsec: i64::from(LOOK.subsec_nanos()),
        };
        match poll(&mut fds, Some(&timeout)) {
            Ok(ready) => Ok(ready > 0),
            Err(rustix::io::Errno::INTR) => Ok(false),
            Err(error) => Err(std::io::Error::from(error).into()),
        }
    }

    fn read(&mut self, buffer: &mut [u8]) -> Result<usize, EngineError> {
        let count = self.stdout.read(buffer)?;
        self.ended = count == 0;
        Ok(count)
    }
}

fn arguments(options: &Options, program: &Program, history: bool, lock_name: &str, schemas: &[String]) -> Vec<String> {
    let mut args: Vec<String> = [
        "--single-transaction",
        "--quick",
        "--routines",
        "--events",
        "--triggers",
        "--hex-blob",
        "--no-tablespaces",
        // Equal data, equal bytes.
        "--skip-dump-date",
        "--default-character-set=utf8mb4",
    ]
    .map(str::to_owned)
    .into();
    args.push(format!("--max-allowed-packet={}", options.max_allowed_packet));
    if program.flavour.is_mariadb() {
        // A table with a default from a sequence can not be loaded under LOCK TABLES, which names the table alone (error
        // 1100). Nobody else is on the tables during a restore.
        args.push("--skip-add-locks".to_owned());
        if history {
            args.push("--dump-history".to_owned());
        }
    } else {
        args.push("--set-gtid-purged=OFF".to_owned());
        // A named lock tells which session is the tool's.
        args.push(format!(
            "--loose-init-command=SELECT GET_LOCK({}, 0)",
            quote_text(lock_name)
        ));
    }
    args.push("--databases".to_owned());
    args.push("--".to_owned());
    args.extend(schemas.iter().cloned());
    args
}

/// A name for GET_LOCK, of at most 64 characters.
fn lock_name(job: &str) -> String {
    let tail: Vec<char> = job.chars().rev().take(48).collect();
    format!("backstay_{}", tail.into_iter().rev().collect::<String>())
}

/// The newest session that this account can see; ids only grow.
fn newest_session(session: &mut Session) -> Result<u64, EngineError> {
    Ok(sessions(session)?.into_iter().map(|(id, _)| id).max().unwrap_or(0))
}

/// The tool's session: the one that holds the named lock, or else (MariaDB's tool can not be told to take one) the only one
/// of our user that has come since. Where there are several, none is guarded: better than to kill a stranger's. The
/// tool ends by itself when we do, for it writes to us.
fn session_of_dump(session: &mut Session, lock_name: &str, before: u64) -> Result<Option<u64>, EngineError> {
    let holder: Option<Option<u64>> = session.query_first(format!("SELECT IS_USED_LOCK({})", quote_text(lock_name)))?;
    if let Some(Some(id)) = holder {
        return Ok(Some(id));
    }
    let own = session.connection_id();
    let all = sessions(session)?;
    let user = all.iter().find(|(id, _)| *id == own).map(|(_, user)| user.clone());
    let mut new = all
        .into_iter()
        .filter(|(id, name)| *id > before && Some(name) == user.as_ref());
    Ok(match (new.next(), new.next()) {
        (Some((id, _)), None) => Some(id),
        _ => None,
    })
}

fn sessions(session: &mut Session) -> Result<Vec<(u64, String)>, EngineError> {
    let rows = session.query_named("SHOW PROCESSLIST")?;
    Ok(rows
        .iter()
        .filter_map(|row| Some((row.get(&["Id"])?.parse().ok()?, row.get(&["User"])?.to_owned())))
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_locks_fit() {
        assert_eq!(
            lock_name("20261122T101530Z-full-mysqldump-7f3a"),
            "backstay_20261122T101530Z-full-mysqldump-7f3a"
        );
        assert_eq!(lock_name(&"x".repeat(100)).len(), 57);
    }
}
