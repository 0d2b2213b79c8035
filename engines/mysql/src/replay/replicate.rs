//! A replay by the target's own replica threads.

use std::io::Read;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use backstay_engine_api::job::RecoverJob;
use backstay_engine_api::position::BinlogFile;
use backstay_engine_api::position::mariadb::GtidPosition;
use backstay_engine_api::position::mysql::{GtidSet, Uuid};
use backstay_engine_api::{EngineError, ErrorKind, Notice, Position, Recovered};
use rand::Rng;

use super::ReplayOptions;
use super::failures;
use super::plan::{File, Plan, Start};
use super::source::{Account, Description, Identity, Source};

use super::target::{self, Left, channel};
use crate::session::{Session, quote_text};

/// How long one question for what was applied waits for the answer, in seconds.
const WAIT: f64 = 0.25;
/// How long the replica may have nothing to do, and lack a transaction, before that counts as lost.
const IDLE: Duration = Duration::from_secs(10);
/// How long it may fail to connect.
const CONNECTING: Duration = Duration::from_secs(20);

/// Replays on a running server.
///
/// # Errors
/// As [`recover`](super::recover).
pub(super) fn replay(
    job: &RecoverJob,
    plan: Plan,
    options: &ReplayOptions,
    session: &mut Session,
) -> Result<Recovered, EngineError> {
    target::alone(session)?;
    let plan = Arc::new(plan);
    let format = first_format(job, &plan)?.format;
    let mariadb = format.server_version.contains("MariaDB");
    let workers = options.workers(job.threads());
    let prepared = target::prepare(job, session, &plan, mariadb, workers)?;
    let mut random = rand::rng();
    let source_id = loop {
        let id: u32 = random.random_range(1 << 31..u32::MAX);
        if id != prepared.server_id {
            break id;
        }
    };
    let identity = Identity {
        server_id: source_id,
        uuid: Uuid::from_bytes(random.random()),
        version: format.server_version,
        mariadb,
        gtids: plan.has_gtids(),
        checksum: format.checksum,
        target_id: prepared.server_id,
    };
    let outcome = run(job, &plan, options, session, identity, prepared.place.as_ref());
    let left = if outcome.is_ok() {
        Left::Finished
    } else {
        Left::Interrupted
    };
    // The session may be lost, or in the middle of something.
    let put_back = target::put_back(session, left).or_else(|_| {
        session
            .another()
            .and_then(|mut other| target::put_back(&mut other, left))
    });
    let (positions, mut notices) = match (outcome, put_back) {
        (Ok(done), Ok(())) => done,
        // The first error is the one to be told; of a server that is gone nothing needs to be put back.
        (Err(error), _) | (Ok(_), Err(error)) => return Err(error),
    };
    notices.splice(0..0, prepared.notices);
    notices.extend(plan.notices.iter().cloned());
    Ok(Recovered {
        positions,
        transactions: plan.transactions.len() as u64,
        notices,
    })
}

/// The format of the first log.
///
/// # Errors
/// It can not be read.
pub(super) fn first_format(job: &RecoverJob, plan: &Plan) -> Result<Description, EngineError> {
    let first = plan.transactions.first().map_or(0, |transaction| transaction.file);
    let file = &plan.files[first];
    Description::read(&mut job.open(file.log, &file.object)?).map_err(|error| {
        EngineError::new(
            ErrorKind::Damaged,
            format!("{} can not be read as a binary log", file.object),
        )
        .because(&error)
    })
}

type Done = Result<(Vec<Position>, Vec<Notice>), EngineError>;

/// Starts source and replica, and waits until all is applied.
fn run(
    job: &RecoverJob,
    plan: &Arc<Plan>,
    options: &ReplayOptions,
    session: &mut Session,
    identity: Identity,
    place: Option<&BinlogFile>,
) -> Done {
    let account = Account::once(target::account_name(session)?);
    let objects = job.clone();
    let open = move |file: &File| -> Result<Box<dyn Read + Send>, EngineError> {
        Ok(Box::new(objects.open(file.log, &file.object)?))
    };
    let source = Source::start(identity, account.clone(), Arc::clone(plan), Box::new(open))?;
    let before = target::stands_at(session)?;
    channel::make(session, source.port(), &account, place)?;
    let mut notices = target::neutralise_filters(session)?;
    channel::start(session)?;
    job.expect(Some(plan.bytes()), None);
    wait(job, plan, options, session, &source)?;
    if let (Start::Mysql(before), Start::Mysql(after)) = (&before, target::stands_at(session)?) {
        notices.extend(written_meanwhile(plan, before, &after));
    }
    Ok((plan.end(), notices))
}

