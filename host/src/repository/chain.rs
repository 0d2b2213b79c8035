//! From an incremental backup back to the full one that it stands on.

use std::collections::HashSet;

use backstay_engine_api::{BackupKind, BackupRecord, Order, Position};

use super::{Manifest, Repository};
use crate::{Error, ErrorKind, Result};

impl Repository {
    /// What a restore of a backup needs: the full backup first, the one that was asked for last.
    ///
    /// # Errors
    /// A backup of the chain is missing or damaged, or does not begin where its parent ends ([`ErrorKind::Damaged`]).
    pub fn chain(&self, cluster: &str, id: &str) -> Result<Vec<Manifest>> {
        let mut chain = vec![self.backup(cluster, id)?];
        let mut seen = HashSet::new();
        loop {
            let child = &chain[chain.len() - 1].record;
            if !seen.insert(child.id.clone()) {
                return Err(broken(id, format!("backup {} stands on itself", child.id)));
            }
            let Some(parent) = parent_of(child)? else {
                break;
            };
            let parent = self.manifest(cluster, parent)?.ok_or_else(|| {
                broken(
                    id,
                    format!("backup {} stands on {parent}, which is not in the repository", child.id),
                )
            })?;
            follows(&parent.record, child)?;
            chain.push(parent);
        }
        chain.reverse();
        Ok(chain)
    }
}

/// The id of the backup that one stands on, if it is an incremental.
pub(super) fn parent_of(record: &BackupRecord) -> Result<Option<&str>> {
    match (record.kind, record.parent.as_deref()) {
        (BackupKind::Full, None) => Ok(None),
        (BackupKind::Incremental, Some(parent)) => Ok(Some(parent)),
        (BackupKind::Full, Some(parent)) => Err(broken(
            &record.id,
            format!("it is a full backup and names a parent, {parent}"),
        )),
        // A piece of log leads on from wherever a server has what it presupposes.
        (BackupKind::Incremental, None) if record.log.is_some() => Ok(None),
        (BackupKind::Incremental, None) => Err(broken(
            &record.id,
            "it is an incremental backup and names no parent".to_owned(),
        )),
    }
}

/// Whether a backup begins where its parent ends.
///
/// # Errors
/// It does not: there is a gap, or the two say it in ways that can not be compared ([`ErrorKind::Damaged`]).
pub(crate) fn follows(parent: &BackupRecord, child: &BackupRecord) -> Result<()> {
    let Some(start) = child.from.first() else {
        // A database without a log has no positions; there the parent's id is all that there is.
        if parent.positions.is_empty() {
            return Ok(());
        }
        return Err(gap(child, parent, "it does not say where it starts".to_owned()));
    };
    let Some(end) = parent.positions.iter().find(|end| end.kind == start.kind) else {
        return Err(gap(
            child,
            parent,
            format!("it starts at {}, of which its parent knows nothing", show(start)),
        ));
    };
    if covers(end, start) {
        return Ok(());
    }
    let message = format!("it starts at {}, its parent ends at {}", show(start), show(end));
    Err(gap(child, parent, message))
}

/// Whether one who has all up to `end` can go on from `start`, both of one kind. What lies between a start that is earlier and
/// the end is there twice, and is applied once.
fn covers(end: &Position, start: &Position) -> bool {
    matches!(start.compare(end), Ok(Order::Equal | Order::Before))
}

fn show(position: &Position) -> String {
    format!("{} {}", position.kind, position.value)
}

fn gap(child: &BackupRecord, parent: &BackupRecord, found: String) -> Error {
    let message = format!(
        "there is a gap between backup {} and its parent {}: {found}",
        child.id, parent.id
    );
    Error::new(ErrorKind::Damaged, message).advise("take a full backup; the parent restores without this one")
}

fn broken(id: &str, found: String) -> Error {
    Error::new(ErrorKind::Damaged, format!("backup {id} can not be restored: {found}"))
        .advise("restore another backup; take a full backup")
}

#[cfg(test)]
mod tests {
    use super::super::testing::{commit, each_store, position, record};
    use super::*;

    #[test]
    fn a_chain_goes_from_full_to_last() {
        each_store(|repository| {
            for (id, parent) in [("a-full", None), ("b-inc", Some("a-full")), ("c-inc", Some("b-inc"))] {
                commit(repository, record(id, parent)).unwrap();
            }
            let chain = repository.chain("orders", "c-inc").unwrap();
            let ids: Vec<_> = chain.iter().map(|manifest| manifest.record.id.as_str()).collect();
            assert_eq!(ids, ["a-full", "b-inc", "c-inc"]);
            assert_eq!(repository.chain("orders", "a-full").unwrap().len(), 1);

            // An operator removes what others stand on by hand.
            let paths = repository.paths("orders", "b-inc").unwrap();
            repository.wait(repository.store.remove(&paths.manifest)).unwrap();
            insta::allow_duplicates! {
                insta::assert_snapshot!(repository.chain("orders", "c-inc").unwrap_err(), @"backup c-inc can not be restored: backup c-inc stands on b-inc, which is not in the repository; restore another backup; take a full backup");
            }
        });
    }

    #[test]
    fn a_gap_is_named() {
        let parent = record("a-full", None);
        let mut child = record("b-inc", Some("a-full"));
        assert!(follows(&parent, &child).is_ok());
        child.from = vec![position("mysql-gtid", "3e11fa47-71ca-11e1-9e33-c80aa9429562:1-9")];
        insta::assert_snapshot!(follows(&parent, &child).unwrap_err(), @"there is a gap between backup b-inc and its parent a-full: it starts at mysql-gtid 3e11fa47-71ca-11e1-9e33-c80aa9429562:1-9, its parent ends at mysql-gtid 3e11fa47-71ca-11e1-9e33-c80aa9429562:1-5; take a full backup; the parent restores without this one");
        child.from = vec![position("lsn", "7")];
        insta::assert_snapshot!(follows(&parent, &child).unwrap_err(), @"there is a gap between backup b-inc and its parent a-full: it starts at lsn 7, of which its parent knows nothing; take a full backup; the parent restores without this one");
        child.from.clear();
        insta::assert_snapshot!(follows(&parent, &child).unwrap_err(), @"there is a gap between backup b-inc and its parent a-full: it does not say where it starts; take a full backup; the parent restores without this one");
        let mut parent = parent;
        parent.positions.clear();
        assert!(follows(&parent, &child).is_ok());
    }

    #[test]
    fn kind_and_parent_must_fit() {
        let mut full = record("a-full", None);
        full.parent = Some("b".into());
        insta::assert_snapshot!(parent_of(&full).unwrap_err(), @"backup a-full can not be restored: it is a full backup and names a parent, b; restore another backup; take a full backup");
        let mut incremental = record("b-inc", Some("a-full"));
        incremental.parent = None;
        incremental.log = Some(Default::default());
        assert_eq!(parent_of(&incremental).unwrap(), None);
        incremental.log = None;
        insta::assert_snapshot!(parent_of(&incremental).unwrap_err(), @"backup b-inc can not be restored: it is an incremental backup and names no parent; restore another backup; take a full backup");
    }
}
