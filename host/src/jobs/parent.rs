//! Which backup an incremental stands on.

use backstay_engine_api::position::BinlogFile;
use backstay_engine_api::position::mariadb::GtidPosition;
use backstay_engine_api::position::mysql::GtidSet;
use backstay_engine_api::{BackupRecord, Operation, Position, Server, ServerFacts};
use serde_json::Value;

use super::Host;
use crate::error::{Error, ErrorKind, Result};
use crate::plugin::Inspected;
use crate::recovery::{PARTIAL, origin_of};
use crate::repository::{Listing, Manifest};

/// The name that means: the newest that will do.
const AUTO: &str = "auto";

/// What an incremental is to stand on.
#[derive(Debug)]
pub(super) enum Parent {
    Backup(Box<BackupRecord>),
    /// The newest that there is, of whichever member.
    Newest(Box<BackupRecord>),
    /// Of which there need be no backup.
    Position(Position),
}

impl Host {
    /// The parent of that name, or the position; for `auto` the newest backup of the cluster that the engine can build on and that can be
    /// restored as far as its record says.
    ///
    /// # Errors
    /// There is none, or the engine does not take incrementals of a position.
    pub(super) fn parent(&self, cluster: &str, name: &str, plugin: &Inspected) -> Result<Parent> {
        if let Some(position) = position(name)? {
            if !plugin.manifest.increments_from_positions {
                let engine = &plugin.manifest.name;
                let message = format!("engine `{engine}` takes an incremental of a backup, and {name} is a position");
                return Err(Error::new(ErrorKind::Unsupported, message)
                    .advise("name a backup; `backstay list` shows those that there are"));
            }
            return Ok(Parent::Position(position));
        }
        if name != AUTO {
            return Ok(Parent::Backup(Box::new(self.repository.find(cluster, name)?.record)));
        }
        let listing = self.repository.list(cluster)?;
        let newest = self.newest(&listing, cluster, plugin, |_| true)?;
        Ok(Parent::Newest(Box::new(newest)))
    }

    /// The newest backup of a cluster that an engine can build on and that is one of those wanted.
    fn newest(
        &self,
        listing: &Listing,
        cluster: &str,
        plugin: &Inspected,
        wanted: impl Fn(&BackupRecord) -> bool,
    ) -> Result<BackupRecord> {
        let whole = |id: &str| self.repository.chain(cluster, id).map(|_| ());
        Ok(newest(listing, plugin, wanted, whole)?.record.clone())
    }

    /// The newest backup of the server that is backed up, where `newest` is the newest of all and the engine needs its own files of the
    /// parent.
    fn newest_of_server(
        &self,
        cluster: &str,
        newest: BackupRecord,
        plugin: &Inspected,
        facts: impl FnOnce() -> Result<ServerFacts>,
    ) -> Result<BackupRecord> {
        if plugin.manifest.increments_from_positions {
            return Ok(newest);
        }
        let listing = self.repository.list(cluster)?;
        let mut all = listing.backups.iter().map(|manifest| &manifest.record);
        let of_another = |record: &BackupRecord| {
            record.engine.name == plugin.manifest.name && are_two(&record.server, &newest.server)
        };
        if !all.any(of_another) {
            return Ok(newest);
        }
        let found = match facts() {
            Ok(found) => found,
            Err(error) if error.kind == ErrorKind::Cancelled => return Err(error),
            // One that is stopped can not be asked; whether the newest will do, the engine sees by its files.
            Err(error) => {
                tracing::debug!("which server it is is not known: {error}");
                return Ok(newest);
            }
        };
        if !are_two(&found, &newest.server) {
            return Ok(newest);
        }
        let of_server = |record: &BackupRecord| !are_two(&record.server, &found);
        self.newest(&listing, cluster, plugin, of_server)
            .map_err(|error| error.detail(format!("{}: it is of another server", newest.id)))
    }

    /// The parent's record, as the engine is given it. A position is one of the server that is backed up. An engine that needs its own
    /// files of the parent is given the newest of that server, where there are backups of several.
    pub(super) fn parent_record(
        &self,
        cluster: &str,
        parent: Parent,
        plugin: &Inspected,
        server: &Server,
        options: &Value,
    ) -> Result<BackupRecord> {
        let facts = || match plugin.manifest.has(Operation::Probe) {
            true => self.probe(cluster, plugin, server.clone(), options),
            false => Ok(ServerFacts::default()),
        };
        match parent {
            Parent::Backup(record) => Ok(*record),
            Parent::Newest(newest) => {
                let chosen = self.newest_of_server(cluster, *newest, plugin, facts)?;
                tracing::info!("the incremental stands on {}", chosen.id);
                Ok(chosen)
            }
            Parent::Position(position) => Ok(BackupRecord::of_position(cluster, position, facts()?)),
        }
    }
}

