//! The contract between Backstay and its backup engines.
//!
//! [`position`] says where in a server's history a backup stands and to which point a recovery goes.

pub mod position;
