//! Segments of archived logs that were being published when an archive was killed. The next archive makes them anew, if there
//! is one and it goes on with that log.

use jiff::Timestamp;

use super::super::locks::Purpose;
use super::super::{JobRef, Lock, Repository, layout};
use super::Unfinished;
use crate::{ErrorKind, Result};

impl Repository {
    /// What is no segment of an archived log, and lies where one would be: `<log>/<segment>`.
    ///
    /// # Errors
    /// The repository can not be read.
    pub fn unfinished_segments(&self, cluster: &str) -> Result<Vec<Unfinished>> {
        let mut found = Vec::new();
        for stream in self.stream_ids(cluster)? {
            for name in self.segment_names(cluster, &stream)? {
                let directory = layout::segment(cluster, &stream, &name)?;
                let record = directory.clone().join(super::super::logs::SEGMENT);
                if self.wait(self.store.head(&record))?.is_none() {
                    found.push((format!("{stream}/{name}"), directory));
                }
            }
        }
        if found.is_empty() {
            return Ok(Vec::new());
        }
        // After the directories: an archive takes its lock before it writes one.
        let running = self.locked_by(cluster, Purpose::Archive)?.is_some();
        let now = Timestamp::now();
        let look = |(id, directory)| self.look_at(&directory, id, running, now);
        found.into_iter().map(look).collect()
    }

    /// Deletes them, unless an archive runs.
    pub(super) fn clear_unfinished_segments(&self, cluster: &str) -> Result<Vec<Unfinished>> {
        if !self
            .unfinished_segments(cluster)?
            .iter()
            .any(|unfinished| !unfinished.running)
        {
            return Ok(Vec::new());
        }
        // An archive that begins now would write to the same directories.
        let job = JobRef {
            id: layout::new_log_id(Timestamp::now(), "leftovers"),
            engine: String::new(),
            workflow: None,
        };
        let lock = match Lock::acquire(self, cluster, Purpose::Archive, job) {
            Err(error) if error.kind == ErrorKind::Refused => return Ok(Vec::new()),
            lock => lock?,
        };
        let mut cleared = self.unfinished_segments(cluster)?;
        for unfinished in &mut cleared {
            unfinished.running = false;
            if let Some((stream, name)) = unfinished.id.split_once('/') {
                let directory = layout::segment(cluster, stream, name)?;
                self.wait(self.store.remove_tree(&directory))?;
            }
        }
        lock.release()?;
        Ok(cleared)
    }
}

#[cfg(test)]
mod tests {
    use object_store::path::Path;

    use super::super::super::store::Durability;
    use super::super::super::testing::{each_store, job};
    use super::*;

    #[test]
    fn are_named_and_cleared_unless_an_archive_runs() {
        each_store(|repository| {
            let file = "clusters/orders/logs/20261122T101530Z-log-binlog-7f3a/000000000003/data/binlog.000001.zst";
            let put = || {
                repository.wait(
                    repository
                        .store
                        .put(&Path::from(file), b"12345".to_vec(), Durability::Cached),
                )
            };
            assert!(repository.unfinished_segments("orders").unwrap().is_empty());
            put().unwrap();
            let lock = Lock::acquire(repository, "orders", Purpose::Archive, job("an archive")).unwrap();
            let [running] = &repository.unfinished_segments("orders").unwrap()[..] else {
                panic!("one")
            };
            assert!(running.running);
            assert!(repository.clear_leftovers("orders").unwrap().is_empty());
            lock.release().unwrap();

            let found = repository.leftovers("orders").unwrap().unfinished;
            let [left] = &found[..] else { panic!("{found:?}") };
            assert_eq!(left.id, "20261122T101530Z-log-binlog-7f3a/000000000003");
            assert_eq!((left.files, left.bytes, left.running), (1, 5, false));
            assert_eq!(repository.clear_leftovers("orders").unwrap().unfinished.len(), 1);
            assert!(repository.leftovers("orders").unwrap().is_empty());
            assert!(repository.locked_by("orders", Purpose::Archive).unwrap().is_none());
        });
    }
}
