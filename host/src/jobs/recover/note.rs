//! What is noted of a recovery while it lasts: a killed one goes on where it was.

use backstay_engine_api::wire::Target;
use backstay_engine_api::{Notice, Position, Server};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::super::{Host, seconds};
use crate::error::{ErrorKind, Result};
use crate::recovery::Plan;
use crate::repository::index::hex;

/// A recovery that is not over.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Note {
    /// Where to, for people.
    pub(super) target: String,
    /// How.
    pub(super) plan: Plan,
    /// When it began (RFC 3339, UTC).
    pub(super) began: String,
    /// Where the target stands since its backup is restored; none before that.
    pub(super) restored: Option<Vec<Position>>,
    /// What the restore had to say, once there was one.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) notices: Vec<Notice>,
    /// The server that it was restored to, where that is known: another one may be started at its address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) server: Option<String>,
}

/// A target's name in messages.
pub(super) fn target_name(target: &Target) -> String {
    match target {
        Target::Server(server) => server.name.clone(),
        Target::DataDir { path, .. } => path.display().to_string(),
    }
}

/// A target's name in the repository.
fn key(target: &Target) -> String {
    let mut digest = Sha256::new();
    digest.update(match target {
        Target::Server(_) => "server ",
        Target::DataDir { .. } => "datadir ",
    });
    digest.update(crate::repository::locks::Holder::host_name());
    digest.update([0]);
    digest.update(target_name(target));
    if let Target::Server(Server {
        socket: Some(socket), ..
    }) = target
    {
        // Two servers of one machine may have the same name.
        digest.update([0]);
        digest.update(socket.as_os_str().as_encoded_bytes());
    }
    hex(&digest.finalize())[..32].to_owned()
}

impl Note {
    pub(super) fn new(target: &Target, plan: &Plan) -> Self {
        Self {
            target: target_name(target),
            plan: plan.clone(),
            began: seconds(Timestamp::now()),
            restored: None,
            notices: Vec::new(),
            server: None,
        }
    }
}

impl Host {
    /// The recovery to a target that is not over, if there is one. A note that can not be read counts as none.
    pub(super) fn recovery_under_way(&self, cluster: &str, target: &Target) -> Result<Option<Note>> {
        let Some(bytes) = self.repository.recovery(cluster, &key(target))? else {
            return Ok(None);
        };
        let note: Option<Note> = serde_json::from_slice(&bytes).ok();
        // A data directory that was emptied since, or is gone, is another target.
        let gone =
            |path: &std::path::Path| std::fs::read_dir(path).map_or(true, |mut entries| entries.next().is_none());
        Ok(note.filter(|note| match target {
            Target::DataDir { path, .. } => note.restored.is_none() || !gone(path),
            Target::Server(_) => true,
        }))
    }

    /// Notes how far a recovery is. Without a note it can not be resumed, and is made all the same.
    pub(super) fn note_recovery(&self, cluster: &str, target: &Target, note: &Note) {
        let noted = serde_json::to_vec_pretty(note)
            .map_err(|error| crate::Error::new(ErrorKind::Other, error.to_string()))
            .and_then(|bytes| self.repository.note_recovery(cluster, &key(target), bytes));
        if let Err(error) = noted {
            tracing::warn!(
                "how far the recovery is could not be noted, so that it can not be resumed if it is killed: {error}"
            );
        }
    }

    /// The recovery is over, or nothing of it is left.
    pub(super) fn forget_recovery(&self, cluster: &str, target: &Target) {
        if let Err(error) = self.repository.forget_recovery(cluster, &key(target)) {
            tracing::warn!("the note of the recovery is left in the repository: {error}");
        }
    }
}
