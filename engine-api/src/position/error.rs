//! What can be wrong with a position, a GTID or a recovery point.

use super::PositionKind;

/// A position, a GTID or a recovery point that cannot be read or used.
///
/// Every message names the thing, what was expected, what was found and what to do. Offsets count bytes from the start
/// of the text that was given.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum PositionError {
    /// The text does not have the form that its kind asks for.
    #[error("{what}: expected {expected} at byte {offset}, found {found}; {advice}")]
    Malformed {
        /// What was being read, as an operator calls it.
        what: &'static str,
        /// What would have been right at `offset`.
        expected: &'static str,
        /// The offending part, quoted and cut short, or "the end of the text".
        found: String,
        /// Where the offending part starts, in bytes from the start of the text.
        offset: usize,
        /// What the operator can do.
        advice: &'static str,
    },
    /// A number has the right form and does not fit.
    #[error("{what}: expected {number} from {min} to {max} at byte {offset}, found {found}; {advice}")]
    OutOfRange {
        /// What was being read, as an operator calls it.
        what: &'static str,
        /// Which of its numbers, with its article ("a sequence number").
        number: &'static str,
        /// The smallest number that is allowed.
        min: u64,
        /// The largest number that is allowed.
        max: u64,
        /// The offending digits, quoted and cut short.
        found: String,
        /// Where the digits start, in bytes from the start of the text.
        offset: usize,
        /// What the operator can do.
        advice: &'static str,
    },
    /// A MariaDB position names a replication domain twice.
    #[error(
        "MariaDB GTID position: expected one GTID per domain, found a second one for domain {domain}, {second}, at byte \
         {offset} after {first}; take the text from @@gtid_binlog_pos, @@gtid_slave_pos or @@gtid_current_pos \
         (@@gtid_binlog_state lists one GTID per server and is not a position)"
    )]
    DuplicateDomain {
        /// The replication domain.
        domain: u32,
        /// The GTID that came first.
        first: String,
        /// The one that came after it.
        second: String,
        /// Where the second one starts, in bytes from the start of the text.
        offset: usize,
    },
    /// A MariaDB GTID does not follow the position that it was to advance.
    #[error(
        "MariaDB GTID position: expected a GTID of domain {domain} after {at}, found {found}; the server wrote its log \
         with gtid_strict_mode off or two servers wrote the same domain, so numbers do not tell the order there: give \
         each writing server a domain of its own (gtid_domain_id)"
    )]
    OutOfOrder {
        /// The replication domain.
        domain: u32,
        /// Where the position stands in that domain.
        at: String,
        /// The GTID that does not follow.
        found: String,
    },
    /// Two positions of different kinds were compared.
    #[error(
        "expected two positions of one kind to compare, found {left} and {right}; compare positions of backups of the \
         same server that were taken with the same GTID settings, or take a full backup to start a new chain"
    )]
    DifferentKinds {
        /// The kind of the one.
        left: PositionKind,
        /// The kind of the other.
        right: PositionKind,
    },
    /// A time without an offset from UTC.
    #[error(
        "time: expected an offset from UTC at the end of {found}, found none; without it the time is another moment in \
         every time zone: add Z for UTC or an offset such as +02:00"
    )]
    TimeWithoutOffset {
        /// The text that was given, quoted.
        found: String,
    },
    /// A text that is not a time.
    #[error("time: expected an RFC 3339 date and time, found {found}; write it like 2026-11-22T10:15:30.25+02:00")]
    Time {
        /// The text that was given, quoted and cut short.
        found: String,
        /// What the date and time parser says; none where the text is a date and time that RFC 3339 does not have.
        source: Option<jiff::Error>,
    },
}
