//! `cargo xtask`: the commands of those who work on Backstay. One verb, one file.
//!
//! They run on a bare Debian or Ubuntu machine that has Rust and nothing else: whatever a verb needs, it installs, and
//! says so.

mod bench;
mod demo;
mod error;
mod process;
mod setup;
mod test;
mod workspace;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

#[derive(Parser)]
#[command(
    name = "cargo xtask",
    bin_name = "cargo xtask",
    about = "Developer commands of Backstay"
)]
struct Cli {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    /// Measure it beside its peers, and print the ratios.
    Bench(bench::Arguments),
    /// See what it does: a backup, a mistake and the way back, on a private server.
    Demo(demo::Arguments),
    /// Install what tests and benchmarks need: database servers, tools.
    Setup(setup::Arguments),
    /// Check everything that is checked before a merge: format, lints, dependencies, tests.
    Test(test::Arguments),
}

fn main() -> ExitCode {
    let outcome = match Cli::parse().verb {
        Verb::Bench(arguments) => bench::run_bench(&arguments),
        Verb::Demo(arguments) => demo::run_demo(&arguments),
        Verb::Setup(arguments) => setup::run(&arguments),
        Verb::Test(arguments) => test::run(&arguments),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}
