//! The command line: one verb, one file.
//!
//! What a program reads goes to standard output: a table for people, or JSON with `--json`. Everything else (progress, log,
//! errors) goes to standard error. Exit codes are part of the interface: see [`ExitCode`].

mod archive;
mod backup;
mod check;
mod context;
mod engines;
mod export;
mod init;
mod list;
mod output;
mod progress;
mod recover;
mod rescue;
mod restore;
mod search;
mod selection;
mod show;
mod timeline;
mod verify;

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

use crate::error::{Error, ExitCode, Result};
use context::Context;

/// Backups of MySQL and MariaDB, with engines that are loaded at run time.
#[derive(Debug, Parser)]
#[command(name = "backstay", version, max_term_width = 100, propagate_version = true)]
struct Cli {
    #[command(flatten)]
    common: Common,
    #[command(subcommand)]
    verb: Verb,
}

/// What every verb has.
#[derive(Debug, Args)]
struct Common {
    /// The configuration file [default: $BACKSTAY_CONFIG, ./backstay.toml or /etc/backstay/backstay.toml]
    #[arg(long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Print the result as JSON on standard output
    #[arg(long, global = true)]
    json: bool,
    /// Say more on standard error; -vv says all
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    verbose: u8,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Write a commented backstay.toml, and make its repository
    Init(init::Init),
    /// Take a backup
    Backup(backup::Backup),
    /// Archive the log of a cluster, without end
    Archive(archive::Archive),
    /// Restore a backup, or single tables of it
    Restore(restore::Restore),
    /// Look whether a restored data directory is sound
    Check(check::Check),
    /// Recover a cluster to a point
    Recover(recover::Recover),
    /// List the backups of all clusters, or of one
    List(list::List),
    /// What was logged
    #[command(subcommand)]
    Log(search::Log),
    /// Show all that is known of a backup
    Show(show::Show),
    /// Read backups and compare every digest
    Verify(verify::Verify),
    /// Write a backup's objects out as plain files
    Export(export::Export),
    /// What engines there are
    #[command(subcommand)]
    Engines(engines::Engines),
}

/// Runs the command line. Does not print a usage error's exit code as clap has it, but ours, which is the same: 2.
pub fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            // Help and version are no errors and go to standard output.
            let code = if error.use_stderr() {
                ExitCode::Usage
            } else {
                ExitCode::Done
            };
            let _ = error.print();
            return code;
        }
    };
    output::log_to_stderr(cli.common.verbose);
    let json = cli.common.json;
    match run(cli) {
        Ok(code) => code,
        Err(error) => {
            output::error(&error, json);
            ExitCode::of(&error)
        }
    }
}

fn run(cli: Cli) -> Result<ExitCode> {
    let context = Context::new(cli.common);
    match cli.verb {
        Verb::Init(verb) => verb.run(&context),
        Verb::Backup(verb) => verb.run(&context),
        Verb::Archive(verb) => verb.run(&context),
        Verb::Restore(verb) => verb.run(&context),
        Verb::Check(verb) => verb.run(&context),
        Verb::Recover(verb) => verb.run(&context),
        Verb::List(verb) => verb.run(&context),
        Verb::Log(verb) => verb.run(&context),
        Verb::Show(verb) => verb.run(&context),
        Verb::Verify(verb) => verb.run(&context),
        Verb::Export(verb) => verb.run(&context),
        Verb::Engines(verb) => verb.run(&context),
    }
}

/// `KEY=VALUE` options for an engine: a value that is JSON is taken as that, any other as text.
fn engine_options(given: &[String], base: serde_json::Map<String, serde_json::Value>) -> Result<serde_json::Value> {
    let mut options = base;
    for option in given {
        let (key, value) = option
            .split_once('=')
            .filter(|(key, _)| !key.is_empty())
            .ok_or_else(|| {
                Error::new(
                    crate::error::ErrorKind::Usage,
                    format!("`--option {option}` is no option"),
                )
                .advise("write `--option KEY=VALUE`")
            })?;
        let value = serde_json::from_str(value).unwrap_or_else(|_| serde_json::Value::String(value.to_owned()));
        options.insert(key.to_owned(), value);
    }
    Ok(serde_json::Value::Object(options))
}
