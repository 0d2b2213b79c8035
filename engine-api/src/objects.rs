//! Objects: the named byte streams that a backup is made of.

use std::io::{self, Read, Write};
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::error::EngineError;
use crate::host::Host;
use crate::wire::{Handle, Request};

/// What is known of an object besides its bytes. Any further key is kept as it is.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Attributes {
    /// What it is, in the engine's words: `table-data`, `table`, `accounts`, `file`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// The schema it belongs to; in MySQL and MariaDB a schema is a database.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub schema: Option<String>,
    /// The table it belongs to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub table: Option<String>,
    /// The partition it belongs to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub partition: Option<String>,
    /// Anything else: mode, owner, holes, link target.
    #[serde(flatten)]
    pub other: Map<String, Value>,
}

impl Attributes {
    /// Attributes of an object of that kind.
    pub fn kind(kind: impl Into<String>) -> Self {
        Self {
            kind: Some(kind.into()),
            ..Self::default()
        }
    }

    /// The same, of a schema.
    #[must_use]
    pub fn schema(mut self, schema: impl Into<String>) -> Self {
        self.schema = Some(schema.into());
        self
    }

    /// The same, of a table.
    #[must_use]
    pub fn table(mut self, table: impl Into<String>) -> Self {
        self.table = Some(table.into());
        self
    }

    /// The same, with one more key.
    #[must_use]
    pub fn with(mut self, key: impl Into<String>, value: impl Into<Value>) -> Self {
        self.other.insert(key.into(), value.into());
        self
    }
}

/// Whether an object's bytes are worth compressing.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Storage {
    /// As the repository is set up to.
    #[default]
    Compress,
    /// They are compressed or encrypted already: as they are.
    Store,
    /// With zstd, whatever the repository is set up to (its level applies), and the name says so: it must end in `.zst`. The
    /// engine writes and reads plain bytes, as ever; a file that an operator sees, in the repository or exported, has the
    /// object's very name and holds what `zstd -d` reads. For formats that prescribe compressed files, such as `t@@0.tsv.zst`.
    Zstd,
}

/// An object of a backup.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ObjectInfo {
    /// Its name, unique in its backup.
    pub name: String,
    /// What is known of it.
    #[serde(default)]
    pub attributes: Attributes,
    /// Its size as the engine wrote it, in bytes.
    pub size: u64,
}

/// What became of an object that was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Written {
    /// Its size as the engine wrote it, in bytes.
    pub size: u64,
}

/// Writes an object's bytes into the host's pipeline.
///
/// Call [`finish`](Self::finish) when it is whole; an object that is dropped before that is thrown away and is no part of the
/// backup. Writes of any
/// size are taken; larger ones cost less.
#[derive(Debug)]
pub struct ObjectWriter {
    host: Arc<Host>,
    object: u64,
    open: bool,
}

impl ObjectWriter {
    pub(crate) fn create(host: &Arc<Host>, request: &Request) -> Result<Self, EngineError> {
        let Handle { object } = host.ask(request)?;
        Ok(Self {
            host: Arc::clone(host),
            object,
            open: true,
        })
    }

    /// Ends the object.
    ///
    /// # Errors
    /// Its bytes did not reach the repository.
    pub fn finish(mut self) -> Result<Written, EngineError> {
        self.open = false;
        self.host.ask(&Request::Finish { object: self.object })
    }
}

impl Write for ObjectWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.host.write(self.object, bytes)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Drop for ObjectWriter {
    fn drop(&mut self) {
        if self.open {
            // An error has nowhere to go, and the host throws open objects away at the job's end in any case.
            let _ = self.host.ask::<()>(&Request::Drop { object: self.object });
        }
    }
}

/// Reads an object's bytes, decompressed and verified.
#[derive(Debug)]
pub struct ObjectReader {
    host: Arc<Host>,
    object: u64,
}

impl ObjectReader {
    pub(crate) fn open(host: &Arc<Host>, source: usize, name: &str) -> Result<Self, EngineError> {
        let Handle { object } = host.ask(&Request::Open {
            source,
            name: name.to_owned(),
        })?;
        Ok(Self {
            host: Arc::clone(host),
            object,
        })
    }
}

impl Read for ObjectReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        Ok(self.host.read(self.object, buffer)?)
    }
}

impl Drop for ObjectReader {
    fn drop(&mut self) {
        // As for a writer.
        let _ = self.host.ask::<()>(&Request::Drop { object: self.object });
    }
}
