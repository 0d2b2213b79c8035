//! Programs that are built from the package registry with `cargo install`, into Cargo's own folder: so they outlive
//! `cargo clean`.

use super::Piece;
use super::servers::version_in;
use crate::error::Result;
use crate::process::capture;
use crate::workspace::cargo;

/// A sub-command of cargo's.
pub(crate) struct CargoTool {
    /// The sub-command: `nextest` for the package `cargo-nextest`.
    command: &'static str,
    package: &'static str,
    why: &'static str,
    /// Older ones (major, minor) do not do.
    at_least: (u32, u32),
}

pub(crate) const NEXTEST: CargoTool = CargoTool {
    command: "nextest",
    package: "cargo-nextest",
    why: "runs each test in a process of its own; it is built from source, in a few minutes",
    at_least: (0, 9),
};

/// NOTE: releases before 0.18 panic on what today's `cargo metadata` prints, or cannot read today's advisories.
pub(crate) const DENY: CargoTool = CargoTool {
    command: "deny",
    package: "cargo-deny",
    why: "checks the licences and sources of dependencies; it is built from source, in a few minutes",
    at_least: (0, 18),
};

impl Piece for CargoTool {
    fn name(&self) -> &str {
        self.package
    }

    fn why(&self) -> &str {
        self.why
    }

    fn is_present(&self) -> bool {
        let Ok(said) = capture(cargo().args([self.command, "--version"])) else {
            return false;
        };
        version_in(&said).is_some_and(|(major, minor, _)| (major, minor) >= self.at_least)
    }

    fn install(&self) -> Result<()> {
        // --force: one that is there and too old is replaced.
        capture(cargo().args(["install", "--locked", "--force", "--quiet", self.package])).map(drop)
    }
}
