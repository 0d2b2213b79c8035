//! Where reading goes on: from the positions of a backup or an archive to a [`Start`] on the server as it is now.

use backstay_engine_api::position::{BinlogFile, PointInTime};
use backstay_engine_api::{EngineError, Order, Position, PositionError, PositionKind, ServerFacts, TypedPosition};

use super::gtids::Gtids;
use super::stream::{FULL, LogStream, Mode, Received, Start};
use crate::consistent::position;
use crate::session::{NamedRow, Session};

/// How long the first events of a file may take to come.
const PATIENCE: std::time::Duration = std::time::Duration::from_secs(30);

/// Where a server's log ends now, in each way that the server can say it.
///
/// # Errors
/// The binary log is off, or leaves out what happens in some schemas, or what the server applies as a replica.
pub fn log_end(session: &mut Session, server: &ServerFacts) -> Result<Vec<Position>, EngineError> {
    let refuse = |message: String, advice: &str| Err(EngineError::refused(message).advise(advice));
    let address = session.address();
    if let Some(row) = session.query_named(position::log_status(session))?.into_iter().next() {
        for filter in ["Binlog_Do_DB", "Binlog_Ignore_DB"] {
            if let Some(schemas) = row.get(&[filter]).filter(|schemas| !schemas.is_empty()) {
                return refuse(
                    format!("the binary log of {address} is not whole: {filter} is {schemas}"),
                    "start the server without binlog_do_db and binlog_ignore_db; until then take full backups only",
                );
            }
        }
    }
    let positions = position::read(session)?;
    if positions.is_empty() {
        return refuse(
            format!("{address} has no binary log (log_bin is OFF)"),
            "start the server with log_bin, and take a full backup then",
        );
    }
    let logs_applied = ["log_replica_updates", "log_slave_updates"]
        .iter()
        .find_map(|name| server.facts.get(*name)?.as_bool());
    if server.replication.contains_key("channels") && logs_applied == Some(false) {
        return refuse(
            format!(
                "{address} is a replica that does not log what it applies (log_slave_updates, log_replica_updates)"
            ),
            "switch that on, or name another member of the cluster",
        );
    }
    Ok(positions)
}

/// The files of a server's binary log that it still has, oldest first, and their sizes in bytes.
///
/// # Errors
/// The server does not say so.
pub fn log_files(session: &mut Session) -> Result<Vec<(String, u64)>, EngineError> {
    let rows = session.query_named("SHOW BINARY LOGS")?;
    let file = |row: &NamedRow| {
        Some((
            row.get(&["Log_name"])?.to_owned(),
            row.get(&["File_size"])?.parse().ok()?,
        ))
    };
    let files = rows.iter().map(file).collect::<Option<Vec<_>>>();
    files.ok_or_else(|| EngineError::other("the server lists its binary logs in a way that can not be read"))
}

/// What comes after what there is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Resume {
    /// Nothing: the server stands where it ends.
    Nothing,
    /// What a server sends from there on.
    From {
        /// From where to read.
        start: Start,
        /// The same as positions: what a server must have that it is applied to.
        from: Vec<Position>,
    },
}

/// How to go on after `after`, the positions of `what` (`backup 2026…`), which was taken from `taken`, on the server that `session` is
/// with and whose log ends at `now`. By GTID it may be another member of the cluster; without GTIDs it must be the same server.
///
/// # Errors
/// [`Refused`](backstay_engine_api::ErrorKind::Refused): the server does not have all that `after` has (it is behind, was reset, or has
/// another history), or has not logged, or has no longer, what comes next. The message says what is missing.
pub fn resume(
    session: &mut Session,
    server: &ServerFacts,
    now: &[Position],
    taken: &ServerFacts,
    after: &[Position],
    what: &str,
) -> Result<Resume, EngineError> {
    let situation = Situation {
        address: session.address(),
        what,
        same_server: same_server(server, taken),
    };
    if is_mariadb(&taken.flavour) != session.flavour().is_mariadb() {
        return Err(situation.refuse(format!(
            "it is of {}, and {} is {}",
            taken.flavour,
            situation.address,
            session.flavour()
        )));
    }
    let place = file_of(after);
    let (had, has) = (Gtids::of(after), Gtids::of(now));
    if had == Gtids::None || has == Gtids::None {
        return by_file(session, &situation, now, after);
    }
    if !has.cover(&had) {
        return Err(situation.lacks(&had.without(&has)));
    }
    if had.cover(&has) {
        return Ok(Resume::Nothing);
    }
    let start = match &had {
        Gtids::Mysql(set) => {
            let purged: Option<String> = session.query_first("SELECT @@GLOBAL.gtid_purged")?;
            let purged = purged.unwrap_or_default().parse().map_err(|error: PositionError| {
                EngineError::other("gtid_purged of the server can not be read").because(&error)
            })?;
            let gone = Gtids::Mysql(purged);
            if !had.cover(&gone) {
                return Err(situation.gone(&gone.without(&had)));
            }
            Start::Gtid(set.clone())
        }
        Gtids::Mariadb(position) => Start::Mariadb(position.clone()),
        Gtids::None => return by_file(session, &situation, now, after),
    };
    if let Some((place, at)) = place.filter(|_| situation.same_server) {
        not_begun_later(session, &situation, &place, at, now)?;
    }
    let from = after.iter().filter(|position| is_gtid(position)).cloned().collect();
    Ok(Resume::From { start, from })
}

/// What messages speak of.
struct Situation<'a> {
    address: String,
    what: &'a str,
    same_server: bool,
}

