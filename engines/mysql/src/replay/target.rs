//! The server that transactions are replayed on: what it must be like, what is changed on it meanwhile, and that it is put back.

pub(super) mod channel;
mod checks;
mod filters;
mod gtids;
mod note;
mod settings;

use backstay_engine_api::job::JobContext;
use backstay_engine_api::position::BinlogFile;
use backstay_engine_api::{EngineError, ErrorKind, Notice};

use super::plan::{Plan, Start};
use crate::session::Session;

pub(super) use checks::account_name;
pub(super) use gtids::stands_at;

/// A target that is ready for a replay. [`put_back`] ends that, whatever came of it.
pub(super) struct Prepared {
    /// Without GTIDs: where an earlier replay was interrupted, or where the plan starts.
    pub(super) place: Option<BinlogFile>,
    /// What an operator must know of what was found.
    pub(super) notices: Vec<Notice>,
    /// The target's `server_id` meanwhile.
    pub(super) server_id: u32,
}

/// How long another replay may take to put back what it has set on the target, in seconds.
const PUTS_BACK_WITHIN: u32 = 30;

/// Sees to it that nobody else replays onto the server, for as long as the session lives. A worker whose host was killed still puts back what it
/// has set; who went on before that would lose its own.
///
/// # Errors
/// [`ErrorKind::Busy`] if somebody does.
pub(super) fn alone(session: &mut Session) -> Result<(), EngineError> {
    let got: Option<Option<u8>> =
        session.query_first(format!("SELECT GET_LOCK('backstay_replay', {PUTS_BACK_WITHIN})"))?;
    if got.flatten() == Some(1) {
        return Ok(());
    }
    let message = format!("another replay onto {} is under way", session.address());
    Err(EngineError::new(ErrorKind::Busy, message).advise("wait until it has ended, and recover again"))
}

/// Makes a target ready, or leaves it as it was.
///
/// # Errors
/// It replicates from elsewhere, would leave events out, or is not where the plan starts.
pub(super) fn prepare(
    job: &JobContext,
    session: &mut Session,
    plan: &Plan,
    mariadb: bool,
    workers: usize,
) -> Result<Prepared, EngineError> {
    checks::check(session, plan, mariadb)?;
    // What an earlier replay that was killed has left may run still, and some settings are not changed under it.
    channel::stop(session)?;
    settings::put_back(session)?;
    let place = channel::place(session, plan)?;
    let resumed = channel::remove(session)?;
    let notices = channel::forget_others(session)?;
    gtids::set(session, plan, resumed)?;
    let prepared = settings::put_on(job, session, plan, workers, resumed).map(|server_id| Prepared {
        place,
        notices,
        server_id,
    });
    if prepared.is_err() {
        // What could be put on is put back; the error that matters is the one that came first.
        let _ = settings::put_back(session);
    }
    prepared
}

/// What a target is left as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Left {
    /// All is applied.
    Finished,
    /// The replay will be gone on with, or not.
    Interrupted,
}

/// Ends replication on a target and gives it its settings back, also those that an earlier replay had to leave there. Nothing is left
/// to do where there is nothing of ours.
///
/// Without GTIDs, only our channel knows how far an interrupted replay has come: then it is stopped and stays.
///
/// # Errors
/// The server can not be asked, or refuses.
pub(super) fn put_back(session: &mut Session, left: Left) -> Result<(), EngineError> {
    if left == Left::Interrupted && channel::counts_by_place(session)? {
        channel::stop(session)?;
    } else {
        channel::remove(session)?;
    }
    settings::put_back(session)
}

/// Sees to it that a target on which nothing is to be replayed replicates from nowhere, as after any replay.
///
/// # Errors
/// It replicates at this moment, or the account may not change that.
pub(super) fn forget_sources(session: &mut Session) -> Result<Vec<Notice>, EngineError> {
    checks::version(session)?;
    checks::channels(session)?;
    channel::remove(session)?;
    settings::put_back(session)?;
    channel::forget_others(session)
}

/// Clears our channel's filters, which it has from the server's; they would leave events out.
///
/// # Errors
/// The server refuses.
pub(super) fn neutralise_filters(session: &mut Session) -> Result<Vec<Notice>, EngineError> {
    filters::neutralise(session)
}

/// Sees to it that a client can replay a plan on a target. Returns which of its transactions the target lacks.
///
/// # Errors
/// It is of another family or not where the plan starts.
pub(super) fn make_ready_for_client(session: &mut Session, plan: &Plan) -> Result<Vec<bool>, EngineError> {
    checks::family(session, matches!(plan.start, Start::Mariadb(_)))?;
    checks::gtid_mode(session, plan)?;
    if !session.flavour().is_mariadb() {
        gtids::set(session, plan, false)?;
    }
    super::client::lacking(session, plan)
}
