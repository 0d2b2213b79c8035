//! Where what lies, and which names are allowed.
//!
//! ```text
//! backstay.json                                           the tree's format
//! clusters/<cluster>/backups/<id>/manifest.json           last, atomically
//! clusters/<cluster>/backups/<id>/manifest.json.sha256    its digest, as sha256sum prints it
//! clusters/<cluster>/backups/<id>/objects.jsonl.zst       the index of objects
//! clusters/<cluster>/backups/<id>/data/…                  the objects' bytes
//! clusters/<cluster>/logs/<stream>/stream.json            whose log it is, and where it begins; with its digest beside it
//! clusters/<cluster>/logs/<stream>/<number>/segment.json  last, atomically; as a manifest, with its digest beside it
//! clusters/<cluster>/logs/<stream>/<number>/…             a segment's index and data, as a backup's
//! clusters/<cluster>/locks/<purpose>/<epoch>              numbered locks
//! clusters/<cluster>/recoveries/<target>.json             how far a recovery is that is not over
//! ```

use backstay_engine_api::BackupKind;
use jiff::{SignedDuration, Timestamp};
use object_store::path::Path;

use super::Repository;
use crate::{Error, ErrorKind, Result};

/// The file that makes a tree a repository.
pub const MARKER: &str = "backstay.json";
/// A backup's manifest, in its directory.
pub const MANIFEST: &str = "manifest.json";
/// The manifest's digest, for `sha256sum -c`.
pub const MANIFEST_DIGEST: &str = "manifest.json.sha256";
/// The index of a backup's objects, in its directory.
pub const INDEX: &str = "objects.jsonl.zst";
/// The directory of a backup's data, in its directory.
pub const DATA: &str = "data";

/// How long a backup's id may be. Engines' names are the longest part of it.
const ID_LENGTH: usize = 128;

/// Where a backup's parts are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BackupPaths {
    /// The directory.
    pub directory: Path,
    /// The manifest.
    pub manifest: Path,
    /// The manifest's digest.
    pub manifest_digest: Path,
    /// The index of objects.
    pub index: Path,
    /// The directory of the objects' bytes.
    pub data: Path,
}

impl BackupPaths {
    /// Of a backup.
    ///
    /// # Errors
    /// The cluster's name or the id is none ([`ErrorKind::Usage`]).
    pub fn new(cluster: &str, id: &str) -> Result<Self> {
        check_id(id)?;
        let directory = backups(cluster)?.join(id);
        Ok(Self {
            manifest: directory.clone().join(MANIFEST),
            manifest_digest: directory.clone().join(MANIFEST_DIGEST),
            index: directory.clone().join(INDEX),
            data: directory.clone().join(DATA),
            directory,
        })
    }
}

impl Repository {
    /// Where a backup's parts are.
    ///
    /// # Errors
    /// The cluster's name or the id is none ([`ErrorKind::Usage`]).
    pub fn paths(&self, cluster: &str, id: &str) -> Result<BackupPaths> {
        BackupPaths::new(cluster, id)
    }
}

/// The directory of all clusters.
pub fn clusters() -> Path {
    Path::from("clusters")
}

/// The directory of a cluster's backups.
///
/// # Errors
/// The name is none ([`ErrorKind::Usage`]).
pub fn backups(cluster: &str) -> Result<Path> {
    Ok(of_cluster(cluster)?.join("backups"))
}

/// The directory of a cluster's archived logs.
///
/// # Errors
/// The name is none ([`ErrorKind::Usage`]).
pub fn logs(cluster: &str) -> Result<Path> {
    Ok(of_cluster(cluster)?.join("logs"))
}

/// The directory of an archived log.
///
/// # Errors
/// A name is none ([`ErrorKind::Usage`]).
pub fn stream(cluster: &str, stream: &str) -> Result<Path> {
    check_id(stream)?;
    Ok(logs(cluster)?.join(stream))
}

