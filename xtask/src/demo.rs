//! `cargo xtask demo`: a backup, a mistake and the way back, on a private server.

use std::process::Command;

use crate::error::Result;
use crate::process::run;
use crate::setup;
use crate::workspace::{self, cargo};

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// With MariaDB; otherwise with MySQL.
    #[arg(long)]
    mariadb: bool,
}

/// # Errors
/// Something can not be installed or built, or the demo fails.
pub(crate) fn run_demo(arguments: &Arguments) -> Result<()> {
    setup::ensure(&setup::database_servers(), true)?;
    // All of it: a part would be built with other features, and the whole then once more.
    run(cargo().args(["build", "--locked", "--workspace"]))?;
    let mut demo = Command::new(workspace::target_dir().join("debug/demo"));
    demo.current_dir(workspace::root())
        .env(workspace::SERVERS_DIR, workspace::servers_dir());
    if arguments.mariadb {
        demo.arg("--mariadb");
    }
    run(&mut demo)
}
