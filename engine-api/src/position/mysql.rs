//! MySQL's global transaction identifiers (GTIDs), with tags, and sets of them.
//!
//! A transaction is named by the UUID of the server that committed it, a tag if it was given one (MySQL 8.3 and later), and
//! a number counted up per UUID and tag: `3e11fa47-71ca-11e1-9e33-c80aa9429562:audit:23`. A server's state is the set of
//! all transactions that it has, written as intervals: `3e11fa47-…:1-20:audit:1:3-5,4f22…:7`.
//!
//! The formats are those of the MySQL 8.4 and 9.7 Reference Manuals, "GTID Format and Storage", and of what a 9.7 server
//! accepts and prints where the manual says less.

mod gtid;
mod intervals;
mod set;
#[cfg(test)]
mod tests;
mod text;

pub use gtid::{Gtid, Tag, Tsid, Uuid};
pub use intervals::Interval;
pub use set::GtidSet;

/// The largest number that a transaction can have: the server keeps the largest signed 64-bit integer as an end mark.
pub const MAX_NUMBER: u64 = i64::MAX as u64 - 1;
