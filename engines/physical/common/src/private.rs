//! A private server on restored files, told what the source's own was told.

use std::path::{Path, PathBuf};

use backstay_engine_api::{EngineError, ServerFacts};
use backstay_mysql::PrivateServerBuilder;
use backstay_mysql::private_server::Likeness;

/// A builder for a server of the source's series on a directory. Nobody's password is needed.
///
/// # Errors
/// There is no server program, or only one of another series.
pub fn on(directory: &Path, source: &ServerFacts, programs: &[PathBuf]) -> Result<PrivateServerBuilder, EngineError> {
    Ok(Likeness::of(source, programs)?.on(directory).without_accounts())
}
