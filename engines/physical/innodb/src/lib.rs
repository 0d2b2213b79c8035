//! InnoDB's files, read without a server: what an engine needs that copies them as they lie.
//!
//! - [`Space`]: which tablespace a file is: its id, its page size, how its pages are checked.
//! - [`Inspector`]: whether each page is what the server wrote, by the checksum in it; a page that was being written at the
//!   snapshot's instant is sound if the [`Doublewrite`] has a good copy.
//! - [`Redo`]: the newest checkpoint in the redo log, where the log ends, and which of its bytes lie between.
//! - [`delta`]: the pages of a file that changed since a checkpoint, as a stream, and the way back into a file.
//!
//! # Why a checkpoint is the measure of change
//! A page carries the log sequence number (LSN) of its newest change. Everything changed before a checkpoint was in the
//! files when the checkpoint was written. So a page whose LSN lies before the *checkpoint* that a backup recovers from is
//! in that backup as it is, and a page at or after it may not be: also one that was changed before the backup's end, for it
//! may have been written to its file only afterwards. What carries no LSN (pages of zeros, pages that do not verify) is
//! never taken for unchanged.
//!
//! # Which servers
//! MySQL 8.0.30 and later (redo in `#innodb_redo`), MariaDB 10.8 and later (its redo format of then); pages as these and the
//! releases before them have written them. Formats are described from the servers' behaviour and checked against real
//! data directories and the servers' own `innochecksum`.
//!
//! Nothing in here panics on bytes that are not what they should be.

mod bytes;
mod checksum;
pub mod delta;
mod doublewrite;
mod inspect;
mod layout;
mod page;
mod page_compression;
pub mod redo;
mod space;
mod verify;

pub use doublewrite::Doublewrite;
pub use inspect::{Finding, Inspector, PIECE};
pub use layout::{Checksums, Layout};
pub use page::{Header, is_zero};
pub use redo::Redo;
pub use space::{FileKind, HEAD, Identity, Space, file_kind};
pub use verify::{Damage, Expected, Unverified, Verdict, verify};
