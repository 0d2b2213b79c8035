//! Which backups there are.

use futures_util::{StreamExt, stream};
use jiff::Timestamp;

use super::layout::{self, BackupPaths};
use super::{Manifest, Repository, Unfinished};
use crate::{Error, ErrorKind, Result};

/// How many manifests are read at once.
const READS: usize = 16;
/// How many ids a message names.
const NAMED: usize = 5;

/// What is in a cluster's directory of backups, each in the order of time.
#[derive(Debug, Default)]
pub struct Listing {
    /// The backups.
    pub backups: Vec<Manifest>,
    /// What has no manifest: it is being written, or its job was killed.
    pub unfinished: Vec<Unfinished>,
    /// Ids whose manifest is damaged or of a newer format, and what is wrong with each.
    pub damaged: Vec<(String, Error)>,
}

impl Repository {
    /// The clusters that the repository knows, by name.
    ///
    /// # Errors
    /// It can not be read.
    pub fn clusters(&self) -> Result<Vec<String>> {
        self.wait(self.store.directory_names(&layout::clusters()))
    }

    /// What there is of a cluster; nothing, if the repository does not know it.
    ///
    /// # Errors
    /// The repository can not be read. A backup that is damaged is no error here.
    pub fn list(&self, cluster: &str) -> Result<Listing> {
        let ids = self.ids(cluster)?;
        let read = stream::iter(ids).map(|id| async {
            let manifest = self.store.manifest(cluster, &id).await;
            (id, manifest)
        });
        let mut listing = Listing::default();
        let mut without = Vec::new();
        for (id, manifest) in self.wait(read.buffered(READS).collect::<Vec<_>>()) {
            match manifest {
                Ok(Some(manifest)) => listing.backups.push(manifest),
                Ok(None) => without.push(id),
                Err(error) => listing.damaged.push((id, error)),
            }
        }
        if !without.is_empty() {
            // After the directories: who has one that was listed has taken its lock before.
            let running = self.running_jobs(cluster)?;
            let now = Timestamp::now();
            for id in without {
                let is_running = running.contains(&id);
                listing
                    .unfinished
                    .push(self.look_at_unfinished(cluster, id, is_running, now)?);
            }
        }
        Ok(listing)
    }

    /// The backup that is named by its id, by `latest`, or by a beginning of its id that no other has.
    ///
    /// `latest` is the newest one. If that is damaged, it is an error and not an older one: the operator decides.
    ///
    /// # Errors
    /// There is none, or more than one ([`ErrorKind::Usage`]), or it is damaged.
    pub fn find(&self, cluster: &str, name: &str) -> Result<Manifest> {
        if name == "latest" {
            for id in self.ids(cluster)?.iter().rev() {
                if let Some(manifest) = self.manifest(cluster, id)? {
                    return Ok(manifest);
                }
            }
            return Err(self.no_backup(cluster));
        }
        // The name comes from the command line, and is joined to a path.
        BackupPaths::new(cluster, name)?;
        if let Some(manifest) = self.manifest(cluster, name)? {
            return Ok(manifest);
        }
        let ids = self.ids(cluster)?;
        let mut found = Vec::new();
        for id in ids.iter().filter(|id| id.starts_with(name)) {
            let paths = BackupPaths::new(cluster, id)?;
            if self.wait(self.store.head(&paths.manifest))?.is_some() {
                found.push(id.as_str());
            }
        }
        match found[..] {
            [] if ids.iter().any(|id| id == name) => {
                let message = format!("backup {name} of cluster {cluster} is not complete: it has no manifest");
                Err(Error::new(ErrorKind::Usage, message).advise("`backstay list` shows those that are"))
            }
            [] => {
                let message = format!("there is no backup {name} of cluster {cluster} in {}", self.url());
                Err(Error::new(ErrorKind::Usage, message).advise("`backstay list` shows those that there are"))
            }
            [id] => self.backup(cluster, id),
            _ => {
                let shown = found[..found.len().min(NAMED)].join(", ");
                let more = if found.len() > NAMED { ", …" } else { "" };
                let message = format!(
                    "{} backups of cluster {cluster} begin with {name}: {shown}{more}",
                    found.len()
                );
                Err(Error::new(ErrorKind::Usage, message).advise("write more of the id"))
            }
        }
    }

    /// The backup of exactly that id.
    ///
    /// # Errors
    /// There is none ([`ErrorKind::Usage`]), or it is damaged.
    pub fn backup(&self, cluster: &str, id: &str) -> Result<Manifest> {
        self.manifest(cluster, id)?.ok_or_else(|| {
            let message = format!("there is no backup {id} of cluster {cluster} in {}", self.url());
            Error::new(ErrorKind::Usage, message).advise("`backstay list` shows those that there are")
        })
    }

