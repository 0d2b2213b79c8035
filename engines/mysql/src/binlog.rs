//! Binary logs: what is in them, reading them as a replica does, and pieces of them that are kept.
//!
//! - [`RawEvent`] and [`Event`]: one event, its bytes and what they say. Everything is read where it lies, checksums are verified, and
//!   noise is an error ([`Malformed`]), never a panic.
//! - [`Format`]: a file's format description, by which its other events are read.
//! - [`LogStream`]: a server's log, read over a connection, once or on and on; [`resume`]: where to go on after what there is.
//! - [`PieceWriter`] and [`PieceReader`]: whole transactions in files that the servers' own tools read, with an index.
//! - [`incremental_backup`]: an incremental backup that is such a piece, for engines without increments of their own.
//! - [`make`]: the few events that are written by us.
//!
//! The formats are those of MySQL 5.6 to 9.x and of MariaDB 10.x and 11, both binary log version 4.

mod bytes;
mod event;
mod format;
mod gtid;
mod gtid_list;
mod gtid_set;
mod gtids;
mod header;
mod incremental;
mod index;
mod locate;
pub mod make;
mod others;
mod payload;
mod piece;
mod query;
mod resume;
mod rows;
mod statement;
mod stream;
mod table_map;
#[cfg(test)]
mod tests;
mod transaction;

pub use bytes::Malformed;
pub use event::{Event, RawEvent};
pub use format::{Checksum, Format};
pub use gtid::{GtidEvent, MariadbGtidEvent, XidText};
pub use gtid_set::{decode_gtid_set, encode_gtid_set};
pub use gtids::Gtids;
pub use header::{EventFlags, EventType, HEADER, Header};
pub use incremental::incremental_backup;
pub use index::Indexer;
pub use others::{Heartbeat, Incident, IntVar, Rotate, UserVar, XaPrepare};
pub use payload::{InnerEvents, TransactionPayload};
pub use piece::{BINLOG_OBJECT, INDEX_OBJECT, PieceEvent, PieceObjects, PieceReader, PieceWriter, read_index};
pub use query::Query;
pub use resume::{Resume, log_end, log_files, resume, same_server};
pub use rows::{RowChange, Rows};
pub use stream::{LogEvent, LogStream, Mode, Received, Start};
pub use table_map::TableMap;
pub use transaction::{Grouper, Place};

/// What a binary log file begins with.
pub const MAGIC: [u8; 4] = [0xfe, b'b', b'i', b'n'];
