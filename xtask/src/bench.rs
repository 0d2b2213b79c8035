//! `cargo xtask bench`: our figures beside our peers', from an optimised build.

use crate::error::Result;
use crate::process::run;
use crate::setup;
use crate::workspace::{self, cargo};

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Only these suites, such as `mysqldump`.
    suites: Vec<String>,
}

/// # Errors
/// Something can not be installed or built, or a suite fails.
pub(crate) fn run_bench(arguments: &Arguments) -> Result<()> {
    setup::ensure(&setup::everything(), true)?;
    run(cargo().args(["build", "--release", "--locked", "--workspace"]))?;
    let mut bench = cargo();
    bench
        .args([
            "run",
            "--release",
            "--quiet",
            "--locked",
            "--package",
            "backstay-tests",
            "--bin",
            "bench",
            "--",
        ])
        .args(&arguments.suites)
        .env(workspace::SERVERS_DIR, workspace::servers_dir());
    run(&mut bench)
}