/// The position that is named: a GTID set, MariaDB's GTID of each domain, or a binary log and an offset. No id looks like one.
fn position(name: &str) -> Result<Option<Position>> {
    if name.contains(':') {
        if let Ok(set) = name.parse::<GtidSet>() {
            return Ok(Some(Position::mysql_gtid(&set)));
        }
        if let Ok(place) = name.parse::<BinlogFile>() {
            return Ok(Some(Position::binlog_file(&place)));
        }
    } else if name.contains('-') && name.bytes().all(|byte| byte.is_ascii_digit() || b"-,".contains(&byte)) {
        if let Ok(position) = name.parse::<GtidPosition>() {
            return Ok(Some(Position::mariadb_gtid(&position)));
        }
    } else {
        return Ok(None);
    }
    Err(
        Error::new(ErrorKind::Usage, format!("`{name}` is no position, and no backup's id looks so")).advise(
            "write a GTID set (3e11fa47-71ca-11e1-9e33-c80aa9429562:1-20), MariaDB's GTIDs (0-1-7,1-1-3), or a binary log and an offset \
             (binlog.000002:157)",
        ),
    )
}

/// Whether these are two servers, as far as both say who they are.
fn are_two(one: &ServerFacts, other: &ServerFacts) -> bool {
    match (origin_of(&one.identity), origin_of(&other.identity)) {
        (Some(one), Some(other)) => one != other,
        _ => false,
    }
}

/// The newest backup of those wanted that an engine can build on; `whole` says whether all is there that one stands on.
fn newest<'a>(
    listing: &'a Listing,
    plugin: &Inspected,
    wanted: impl Fn(&BackupRecord) -> bool,
    whole: impl Fn(&str) -> Result<()>,
) -> Result<&'a Manifest> {
    let engine = &plugin.manifest.name;
    let mut passed = Vec::new();
    for manifest in listing.backups.iter().rev() {
        let record = &manifest.record;
        if record.engine.name != *engine || !wanted(record) {
            continue;
        }
        if record.partial {
            passed.push((&record.id, PARTIAL.to_owned()));
            continue;
        }
        let fault = match whole(&record.id) {
            // What is made of log events needs no parent: it is enough that it says where it ends.
            Err(error) if record.log.is_none() || record.positions.is_empty() => error.message,
            _ => {
                for (id, why) in &passed {
                    tracing::warn!("{id} is newer and can not be built on: {why}");
                }
                return Ok(manifest);
            }
        };
        passed.push((&record.id, fault));
    }
    let mut error = Error::new(
        ErrorKind::Usage,
        format!("there is no backup with engine `{engine}` that an incremental could stand on"),
    )
    .advise("take a full backup first");
    for (id, why) in passed {
        error = error.detail(format!("{id}: {why}"));
    }
    for (id, damage) in &listing.damaged {
        error = error.detail(format!("{id}: {}", damage.message));
    }
    Err(error)
}

#[cfg(test)]
mod tests {
    use backstay_engine_api::PositionKind;

    use super::*;

    #[test]
    fn positions_are_told_from_ids() {
        const UUID: &str = "3e11fa47-71ca-11e1-9e33-c80aa9429562";
        let set = format!("{UUID}:1-20:audit:3");
        for (name, kind) in [
            (set.as_str(), PositionKind::MYSQL_GTID),
            ("0-1-7", PositionKind::MARIADB_GTID),
            ("0-1-7,1-1-3", PositionKind::MARIADB_GTID),
            ("binlog.000002:157", PositionKind::BINLOG_FILE),
        ] {
            let found = position(name).unwrap().unwrap();
            assert_eq!((found.kind, found.value.as_str()), (kind, name));
        }
        for name in ["auto", "latest", "20261122", "20261122T101530Z-full-mysqldump-7f3a"] {
            assert_eq!(position(name).unwrap(), None, "{name}");
        }
        for name in ["0-1", "binlog.000002:", ":5", "0-1-7-9"] {
            assert_eq!(position(name).unwrap_err().kind, ErrorKind::Usage, "{name}");
        }
    }
}
