//! What a stream and its segments say of themselves, and how damage to that is found: as with a backup's manifest, a
//! digest lies beside it, in the form that `sha256sum -c` reads.

use backstay_engine_api::job::Segment;
use backstay_engine_api::{EngineRef, Order, Position, ServerFacts};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::super::manifest::{HostRef, IndexRef, hex};
use crate::{Error, ErrorKind, Result};

/// `stream.json`, format 1. Keys that this version does not know are kept.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct StreamRecord {
    /// The record's format.
    pub format: u64,
    /// The stream's id.
    pub id: String,
    /// The cluster that the log is of.
    pub cluster: String,
    /// The engine that archives it.
    pub engine: EngineRef,
    /// The server that it began with. After a failover, segments come from another with the same history.
    pub server: ServerFacts,
    /// When it began (RFC 3339, UTC).
    pub created: String,
    /// What its first segment follows on, in each way that is known.
    #[serde(default)]
    pub from: Vec<Position>,
    /// What is missing before it, where there was something to go on from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gap: Option<Gap>,
    /// What wrote it.
    #[serde(default)]
    pub host: HostRef,
    /// What a later version wrote.
    #[serde(flatten)]
    pub other: Map<String, Value>,
}

impl StreamRecord {
    /// Whether its server had begun anew, as after a reset: the log begins before where the one before it ended, with names that
    /// transactions there had too.
    pub fn is_anew(&self) -> bool {
        let Some(gap) = &self.gap else { return false };
        let pair = self.from.iter().find_map(|from| {
            let same = |after: &&Position| after.kind == from.kind;
            gap.after.iter().find(same).map(|after| (from, after))
        });
        pair.is_some_and(|(from, after)| matches!(from.compare(after), Ok(Order::Before | Order::Diverged)))
    }
}

/// A hole between what was archived, or a backup, and a stream.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Gap {
    /// The stream or the backup before the hole.
    pub before: String,
    /// Where that ends.
    #[serde(default)]
    pub after: Vec<Position>,
    /// What is missing, for people.
    pub missing: String,
}

/// `segment.json`, format 1. Keys that this version does not know are kept.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct SegmentRecord {
    /// The record's format.
    pub format: u64,
    /// The cluster that the log is of.
    pub cluster: String,
    /// The stream's id.
    pub stream: String,
    /// What it covers.
    #[serde(flatten)]
    pub segment: Segment,
    /// The member of the cluster that it was read from, as the configuration calls it.
    #[serde(default)]
    pub member: String,
    /// Which server that is: flavour, version and identity.
    #[serde(default)]
    pub source: ServerFacts,
    /// When it was closed (RFC 3339, UTC).
    pub closed: String,
    /// The index of its objects.
    pub index: IndexRef,
    /// What wrote it.
    #[serde(default)]
    pub host: HostRef,
    /// What a later version wrote.
    #[serde(flatten)]
    pub other: Map<String, Value>,
}

/// A record that has a digest beside it.
pub(crate) trait Sealed: Serialize + DeserializeOwned {
    /// The newest format that this version reads, and the one that it writes.
    const FORMAT: u64 = 1;
    /// Its file.
    const FILE: &'static str;

    /// The bytes of the record's file and of its digest's.
    fn seal(&self) -> Result<(Vec<u8>, Vec<u8>)> {
        let failed = |error| Error::other(format!("{} can not be written as JSON", Self::FILE)).because(&error);
        let mut text = serde_json::to_vec_pretty(self).map_err(|error: serde_json::Error| failed(error))?;
        text.push(b'\n');
        let digest = digest_line::<Self>(&text).into_bytes();
        Ok((text, digest))
    }

    /// From the bytes of both files. `path` is where they are, for messages.
    fn unseal(path: &str, text: &[u8], digest: &[u8]) -> Result<Self> {
        #[derive(Deserialize)]
        struct Format {
            format: u64,
        }
        if digest_line::<Self>(text).as_bytes() != digest {
            let found = hex(text);
            return Err(damaged(format!(
                "{path} is damaged: its SHA-256 is {found}, {} says another",
                digest_file::<Self>()
            )));
        }
        let no_record = |error: serde_json::Error| damaged(format!("{path} is no record")).because(&error);
        let Format { format } = serde_json::from_slice(text).map_err(no_record)?;
        if format != Self::FORMAT {
            let message = format!("{path} has format {format}, this version reads {}", Self::FORMAT);
            return Err(Error::refused(message).advise("use the version of backstay that wrote it, or a later one"));
        }
        serde_json::from_slice(text).map_err(no_record)
    }
}

impl Sealed for StreamRecord {
    const FILE: &'static str = super::STREAM;
}

impl Sealed for SegmentRecord {
    const FILE: &'static str = super::SEGMENT;
}

/// The file of a record's digest.
pub(crate) fn digest_file<T: Sealed>() -> String {
    format!("{}.sha256", T::FILE)
}

/// What a record that is not as it was written means.
pub(super) fn damaged(message: String) -> Error {
    Error::new(ErrorKind::Damaged, message).advise(
        "recovery ends before it; a full backup taken later mends that, and `backstay verify` shows what is sound",
    )
}

fn digest_line<T: Sealed>(text: &[u8]) -> String {
    format!("{}  {}\n", hex(text), T::FILE)
}