/// The directory of a segment of an archived log.
///
/// # Errors
/// A name is none ([`ErrorKind::Usage`]).
pub fn segment(cluster: &str, stream: &str, segment: &str) -> Result<Path> {
    check_name("log segment", segment)?;
    Ok(self::stream(cluster, stream)?.join(segment))
}

/// The directory of a cluster's locks.
///
/// # Errors
/// The name is none ([`ErrorKind::Usage`]).
pub fn locks(cluster: &str) -> Result<Path> {
    Ok(of_cluster(cluster)?.join("locks"))
}

/// The note of a recovery that is not over.
///
/// # Errors
/// A name is none ([`ErrorKind::Usage`]).
pub fn recovery(cluster: &str, target: &str) -> Result<Path> {
    check_name("recovery", target)?;
    Ok(of_cluster(cluster)?.join("recoveries").join(format!("{target}.json")))
}

pub(super) fn of_cluster(cluster: &str) -> Result<Path> {
    check_name("cluster", cluster)?;
    Ok(clusters().join(cluster))
}

/// Whether a name may be part of a path: 1 to 64 of letters, digits, `.`, `_` and `-`, and neither `.` nor `..`.
///
/// # Errors
/// It may not ([`ErrorKind::Usage`]); `what` says in the message what it is a name of.
pub fn check_name(what: &str, name: &str) -> Result<()> {
    if is_name(name, 64) {
        return Ok(());
    }
    let message = format!("{what} name {name:?} is not allowed");
    Err(Error::new(ErrorKind::Usage, message).advise("use 1 to 64 of A-Z a-z 0-9 . _ -"))
}

fn check_id(id: &str) -> Result<()> {
    if is_name(id, ID_LENGTH) {
        return Ok(());
    }
    Err(Error::new(ErrorKind::Usage, format!("{id:?} is no backup's id")).advise("`backstay list` shows them"))
}

fn is_name(name: &str, length: usize) -> bool {
    (1..=length).contains(&name.len())
        && name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte))
        && !matches!(name, "." | "..")
}

/// An id for a backup that begins now: `20261122T101530Z-full-mysqldump-7f3a`. It says what it is and when that began: its end is
/// the second's fraction in 65536ths ([`by_time`]).
pub fn new_backup_id(now: Timestamp, kind: BackupKind, engine: &str) -> String {
    let kind = match kind {
        BackupKind::Full => "full",
        BackupKind::Incremental => "incremental",
    };
    new_id(now, kind, engine)
}

/// An id for the archive of a log that begins now, or for the job that archives it: `20261122T101530Z-log-binlog-7f3a`.
pub fn new_log_id(now: Timestamp, engine: &str) -> String {
    new_id(now, "log", engine)
}

/// An id for a log that comes after the one of the id `last`, whatever the clock says: it may have been put back since.
pub fn next_log_id(last: Option<&str>, now: Timestamp, engine: &str) -> String {
    let id = new_log_id(now, engine);
    match last {
        Some(last) if id.as_str() <= last => {
            let after = time_of(last).and_then(|second| second.checked_add(SignedDuration::from_secs(1)).ok());
            after.map_or(id, |after| new_log_id(after, engine))
        }
        _ => id,
    }
}

fn new_id(now: Timestamp, what: &str, engine: &str) -> String {
    let time = now.strftime("%Y%m%dT%H%M%SZ");
    let fraction = i64::from(now.subsec_nanosecond()) * 65_536 / 1_000_000_000;
    format!("{time}-{what}-{engine}-{fraction:04x}")
}

/// What ids are sorted by so that they are in the order of time, also within a second.
pub(super) fn by_time(id: &str) -> (&str, &str) {
    let second = id.split_once('-').map_or(id, |(second, _)| second);
    (second, id.rsplit_once('-').map_or("", |(_, fraction)| fraction))
}

