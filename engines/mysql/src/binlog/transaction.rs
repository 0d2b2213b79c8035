//! [`Grouper`]: where an event stands in its transaction.

use super::bytes::Malformed;
use super::event::{Event, RawEvent};
use super::gtid::MariadbGtidEvent;
use super::header::EventType;
use super::query::Query;

/// Where an event stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// Of no transaction: of a file, or of the connection.
    Outside,
    /// The first of a transaction.
    Begins,
    /// Neither the first nor the last.
    Within,
    /// The last of a transaction.
    Ends,
}

/// Follows a log event by event.
///
/// A transaction begins with the event that names it: `Gtid`, `Gtid_tagged` or `Anonymous_Gtid` on MySQL (5.7 and later, whether GTIDs
/// are on or not), MariaDB's `Gtid`. How it ends is told by what it is.
#[derive(Debug, Clone, Default)]
pub struct Grouper {
    open: Option<Open>,
}

#[derive(Debug, Clone, Copy)]
enum Open {
    /// MySQL, and whether a BEGIN was seen: what comes without one is a transaction by itself.
    Mysql { begun: bool },
    /// MariaDB, with the flags of its `Gtid`.
    Mariadb { flags: u8 },
}

impl Grouper {
    /// Whether a transaction has begun and not ended.
    pub fn inside(&self) -> bool {
        self.open.is_some()
    }

    /// Forgets the transaction that has begun, where the connection broke in it.
    pub fn reset(&mut self) {
        self.open = None;
    }

    /// Takes the next event.
    ///
    /// # Errors
    /// It can not stand here: a transaction begins in another, or a change belongs to none.
    pub fn place(&mut self, raw: &RawEvent<'_>, event: &Event<'_>) -> Result<Place, Malformed> {
        let kind = raw.header.kind;
        let odd = |found: String| Err(Malformed::new("order of events", found));
        match event {
            Event::Heartbeat(_) => return Ok(Place::Outside),
            Event::Gtid(_) | Event::MariadbGtid(_) => {
                if self.inside() {
                    return odd(format!(
                        "a {kind} event begins a transaction before the one before it has ended"
                    ));
                }
                self.open = Some(match event {
                    Event::MariadbGtid(gtid) => Open::Mariadb { flags: gtid.flags },
                    _ => Open::Mysql { begun: false },
                });
                return Ok(Place::Begins);
            }
            Event::FormatDescription(_)
            | Event::Rotate(_)
            | Event::Stop
            | Event::PreviousGtids(_)
            | Event::GtidList(_)
            | Event::BinlogCheckpoint
            | Event::StartEncryption => {
                if self.inside() {
                    return odd(format!("a {kind} event comes before the transaction has ended"));
                }
                return Ok(Place::Outside);
            }
            _ => {}
        }
        let ends = match &mut self.open {
            None if matches!(event, Event::Incident(_)) => return Ok(Place::Outside),
            None => return odd(format!("a {kind} event belongs to no transaction")),
            Some(Open::Mysql { begun }) => ends_on_mysql(event, begun),
            Some(Open::Mariadb { flags }) => ends_on_mariadb(kind, event, *flags),
        };
        if ends {
            self.open = None;
            return Ok(Place::Ends);
        }
        Ok(Place::Within)
    }
}

fn ends_on_mysql(event: &Event<'_>, begun: &mut bool) -> bool {
    match event {
        Event::Xid(_) | Event::XaPrepare(_) | Event::TransactionPayload(_) | Event::Incident(_) => true,
        Event::Query(query) if commits(query) => true,
        Event::Query(query) if is(query, "BEGIN") || starts(query, "XA START") => {
            *begun = true;
            false
        }
        Event::Query(_) => !*begun,
        _ => false,
    }
}

fn ends_on_mariadb(kind: EventType, event: &Event<'_>, flags: u8) -> bool {
    let has = |flag: u8| flags & flag != 0;
    match event {
        Event::Xid(_) | Event::XaPrepare(_) => true,
        Event::Query(query) => {
            has(MariadbGtidEvent::STANDALONE)
                || commits(query)
                || has(MariadbGtidEvent::COMPLETED_XA) && (starts(query, "XA COMMIT") || starts(query, "XA ROLLBACK"))
        }
        Event::Rows(rows) => has(MariadbGtidEvent::STANDALONE) && rows.ends_statement,
        Event::Incident(_) => has(MariadbGtidEvent::STANDALONE),
        Event::Other(_) => has(MariadbGtidEvent::STANDALONE) && kind == EventType::EXECUTE_LOAD_QUERY,
        _ => false,
    }
}

fn commits(query: &Query<'_>) -> bool {
    is(query, "COMMIT") || is(query, "ROLLBACK")
}

fn is(query: &Query<'_>, statement: &str) -> bool {
    query.statement.eq_ignore_ascii_case(statement.as_bytes())
}

fn starts(query: &Query<'_>, statement: &str) -> bool {
    query
        .statement
        .get(..statement.len())
        .is_some_and(|start| start.eq_ignore_ascii_case(statement.as_bytes()))
}
