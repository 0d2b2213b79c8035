//! Letting a backup go.

use super::layout::BackupPaths;
use super::{Repository, sync};
use crate::{Error, Result};

impl Repository {
    /// Deletes a backup: its manifest first, so that what a killed delete leaves is a leftover and not a damaged backup. Who
    /// calls it holds the cluster's backup lock, or an incremental may begin meanwhile that stands on it.
    ///
    /// # Errors
    /// There is none, another backup stands on it ([`ErrorKind::Refused`](crate::ErrorKind::Refused)), or the repository
    /// can not be written.
    pub fn delete_backup(&self, cluster: &str, id: &str) -> Result<()> {
        let paths = BackupPaths::new(cluster, id)?;
        let listing = self.list(cluster)?;
        let is_there = listing.backups.iter().any(|backup| backup.record.id == id)
            || listing.damaged.iter().any(|(damaged, _)| damaged == id);
        if !is_there {
            // With the error of a backup that is not there.
            self.backup(cluster, id)?;
        }
        let mut records = listing.backups.iter().map(|backup| &backup.record);
        if let Some(child) = records.find(|record| record.parent.as_deref() == Some(id)) {
            return Err(
                Error::refused(format!("backup {id} can not be deleted: {} stands on it", child.id))
                    .advise("delete that one first"),
            );
        }
        self.wait(self.store.remove(&paths.manifest))?;
        if let Some(directory) = self.store.file(&paths.directory) {
            // After a power failure the manifest must not be back without its data.
            sync::directory(&directory).map_err(|error| self.store.io_failed("sync", &paths.directory, &error))?;
        }
        self.wait(self.store.remove_tree(&paths.directory)).map(drop)
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{commit, each_store, record};

    #[test]
    fn what_others_stand_on_stays() {
        each_store(|repository| {
            commit(repository, record("a-full", None)).unwrap();
            commit(repository, record("b-inc", Some("a-full"))).unwrap();
            insta::allow_duplicates! {
                insta::assert_snapshot!(repository.delete_backup("orders", "a-full").unwrap_err(), @"backup a-full can not be deleted: b-inc stands on it; delete that one first");
                let error = repository.delete_backup("orders", "c").unwrap_err().to_string();
                insta::assert_snapshot!(error.replace(repository.url(), "URL"), @"there is no backup c of cluster orders in URL; `backstay list` shows those that there are");
            }
            repository.delete_backup("orders", "b-inc").unwrap();
            repository.delete_backup("orders", "a-full").unwrap();
            let listing = repository.list("orders").unwrap();
            assert!(
                listing.backups.is_empty() && listing.unfinished.is_empty(),
                "{listing:?}"
            );
        });
    }
}