impl Situation<'_> {
    fn refuse(&self, why: String) -> EngineError {
        EngineError::refused(format!(
            "no increment of {} can be taken from {}: {why}",
            self.what, self.address
        ))
        .advise(FULL)
    }

    fn lacks(&self, missing: &str) -> EngineError {
        let message = format!(
            "no increment of {} can be taken from {}: the server does not have all that the backup has; it lacks {missing}",
            self.what, self.address
        );
        EngineError::refused(message).advise(
            "if it is a replica that is behind, wait or name another member; if it was reset or has another history, take a full \
             backup: it mends this, and what was backed up before stays good",
        )
    }

    fn gone(&self, missing: &str) -> EngineError {
        self.refuse(format!(
            "its binary logs do not have all that came since (any more); missing is {missing}"
        ))
    }

    fn reset(&self, found: String) -> EngineError {
        self.refuse(format!("the server's binary log was reset since ({found})"))
    }
}

/// Without GTIDs a place means something only on the server whose place it is.
fn by_file(
    session: &mut Session,
    situation: &Situation<'_>,
    now: &[Position],
    after: &[Position],
) -> Result<Resume, EngineError> {
    let Some((place, at)) = file_of(after) else {
        return Err(situation.refuse(format!(
            "{} has no position in a binary log: the server had none then, or GTIDs were on and are off now",
            situation.what
        )));
    };
    if !situation.same_server {
        return Err(situation.refuse(format!(
            "it ends at {place} of another server, and without GTIDs places in two servers' logs can not be compared"
        )));
    }
    let (end, _) = file_of(now).ok_or_else(|| situation.refuse("the server has no binary log".to_owned()))?;
    match place.compare(&end) {
        Order::Equal => return Ok(Resume::Nothing),
        Order::Before => {}
        _ => return Err(situation.reset(format!("it ended at {place}, and ends at {end} now"))),
    }
    let files = log_files(session)?;
    let size = files
        .iter()
        .find(|(file, _)| file == place.file())
        .map(|(_, size)| *size);
    match size {
        None => {
            let first = files.first().map_or("none", |(file, _)| file);
            return Err(situation.gone(&format!("{place} up to {first}, which is the first one left")));
        }
        Some(size) if size < place.offset() => {
            return Err(situation.reset(format!("{} has {size} bytes, and {place} was in it", place.file())));
        }
        Some(_) => {}
    }
    not_begun_later(session, situation, &place, at, now)?;
    let from = after.iter().filter(|position| !is_gtid(position)).cloned().collect();
    Ok(Resume::From {
        start: Start::File(place),
        from,
    })
}

/// After a reset a server counts its files, and perhaps its GTIDs, from the beginning. A file of that name which was begun after it had been
/// read is another one.
fn not_begun_later(
    session: &mut Session,
    situation: &Situation<'_>,
    place: &BinlogFile,
    at: Option<PointInTime>,
    now: &[Position],
) -> Result<(), EngineError> {
    if let Some((end, _)) = file_of(now)
        && matches!(place.compare(&end), Order::After)
    {
        return Err(situation.reset(format!("it ended at {place}, and ends at {end} now")));
    }
    let files = log_files(session)?;
    let (Some(at), true) = (at, files.iter().any(|(file, _)| file == place.file())) else {
        // Purged meanwhile: by GTID the server knows whether that matters.
        return Ok(());
    };
    let Ok(first) = BinlogFile::new(place.file(), 4) else {
        return Ok(());
    };
    let mut stream = LogStream::open(session, &Start::File(first), Mode::Once)?;
    let deadline = std::time::Instant::now() + PATIENCE;
    while stream.format().is_none() {
        let ended = matches!(stream.next(PATIENCE)?, Received::End);
        if ended || std::time::Instant::now() > deadline {
            return Err(EngineError::other(format!(
                "{} does not send the head of {}",
                situation.address,
                place.file()
            )));
        }
    }
    let begun = stream.format().map_or(0, |format| i64::from(format.begun));
    if begun > at.unix_microseconds().div_euclid(1_000_000) {
        let begun = PointInTime::from_unix_microseconds(begun * 1_000_000);
        let begun = begun.map(|time| time.to_string()).unwrap_or_default();
        return Err(situation.reset(format!(
            "{} was begun at {begun}, after it had been read at {at}",
            place.file()
        )));
    }
    Ok(())
}

/// The place in a binary log, and when the server stood there.
pub(super) fn file_of(positions: &[Position]) -> Option<(BinlogFile, Option<PointInTime>)> {
    positions.iter().find_map(|position| match position.typed() {
        Ok(TypedPosition::BinlogFile(place)) => Some((place, position.point_in_time().ok().flatten())),
        _ => None,
    })
}

fn is_gtid(position: &Position) -> bool {
    [PositionKind::MYSQL_GTID, PositionKind::MARIADB_GTID].contains(&position.kind)
}

fn is_mariadb(flavour: &str) -> bool {
    flavour == "mariadb"
}

/// Whether two facts are of one server, by what makes a server this one: MySQL's UUID, MariaDB's unique id (10.10 and later), else its
/// number and domain.
pub fn same_server(one: &ServerFacts, other: &ServerFacts) -> bool {
    let both = |key: &str| Some((one.identity.get(key)?, other.identity.get(key)?));
    let same = |key: &str| both(key).is_some_and(|(one, other)| one == other);
    match (both("server_uuid"), both("server_uid")) {
        (Some((one, other)), _) => one == other,
        (None, Some((one, other))) if one != other => false,
        _ => same("server_id") && same("gtid_domain_id"),
    }
}
