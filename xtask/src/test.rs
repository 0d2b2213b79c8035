//! `cargo xtask test`: everything that is checked before a merge, in the order of how soon it can fail.

mod advisories;
mod summary;

use std::process::Command;
use std::time::Instant;

use self::summary::{State, Summary};
use crate::error::{Error, Result};
use crate::process::show;
use crate::setup;
use crate::workspace::{self, cargo};

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Handed to `cargo nextest run`, such as the name of a test.
    #[arg(last = true)]
    nextest: Vec<String>,
}

/// # Errors
/// The first check that fails, with the command to repeat it; what comes after it is not run.
pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    let steps = steps(&arguments.nextest);
    let mut summary = Summary::new(["setup"].into_iter().chain(steps.iter().map(|step| step.name)));
    let outcome = run_all(steps, &mut summary);
    // Standard output, like the steps' own: in a log it comes after them.
    println!("\n{summary}");
    outcome
}

fn run_all(steps: Vec<Step>, summary: &mut Summary) -> Result<()> {
    let start = Instant::now();
    let outcome = setup::ensure(&setup::everything(), true);
    summary.finish(
        if outcome.is_ok() { State::Passed } else { State::Failed },
        start.elapsed(),
    );
    outcome?;
    for mut step in steps {
        println!("\n==> {}: {}", step.name, show(&step.command));
        let start = Instant::now();
        if let Some(skip) = step.reason_to_skip.and_then(|reason| reason()) {
            println!("not checked: {skip}");
            summary.finish(State::NotChecked, start.elapsed());
            continue;
        }
        let shown = show(&step.command);
        let status = step
            .command
            .status()
            .map_err(|error| Error::new(format!("`{shown}` could not be started: {error}")))?;
        if !status.success() {
            summary.finish(State::Failed, start.elapsed());
            return Err(Error::new(format!("{} failed ({status})", step.name)).remedy(format!("repeat it: {shown}")));
        }
        summary.finish(State::Passed, start.elapsed());
    }
    Ok(())
}

struct Step {
    name: &'static str,
    command: Command,
    /// Asked when it is the step's turn; an answer is why the check cannot be made here.
    reason_to_skip: Option<fn() -> Option<String>>,
}

fn steps(nextest: &[String]) -> Vec<Step> {
    let step = |name, arguments: &[&str]| {
        let mut command = cargo();
        command.args(arguments);
        Step {
            name,
            command,
            reason_to_skip: None,
        }
    };
    let mut tests = step(
        "tests",
        &["nextest", "run", "--workspace", "--locked", "--no-fail-fast"],
    );
    // The same folder that setup has filled, wherever a test is started.
    tests
        .command
        .args(nextest)
        .env(workspace::SERVERS_DIR, workspace::servers_dir());
    let mut advisories = step("advisories", &["deny", "--locked", "check", "advisories"]);
    advisories.reason_to_skip = Some(advisories::unreachable);
    vec![
        step("format", &["fmt", "--all", "--", "--check"]),
        step(
            "lints",
            &[
                "clippy",
                "--workspace",
                "--all-targets",
                "--locked",
                "--",
                "-D",
                "warnings",
            ],
        ),
        step(
            "dependencies",
            &[
                "deny",
                "--locked",
                "--log-level",
                "error",
                "check",
                "licenses",
                "bans",
                "sources",
            ],
        ),
        advisories,
        // Tests load the plug-ins as shared libraries, which building the tests alone does not make.
        step("build", &["build", "--workspace", "--locked"]),
        step("doc tests", &["test", "--doc", "--workspace", "--locked"]),
        out_of_tree("plug-ins: format", &["fmt", "--all"], &["--", "--check"]),
        out_of_tree(
            "plug-ins: lints",
            &["clippy", "--all-targets", "--locked"],
            &["--", "-D", "warnings"],
        ),
        // As the end-to-end suites build them, so that they are built once.
        out_of_tree("plug-ins: tests", &["test", "--release", "--locked"], &[]),
        tests,
    ]
}

/// A step in the workspace of the plug-ins that are built out of tree.
fn out_of_tree(name: &'static str, verb: &[&str], rest: &[&str]) -> Step {
    let mut command = cargo();
    command
        .args(verb)
        .arg("--manifest-path")
        .arg("tests/plugins/Cargo.toml")
        .args(rest)
        .env("CARGO_TARGET_DIR", workspace::target_dir().join("out-of-tree"));
    Step {
        name,
        command,
        reason_to_skip: None,
    }
}
