//! Numbered locks: one job of a purpose at a time for each cluster.
//!
//! A lock is an object `locks/<purpose>/<epoch>`. Whoever makes the next epoch, with an atomic create, holds the lock; what
//! the object says is only for those who come next: who holds it, for which job, and until when. The holder renews it from
//! a thread of its own. Time decides only when a lock may be taken from a holder of whom nothing else is known; that a
//! holder who was wrongly taken for dead does no harm is decided by the epoch, which a commit checks again.
//!
//! What keeps this right on stores that can create atomically and no more:
//!
//! - Epochs only grow: a release marks the highest object and leaves it (unless the disk is full), and only objects two
//!   or more below one's own are removed.
//! - Who has made an epoch looks again whether it is the highest. One who had looked before an older object was
//!   removed can make that number once more, and finds the higher one now.
//! - A job that was killed is named in the lock of its successor, with the sessions that it had guarded, until it has
//!   been cleaned up after; and in its successor's successor if that one is killed too.

mod content;
mod holder;

use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use object_store::path::Path;

pub use content::{DeadJob, JobRef, LockFile};
pub use holder::Holder;

use super::store::Durability;
use super::{Repository, layout};
use crate::{Error, ErrorKind, Result};
use content::Standing;

/// What a lock is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Purpose {
    /// Backups of the cluster, and letting them go.
    Backup,
    /// The archive of its logs.
    Archive,
}

impl Purpose {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::Backup, Self::Archive];

    /// Its name in paths and messages.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Backup => "backup",
            Self::Archive => "archive",
        }
    }
}

/// A lock that this process holds.
///
/// Dropped without [`release`](Self::release), it is released as well, and a failure to do so is only logged. If the job has
/// sessions then, it counts as dead: whoever dropped the lock has not said that they are ended.
#[derive(Debug)]
pub struct Lock {
    held: Arc<Held>,
    renewer: Option<(Sender<()>, JoinHandle<()>)>,
}

#[derive(Debug)]
struct Held {
    repository: Repository,
    cluster: String,
    purpose: Purpose,
    epoch: u64,
    ttl: Duration,
    /// What the object says. Held while it is written, so that two writers do not undo each other's work.
    file: Mutex<LockFile>,
}

impl Lock {
    /// How long a lock is good for without being renewed. It is renewed three times as often.
    pub const TTL: Duration = Duration::from_secs(60);

    /// Takes a lock.
    ///
    /// # Errors
    /// Another holds it ([`ErrorKind::Refused`]), or the repository can not be written.
    pub fn acquire(repository: &Repository, cluster: &str, purpose: Purpose, job: JobRef) -> Result<Self> {
        Self::acquire_for(repository, cluster, purpose, job, Self::TTL)
    }

    /// Takes a lock that is good for `ttl` without being renewed.
    ///
    /// # Errors
    /// As [`acquire`](Self::acquire).
    pub fn acquire_for(
        repository: &Repository,
        cluster: &str,
        purpose: Purpose,
        job: JobRef,
        ttl: Duration,
    ) -> Result<Self> {
        let directory = directory(cluster, purpose)?;
        for _ in 0..ATTEMPTS {
            let epochs = repository.wait(repository.epochs(&directory))?;
            let (highest, dead) = match epochs.last() {
                None => (0, Vec::new()),
                Some(&highest) => match repository.lock_file(&directory, highest)? {
                    // Removed since: there are higher ones now.
                    None => continue,
                    Some(file) => match file.standing(layout::now()) {
                        Standing::Held => return Err(file.refusal(cluster, purpose)),
                        Standing::Released => (highest, file.dead_jobs),
                        Standing::Dead(why) => {
                            tracing::warn!("taking over the {} lock of cluster {cluster}: {why}", purpose.name());
                            (highest, file.with_itself_dead())
                        }
                    },
                },
            };
            let epoch = highest + 1;
            let file = LockFile::new(job.clone(), dead, ttl);
            let path = object(&directory, epoch);
            if !repository.wait(repository.store.create(&path, file.encode(), Durability::Cached))? {
                continue;
            }
            if repository.wait(repository.epochs(&directory))?.last() != Some(&epoch) {
                repository.wait(repository.store.remove(&path))?;
                continue;
            }
            for old in epochs.iter().filter(|old| **old + 1 < epoch) {
                repository.wait(repository.store.remove(&object(&directory, *old)))?;
            }
            let held = Arc::new(Held {
                repository: repository.clone(),
                cluster: cluster.to_owned(),
                purpose,
                epoch,
                ttl,
                file: Mutex::new(file),
            });
            return Ok(Self {
                renewer: Some(Held::start_renewing(&held)?),
                held,
            });
        }
        let message = format!(
            "the {} lock of cluster {cluster} changes hands all the time",
            purpose.name()
        );
        Err(Error::refused(message).advise(format!("look at {directory} in {}", repository.url())))
    }