    /// The ids of what there is, backups or not, in the order of time.
    fn ids(&self, cluster: &str) -> Result<Vec<String>> {
        let mut ids = self.wait(self.store.directory_names(&layout::backups(cluster)?))?;
        ids.sort_by(|one, other| {
            layout::by_time(one)
                .cmp(&layout::by_time(other))
                .then_with(|| one.cmp(other))
        });
        Ok(ids)
    }

    fn no_backup(&self, cluster: &str) -> Error {
        let message = format!("there is no backup of cluster {cluster} in {}", self.url());
        Error::new(ErrorKind::Usage, message).advise(format!("take one with `backstay backup --cluster {cluster}`"))
    }
}

#[cfg(test)]
mod tests {
    use super::super::store::Durability;
    use super::super::testing::{commit, each_store, record, write_data};
    use super::*;

    const OLD: &str = "20261120T000000Z-full-mysqldump-0001";
    const NEW: &str = "20261121T000000Z-full-mysqldump-0002";

    #[test]
    fn lists_and_finds() {
        each_store(|repository| {
            insta::allow_duplicates! {
            assert!(repository.list("orders").unwrap().backups.is_empty());
            let error = repository.find("orders", "latest").unwrap_err().to_string();
            let error = error.replace(repository.url(), "URL");
            insta::assert_snapshot!(error, @"there is no backup of cluster orders in URL; take one with `backstay backup --cluster orders`");

            commit(repository, record(NEW, None)).unwrap();
            commit(repository, record(OLD, None)).unwrap();
            let killed = "20261122T000000Z-full-mysqldump-0003";
            write_data(repository, killed);

            let listing = repository.list("orders").unwrap();
            let ids: Vec<_> = listing.backups.iter().map(|manifest| manifest.record.id.as_str()).collect();
            assert_eq!(ids, [OLD, NEW]);
            let [unfinished] = &listing.unfinished[..] else { panic!("{listing:?}") };
            assert_eq!((unfinished.id.as_str(), unfinished.running), (killed, false));
            assert_eq!((unfinished.files, unfinished.bytes), (3, 39));
            assert!(listing.damaged.is_empty());
            assert_eq!(repository.clusters().unwrap(), ["orders"]);

            for (name, id) in [("latest", NEW), (OLD, OLD), ("20261120", OLD), ("20261121T", NEW)] {
                assert_eq!(repository.find("orders", name).unwrap().record.id, id, "{name}");
            }
            insta::assert_snapshot!(repository.find("orders", "2026112").unwrap_err(), @"2 backups of cluster orders begin with 2026112: 20261120T000000Z-full-mysqldump-0001, 20261121T000000Z-full-mysqldump-0002; write more of the id");
            insta::assert_snapshot!(repository.find("orders", killed).unwrap_err(), @"backup 20261122T000000Z-full-mysqldump-0003 of cluster orders is not complete: it has no manifest; `backstay list` shows those that are");
            let error = repository.find("orders", "1999").unwrap_err().to_string();
            insta::assert_snapshot!(error.replace(repository.url(), "URL"), @"there is no backup 1999 of cluster orders in URL; `backstay list` shows those that there are");
            insta::assert_snapshot!(repository.find("orders", "../x").unwrap_err(), @r#""../x" is no backup's id; `backstay list` shows them"#);
            }
        });
    }

    #[test]
    fn what_is_damaged_is_listed_as_such() {
        each_store(|repository| {
            commit(repository, record(OLD, None)).unwrap();
            commit(repository, record(NEW, None)).unwrap();
            let paths = repository.paths("orders", NEW).unwrap();
            let (manifest, digest) = (paths.manifest.clone(), paths.manifest_digest.clone());

            repository.wait(repository.store.remove(&digest)).unwrap();
            let listing = repository.list("orders").unwrap();
            assert_eq!(listing.backups.len(), 1);
            let [(id, error)] = &listing.damaged[..] else {
                panic!("{listing:?}")
            };
            assert_eq!((id.as_str(), error.kind), (NEW, ErrorKind::Damaged));
            insta::allow_duplicates! {
                insta::assert_snapshot!(error, @"clusters/orders/backups/20261121T000000Z-full-mysqldump-0002/manifest.json.sha256 is missing, so the manifest beside it can not be trusted; restore another backup; `backstay verify` shows which are sound");
            }
            assert_eq!(
                repository.find("orders", "latest").unwrap_err().kind,
                ErrorKind::Damaged
            );
            assert_eq!(repository.find("orders", OLD).unwrap().record.id, OLD);

            let text = b"{}".to_vec();
            repository
                .wait(repository.store.put(&manifest, text, Durability::Cached))
                .unwrap();
            assert_eq!(repository.list("orders").unwrap().damaged.len(), 1);
        });
    }
}
