//! Notes of recoveries that are not over, so that one that was killed goes on where it was.

use super::store::Durability;
use super::{Repository, layout};
use crate::Result;

impl Repository {
    /// What was noted of a recovery of a cluster to a target; `None` if none is under way there.
    ///
    /// # Errors
    /// The repository can not be read.
    pub fn recovery(&self, cluster: &str, target: &str) -> Result<Option<Vec<u8>>> {
        self.wait(self.store.read(&layout::recovery(cluster, target)?))
    }

    /// Notes how far a recovery is.
    ///
    /// # Errors
    /// The repository can not be written.
    pub fn note_recovery(&self, cluster: &str, target: &str, note: Vec<u8>) -> Result<()> {
        let path = layout::recovery(cluster, target)?;
        self.wait(self.store.put(&path, note, Durability::Cached))
    }

    /// Forgets a recovery: it is over.
    ///
    /// # Errors
    /// The repository can not be written.
    pub fn forget_recovery(&self, cluster: &str, target: &str) -> Result<()> {
        self.wait(self.store.remove(&layout::recovery(cluster, target)?))
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::each_store;

    #[test]
    fn a_note_is_kept_and_forgotten() {
        each_store(|repository| {
            assert_eq!(repository.recovery("orders", "ab12").unwrap(), None);
            repository.note_recovery("orders", "ab12", b"one".to_vec()).unwrap();
            repository.note_recovery("orders", "ab12", b"two".to_vec()).unwrap();
            assert_eq!(repository.recovery("orders", "ab12").unwrap(), Some(b"two".to_vec()));
            repository.forget_recovery("orders", "ab12").unwrap();
            assert_eq!(repository.recovery("orders", "ab12").unwrap(), None);
            assert!(repository.list("orders").unwrap().unfinished.is_empty());
        });
    }
}
