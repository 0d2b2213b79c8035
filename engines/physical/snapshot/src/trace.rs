//! [`Trace`]: what a job may leave behind, as it is on record with the host while the job runs.
//!
//! The host keeps a name for whatever has to be put in order should the job be killed, and hands it to `clean`. For this engine it says
//! by which provider and where; everything that a job makes has the job's id in its name.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};

use backstay_physical::MARK;

use crate::options::ProviderName;

/// The beginning of the name.
const START: &str = "snapshot=";

/// Who has made something, and of which data directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Trace {
    pub(crate) provider: ProviderName,
    pub(crate) data_dir: PathBuf,
}

impl Trace {
    /// As the host keeps it.
    pub(crate) fn name(&self) -> String {
        let provider = serde_json::to_string(&self.provider).unwrap_or_default();
        format!("{START}{}:{}", provider.trim_matches('"'), self.data_dir.display())
    }

    /// What the host kept, if it is a trace and no session.
    pub(crate) fn parse(name: &str) -> Option<Self> {
        let (provider, data_dir) = name.strip_prefix(START)?.split_once(':')?;
        Some(Self {
            provider: serde_json::from_value(provider.into()).ok()?,
            data_dir: data_dir.into(),
        })
    }
}

/// What a job calls a file, a directory or a subvolume of its own in or beside a data directory.
pub(crate) fn file_name(job: &str) -> OsString {
    format!("{MARK}{job}").into()
}

/// Where such a thing is: beside the data directory if that is of the same file system, for what is in the data directory the server
/// may take for a schema; otherwise in it.
pub(crate) fn beside_or_in(directory: &Path, job: &str, same: impl Fn(&Path) -> bool) -> PathBuf {
    match directory.parent() {
        Some(parent) if same(parent) => parent.join(file_name(job)),
        _ => directory.join(file_name(job)),
    }
}

/// Processes that have the job's name on their command line: a program that is making something, or the watch over a stopped server.
pub(crate) fn processes(job: &str) -> Vec<i32> {
    let own = std::process::id();
    let name = format!("backstay-{job}");
    fs::read_dir("/proc")
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok())
        .filter(|pid| u32::try_from(*pid) != Ok(own))
        .filter(|pid| {
            let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
            // It is an argument, or the end of one: a path or the name of a volume.
            line.split(|byte| *byte == 0)
                .any(|argument| argument.ends_with(name.as_bytes()))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trace_comes_back() {
        let trace = Trace {
            provider: ProviderName::Btrfs,
            data_dir: "/srv/my sql:x".into(),
        };
        assert_eq!(trace.name(), "snapshot=btrfs:/srv/my sql:x");
        assert_eq!(Trace::parse(&trace.name()), Some(trace));
        assert_eq!(Trace::parse("41@1700000000"), None);
    }
}