    /// Its number.
    pub fn epoch(&self) -> u64 {
        self.held.epoch
    }

    /// Jobs that were killed while they held the lock and that nobody has cleaned up after yet.
    pub fn dead_jobs(&self) -> Vec<DeadJob> {
        self.held.file().dead_jobs.clone()
    }

    /// Says that a dead job has been cleaned up after. Until then every later holder is told of it.
    ///
    /// # Errors
    /// The lock was lost, or the repository can not be written.
    pub fn cleaned(&self, job: &str) -> Result<()> {
        self.held
            .update(|file| file.dead_jobs.retain(|dead| dead.job.id != job))
    }

    /// Says which sessions on which server the job holds locks with, for whoever has to clean up after it. Each call
    /// replaces what the one before said.
    ///
    /// # Errors
    /// The lock was lost, or the repository can not be written.
    pub fn note_sessions(&self, sessions: &[String], server: &str) -> Result<()> {
        self.held.update(|file| {
            file.server = Some(server.to_owned());
            file.sessions = sessions.to_vec();
        })
    }

    /// Makes it good for its whole time again.
    ///
    /// # Errors
    /// The lock was lost, or the repository can not be written.
    pub fn renew(&self) -> Result<()> {
        self.held.update(|_| ())
    }

    /// Whether it still holds: no higher epoch, and not expired.
    ///
    /// # Errors
    /// It does not ([`ErrorKind::Refused`]), or the repository can not be read.
    pub fn check(&self) -> Result<()> {
        self.held.check_epoch()?;
        let expires = self.held.file().expires;
        if expires <= layout::now() {
            return Err(self
                .held
                .lost(&format!("it expired at {expires} and could not be renewed")));
        }
        Ok(())
    }

    /// Gives it back. Nothing of the job is left on the server.
    ///
    /// # Errors
    /// The lock was lost before, or the repository can not be written.
    pub fn release(mut self) -> Result<()> {
        self.end(LockFile::release)
    }

    fn end(&mut self, mark: impl FnOnce(&mut LockFile)) -> Result<()> {
        let Some((stop, thread)) = self.renewer.take() else {
            return Ok(());
        };
        drop(stop);
        // Its panic, if there was one, has been printed and concerns nobody any more.
        let _ = thread.join();
        match self.held.update(mark) {
            // A full disk has no room for the mark, and still lets the object be removed. The number is free again then,
            // which is well because nobody has it any more; the object before it is still there and names the dead.
            Err(error) if error.kind == ErrorKind::Io => self.held.remove().map_err(|_| error),
            result => result,
        }
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        if let Err(error) = self.end(LockFile::abandon) {
            tracing::warn!("{error}");
        }
    }
}

impl Held {
    fn file(&self) -> MutexGuard<'_, LockFile> {
        // The content is replaced as a whole and so is good after a panic, too.
        self.file.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn start_renewing(held: &Arc<Self>) -> Result<(Sender<()>, JoinHandle<()>)> {
        let (stop, stopped) = mpsc::channel::<()>();
        let renewed = Arc::clone(held);
        let renew = move || {
            while let Err(RecvTimeoutError::Timeout) = stopped.recv_timeout(renewed.ttl / 3) {
                // Tried again until the job's end: a full disk may have space again. Whether the lock still holds is
                // found out by the checks.
                if let Err(error) = renewed.update(|_| ()) {
                    tracing::warn!("{error}");
                }
            }
        };
        let thread = thread::Builder::new().name("backstay-lock".to_owned()).spawn(renew);
        let thread =
            thread.map_err(|error| Error::other("can not start the thread that renews locks").because(&error))?;
        Ok((stop, thread))
    }

