//! MySQL and MariaDB for engine authors: what every engine for these servers needs, and none should write again.
//!
//! - [`Session`]: a connection by whatever way an operator has (TCP, socket, TLS, option file, environment), with errors
//!   that say what to do, and with privileges that are missing named as the GRANT that mends it.
//! - [`facts()`]: who a server is, and what a server that starts on its data must be like.
//! - [`ConsistentPoint`]: one moment at which snapshots are opened and the position is read, on both flavours.
//! - [`programs`]: the servers' own programs: found, told apart by family, given credentials by option file.
//! - [`PrivateServer`]: a server of one's own on a data directory: initialised, started inert, stopped.
//!
//! All of it blocks; engines use threads.

mod clean;
pub mod consistent;
pub mod facts;
pub mod option_file;
pub mod private_server;
pub mod programs;
pub mod session;
pub mod version;

pub use clean::end_sessions;
pub use consistent::{ConsistentPoint, LockOptions};
pub use facts::{Content, content, facts};
pub use private_server::{PrivateServer, PrivateServerBuilder};
pub use programs::Program;
pub use session::{NamedRow, Session, account_name, quote_identifier, quote_text};
pub use version::{Flavour, Version};

/// The driver, for engines that need more than [`Session`] offers.
pub use mysql;
