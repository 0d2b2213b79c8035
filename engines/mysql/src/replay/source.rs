//! A MySQL or MariaDB source on loopback that serves the transactions of a plan to one replica, and nothing else.
//!
//! To a replica it is a server like any other: it greets (`login`), answers what replicas ask (`queries`), and sends a binary log
//! (`stream`) whose events are those of the plan, byte for byte. After the last one it only says that it is alive.

mod commands;
mod connection;
mod events;
mod login;
mod packets;
mod queries;
mod stream;

use std::io::Read;
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use backstay_engine_api::position::mysql::Uuid;
use backstay_engine_api::{EngineError, ErrorKind};

use super::plan::{File, Plan};
use crate::binlog::Checksum;
pub(super) use events::Description;
pub(super) use login::Account;

/// How often a listener looks whether it is to stop.
const LOOK: Duration = Duration::from_millis(20);

/// Who a source is.
#[derive(Debug, Clone)]
pub(super) struct Identity {
    pub(super) server_id: u32,
    pub(super) uuid: Uuid,
    /// The version of the server whose logs they are.
    pub(super) version: String,
    pub(super) mariadb: bool,
    /// Whether transactions have GTIDs.
    pub(super) gtids: bool,
    /// What is at the end of each event.
    pub(super) checksum: Checksum,
    /// The id that the replica has: an event that carries it would be taken for its own, and passed over.
    pub(super) target_id: u32,
}

/// Opens an object of a plan.
pub(super) type Opener = dyn Fn(&File) -> Result<Box<dyn Read + Send>, EngineError> + Send + Sync;

/// What the threads of a source share.
struct Shared {
    identity: Identity,
    account: Account,
    plan: Arc<Plan>,
    open: Box<Opener>,
    stop: AtomicBool,
    /// The replica has enough to do.
    hold: AtomicBool,
    /// How many of the plan's transactions have been sent, counted from its start.
    sent: AtomicU64,
    failure: Mutex<Option<EngineError>>,
    connections: Mutex<Vec<TcpStream>>,
}

/// A running source. It stops when dropped.
pub(super) struct Source {
    shared: Arc<Shared>,
    port: u16,
    listener: Option<JoinHandle<()>>,
}

impl Source {
    /// Starts it on a free port of 127.0.0.1.
    ///
    /// # Errors
    /// There is no port.
    pub(super) fn start(
        identity: Identity,
        account: Account,
        plan: Arc<Plan>,
        open: Box<Opener>,
    ) -> Result<Self, EngineError> {
        let failed = |error: std::io::Error| {
            EngineError::new(ErrorKind::Io, "the source for the replay can not listen on 127.0.0.1").because(&error)
        };
        let listener = TcpListener::bind(("127.0.0.1", 0)).map_err(failed)?;
        listener.set_nonblocking(true).map_err(failed)?;
        let port = listener.local_addr().map_err(failed)?.port();
        let shared = Arc::new(Shared {
            identity,
            account,
            plan,
            open,
            stop: AtomicBool::new(false),
            hold: AtomicBool::new(false),
            sent: AtomicU64::new(0),
            failure: Mutex::new(None),
            connections: Mutex::default(),
        });
        let served = Arc::clone(&shared);
        let listener = thread::Builder::new()
            .name("replay-source".to_owned())
            .spawn(move || listen(&listener, &served))
            .map_err(failed)?;
        Ok(Self {
            shared,
            port,
            listener: Some(listener),
        })
    }

    pub(super) fn port(&self) -> u16 {
        self.port
    }

    /// How many of the plan's transactions have been sent.
    pub(super) fn sent(&self) -> u64 {
        self.shared.sent.load(Ordering::Relaxed)
    }

    /// Why it can not go on, if it can not.
    pub(super) fn failure(&self) -> Option<EngineError> {
        locked(&self.shared.failure).clone()
    }

    /// Has it wait with further events, or go on.
    pub(super) fn hold(&self, hold: bool) {
        self.shared.hold.store(hold, Ordering::Relaxed);
    }
}

impl Drop for Source {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::Relaxed);
        for stream in locked(&self.shared.connections).iter() {
            // It fails where the other end has gone already.
            let _ = stream.shutdown(Shutdown::Both);
        }
        if let Some(listener) = self.listener.take() {
            // It only ends; a panic of it has been told.
            let _ = listener.join();
        }
    }
}

impl Shared {
    fn stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    /// The first failure is the one that counts.
    fn fail(&self, error: EngineError) {
        locked(&self.failure).get_or_insert(error);
    }
}

fn listen(listener: &TcpListener, shared: &Arc<Shared>) {
    let mut threads = Vec::new();
    while !shared.stopped() {
        let Ok((stream, _)) = listener.accept() else {
            thread::sleep(LOOK);
            continue;
        };
        if let Ok(other) = stream.try_clone() {
            locked(&shared.connections).push(other);
        }
        let shared = Arc::clone(shared);
        let spawned = thread::Builder::new()
            .name("replay-dump".to_owned())
            .spawn(move || connection::serve(stream, &shared));
        threads.extend(spawned);
    }
    for stream in locked(&shared.connections).iter() {
        let _ = stream.shutdown(Shutdown::Both);
    }
    for thread in threads {
        let _ = thread.join();
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