    /// Changes what the object says, and makes it good for its whole time again.
    fn update(&self, change: impl FnOnce(&mut LockFile)) -> Result<()> {
        let mut file = self.file();
        self.check_epoch()?;
        let mut next = file.clone();
        next.renew(self.ttl);
        change(&mut next);
        let path = object(&directory(&self.cluster, self.purpose)?, self.epoch);
        let store = &self.repository.store;
        self.repository
            .wait(store.put(&path, next.encode(), Durability::Cached))?;
        *file = next;
        Ok(())
    }

    fn remove(&self) -> Result<()> {
        let path = object(&directory(&self.cluster, self.purpose)?, self.epoch);
        self.repository.wait(self.repository.store.remove(&path))
    }

    fn check_epoch(&self) -> Result<()> {
        let directory = directory(&self.cluster, self.purpose)?;
        match self.repository.wait(self.repository.epochs(&directory))?.last() {
            Some(&highest) if highest == self.epoch => Ok(()),
            Some(highest) => Err(self.lost(&format!("epoch {highest} has followed its epoch {}", self.epoch))),
            None => {
                // A repository that is away has no locks either.
                self.repository.check_present()?;
                Err(self.lost("its object was removed"))
            }
        }
    }

    fn lost(&self, why: &str) -> Error {
        let (purpose, cluster) = (self.purpose.name(), &self.cluster);
        Error::refused(format!("the {purpose} lock of cluster {cluster} was lost: {why}"))
            .advise("another job may be running; start this one again when it is done")
    }
}

impl Repository {
    /// Takes a lock, and answers whom to clean up after first: [`Lock::acquire`] and [`Lock::dead_jobs`].
    ///
    /// # Errors
    /// Another holds it ([`ErrorKind::Refused`]), or the repository can not be written.
    pub fn lock(&self, cluster: &str, purpose: Purpose, job: JobRef) -> Result<(Lock, Vec<DeadJob>)> {
        let lock = Lock::acquire(self, cluster, purpose, job)?;
        let dead = lock.dead_jobs();
        Ok((lock, dead))
    }

    /// What a cluster's lock says; `None` where it was never taken, or is released.
    ///
    /// # Errors
    /// The repository can not be read.
    pub fn locked_by(&self, cluster: &str, purpose: Purpose) -> Result<Option<LockFile>> {
        let directory = directory(cluster, purpose)?;
        let Some(&highest) = self.wait(self.epochs(&directory))?.last() else {
            return Ok(None);
        };
        let file = self.lock_file(&directory, highest)?;
        Ok(file.filter(|file| matches!(file.standing(layout::now()), Standing::Held)))
    }

    /// The ids of the jobs that hold one of a cluster's locks now.
    pub(super) fn running_jobs(&self, cluster: &str) -> Result<Vec<String>> {
        let mut jobs = Vec::new();
        for purpose in Purpose::ALL {
            jobs.extend(self.locked_by(cluster, purpose)?.map(|file| file.job.id));
        }
        Ok(jobs)
    }

    fn lock_file(&self, directory: &Path, epoch: u64) -> Result<Option<LockFile>> {
        let path = object(directory, epoch);
        self.wait(async {
            let Some(meta) = self.store.head(&path).await? else {
                return Ok(None);
            };
            let text = self.store.read(&path).await?;
            Ok(text.map(|text| LockFile::decode(&text, meta.last_modified.timestamp())))
        })
    }

    /// The epochs of a lock, in order.
    async fn epochs(&self, directory: &Path) -> Result<Vec<u64>> {
        let names = self.store.object_names(directory).await?;
        // Names have leading zeros, so that their order is the numbers'. Anything else there is not ours.
        Ok(names
            .iter()
            .filter(|name| name.len() == DIGITS)
            .filter_map(|name| name.parse().ok())
            .collect())
    }
}

/// How often a lock is tried for while others come first. That this is not enough means that something else is wrong.
const ATTEMPTS: usize = 100;

/// How many digits an epoch has in a path: those of the largest.
const DIGITS: usize = 20;

fn directory(cluster: &str, purpose: Purpose) -> Result<Path> {
    Ok(layout::locks(cluster)?.join(purpose.name()))
}

fn object(directory: &Path, epoch: u64) -> Path {
    directory.clone().join(format!("{epoch:0DIGITS$}"))
}

#[cfg(test)]
mod tests;
