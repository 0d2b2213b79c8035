//! What it is to do.

use std::path::PathBuf;

use serde::Deserialize;

use crate::data::Data;

/// The options, as `options.schema.json` describes them.
#[derive(Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Options {
    pub(crate) deed: Deed,
    pub(crate) when: When,
    pub(crate) defiant: bool,
    pub(crate) megabytes: Option<u64>,
    pub(crate) milliseconds: Option<u64>,
    pub(crate) data: Data,
    pub(crate) session: String,
    pub(crate) cleaned: Option<PathBuf>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            deed: Deed::None,
            when: When::FullBackup,
            defiant: false,
            megabytes: None,
            milliseconds: None,
            data: Data::Random,
            session: "4711".to_owned(),
            cleaned: None,
        }
    }
}

/// The operation that a deed is done in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum When {
    FullBackup,
    Restore,
    Check,
    Clean,
}

/// What is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Deed {
    /// Nothing: the engine behaves.
    None,
    /// Fails with an error, advice and causes.
    Error,
    /// Fails with an error of 100,000 lines, control characters and causes without end.
    DeepError,
    /// Panics.
    Panic,
    /// Panics in a thread that the operation waits for.
    PanicInThread,
    /// Calls `abort()`.
    Abort,
    /// Writes to address 0.
    Null,
    /// Recurses without end.
    StackOverflow,
    /// Ends the process, with code 0.
    Exit,
    /// Ends the process, with code 3.
    #[serde(rename = "exit-3")]
    Exit3,
    /// Loops without end, and does not heed cancellation.
    Loop,
    /// Waits until it is cancelled.
    Sleep,
    /// Prints on standard output.
    Stdout,
    /// Prints on standard error.
    Stderr,
    /// Guards a session, and aborts.
    Guard,
    /// An object that would leave the backup's directory.
    Escape,
    /// An object with an absolute name.
    Absolute,
    /// An object with a newline in its name.
    Control,
    /// Two objects of one name.
    Duplicate,
    /// 65 objects open at once.
    TooMany,
    /// An object that is dropped before it is finished.
    Unfinished,
    /// An object that is neither finished nor dropped.
    Leak,
    /// Goes on writing an object after another has been finished: allowed.
    Late,
    /// A thread that goes on writing after the operation has returned.
    Linger,
    /// One large object.
    Big,
    /// One object, in a hundred pieces with pauses.
    Slow,
    /// One object after the other, without heeding cancellation.
    Heedless,
}
