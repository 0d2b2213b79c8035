//! What engines of physical backups for MySQL and MariaDB have in common.
//!
//! - [`data_dir`]: the server's data directory, as it is on this machine.
//! - [`fn@lineage`]: which directory a backup is of, and whether it is still the same.
//! - [`server_on`]: whether a server runs on a directory, and which process it is.
//! - [`Names`]: which table a file belongs to.
//! - [`file_attributes`]: what an object that is a file says of itself.
//! - [`Place`] and [`Owner`]: where a restored data directory is made, how it gets to where it belongs, and whose it is then.
//! - [`where_to`]: what can be restored into what.
//! - [`layout_notice`]: what a server on the files must be told.
//! - [`Written`]: large files, written past the page cache.
//! - [`tables`]: single tables out of such a backup, into a running server.
//! - [`private`] and [`check`](mod@check): a private server on what was restored.

pub mod check;
mod files;
mod lineage;
mod names;
mod owner;
mod place;
pub mod private;
mod source;
pub mod tables;
mod target;
mod written;

pub use backstay_mysql::running::{Running, server_on};
pub use check::{check, problems};
pub use files::{FILE, below, file_attributes};
pub use lineage::{check_lineage, lineage};
pub use names::{Names, Table, encode};
pub use owner::Owner;
pub use place::{MARK, Place, data_in};
pub use source::{data_dir, layout_notice, size_of};
pub use target::{Into, where_to};
pub use written::{Buffer, Written};
