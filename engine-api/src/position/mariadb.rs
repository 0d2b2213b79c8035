//! MariaDB's global transaction identifiers (GTIDs) and positions made of them.
//!
//! A transaction is named `domain-server-sequence`: `0-1-270`. Within a domain, transactions have one order and the sequence
//! number grows; domains are independent of each other. So a position is one GTID per domain, the last one there:
//! `0-1-270,7-3-15`.
//!
//! The formats are those of the MariaDB 10.11 documentation, "Global Transaction ID"; that sequence numbers grow is what
//! `gtid_strict_mode` enforces and what servers do without it as long as one of them at a time writes a domain.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use super::scan::{Scanner, serde_as_text};
use super::{Order, PositionError};

const GTID_ADVICE: &str = "write one transaction, domain-server-sequence such as 0-1-270";
const POSITION_ADVICE: &str = "copy the whole of @@gtid_binlog_pos or @@gtid_slave_pos, or write 0-1-270,7-3-15";

serde_as_text!(MariadbGtid, GtidPosition);

/// One transaction: `domain-server-sequence`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MariadbGtid {
    /// The replication domain (`gtid_domain_id`).
    pub domain: u32,
    /// The server that committed it first (`server_id`).
    pub server: u32,
    /// Its number in the domain.
    pub sequence: u64,
}

impl fmt::Display for MariadbGtid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}-{}", self.domain, self.server, self.sequence)
    }
}

impl FromStr for MariadbGtid {
    type Err = PositionError;

    fn from_str(text: &str) -> Result<Self, PositionError> {
        let mut scan = Scanner::new(text, "MariaDB GTID", GTID_ADVICE);
        scan.skip_space();
        let gtid = gtid(&mut scan)?;
        scan.skip_space();
        if scan.at_end() {
            Ok(gtid)
        } else {
            Err(scan.malformed("nothing more"))
        }
    }
}

/// A position: for each domain the last transaction in it, as `@@gtid_binlog_pos` and `@@gtid_slave_pos` hold it.
///
/// Parses white space around each GTID, and the empty text as the position before everything; refuses a domain that comes
/// twice, as the server does. Prints sorted by domain. Finding a domain is O(log n), comparing two positions O(n log n).
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct GtidPosition {
    /// Server and sequence number by domain.
    domains: BTreeMap<u32, (u32, u64)>,
}

impl GtidPosition {
    /// The position before everything.
    pub fn new() -> Self {
        Self::default()
    }

    /// Whether no domain has a transaction.
    pub fn is_empty(&self) -> bool {
        self.domains.is_empty()
    }

    /// The last transaction in this domain, if there is one.
    pub fn get(&self, domain: u32) -> Option<MariadbGtid> {
        self.domains.get(&domain).map(|(server, sequence)| MariadbGtid {
            domain,
            server: *server,
            sequence: *sequence,
        })
    }

    /// The last transaction of each domain, by ascending domain.
    pub fn iter(&self) -> impl Iterator<Item = MariadbGtid> {
        let gtid = |(domain, (server, sequence)): (&u32, &(u32, u64))| MariadbGtid {
            domain: *domain,
            server: *server,
            sequence: *sequence,
        };
        self.domains.iter().map(gtid)
    }

    /// Whether this transaction is at or before the position.
    ///
    /// Of a lower number in the domain that is taken to be so, whichever server wrote it; of the same number only if the
    /// server is the same too, since two servers that wrote the same number have parted.
    pub fn covers(&self, gtid: MariadbGtid) -> bool {
        self.get(gtid.domain)
            .is_some_and(|at| at == gtid || at.sequence > gtid.sequence)
    }

    /// Whether all that is at or before the other position is at or before this one.
    pub fn covers_position(&self, other: &Self) -> bool {
        other.iter().all(|gtid| self.covers(gtid))
    }

    /// How this position stands to the other: before it if it is behind in some domains and ahead in none, diverged if it
    /// is ahead in one and behind in another, or if two servers wrote the same number of a domain.
    pub fn compare(&self, other: &Self) -> Order {
        Order::of(other.covers_position(self), self.covers_position(other))
    }

    /// Moves the position past a transaction that comes next in its domain; does nothing if it stands there already.
    ///
    /// # Errors
    /// [`PositionError::OutOfOrder`] where the transaction does not come later than the position in its domain. Then the
    /// position is left as it was; [`set`](Self::set) is for the caller who knows better.
    pub fn advance(&mut self, gtid: MariadbGtid) -> Result<(), PositionError> {
        if let Some(at) = self
            .get(gtid.domain)
            .filter(|at| *at != gtid && at.sequence >= gtid.sequence)
        {
            let (at, found) = (at.to_string(), gtid.to_string());
            return Err(PositionError::OutOfOrder {
                domain: gtid.domain,
                at,
                found,
            });
        }
        self.set(gtid);
        Ok(())
    }

    /// Puts the position at this transaction in its domain, forwards or backwards; returns where it stood.
    pub fn set(&mut self, gtid: MariadbGtid) -> Option<MariadbGtid> {
        let before = self.get(gtid.domain);
        self.domains.insert(gtid.domain, (gtid.server, gtid.sequence));
        before
    }
}

impl From<MariadbGtid> for GtidPosition {
    fn from(gtid: MariadbGtid) -> Self {
        Self {
            domains: BTreeMap::from([(gtid.domain, (gtid.server, gtid.sequence))]),
        }
    }
}

impl fmt::Display for GtidPosition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, gtid) in self.iter().enumerate() {
            write!(f, "{}{gtid}", if index == 0 { "" } else { "," })?;
        }
        Ok(())
    }
}

impl FromStr for GtidPosition {
    type Err = PositionError;

    fn from_str(text: &str) -> Result<Self, PositionError> {
        let mut scan = Scanner::new(text, "MariaDB GTID position", POSITION_ADVICE);
        let mut position = Self::new();
        scan.skip_space();
        if scan.at_end() {
            return Ok(position);
        }
        loop {
            scan.skip_space();
            let offset = scan.offset();
            let gtid = gtid(&mut scan)?;
            if let Some(first) = position.set(gtid) {
                let (first, second) = (first.to_string(), gtid.to_string());
                return Err(PositionError::DuplicateDomain {
                    domain: gtid.domain,
                    first,
                    second,
                    offset,
                });
            }
            scan.skip_space();
            if scan.at_end() {
                return Ok(position);
            }
            if !scan.eat(b',') {
                return Err(scan.malformed("',' or the end"));
            }
        }
    }
}

fn gtid(scan: &mut Scanner<'_>) -> Result<MariadbGtid, PositionError> {
    // The ranges leave no room for a cast to lose anything.
    let domain = scan.number("a domain id", 0, u32::MAX.into())? as u32;
    dash(scan)?;
    let server = scan.number("a server id", 0, u32::MAX.into())? as u32;
    dash(scan)?;
    let sequence = scan.number("a sequence number", 0, u64::MAX)?;
    Ok(MariadbGtid {
        domain,
        server,
        sequence,
    })
}

fn dash(scan: &mut Scanner<'_>) -> Result<(), PositionError> {
    if scan.eat(b'-') {
        Ok(())
    } else {
        Err(scan.malformed("'-'"))
    }
}

#[cfg(test)]
mod tests;
