//! Putting an index together while a backup is taken.

use std::io::Write;

use backstay_engine_api::{EngineError, ErrorKind};

use super::{IndexEntry, IndexSummary, sha256_hex};

/// zstd's level for the index; digests do not shrink, and the rest shrinks at any level.
const LEVEL: i32 = 3;

/// Takes entries in any order, and writes them by name. It keeps each as the text of its line.
#[derive(Debug, Default)]
pub struct IndexBuilder {
    /// The name, and the line's JSON without it.
    lines: Vec<(Box<str>, Box<str>)>,
    bytes: u64,
    stored_bytes: u64,
}

impl IndexBuilder {
    /// An index without entries.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds an entry. Its name must not have been added before.
    ///
    /// # Errors
    /// Its name or one of its files is not safe, or its lengths do not fit.
    pub fn push(&mut self, entry: &IndexEntry) -> Result<(), EngineError> {
        entry.check()?;
        let json = serde_json::to_string(entry).map_err(|error| no_json(&entry.name, &error))?;
        let name = serde_json::to_string(&entry.name).map_err(|error| no_json(&entry.name, &error))?;
        // `{"name":<name>,<rest>`: serde writes fields in the order of their declaration.
        let rest = json[r#"{"name":"#.len() + name.len() + 1..].into();
        self.bytes += entry.size;
        self.stored_bytes += entry.stored();
        self.lines.push((entry.name.as_str().into(), rest));
        Ok(())
    }

    /// How many entries there are.
    pub fn len(&self) -> usize {
        self.lines.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.lines.is_empty()
    }

    /// The index as it is stored, and what the manifest says of it. `files` is how many files the objects are in.
    ///
    /// # Errors
    /// Two entries have one name.
    pub fn finish(mut self, files: u64) -> Result<(Vec<u8>, IndexSummary), EngineError> {
        self.lines.sort_unstable();
        if let Some(pair) = self.lines.windows(2).find(|pair| pair[0].0 == pair[1].0) {
            return Err(EngineError::refused(format!(
                "object {:?} was written twice",
                pair[0].0
            )));
        }
        let objects = self.lines.len() as u64;
        let stored = encode(self.lines).map_err(|error| {
            EngineError::new(ErrorKind::Io, "the index of objects can not be compressed").because(&error)
        })?;
        let summary = IndexSummary {
            sha256: sha256_hex(&stored),
            length: stored.len() as u64,
            objects,
            bytes: self.bytes,
            stored_bytes: self.stored_bytes,
            files,
        };
        Ok((stored, summary))
    }
}

fn encode(lines: Vec<(Box<str>, Box<str>)>) -> std::io::Result<Vec<u8>> {
    let mut encoder = zstd::stream::write::Encoder::new(Vec::new(), LEVEL)?;
    encoder.include_checksum(true)?;
    for (name, rest) in lines {
        encoder.write_all(br#"{"name":"#)?;
        serde_json::to_writer(&mut encoder, &name)?;
        encoder.write_all(b",")?;
        encoder.write_all(rest.as_bytes())?;
        encoder.write_all(b"\n")?;
    }
    encoder.finish()
}

fn no_json(name: &str, error: &serde_json::Error) -> EngineError {
    EngineError::other(format!("the attributes of object {name:?} are no JSON")).because(error)
}
