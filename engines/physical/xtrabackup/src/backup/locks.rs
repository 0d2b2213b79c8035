//! [`LockWatch`]: the tool's sessions, while they wait for locks.
//!
//! The tools bound some of their waits and not others: `mariadb-backup` has a timeout for BACKUP STAGE START, and none for the
//! stages after it, each of which can wait for a long transaction or query, with everybody else waiting behind it. A server
//! does not notice that a client is gone while it waits for a lock either, so that a tool that was killed could block all writers.
//! Therefore a session of our own looks: who waits is guarded, and is ended when it has waited for too long.

use std::collections::BTreeMap;
use std::sync::mpsc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use backstay_engine_api::job::{JobContext, SessionGuard};
use backstay_engine_api::{EngineError, ErrorKind};
use backstay_mysql::Session;
use backstay_mysql::programs::Killer;

/// How often it looks.
const LOOK: Duration = Duration::from_millis(250);

/// Statements by which the tools take locks.
const LOCKING: [&str; 6] = [
    "BACKUP STAGE",
    "BACKUP LOCK",
    "LOCK INSTANCE FOR BACKUP",
    "LOCK TABLES FOR BACKUP",
    "FLUSH TABLES WITH READ LOCK",
    "FLUSH NO_WRITE_TO_BINLOG TABLES",
];

/// A watch that has a session and no tool yet.
#[derive(Debug)]
pub(super) struct LockWatch {
    job: JobContext,
    session: Session,
    limit: Duration,
    user: String,
    /// Sessions that came before the tool.
    newest: u64,
}

/// One that watches.
#[derive(Debug)]
pub(super) struct Watching {
    stop: mpsc::Sender<()>,
    thread: JoinHandle<Result<(), EngineError>>,
}

/// A session that waits for a lock, and since when we have seen it do so.
#[derive(Debug)]
struct Waiting {
    statement: String,
    since: Instant,
    /// While it lives the host ends the session should we die.
    _guard: SessionGuard,
}

impl LockWatch {
    /// Before the tool starts.
    pub(super) fn prepare(job: &JobContext, session: &Session, lock_wait: u64) -> Result<Self, EngineError> {
        let mut own = session.another()?;
        let all = sessions(&mut own)?;
        let id = own.connection_id();
        let user = all.iter().find(|row| row.id == id).map(|row| row.user.clone());
        Ok(Self {
            job: job.clone(),
            session: own,
            limit: Duration::from_secs(lock_wait),
            user: user.unwrap_or_default(),
            newest: all.iter().map(|row| row.id).max().unwrap_or(id),
        })
    }

    /// Watches until it is finished.
    pub(super) fn start(self, tool: Killer) -> Watching {
        let (stop, stopped) = mpsc::channel();
        let thread = std::thread::spawn(move || self.watch(&tool, &stopped));
        Watching { stop, thread }
    }

    fn watch(mut self, tool: &Killer, stopped: &mpsc::Receiver<()>) -> Result<(), EngineError> {
        let mut waiting: BTreeMap<u64, Waiting> = BTreeMap::new();
        let result = loop {
            if stopped.recv_timeout(LOOK) != Err(mpsc::RecvTimeoutError::Timeout) {
                break Ok(());
            }
            if let Err(error) = self.look(&mut waiting) {
                tool.kill();
                break Err(error);
            }
            if let Some((_, held)) = waiting.iter().find(|(_, held)| held.since.elapsed() >= self.limit) {
                let error = self.too_long(&held.statement);
                tool.kill();
                break Err(error);
            }
        };
        // The tool is gone by now or is done; a session of it that waits does not know.
        self.look(&mut waiting)?;
        for id in waiting.keys() {
            self.session.kill(*id)?;
        }
        result
    }

    fn look(&mut self, waiting: &mut BTreeMap<u64, Waiting>) -> Result<(), EngineError> {
        let mut found = BTreeMap::new();
        for row in sessions(&mut self.session)? {
            let statement = row.statement.trim_start();
            let locking = LOCKING.iter().any(|lock| {
                statement
                    .get(..lock.len())
                    .is_some_and(|start| start.eq_ignore_ascii_case(lock))
            });
            if !locking || row.id <= self.newest || row.user != self.user {
                continue;
            }
            let held = match waiting.remove(&row.id) {
                Some(held) if held.statement == statement => held,
                _ => Waiting {
                    statement: statement.to_owned(),
                    since: Instant::now(),
                    _guard: self.job.guard(self.session.guard_name(row.id))?,
                },
            };
            found.insert(row.id, held);
        }
        *waiting = found;
        Ok(())
    }

    fn too_long(&mut self, statement: &str) -> EngineError {
        let message = format!(
            "the tool has waited for {} s for a lock (`{statement}`), and others wait behind it",
            self.limit.as_secs()
        );
        let mut error = EngineError::new(ErrorKind::Busy, message);
        // What runs longest is what it waits for, mostly.
        let mut others: Vec<Row> = sessions(&mut self.session)
            .unwrap_or_default()
            .into_iter()
            .filter(|row| row.id != self.session.connection_id() && row.user != "system user")
            .filter(|row| {
                row.command != "Daemon" && !row.command.starts_with("Binlog Dump") && row.statement != statement
            })
            .collect();
        others.sort_by_key(|row| std::cmp::Reverse(row.seconds));
        for row in others.iter().take(3) {
            let what: String = row.statement.chars().take(100).collect();
            error = error.detail(format!(
                "session {} of {} ({}) for {} s: {}",
                row.id,
                row.user,
                row.command,
                row.seconds,
                if what.is_empty() { "no statement" } else { &what }
            ));
        }
        error.advise("end the transaction or the query that holds it, or raise the option lock_wait")
    }
}

impl Watching {
    /// The tool has ended.
    ///
    /// # Errors
    /// [`ErrorKind::Busy`] if it was ended because it waited for too long.
    pub(super) fn finish(self) -> Result<(), EngineError> {
        // It may be gone already.
        let _ = self.stop.send(());
        self.thread
            .join()
            .unwrap_or_else(|_| Err(EngineError::other("the watch over the tool's sessions panicked")))
    }
}

/// A line of the process list.
#[derive(Debug)]
struct Row {
    id: u64,
    user: String,
    command: String,
    seconds: u64,
    statement: String,
}

fn sessions(session: &mut Session) -> Result<Vec<Row>, EngineError> {
    let rows = session.query_named("SHOW PROCESSLIST")?;
    Ok(rows
        .iter()
        .filter_map(|row| {
            Some(Row {
                id: row.get(&["Id"])?.parse().ok()?,
                user: row.get(&["User"])?.to_owned(),
                command: row.get(&["Command"]).unwrap_or_default().to_owned(),
                seconds: row.get(&["Time"]).and_then(|time| time.parse().ok()).unwrap_or(0),
                statement: row.get(&["Info"]).unwrap_or_default().to_owned(),
            })
        })
        .collect())
}
