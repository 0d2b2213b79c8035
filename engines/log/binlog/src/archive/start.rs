//! Where an archive goes on, or begins anew.

use std::time::{Duration, Instant};

use backstay_engine_api::position::BinlogFile;
use backstay_engine_api::{ArchiveJob, EngineError, ErrorKind, Position, Role, ServerFacts, TypedPosition};
use backstay_mysql::Session;
use backstay_mysql::binlog::{Event, Gtids, LogStream, Mode, Received, Resume, Start, log_files, resume, same_server};

use super::last_read::LastRead;

/// What messages call what there is.
const ARCHIVED: &str = "what is archived";
/// Where the first event of a file is.
const FIRST: u64 = 4;
/// How long the first events of a file may take to come.
const PATIENCE: Duration = Duration::from_secs(30);

/// Where reading begins.
pub(super) struct Beginning {
    /// As the server is asked.
    pub(super) start: Start,
    /// As positions: what the first segment follows on.
    pub(super) from: Vec<Position>,
}

/// Finds it. `now` is where the server's log ends.
pub(super) fn find(
    job: &ArchiveJob,
    session: &mut Session,
    server: &ServerFacts,
    now: &[Position],
) -> Result<Beginning, EngineError> {
    let after = job.after();
    if start_at(after).is_none() {
        let begins = now.to_vec();
        job.begin(begins.clone(), None)?;
        return at(begins);
    }
    // Of whom nothing is known is taken for this server.
    let source = match job.source().flavour.as_str() {
        "" => server,
        _ => job.source(),
    };
    let resumed = resume(session, server, now, source, after, ARCHIVED).and_then(|resumed| {
        not_reset(job, session, server, source)?;
        match resumed {
            Resume::From { start, .. } => {
                if let Start::Mariadb(_) = start {
                    try_out(session, &start)?;
                }
                Ok(Beginning {
                    start,
                    from: after.to_vec(),
                })
            }
            Resume::Nothing => at(after.to_vec()),
        }
    });
    match resumed {
        Ok(beginning) => Ok(beginning),
        Err(error) if error.kind == ErrorKind::Refused => {
            let (had, has) = (Gtids::of(after), Gtids::of(now));
            let lacks = had != Gtids::None && has != Gtids::None && !has.cover(&had);
            if lacks && server.role == Some(Role::Replica) {
                let message = format!(
                    "{} is a replica and has not applied all that is archived; it lacks {}",
                    session.address(),
                    had.without(&has)
                );
                return Err(EngineError::new(ErrorKind::Connection, message)
                    .advise("it is tried again until it has; name another member of the cluster with `--member`"));
            }
            let causes = error.causes.iter().map(|cause| format!(": {cause}"));
            let missing = causes.fold(error.message.clone(), |text, cause| text + &cause);
            anew(job, session, &has, missing)
        }
        Err(error) => Err(error),
    }
}

/// That the server still has what was read last, if it is the same server: after a reset it may count as far as it did before.
fn not_reset(
    job: &ArchiveJob,
    session: &mut Session,
    server: &ServerFacts,
    source: &ServerFacts,
) -> Result<(), EngineError> {
    // Of an archive that has no segment yet, or of another engine, there is none.
    let Ok(last) = serde_json::from_value::<LastRead>(job.state().clone()) else {
        return Ok(());
    };
    if !same_server(server, source) {
        return Ok(());
    }
    match last.missed(session)? {
        None => Ok(()),
        Some(found) => Err(EngineError::refused(format!(
            "the binary log of {} was reset since it was archived: {found}",
            session.address()
        ))),
    }
}

/// Looks whether the server begins to send its log from there: what it has purged, MariaDB says only then.
fn try_out(session: &mut Session, start: &Start) -> Result<(), EngineError> {
    let mut stream = LogStream::open(session, start, Mode::Once)?;
    let deadline = Instant::now() + PATIENCE;
    while stream.format().is_none() && Instant::now() < deadline {
        if let Received::End = stream.next(PATIENCE)? {
            break;
        }
    }
    Ok(())
}

/// Begins a new log with the first file that the server has, for what comes before it is gone or of another history.
fn anew(job: &ArchiveJob, session: &mut Session, has: &Gtids, missing: String) -> Result<Beginning, EngineError> {
    let first = log_files(session)?.into_iter().next().unwrap_or_default().0;
    let first = BinlogFile::new(first, FIRST)
        .map_err(|error| EngineError::other("the first binary log's name can not be read").because(&error))?;
    let start = Start::File(first.clone());
    let mut from: Vec<Position> = match has {
        Gtids::None => Vec::new(),
        _ => before_file(session, &start)?.position().into_iter().collect(),
    };
    from.push(Position::binlog_file(&first));
    let shown = |positions: &[Position]| {
        let first = positions.first().map(|position| position.value.clone());
        first.unwrap_or_default()
    };
    let missing = format!(
        "{missing}; archived is {}, and the log that the server has goes on from {}",
        shown(job.after()),
        shown(&from)
    );
    job.begin(from.clone(), Some(missing))?;
    Ok(Beginning { start, from })
}

/// The transactions that came before a file, as its head says.
fn before_file(session: &mut Session, start: &Start) -> Result<Gtids, EngineError> {
    let mut stream = LogStream::open(session, start, Mode::Once)?;
    let deadline = Instant::now() + PATIENCE;
    while Instant::now() < deadline {
        match stream.next(PATIENCE)? {
            Received::Event(event) => match event.event {
                Event::PreviousGtids(set) => return Ok(Gtids::Mysql(set)),
                Event::GtidList(position) => return Ok(Gtids::Mariadb(position)),
                _ => {}
            },
            Received::End => break,
            Received::Heartbeat { .. } | Received::Nothing => {}
        }
    }
    Err(EngineError::other(format!(
        "{} does not say which transactions came before {start}",
        session.address()
    )))
}

fn at(positions: Vec<Position>) -> Result<Beginning, EngineError> {
    let start =
        start_at(&positions).ok_or_else(|| EngineError::other("the server does not say where its binary log ends"))?;
    Ok(Beginning { start, from: positions })
}

/// From which place a server sends what comes after these positions: by GTIDs where there are some.
fn start_at(positions: &[Position]) -> Option<Start> {
    match Gtids::of(positions) {
        Gtids::Mysql(set) => Some(Start::Gtid(set)),
        Gtids::Mariadb(position) => Some(Start::Mariadb(position)),
        Gtids::None => positions.iter().find_map(|position| match position.typed() {
            Ok(TypedPosition::BinlogFile(place)) => Some(Start::File(place)),
            _ => None,
        }),
    }
}
