//! MySQL and MariaDB for engine authors: what every engine for these servers needs, and none should write again.
//!
//! - [`Session`]: a connection by whatever way an operator has (TCP, socket, TLS, option file, environment), with errors
//!   that say what to do, and with privileges that are missing named as the GRANT that mends it.
//! - [`RawSession`]: a connection for bulk data: rows as the server sent them, and data into LOAD DATA LOCAL.
//! - [`facts()`]: who a server is, and what a server that starts on its data must be like.
//! - [`ConsistentPoint`]: one moment at which snapshots are opened and the position is read, on both flavours.
//! - [`programs`]: the servers' own programs: found, told apart by family, given credentials by option file, run for a job.
//! - [`binlog`]: the binary log: its events, reading it as a replica does, pieces of it that are kept.
//! - [`mod@replay`]: logs replayed onto a restored server by its own replica threads, up to a point.
//! - [`PrivateServer`]: a server of one's own on a data directory: initialised, started inert, stopped; [`mod@serve`]: for as long as
//!   a job lasts.
//! - [`mod@running`]: whether a server runs on a data directory.
//! - [`mod@compare`]: how two tables of a server differ.
//!
//! All of it blocks; engines use threads.

pub mod accounts;
pub mod binlog;
mod clean;
pub mod compare;
pub mod consistent;
pub mod facts;
pub mod gtid_state;
pub mod option_file;
pub mod private_server;
pub mod privileges;
pub mod programs;
pub mod raw;
pub mod replay;
pub mod running;
pub mod serve;
pub mod session;
pub mod target;
pub mod version;

pub use clean::end_sessions;
pub use consistent::{ConsistentPoint, LockOptions, Stood, TableName, stand_still};
pub use facts::{Content, content, facts};
pub use private_server::{PrivateServer, PrivateServerBuilder};
pub use programs::Program;
pub use raw::RawSession;
pub use session::{NamedRow, Session, account_name, quote_identifier, quote_text};
pub use version::{Flavour, Version};

/// The driver, for engines that need more than [`Session`] offers.
pub use mysql;
