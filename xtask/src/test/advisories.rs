//! Security advisories come from a database on the network. A machine without that network can check all the rest.

use std::process::Command;
use std::time::Duration;

use crate::process::{capture, show};
use crate::workspace::cargo;

/// A network that swallows packets must not hold up everybody's tests.
const PATIENCE: Duration = Duration::from_secs(60);

/// Fetches the database; an answer is why that cannot be done.
pub(crate) fn unreachable() -> Option<String> {
    let mut fetch = cargo();
    fetch.args(["deny", "fetch", "db"]);
    let mut limited = Command::new("timeout");
    limited
        .arg(PATIENCE.as_secs().to_string())
        .arg(fetch.get_program())
        .args(fetch.get_args());
    if let Some(folder) = fetch.get_current_dir() {
        limited.current_dir(folder);
    }
    // A database that asks for a password has not been reached.
    limited.env("GIT_TERMINAL_PROMPT", "0");
    capture(&mut limited).err().map(|error| {
        let said = error.to_string();
        let why = said
            .lines()
            .map(str::trim)
            .rfind(|line| !line.is_empty())
            .unwrap_or_default();
        format!(
            "the advisory database cannot be reached (`{}` says: {why})",
            show(&fetch)
        )
    })
}
