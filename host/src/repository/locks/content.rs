//! What a lock's object says, and what follows from it.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::super::layout;
use super::holder::{Holder, Life};
use super::{Lock, Purpose};
use crate::Error;

/// The job that a lock is held for.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobRef {
    /// Its id: for a backup, the id that it will have.
    pub id: String,
    /// The engine that it runs.
    #[serde(default)]
    pub engine: String,
    /// The workflow that asked for it, if one did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub workflow: Option<String>,
}

/// A job that was killed, as its lock knew it: what its engine's `clean` is told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeadJob {
    /// The job.
    pub job: JobRef,
    /// The process that it ran in.
    pub holder: Holder,
    /// When it took the lock.
    pub acquired: Timestamp,
    /// The server that its sessions are on, by the name that the configuration gives it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub server: Option<String>,
    /// The sessions that held locks there.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub sessions: Vec<String>,
}

/// A lock's object.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LockFile {
    /// Who holds it.
    pub holder: Holder,
    /// For which job.
    pub job: JobRef,
    /// Since when.
    pub acquired: Timestamp,
    /// Until when, if it is not renewed.
    pub expires: Timestamp,
    /// When it was given back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub released: Option<Timestamp>,
    /// The server that the job has sessions on, by the name that the configuration gives it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub server: Option<String>,
    /// The sessions that hold locks there.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub sessions: Vec<String>,
    /// Jobs that died with the lock, and that nobody has cleaned up after yet.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub dead_jobs: Vec<DeadJob>,
}

/// Whether a lock can be taken.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Standing {
    /// Its holder lives, or may live.
    Held,
    /// It was given back.
    Released,
    /// Its holder is gone, and why that is known.
    Dead(String),
}

impl LockFile {
    /// A lock of this process, from now on.
    pub(super) fn new(job: JobRef, dead_jobs: Vec<DeadJob>, ttl: Duration) -> Self {
        let now = layout::now();
        let mut file = Self {
            holder: Holder::this(),
            job,
            acquired: now,
            expires: now,
            released: None,
            server: None,
            sessions: Vec::new(),
            dead_jobs,
        };
        file.renew(ttl);
        file
    }

    pub(super) fn renew(&mut self, ttl: Duration) {
        let ttl = SignedDuration::try_from(ttl).unwrap_or(SignedDuration::MAX);
        self.expires = layout::now().saturating_add(ttl).unwrap_or(Timestamp::MAX);
    }

    pub(super) fn release(&mut self) {
        self.released = Some(layout::now());
        self.server = None;
        self.sessions.clear();
    }

    /// As [`release`](Self::release), by one who does not know what is left of the job.
    pub(super) fn abandon(&mut self) {
        if !self.sessions.is_empty() {
            self.dead_jobs = self.clone().with_itself_dead();
        }
        self.release();
    }

    pub(super) fn encode(&self) -> Vec<u8> {
        let mut text = serde_json::to_vec_pretty(self).expect("a lock is JSON");
        text.push(b'\n');
        text
    }

    /// From an object's bytes. What can not be read (a machine that lost power may leave an empty file) counts as the lock
    /// of someone unknown who took it when the object was written, in seconds since 1970.
    pub(super) fn decode(text: &[u8], modified: i64) -> Self {
        serde_json::from_slice(text).unwrap_or_else(|_| {
            let acquired = Timestamp::from_second(modified).unwrap_or(Timestamp::MIN);
            let mut file = Self::new(JobRef::default(), Vec::new(), Duration::ZERO);
            file.holder = Holder::default();
            file.acquired = acquired;
            let ttl = SignedDuration::from_secs(Lock::TTL.as_secs().cast_signed());
            file.expires = acquired.saturating_add(ttl).unwrap_or(Timestamp::MAX);
            file
        })
    }

    pub(super) fn standing(&self, now: Timestamp) -> Standing {
        if self.released.is_some() {
            return Standing::Released;
        }
        match self.holder.life() {
            Life::Ended => Standing::Dead(format!("{} has ended", self.holder)),
            // It may be stopped, or unable to renew on a full disk: it has its data all the same.
            Life::Lives => Standing::Held,
            Life::Unknown if self.expires <= now => {
                Standing::Dead(format!("{} let it expire at {}", self.holder, self.expires))
            }
            Life::Unknown => Standing::Held,
        }
    }

    /// The dead jobs that the next holder has to know of: those that this one knew of, and its own.
    pub(super) fn with_itself_dead(self) -> Vec<DeadJob> {
        let mut dead = self.dead_jobs;
        // Of an object that can not be read there is nothing to clean up by.
        if !self.job.id.is_empty() {
            dead.push(DeadJob {
                job: self.job,
                holder: self.holder,
                acquired: self.acquired,
                server: self.server,
                sessions: self.sessions,
            });
        }
        dead
    }

    /// Why another can not have it.
    pub(super) fn refusal(&self, cluster: &str, purpose: Purpose) -> Error {
        let job = match self.job.id.as_str() {
            "" => String::new(),
            id => format!(" (job {id})"),
        };
        Error::refused(format!(
            "the {} lock of cluster {cluster} is held by {}{job} since {}, until {} if it is not renewed",
            purpose.name(),
            self.holder,
            self.acquired,
            self.expires
        ))
        .advise("wait until that job is done, or end it: the lock of a dead process is taken over")
    }
}
