//! What an incremental stands on: the state that a backup leaves for the next, and whether the next may use it.

use std::path::Path;

use backstay_engine_api::{BackupRecord, EngineError, ErrorKind, Order, Position, ServerFacts};
use backstay_physical::check_lineage;
use serde::{Deserialize, Serialize};

use super::imported::Tables;
use crate::NAME;
use crate::info::Checkpoints;
use crate::tool::Tool;

/// What a backup's record keeps for us.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct State {
    /// The tool's name, which is also whose it is.
    pub(crate) tool: String,
    pub(crate) tool_version: String,
    pub(crate) from_lsn: u64,
    pub(crate) to_lsn: u64,
    pub(crate) last_lsn: u64,
    /// How many files the tool's stream had.
    pub(crate) files: u64,
    /// What there was before the tool began.
    #[serde(flatten)]
    pub(crate) began: Began,
}

/// What an incremental compares with what there is by then. Not in records of all versions.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Began {
    /// Which directory it is (`backstay_physical::lineage`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) lineage: Option<String>,
    /// MariaDB's tables.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) tables: Option<Tables>,
}

impl State {
    /// Of a backup that this engine made.
    ///
    /// # Errors
    /// [`ErrorKind::Refused`] if it did not; [`ErrorKind::Damaged`] if the record is not as it was written.
    pub(crate) fn of(record: &BackupRecord) -> Result<Self, EngineError> {
        if record.engine.name != NAME {
            let message = format!(
                "backup {} was made by the engine `{}`, and an incremental of `{NAME}` stands on a backup of its own",
                record.id, record.engine.name
            );
            return Err(EngineError::refused(message).advise("take a full backup with this engine first"));
        }
        serde_json::from_value(record.state.clone()).map_err(|error| {
            EngineError::new(
                ErrorKind::Damaged,
                format!("the record of backup {} does not say where it ends", record.id),
            )
            .because(&error)
        })
    }
}

/// The parent's state, if an incremental of this server and its directory can stand on it.
pub(super) fn check(
    parent: &BackupRecord,
    server: &ServerFacts,
    tool: &Tool,
    data_dir: &Path,
) -> Result<State, EngineError> {
    let state = State::of(parent)?;
    let refuse = |what: &str, was: String, is: String| {
        Err(
            EngineError::refused(format!("{what}: backup {} is of {was}, and this is {is}", parent.id))
                .advise("take a full backup of this server"),
        )
    };
    if parent.server.identity != server.identity {
        let show = |facts: &ServerFacts| {
            let pairs: Vec<String> = facts
                .identity
                .iter()
                .map(|(key, value)| format!("{key} {value}"))
                .collect();
            pairs.join(", ")
        };
        return refuse(
            "an incremental must be of the same server",
            show(&parent.server),
            show(server),
        );
    }
    let series = |version: &str| {
        let number = backstay_mysql::Version::parse(version).number;
        (number.0, number.1)
    };
    if parent.server.flavour != server.flavour || series(&state.tool_version) != series(&tool.version.raw) {
        return refuse(
            "an incremental must be of the same series",
            format!("{} {}", parent.server.flavour, parent.server.version),
            format!("{} {}", server.flavour, server.version),
        );
    }
    // A server that was restored keeps its ids, and once it has gone on for long enough its numbers too are the parent's and more.
    match &state.began.lineage {
        Some(noted) => check_lineage(&parent.id, noted, data_dir)?,
        None => {
            let message = format!(
                "backup {} does not say of which files it is: whether the directory was restored since can not be told",
                parent.id
            );
            return Err(EngineError::refused(message).advise("take a full backup with this engine"));
        }
    }
    Ok(state)
}

/// Whether what was taken goes on where the parent ended. A server that was set back, or initialised anew, has numbers of its own.
pub(super) fn check_follows(
    parent: &BackupRecord,
    taken: &Checkpoints,
    positions: &[Position],
) -> Result<(), EngineError> {
    let state = State::of(parent)?;
    if taken.from_lsn != state.to_lsn {
        let message = format!(
            "the tool took pages since LSN {}, and was asked for those since {}",
            taken.from_lsn, state.to_lsn
        );
        return Err(EngineError::new(ErrorKind::Program, message));
    }
    for position in positions {
        let Some(before) = parent.positions.iter().find(|before| before.kind == position.kind) else {
            continue;
        };
        let order = before.compare(position).map_err(|error| {
            EngineError::other(format!("positions of backup {} can not be compared", parent.id)).because(&error)
        })?;
        if !matches!(order, Order::Equal | Order::Before) {
            let message = format!(
                "the server is at {position}, and backup {} of it was at {before}: its history is another by now",
                parent.id
            );
            return Err(
                EngineError::refused(message).advise("take a full backup; the parent restores without this one")
            );
        }
    }
    Ok(())
}
