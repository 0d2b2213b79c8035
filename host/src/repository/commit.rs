//! Making a backup of what a job has written: from here on it is listed.

use object_store::path::Path;

use super::chain::{follows, parent_of};
use super::layout::BackupPaths;
use super::store::{Durability, with_advice};
use super::{Lock, Manifest, Repository, sync};
use crate::{Error, ErrorKind, Result};

impl Repository {
    /// Lists a backup: checks that what its job says it has written is there, that nobody has taken the lock from it, and
    /// that it begins where its parent ends; syncs all of it; and makes the manifest.
    ///
    /// # Errors
    /// Any. There is no backup then, and what is there is garbage.
    pub fn commit(&self, manifest: &Manifest, lock: &Lock) -> Result<()> {
        let record = &manifest.record;
        let paths = BackupPaths::new(&record.cluster, &record.id)?;
        lock.check()?;
        if let Some(parent) = parent_of(record)? {
            follows(&self.backup(&record.cluster, parent)?.record, record)?;
        }
        self.index_bytes(manifest)?;
        self.check_data(manifest, &paths)?;
        self.sync_backup(&paths)?;

        let (text, digest) = manifest.encode()?;
        // Made and not replaced, as the manifest is: of two commits of one id, the first goes on alone.
        if !self.wait(self.store.create(&paths.manifest_digest, digest, Durability::Synced))? {
            return Err(exists(&record.id, &paths.manifest_digest));
        }
        // The checks and the sync may have taken long. Renewed, the lock outlives what is left to do.
        lock.renew()?;
        match self.wait(self.store.create(&paths.manifest, text, Durability::Synced)) {
            Ok(true) => {}
            Ok(false) => return Err(exists(&record.id, &paths.manifest)),
            Err(error) => {
                // It may be there all the same, and not yet on the disk.
                let _ = self.wait(self.store.remove(&paths.manifest));
                return Err(error);
            }
        }
        // A process that was stopped between the two lines above may have lost its data to whoever holds the lock now.
        if let Err(error) = lock.check() {
            self.wait(self.store.remove(&paths.manifest))?;
            return Err(error);
        }
        Ok(())
    }

    fn check_data(&self, manifest: &Manifest, paths: &BackupPaths) -> Result<()> {
        let files = self.wait(self.store.list(&paths.data))?;
        let bytes: u64 = files.iter().map(|file| file.size).sum();
        let index = &manifest.index;
        if (files.len() as u64, bytes) == (index.data_files, index.data_bytes) {
            return Ok(());
        }
        let message = format!(
            "{} is not as it was written: {} files of {bytes} bytes, expected {} files of {} bytes",
            paths.data,
            files.len(),
            index.data_files,
            index.data_bytes
        );
        Err(Error::new(ErrorKind::Damaged, message).advise("take the backup again and check the disk"))
    }

    fn sync_backup(&self, paths: &BackupPaths) -> Result<()> {
        let (Some(root), Some(directory)) = (self.store.root(), self.store.file(&paths.directory)) else {
            return Ok(());
        };
        sync::tree(root, &directory).map_err(|unsynced| {
            let message = format!("can not sync {} to the disk", unsynced.path.display());
            let report = Error::new(ErrorKind::Io, message).detail(unsynced.error.to_string());
            with_advice(report, &unsynced.error)
        })
    }
}

fn exists(id: &str, path: &Path) -> Error {
    Error::refused(format!(
        "backup {id} exists already, or is being made by another: {path}"
    ))
    .advise("nothing was changed; take the backup again")
}

#[cfg(test)]
mod tests {
    use std::sync::Barrier;

    use super::super::locks::Purpose;
    use super::super::store::Durability;
    use super::super::testing::{commit, each_store, index_of, job, record, write_data};
    use super::*;

    const ID: &str = "20261122T101530Z-full-mysqldump-7f3a";

    fn error_of(repository: &Repository, manifest: &Manifest) -> String {
        let lock = Lock::acquire(repository, "orders", Purpose::Backup, job(ID)).unwrap();
        let error = repository.commit(manifest, &lock).unwrap_err();
        lock.release().unwrap();
        assert!(repository.list("orders").unwrap().backups.is_empty());
        error.to_string()
    }

