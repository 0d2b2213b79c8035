//! Packages of the machine's own distribution.

use std::process::Command;
use std::sync::OnceLock;

use crate::error::{Error, Result};
use crate::process::{as_root, capture, find, show};

/// Installs packages, and nothing that they only recommend.
///
/// # Errors
/// This is no Debian or Ubuntu, we cannot become root, or apt-get fails; also if a package could only be installed by
/// removing another: a MySQL server of the system's own stays.
pub(crate) fn install(packages: &[&str]) -> Result<()> {
    run(apt_get_install(packages))
}

/// The command that [`install`] runs, for those that have to put something around it.
pub(crate) fn apt_get_install(packages: &[&str]) -> Command {
    let mut command = Command::new("apt-get");
    command
        .env("DEBIAN_FRONTEND", "noninteractive")
        // A machine that has just booted upgrades itself, and holds the lock while it does.
        .args([
            "install",
            "--yes",
            "--no-install-recommends",
            "--no-remove",
            "-o",
            "DPkg::Lock::Timeout=300",
        ])
        .args(packages);
    command
}

/// Runs an installing command as root, with fresh package lists.
pub(crate) fn run(command: Command) -> Result<()> {
    let by_hand = show(&command);
    if find("apt-get").is_none() {
        return Err(
            Error::new("there is no apt-get: this knows how to install packages on Debian and Ubuntu only")
                .remedy(format!("install by other means what this would have: {by_hand}")),
        );
    }
    let mut command = as_root(command)?;
    let update = update()?;
    capture(&mut command).map(drop).map_err(|error| {
        let update = update
            .map(|error| format!("\n  before that, {error}"))
            .unwrap_or_default();
        Error::new(format!("{error}{update}")).remedy(format!("see why, then run as root: {by_hand}"))
    })
}

/// Brings the package lists up to date, once in a process. That this fails is an error only if the installation then
/// fails too: one broken source in the list of many is not our business.
pub(crate) fn update() -> Result<Option<&'static Error>> {
    static OUTCOME: OnceLock<Option<Error>> = OnceLock::new();
    let mut command = Command::new("apt-get");
    command.args(["update", "-o", "DPkg::Lock::Timeout=300"]);
    let mut command = as_root(command)?;
    Ok(OUTCOME.get_or_init(|| capture(&mut command).err()).as_ref())
}
