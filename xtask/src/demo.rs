//! `cargo xtask demo`: a backup, a mistake and the way back, on a private server.

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
    // The program and the engine, and then the demo itself.
    run(cargo().args([
        "build",
        "--locked",
        "--package",
        "backstay",
        "--package",
        "backstay-mysqldump",
    ]))?;
    let mut demo = cargo();
    demo.args([
        "run",
        "--quiet",
        "--locked",
        "--package",
        "backstay-tests",
        "--bin",
        "demo",
        "--",
    ])
    .env(workspace::SERVERS_DIR, workspace::servers_dir());
    if arguments.mariadb {
        demo.arg("--mariadb");
    }
    run(&mut demo)
}
