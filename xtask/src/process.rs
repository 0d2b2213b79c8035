//! Running other programs, and finding them.

use std::env;
use std::ffi::OsStr;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::error::{Error, Result};

/// How many of the last lines of a failed program's output an error repeats.
const TAIL: usize = 15;

/// Runs a program to its end, its output kept back, and returns its standard output.
///
/// # Errors
/// The program cannot be started or does not exit with 0; the error holds the command and the end of its output.
pub(crate) fn capture(command: &mut Command) -> Result<String> {
    let shown = show(command);
    let output = command
        .stdin(Stdio::null())
        .output()
        .map_err(|error| Error::new(format!("`{shown}` could not be started: {error}")))?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let mut said = String::from_utf8_lossy(&output.stdout).into_owned();
    said.push_str(&String::from_utf8_lossy(&output.stderr));
    let lines: Vec<&str> = said.lines().collect();
    let tail = lines[lines.len().saturating_sub(TAIL)..].join("\n    ");
    Err(Error::new(format!("`{shown}` failed ({}):\n    {tail}", output.status)))
}

/// Runs a command to its end, with our own outputs.
///
/// # Errors
/// It cannot be started or does not exit with 0.
pub(crate) fn run(command: &mut Command) -> Result<()> {
    let shown = show(command);
    let status = command
        .status()
        .map_err(|error| Error::new(format!("`{shown}` could not be started: {error}")))?;
    if status.success() {
        return Ok(());
    }
    Err(Error::new(format!("`{shown}` failed ({status})")))
}

/// What a program prints when asked for its version, in one line; `None` where it does not run.
pub(crate) fn version_line(program: impl AsRef<OsStr>, arguments: &[&str]) -> Option<String> {
    let output = capture(Command::new(program).args(arguments)).ok()?;
    output.lines().next().map(|line| line.trim().to_owned())
}

/// The same command, run as root: as it is where we are root, through `sudo` elsewhere.
///
/// # Errors
/// We are not root and there is no `sudo`; the error holds the command to run as root.
pub(crate) fn as_root(command: Command) -> Result<Command> {
    if rustix::process::geteuid().is_root() {
        return Ok(command);
    }
    let Some(sudo) = find("sudo") else {
        return Err(Error::new("this needs root, and there is no `sudo` on PATH")
            .remedy(format!("run as root, then start again: {}", show(&command))));
    };
    // sudo drops the environment, so variables go through env(1).
    let mut wrapped = Command::new(sudo);
    wrapped.arg("env");
    for (name, value) in command.get_envs() {
        if let Some(value) = value {
            let mut assignment = name.to_owned();
            assignment.push("=");
            assignment.push(value);
            wrapped.arg(assignment);
        }
    }
    wrapped.arg(command.get_program()).args(command.get_args());
    Ok(wrapped)
}

/// Where a program is: on PATH or, since a user's PATH on Debian leaves them out, in the folders of system programs.
pub(crate) fn find(program: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&path)
        .chain(["/usr/local/sbin", "/usr/sbin", "/sbin"].map(PathBuf::from))
        .map(|folder| folder.join(program))
        .find(|candidate| is_executable(candidate))
}

/// Is this a file that may be run?
pub(crate) fn is_executable(file: &Path) -> bool {
    file.metadata()
        .is_ok_and(|meta| meta.is_file() && meta.permissions().mode() & 0o111 != 0)
}

/// The command as it would be typed into a shell.
pub(crate) fn show(command: &Command) -> String {
    let variables = command.get_envs().filter_map(|(name, value)| {
        Some(format!(
            "{}={}",
            name.to_string_lossy(),
            quote(&value?.to_string_lossy())
        ))
    });
    // Cargo is started by its full path, and found by its name.
    let program = Path::new(command.get_program());
    let program = if program.file_name() == Some(OsStr::new("cargo")) {
        OsStr::new("cargo")
    } else {
        program.as_os_str()
    };
    let words = [program]
        .into_iter()
        .chain(command.get_args())
        .map(|word| quote(&word.to_string_lossy()));
    variables.chain(words).collect::<Vec<_>>().join(" ")
}

fn quote(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./=:,+@%".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shown_command_can_be_pasted_into_a_shell() {
        let mut command = Command::new("sh");
        command.arg("-c").arg("echo 'a' \"$b\"").env("LANG", "C");
        assert_eq!(show(&command), r#"LANG=C sh -c 'echo '\''a'\'' "$b"'"#);
    }

    #[test]
    fn a_failure_says_what_was_run_and_what_it_said() {
        let error = capture(Command::new("sh").args(["-c", "echo 'no such thing' >&2; exit 3"]))
            .unwrap_err()
            .to_string();
        assert!(error.contains("exit 3'` failed (exit status: 3)"), "{error}");
        assert!(error.contains("no such thing"), "{error}");
    }
}
