//! [`Watch`]: where the server itself says that it stands, while its log is read on another connection.

use std::sync::mpsc::{self, Receiver, Sender};
use std::thread;
use std::time::Duration;

use backstay_engine_api::position::BinlogFile;
use backstay_engine_api::{EngineError, Order, Position, Server, ServerFacts, TypedPosition};
use backstay_mysql::Session;
use backstay_mysql::binlog::{Gtids, log_end};

/// How long an answer is waited for: of a machine that is gone none may come for very long, and what was read has to be archived.
const WAIT: Duration = Duration::from_secs(2);

type Answer = Result<Vec<Position>, EngineError>;

/// A thread with a session that asks. It ends with this, or with its question if that is never answered.
pub(super) struct Watch {
    ask: Sender<()>,
    answers: Receiver<Answer>,
    /// Whether an answer is still to come.
    asked: bool,
}

impl Watch {
    pub(super) fn new(address: Server, session: Session, server: ServerFacts) -> Self {
        let (ask, questions) = mpsc::channel();
        let (answer, answers) = mpsc::channel();
        thread::spawn(move || {
            let mut session = Some(session);
            for () in questions {
                if answer.send(stands_at(&address, &mut session, &server)).is_err() {
                    break;
                }
            }
        });
        Self {
            ask,
            answers,
            asked: false,
        }
    }

    /// Where the server's log ends, with the time by its clock; `None` if it does not say so, or not soon.
    pub(super) fn stands_at(&mut self) -> Option<Vec<Position>> {
        // What comes late says where it stood then.
        if self.asked && self.answers.try_recv().is_err() {
            return None;
        }
        self.asked = self.ask.send(()).is_ok();
        let answer = self.answers.recv_timeout(WAIT).ok()?;
        self.asked = false;
        answer.ok()
    }
}

/// Asks, in a new session where the old one is lost.
fn stands_at(address: &Server, session: &mut Option<Session>, server: &ServerFacts) -> Answer {
    let mut asked = match session.take() {
        Some(session) => session,
        None => Session::connect(address)?,
    };
    let answer = log_end(&mut asked, server);
    if answer.is_ok() {
        *session = Some(asked);
    }
    answer
}

/// How far a log was read.
pub(super) struct Reached<'a> {
    /// The server's file.
    pub(super) file: String,
    /// Where in it, in bytes.
    pub(super) offset: u64,
    /// What a server has that has all of it.
    pub(super) gtids: &'a Gtids,
}

/// Whether a server that stands at `now` has what is up to `to`, and nothing more.
pub(super) fn is_at(now: &[Position], to: &[Position]) -> bool {
    let (has, had) = (Gtids::of(now), Gtids::of(to));
    if has != Gtids::None || had != Gtids::None {
        return has.cover(&had) && had.cover(&has);
    }
    matches!((file_of(now), file_of(to)), (Some(now), Some(to)) if now.compare(&to) == Order::Equal)
}

/// Where a server stands that is not as far as its log was read: in words; `None` if it is.
pub(super) fn behind(now: &[Position], read: &Reached<'_>) -> Option<String> {
    let has = Gtids::of(now);
    if has != Gtids::None && *read.gtids != Gtids::None && !has.cover(read.gtids) {
        return Some(format!("it lacks {}", read.gtids.without(&has)));
    }
    let read = BinlogFile::new(read.file.clone(), read.offset).ok()?;
    let ends = file_of(now)?;
    (ends.compare(&read) == Order::Before).then(|| format!("it ends at {ends}, and {read} was read"))
}

fn file_of(positions: &[Position]) -> Option<BinlogFile> {
    positions.iter().find_map(|position| match position.typed() {
        Ok(TypedPosition::BinlogFile(place)) => Some(place),
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(gtids: &str, file: &str) -> Vec<Position> {
        vec![
            Position::mariadb_gtid(&gtids.parse().unwrap()),
            Position::binlog_file(&file.parse().unwrap()),
        ]
    }

    #[test]
    fn where_nothing_more_was_committed() {
        let to = at("0-1-10", "log.000002:500");
        // A file may have been begun since.
        assert!(is_at(&at("0-1-10", "log.000003:400"), &to));
        assert!(!is_at(&at("0-1-11", "log.000002:600"), &to));
        assert!(!is_at(&at("0-1-9", "log.000002:400"), &to));
        assert!(!is_at(&to[1..], &to));
        assert!(is_at(&to[1..], &to[1..]));
        assert!(!is_at(&at("0-1-10", "log.000003:400")[1..], &to[1..]));
    }

    #[test]
    fn a_log_that_was_reset() {
        let gtids = Gtids::of(&at("0-1-10", "log.000002:500"));
        let read = |gtids| Reached {
            file: "log.000002".to_owned(),
            offset: 500,
            gtids,
        };
        let found = |now: &[Position]| behind(now, &read(&gtids)).unwrap_or_default();
        assert_eq!(found(&at("0-1-10", "log.000002:500")), "");
        assert_eq!(found(&at("0-1-11", "log.000002:700")), "");
        assert_eq!(found(&at("0-1-3", "log.000001:700")), "it lacks 0-1-10");
        assert_eq!(
            found(&at("0-1-12", "log.000001:700")),
            "it ends at log.000001:700, and log.000002:500 was read"
        );
        // Without GTIDs its place is all that tells.
        let none = behind(&at("0-1-10", "log.000001:400")[1..], &read(&Gtids::None));
        assert_eq!(none.unwrap(), "it ends at log.000001:400, and log.000002:500 was read");
    }
}