/// What somebody else has written while the replay ran.
fn written_meanwhile(plan: &Plan, before: &GtidSet, after: &GtidSet) -> Option<Notice> {
    let others = after.subtract(before).subtract(&plan.gtid_set());
    (!others.is_empty()).then(|| {
        let text = format!("somebody else has written to the target while the replay ran: {others}");
        Notice::new("target-written", text)
    })
}

/// Waits until the target has applied the plan.
fn wait(
    job: &RecoverJob,
    plan: &Plan,
    options: &ReplayOptions,
    session: &mut Session,
    source: &Source,
) -> Result<(), EngineError> {
    let all = plan.transactions.len() as u64;
    let question = Question::of(plan);
    let mut idle_since: Option<Instant> = None;
    let mut connecting_since: Option<Instant> = None;
    loop {
        job.check_cancelled()?;
        if question.all_applied(session, source.sent() == all)? {
            return Ok(());
        }
        // Why the source could not go on is more than that the replica lost it.
        if let Some(error) = source.failure() {
            return Err(error);
        }
        let Some(status) = channel::status(session)? else {
            return Err(EngineError::other("the channel of the replay was removed while it ran")
                .advise("see that nobody else works on the target, and recover again"));
        };
        job.doing(format!("replaying: {} of {all} transactions sent", source.sent()));
        // An applier that has nothing left to do frees no more room: relay logs go when the next one is begun, if they go at all.
        source.hold(status.relay_log_space() > options.relay_log_limit && !status.idle());
        if !status.applier_runs() {
            // It may have stopped for it, and yet be done.
            if question.all_applied(session, source.sent() == all)? {
                return Ok(());
            }
            return Err(failures::applier(session, &status, plan)?);
        }
        let (number, text) = status.receiver_error();
        let receives = status.receiver() == "Yes";
        if receives {
            connecting_since = None;
        } else if number != 0 {
            let since = *connecting_since.get_or_insert_with(Instant::now);
            if status.receiver() == "No" || since.elapsed() > CONNECTING {
                return Err(failures::receiver(number, text));
            }
        }
        let idle = status.idle() && receives && source.sent() == all;
        if !idle {
            idle_since = None;
        } else if idle_since.get_or_insert_with(Instant::now).elapsed() > IDLE {
            return Err(failures::lost(session, plan)?);
        }
    }
}

/// How a target is asked whether it has applied all.
#[derive(Debug)]
enum Question {
    Set(String),
    /// Where it stands then in each domain in which something is to come.
    Domains(GtidPosition),
    Place(String, u64),
}

impl Question {
    fn of(plan: &Plan) -> Self {
        match &plan.start {
            Start::Mysql(_) => {
                let set = quote_text(&plan.gtid_set().to_string());
                Self::Set(format!("SELECT WAIT_FOR_EXECUTED_GTID_SET({set}, {WAIT}) = 0"))
            }
            Start::Mariadb(_) => Self::Domains(plan.gtid_position(&GtidPosition::new())),
            Start::Place(_) => {
                let last = plan.transactions.last();
                let file = last.map_or("", |last| &plan.files[last.file].name);
                let end = last.and_then(|last| last.place).map_or(0, |(_, end)| end);
                Self::Place(file.to_owned(), end)
            }
        }
    }

    /// Waits a little for the answer.
    fn all_applied(&self, session: &mut Session, all_sent: bool) -> Result<bool, EngineError> {
        let pause = || thread::sleep(Duration::from_secs_f64(WAIT));
        match self {
            Self::Set(sql) => yes(session, sql),
            Self::Domains(end) => {
                let wait = format!("SELECT MASTER_GTID_WAIT({}, {WAIT}) = 0", quote_text(&end.to_string()));
                if !yes(session, &wait)? {
                    return Ok(false);
                }
                // NOTE: that waits for the domain's number to be as high. Where two servers have written, numbers may go down, and a higher
                // one come before the last.
                let there = all_sent && stands_at_end(&target::stands_at(session)?, end);
                if !there {
                    pause();
                }
                Ok(there)
            }
            Self::Place(file, end) => {
                pause();
                let applied = channel::status(session)?.and_then(|status| status.applied());
                Ok(all_sent && applied.is_some_and(|at| at.file() == file && at.offset() >= *end))
            }
        }
    }
}

fn yes(session: &mut Session, sql: &str) -> Result<bool, EngineError> {
    Ok(session.query_first::<Option<i64>>(sql)?.flatten() == Some(1))
}

/// Whether a target's last transactions are those of an end; of other domains than the end's, they may be any.
fn stands_at_end(stands: &Start, end: &GtidPosition) -> bool {
    let Start::Mariadb(stands) = stands else { return false };
    end.iter().all(|gtid| stands.get(gtid.domain) == Some(gtid))
}
