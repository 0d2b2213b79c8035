//! The benchmarks of `cargo xtask bench`: each against its peer in the same run, in turn, medians of five, as ratios.

use std::error::Error;
use std::process::ExitCode;

use backstay_tests::bench::{abi, logical, mysqldump, physical, pipeline, plugins, recovery};

type Suite = (&'static str, fn() -> Result<String, Box<dyn Error>>);

/// The suites, by name.
const SUITES: &[Suite] = &[
    ("mysqldump", mysqldump::run),
    ("logical", logical::run),
    ("physical", physical::run),
    ("plugins", plugins::run),
    ("abi", abi::run),
    ("pipeline", pipeline::run),
    ("recovery", recovery::run),
];

fn main() -> ExitCode {
    let wanted: Vec<String> = std::env::args().skip(1).collect();
    if let Some(unknown) = wanted
        .iter()
        .find(|name| !SUITES.iter().any(|(known, _)| known == name))
    {
        let known: Vec<&str> = SUITES.iter().map(|(name, _)| *name).collect();
        eprintln!("there is no suite `{unknown}`; there are {}", known.join(", "));
        return ExitCode::from(2);
    }
    // Scaled down, it is tried and not measured.
    if cfg!(debug_assertions) && std::env::var_os("BACKSTAY_BENCH_SCALE").is_none() {
        eprintln!("this is a debug build, whose figures say nothing: start it with `cargo xtask bench`");
        return ExitCode::from(2);
    }
    for (name, suite) in SUITES {
        if !wanted.is_empty() && !wanted.iter().any(|wanted| wanted == name) {
            continue;
        }
        match suite() {
            Ok(table) => println!("\n## {name}\n\n{table}"),
            Err(error) => {
                eprintln!("{name}: {error}");
                return ExitCode::FAILURE;
            }
        }
    }
    ExitCode::SUCCESS
}
