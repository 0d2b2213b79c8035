//! The engine's options.

use serde::Deserialize;

/// As `options.schema.json` describes them.
#[derive(Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Options {
    pub(crate) maintenance_database: String,
    pub(crate) globals: bool,
    pub(crate) role_passwords: bool,
    pub(crate) lock_wait_seconds: u32,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            maintenance_database: "postgres".to_owned(),
            globals: true,
            role_passwords: true,
            lock_wait_seconds: 60,
        }
    }
}
