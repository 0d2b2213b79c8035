//! Programs of the system that providers run: `btrfs`, `lvcreate`, `mount` and the like.

use std::path::PathBuf;
use std::process::{Command, Stdio};

use std::os::unix::process::CommandExt as _;

use backstay_engine_api::{EngineError, ErrorKind};
use backstay_mysql::programs::find_by_name;

/// How many lines of what a program printed an error shows.
const SHOWN_LINES: usize = 5;

/// A program, and Debian's package that has it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Program {
    pub(crate) name: &'static str,
    pub(crate) package: &'static str,
}

impl Program {
    /// Where it is.
    ///
    /// # Errors
    /// [`ErrorKind::Program`], naming the package.
    pub(crate) fn find(self) -> Result<PathBuf, EngineError> {
        // sbin is on few users' PATH, and /sbin is not /usr/sbin everywhere.
        let more = ["/usr/sbin", "/sbin", "/bin"].map(PathBuf::from);
        find_by_name(&[self.name], &more).ok_or_else(|| {
            EngineError::new(ErrorKind::Program, format!("the program `{}` is missing", self.name))
                .advise(format!("install the package {}", self.package))
        })
    }

    /// Runs it to its end and gives what it printed.
    ///
    /// It has a process group of its own: whoever kills this process and all that it has started must not kill a program half-way that
    /// has the volume under the server suspended. What it has made is found by its name.
    ///
    /// # Errors
    /// [`ErrorKind::Program`] with what it said, if it is missing or fails.
    pub(crate) fn run(self, args: &[&str]) -> Result<String, EngineError> {
        let path = self.find()?;
        let shown = format!("`{} {}`", self.name, args.join(" "));
        let output = Command::new(path)
            .args(args)
            .env("LC_ALL", "C")
            // LVM complains of every descriptor that it inherits.
            .env("LVM_SUPPRESS_FD_WARNINGS", "1")
            .process_group(0)
            .stdin(Stdio::null())
            .output()
            .map_err(|error| {
                EngineError::new(ErrorKind::Program, format!("{shown} can not be started")).because(&error)
            })?;
        if output.status.success() {
            return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
        }
        let mut error = EngineError::new(ErrorKind::Program, format!("{shown} failed ({})", output.status));
        let said = String::from_utf8_lossy(&output.stderr);
        let lines: Vec<&str> = said.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
        for line in &lines[lines.len().saturating_sub(SHOWN_LINES)..] {
            error = error.detail(*line);
        }
        Err(error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_program_is_named_with_its_package() {
        let missing = Program {
            name: "no-such-program",
            package: "btrfs-progs",
        };
        let error = missing.run(&[]).unwrap_err();
        assert_eq!(error.kind, ErrorKind::Program);
        let text = error.to_string();
        assert!(text.contains("`no-such-program` is missing"), "{text}");
        assert!(
            format!("{error:?}").contains("install the package btrfs-progs"),
            "{error:?}"
        );
    }
}
