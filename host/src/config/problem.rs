//! What is wrong with a configuration, and where.

use std::cell::RefCell;
use std::fmt;
use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::string::FromUtf8Error;

use super::redact::redact_line;

/// Something wrong in a configuration file. Prints as `file:line:column: message`, the line, and a mark below it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The file.
    pub path: PathBuf,
    /// Line, from 1.
    pub line: usize,
    /// Column in characters, from 1.
    pub column: usize,
    /// What is wrong, in one line.
    pub message: String,
    /// What to do about it.
    pub help: Option<String>,
    /// The line as it is shown: without what may be a password.
    pub shown: String,
    /// How many characters of it are meant.
    pub width: usize,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}:{}:{}: {}",
            self.path.display(),
            self.line,
            self.column,
            self.message
        )?;
        if let Some(help) = &self.help {
            write!(f, "; {help}")?;
        }
        let number = self.line.to_string();
        let margin = " ".repeat(number.len());
        let indent = " ".repeat(self.column - 1);
        let mark = "^".repeat(self.width.max(1));
        write!(f, "\n {number} | {}\n {margin} | {indent}{mark}", self.shown)
    }
}

/// Why there is no configuration to work with.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// A file that was named does not exist.
    #[error("the configuration {} ({by}) does not exist; write one with `backstay init`", path.display())]
    NotFound {
        /// The file.
        path: PathBuf,
        /// What named it.
        by: &'static str,
    },
    /// No file was named, and none of the usual ones exists.
    #[error(
        "no configuration: looked for {}; write one with `backstay init`, or name one with --config or BACKSTAY_CONFIG",
        list(looked_for)
    )]
    None {
        /// The usual files.
        looked_for: Vec<PathBuf>,
    },
    /// It can not be read.
    #[error("the configuration {} can not be read: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// Something in it is wrong.
    #[error("{}", problems.iter().map(Problem::to_string).collect::<Vec<_>>().join("\n"))]
    Invalid {
        /// All that is wrong, in the order of the lines. Never empty.
        problems: Vec<Problem>,
    },
    /// It has no cluster or workflow of that name.
    #[error("{} has no {what} `{name}`; {help}", path.display())]
    Unknown {
        /// The file.
        path: PathBuf,
        /// `cluster` or `workflow`.
        what: &'static str,
        /// The name that was asked for.
        name: String,
        /// The nearest name, or all of them.
        help: String,
    },
}

impl ConfigError {
    pub(super) fn not_utf8(path: &Path, error: &FromUtf8Error) -> Self {
        let at = error.utf8_error().valid_up_to();
        let text = String::from_utf8_lossy(error.as_bytes());
        let problems = Problems::new(path, &text);
        problems.add(at..at + 1, "no TOML: the file is not UTF-8 here", None);
        Self::Invalid {
            problems: problems.take(),
        }
    }
}

fn list(paths: &[PathBuf]) -> String {
    let names: Vec<_> = paths.iter().map(|path| path.display().to_string()).collect();
    names.join(" and ")
}

/// Collects problems while a file is walked.
pub(super) struct Problems<'a> {
    path: &'a Path,
    text: &'a str,
    found: RefCell<Vec<(usize, Problem)>>,
}

impl<'a> Problems<'a> {
    pub(super) fn new(path: &'a Path, text: &'a str) -> Self {
        Self {
            path,
            text,
            found: RefCell::default(),
        }
    }

    /// The file's directory: what relative paths in it are relative to.
    pub(super) fn directory(&self) -> &Path {
        self.path.parent().unwrap_or(Path::new("/"))
    }

    /// Adds a problem with the bytes at `span`.
    pub(super) fn add(&self, span: Range<usize>, message: impl Into<String>, help: Option<String>) {
        let boundary = |at: usize| {
            (0..=at.min(self.text.len()))
                .rev()
                .find(|at| self.text.is_char_boundary(*at))
        };
        let start = boundary(span.start).unwrap_or(0);
        let line_start = self.text[..start].rfind('\n').map_or(0, |at| at + 1);
        let line_end = self.text[start..].find('\n').map_or(self.text.len(), |at| start + at);
        let line = self.text[line_start..line_end].trim_end_matches('\r');
        let last = start.max(line_start + line.len());
        let end = boundary(span.end).unwrap_or(0).clamp(start, last);
        let shown = redact_line(&line.replace('\t', " ").replace(char::is_control, "\u{fffd}"));
        let column = self.text[line_start..start].chars().count() + 1;
        let width = self.text[start..end].chars().count();
        let problem = Problem {
            path: self.path.to_owned(),
            line: self.text[..start].matches('\n').count() + 1,
            column,
            message: message.into(),
            help,
            // A mark beyond a line that was shortened would point at nothing.
            width: width.min((shown.chars().count() + 1).saturating_sub(column)),
            shown,
        };
        self.found.borrow_mut().push((span.start, problem));
    }

    /// An error if there were any problems so far.
    pub(super) fn check(&self) -> Result<(), ConfigError> {
        if self.found.borrow().is_empty() {
            return Ok(());
        }
        Err(ConfigError::Invalid { problems: self.take() })
    }

    fn take(&self) -> Vec<Problem> {
        let mut found = self.found.take();
        found.sort_by_key(|(at, _)| *at);
        found.into_iter().map(|(_, problem)| problem).collect()
    }
}