    #[test]
    fn what_is_not_there_is_not_listed() {
        each_store(|repository| {
            insta::allow_duplicates! {
            write_data(repository, ID);
            let good = Manifest::new(record(ID, None), index_of(repository, ID));

            let mut manifest = good.clone();
            manifest.index.data_files = 3;
            insta::assert_snapshot!(error_of(repository, &manifest), @"clusters/orders/backups/20261122T101530Z-full-mysqldump-7f3a/data is not as it was written: 2 files of 30 bytes, expected 3 files of 30 bytes; take the backup again and check the disk");
            let mut manifest = good.clone();
            manifest.index.length = 8;
            insta::assert_snapshot!(error_of(repository, &manifest), @"clusters/orders/backups/20261122T101530Z-full-mysqldump-7f3a/objects.jsonl.zst is damaged: 9 bytes, expected 8; restore another backup; `backstay verify` shows which are sound");
            let mut manifest = good.clone();
            manifest.index.sha256 = "0".into();
            insta::assert_snapshot!(error_of(repository, &manifest), @"clusters/orders/backups/20261122T101530Z-full-mysqldump-7f3a/objects.jsonl.zst is damaged: SHA-256 2814ba1ae47e21f6f49e55683952d32eecba42333f12c643494aa1abcc173a0a, expected 0; restore another backup; `backstay verify` shows which are sound");
            let mut manifest = good.clone();
            manifest.record.kind = backstay_engine_api::BackupKind::Incremental;
            manifest.record.parent = Some("gone".into());
            let error = error_of(repository, &manifest).replace(repository.url(), "URL");
            insta::assert_snapshot!(error, @"there is no backup gone of cluster orders in URL; `backstay list` shows those that there are");

            let paths = repository.paths("orders", ID).unwrap();
            repository.wait(repository.store.remove(&paths.index)).unwrap();
            insta::assert_snapshot!(error_of(repository, &good), @"clusters/orders/backups/20261122T101530Z-full-mysqldump-7f3a/objects.jsonl.zst is missing; restore another backup; `backstay verify` shows which are sound");
            }
        });
    }

    #[test]
    fn is_made_once() {
        each_store(|repository| {
            let manifest = commit(repository, record(ID, None)).unwrap();
            let lock = Lock::acquire(repository, "orders", Purpose::Backup, job(ID)).unwrap();
            let error = repository.commit(&manifest, &lock).unwrap_err();
            assert_eq!(error.kind, ErrorKind::Refused);
            insta::allow_duplicates! {
                insta::assert_snapshot!(error, @"backup 20261122T101530Z-full-mysqldump-7f3a exists already, or is being made by another: clusters/orders/backups/20261122T101530Z-full-mysqldump-7f3a/manifest.json.sha256; nothing was changed; take the backup again");
            }
            assert_eq!(repository.find("orders", ID).unwrap(), manifest);
        });
    }

    #[test]
    fn one_of_many_at_once_wins() {
        each_store(|repository| {
            write_data(repository, ID);
            let manifest = Manifest::new(record(ID, None), index_of(repository, ID));
            let lock = Lock::acquire(repository, "orders", Purpose::Backup, job(ID)).unwrap();
            let barrier = Barrier::new(8);
            let attempt = || {
                barrier.wait();
                repository.commit(&manifest, &lock).is_ok()
            };
            let won = std::thread::scope(|scope| {
                let threads: Vec<_> = (0..8).map(|_| scope.spawn(attempt)).collect();
                threads
                    .into_iter()
                    .map(|thread| thread.join().unwrap())
                    .filter(|won| *won)
                    .count()
            });
            assert_eq!(won, 1);
            assert_eq!(repository.list("orders").unwrap().backups.len(), 1);
        });
    }

    #[test]
    fn a_lock_that_was_lost_lists_nothing() {
        each_store(|repository| {
            write_data(repository, ID);
            let manifest = Manifest::new(record(ID, None), index_of(repository, ID));
            let lock = Lock::acquire(repository, "orders", Purpose::Backup, job(ID)).unwrap();
            let next = super::super::layout::locks("orders")
                .unwrap()
                .join("backup")
                .join("00000000000000000002");
            repository
                .wait(repository.store.put(&next, b"{}".to_vec(), Durability::Cached))
                .unwrap();
            let error = repository.commit(&manifest, &lock).unwrap_err();
            assert_eq!(error.kind, ErrorKind::Refused);
            assert!(repository.list("orders").unwrap().backups.is_empty());
        });
    }
}
