//! Backstay.

pub mod error;
pub mod repository;

pub use error::{Error, ErrorKind, ExitCode, Result};