/// When the job of an id began, where the id says it.
pub(super) fn time_of(id: &str) -> Option<Timestamp> {
    let (time, _) = id.split_once('-')?;
    let civil = jiff::civil::DateTime::strptime("%Y%m%dT%H%M%SZ", time).ok()?;
    Some(civil.to_zoned(jiff::tz::TimeZone::UTC).ok()?.timestamp())
}

/// Now, to the millisecond: what people compare by eye need not be longer.
pub(super) fn now() -> Timestamp {
    let now = Timestamp::now();
    Timestamp::from_millisecond(now.as_millisecond()).unwrap_or(now)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_are_allowed() {
        let long = "x".repeat(64);
        for name in ["orders", "a", "A-1.b_c", "..."] {
            assert!(check_name("cluster", name).is_ok(), "{name}");
        }
        assert!(check_name("cluster", &long).is_ok());
        let longer = "x".repeat(65);
        for name in ["", ".", "..", "a/b", "a b", "a\0", "é", "a#1", "a%2f", longer.as_str()] {
            assert!(check_name("cluster", name).is_err(), "{name:?}");
        }
        insta::assert_snapshot!(
            check_name("cluster", "../etc").unwrap_err(),
            @r#"cluster name "../etc" is not allowed; use 1 to 64 of A-Z a-z 0-9 . _ -"#
        );
        insta::assert_snapshot!(
            BackupPaths::new("orders", "a/../b").unwrap_err(),
            @r#""a/../b" is no backup's id; `backstay list` shows them"#
        );
    }

    #[test]
    fn an_id_says_what_it_is() {
        let now: Timestamp = "2026-11-22T10:15:30.9Z".parse().unwrap();
        let id = new_backup_id(now, BackupKind::Full, "mysqldump");
        assert_eq!(id, "20261122T101530Z-full-mysqldump-e666");
        let later: Timestamp = "2026-11-22T10:15:30.90002Z".parse().unwrap();
        let other = new_backup_id(later, BackupKind::Full, "a");
        assert!(by_time(&other) > by_time(&id), "{other}");
        assert_eq!(time_of(&id), Some("2026-11-22T10:15:30Z".parse().unwrap()));
        assert!(check_id(&id).is_ok());
    }

    #[test]
    fn logs_ids_go_up_whatever_the_clock_does() {
        let at = |time: &str| time.parse::<Timestamp>().unwrap();
        let last = next_log_id(None, at("2026-11-22T10:15:30.9Z"), "binlog");
        assert_eq!(last, "20261122T101530Z-log-binlog-e666");
        let next = |now: &str| next_log_id(Some(&last), at(now), "binlog");
        assert_eq!(next("2026-11-22T10:15:30.95Z"), "20261122T101530Z-log-binlog-f333");
        assert_eq!(next("2026-11-22T10:16:00Z"), "20261122T101600Z-log-binlog-0000");
        // In the same moment, and after the clock was put back by an hour.
        for now in [
            "2026-11-22T10:15:30.9Z",
            "2026-11-22T10:15:30.1Z",
            "2026-11-22T09:15:30Z",
        ] {
            assert_eq!(next(now), "20261122T101531Z-log-binlog-0000", "{now}");
        }
    }

    #[test]
    fn paths_of_a_backup() {
        let paths = BackupPaths::new("orders", "x").unwrap();
        assert_eq!(
            paths.manifest_digest.as_ref(),
            "clusters/orders/backups/x/manifest.json.sha256"
        );
        assert_eq!(paths.index.as_ref(), "clusters/orders/backups/x/objects.jsonl.zst");
        assert_eq!(paths.data.as_ref(), "clusters/orders/backups/x/data");
        assert_eq!(
            segment("orders", "s", "000000000001").unwrap().as_ref(),
            "clusters/orders/logs/s/000000000001"
        );
        assert_eq!(locks("orders").unwrap().as_ref(), "clusters/orders/locks");
    }
}
