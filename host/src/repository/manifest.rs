//! The manifest: what makes a directory a backup, and how damage to it is found.
//!
//! `manifest.json` says what the backup is and names the index by its digest; the index has the digests of the data. What
//! is left is the manifest's own digest, which is in `manifest.json.sha256`, in the form that `sha256sum -c` reads. It is
//! written before the manifest, so that a manifest without it is a damaged one.

use backstay_engine_api::BackupRecord;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

use super::index::Index;
use super::layout::{BackupPaths, MANIFEST, MANIFEST_DIGEST};
use super::store::Store;
use super::{Repository, layout};
use crate::{Error, ErrorKind, Result};

/// A backup's manifest, format 1. Keys that this version does not know are kept, at the top in `record.other`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Manifest {
    /// The manifest's format.
    pub format: u64,
    /// What is known of the backup.
    #[serde(flatten)]
    pub record: BackupRecord,
    /// The index of its objects.
    pub index: IndexRef,
    /// What wrote it.
    pub host: HostRef,
}

/// The index of a backup's objects, and how much data it is about.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct IndexRef {
    /// Its file, in the backup's directory.
    pub file: String,
    /// SHA-256 of the file, in hex.
    pub sha256: String,
    /// The file's length in bytes.
    pub length: u64,
    /// How many files there are below `data/`.
    pub data_files: u64,
    /// How long they are together, in bytes.
    pub data_bytes: u64,
    /// What a later version wrote.
    #[serde(flatten)]
    pub other: Map<String, Value>,
}

/// The host that wrote a manifest.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct HostRef {
    /// The machine's host name.
    pub name: String,
    /// The version of Backstay.
    pub version: String,
    /// What a later version wrote.
    #[serde(flatten)]
    pub other: Map<String, Value>,
}

impl HostRef {
    /// This machine and this version.
    pub fn this() -> Self {
        Self {
            name: super::locks::Holder::host_name(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            other: Map::new(),
        }
    }
}

impl Manifest {
    /// The newest format that this version reads, and the one that it writes.
    pub const FORMAT: u64 = 1;

    /// A manifest of this format, by this host.
    pub fn new(record: BackupRecord, index: IndexRef) -> Self {
        Self {
            format: Self::FORMAT,
            record,
            index,
            host: HostRef::this(),
        }
    }

    /// The bytes of `manifest.json` and of `manifest.json.sha256`.
    pub(super) fn encode(&self) -> Result<(Vec<u8>, Vec<u8>)> {
        let mut text = serde_json::to_vec_pretty(self)
            .map_err(|error| Error::other("the backup's record can not be written as JSON").because(&error))?;
        text.push(b'\n');
        let digest = digest_line(&text).into_bytes();
        Ok((text, digest))
    }

    /// From the bytes of both files, checked against each other and against the place where they were found.
    fn decode(cluster: &str, id: &str, text: &[u8], digest: &[u8]) -> std::result::Result<Self, Fault> {
        let expected = digest_line(text);
        if digest != expected.as_bytes() {
            return Err(Fault::Digest {
                found: hex(text),
                stated: stated_digest(digest),
            });
        }
        #[derive(Deserialize)]
        struct Format {
            format: u64,
        }
        let Format { format } = serde_json::from_slice(text).map_err(Fault::Json)?;
        if format != Self::FORMAT {
            return Err(Fault::Format(format));
        }
        let mut manifest: Self = serde_json::from_slice(text).map_err(Fault::Json)?;
        // Engines once said it in their own state.
        manifest.record.partial |= manifest.record.state["limited"] == true;
        if manifest.record.id != id || manifest.record.cluster != cluster {
            return Err(Fault::Another {
                id: manifest.record.id,
                cluster: manifest.record.cluster,
            });
        }
        Ok(manifest)
    }
}

/// What an operator can do about a damaged backup.
const ADVICE: &str = "restore another backup; `backstay verify` shows which are sound";

/// What is wrong with a manifest.
#[derive(Debug)]
enum Fault {
    /// It is not what its digest file says, which says nothing legible where `stated` is `None`.
    Digest { found: String, stated: Option<String> },
    /// It is no manifest.
    Json(serde_json::Error),
    /// A newer format.
    Format(u64),
    /// It is the manifest of another backup.
    Another { id: String, cluster: String },
}

impl Fault {
    fn report(self, paths: &BackupPaths, id: &str) -> Error {
        let damaged = |message: String| Error::new(ErrorKind::Damaged, message).advise(ADVICE);
        match self {
            Self::Digest {
                found,
                stated: Some(stated),
            } => damaged(format!(
                "{} is damaged: its SHA-256 is {found}, {MANIFEST_DIGEST} says {stated}",
                paths.manifest
            )),
            Self::Digest { stated: None, .. } => damaged(format!(
                "{} is damaged: expected a SHA-256 and {MANIFEST:?}",
                paths.manifest_digest
            )),
            Self::Json(error) => damaged(format!("{} is no manifest", paths.manifest)).because(&error),
            Self::Format(format) => Error::refused(format!(
                "backup {id} has manifest format {format}, this version reads {}",
                Manifest::FORMAT
            ))
            .advise("use the version of backstay that wrote it, or a later one"),
            Self::Another { id, cluster } => damaged(format!(
                "{} is the manifest of another backup: {id} of cluster {cluster}",
                paths.manifest
            )),
        }
    }
}

impl Repository {
    /// The manifest of a backup; `None` where there is no such backup, or none that is complete.
    ///
    /// # Errors
    /// It is damaged ([`ErrorKind::Damaged`]), of a newer format ([`ErrorKind::Refused`]), or can not be read.
    pub fn manifest(&self, cluster: &str, id: &str) -> Result<Option<Manifest>> {
        self.wait(self.store.manifest(cluster, id))
    }

    /// A backup's index of objects.
    ///
    /// # Errors
    /// It is missing or damaged ([`ErrorKind::Damaged`]), or can not be read.
    pub fn read_index(&self, manifest: &Manifest) -> Result<Index> {
        Index::read(self.index_bytes(manifest)?.as_slice()).map_err(|error| error.advise(ADVICE))
    }

    /// The bytes of a backup's index of objects, as they are stored and as the manifest says that they are.
    ///
    /// # Errors
    /// It is missing or damaged ([`ErrorKind::Damaged`]), or can not be read.
    pub fn index_bytes(&self, manifest: &Manifest) -> Result<Vec<u8>> {
        let path = BackupPaths::new(&manifest.record.cluster, &manifest.record.id)?.index;
        let index = &manifest.index;
        let damaged = |found: String| Error::new(ErrorKind::Damaged, format!("{path} is {found}")).advise(ADVICE);
        if index.file != layout::INDEX {
            // A manifest says where a file is, and must not say where to look outside the backup.
            let message = format!("backup {} has its index in {:?}", manifest.record.id, index.file);
            return Err(Error::refused(format!(
                "{message}, this version reads {:?}",
                layout::INDEX
            )));
        }
        let Some(bytes) = self.wait(self.store.read(&path))? else {
            return Err(damaged("missing".to_owned()));
        };
        if bytes.len() as u64 != index.length {
            return Err(damaged(format!(
                "damaged: {} bytes, expected {}",
                bytes.len(),
                index.length
            )));
        }
        let digest = hex(&bytes);
        if digest != index.sha256 {
            return Err(damaged(format!("damaged: SHA-256 {digest}, expected {}", index.sha256)));
        }
        Ok(bytes)
    }
}

impl Store {
    pub(super) async fn manifest(&self, cluster: &str, id: &str) -> Result<Option<Manifest>> {
        let paths = BackupPaths::new(cluster, id)?;
        let Some(text) = self.read(&paths.manifest).await? else {
            return Ok(None);
        };
        let Some(digest) = self.read(&paths.manifest_digest).await? else {
            // A delete removes the manifest first: between the two reads it may have begun.
            if self.head(&paths.manifest).await?.is_none() {
                return Ok(None);
            }
            let message = format!(
                "{} is missing, so the manifest beside it can not be trusted",
                paths.manifest_digest
            );
            return Err(Error::new(ErrorKind::Damaged, message).advise(ADVICE));
        };
        let manifest = Manifest::decode(cluster, id, &text, &digest);
        manifest.map(Some).map_err(|fault| fault.report(&paths, id))
    }
}

/// The line that `sha256sum manifest.json` prints.
fn digest_line(text: &[u8]) -> String {
    format!("{}  {}\n", hex(text), layout::MANIFEST)
}

/// The digest of a digest file, if it is one.
fn stated_digest(digest: &[u8]) -> Option<String> {
    let line = std::str::from_utf8(digest).ok()?;
    let hex = line.strip_suffix(&format!("  {MANIFEST}\n"))?;
    let legible = hex.len() == 64 && hex.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    legible.then(|| hex.to_owned())
}

/// SHA-256 of bytes, in hex.
pub(super) fn hex(bytes: &[u8]) -> String {
    to_hex(&Sha256::digest(bytes))
}

/// Bytes in hex.
pub(super) fn to_hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::testing::record;
    use super::*;

    const ID: &str = "20261122T101530Z-full-mysqldump-7f3a";

    fn manifest() -> Manifest {
        let index = IndexRef {
            file: layout::INDEX.into(),
            sha256: "ab".repeat(32),
            length: 10,
            data_files: 1,
            data_bytes: 20,
            other: Map::new(),
        };
        Manifest::new(record(ID, None), index)
    }

    fn decode(text: &[u8], digest: &[u8]) -> Result<Manifest> {
        let paths = BackupPaths::new("orders", ID).unwrap();
        Manifest::decode("orders", ID, text, digest).map_err(|fault| fault.report(&paths, ID))
    }

    #[test]
    fn unknown_keys_are_kept() {
        let mut value = serde_json::to_value(manifest()).unwrap();
        value["later"] = json!({"a": [1, 2.5, null]});
        value["index"]["also"] = json!("x");
        value["host"]["kernel"] = json!(6);
        let text = serde_json::to_vec(&value).unwrap();
        let read = decode(&text, digest_line(&text).as_bytes()).unwrap();
        assert_eq!(read.record.other.keys().collect::<Vec<_>>(), ["later"]);
        assert_eq!(serde_json::to_value(&read).unwrap(), value);
    }

    #[test]
    fn a_backup_of_a_part_as_it_was_once_told() {
        for (limited, partial) in [(json!(true), true), (json!(false), false), (json!(null), false)] {
            let mut value = serde_json::to_value(manifest()).unwrap();
            value["state"] = json!({"limited": limited});
            let text = serde_json::to_vec(&value).unwrap();
            let read = decode(&text, digest_line(&text).as_bytes()).unwrap();
            assert_eq!(read.record.partial, partial);
        }
    }

    #[test]
    fn damage_anywhere_is_found() {
        let (text, digest) = manifest().encode().unwrap();
        assert!(decode(&text, &digest).is_ok());
        for (bytes, is_manifest) in [(&text, true), (&digest, false)] {
            for at in 0..bytes.len() {
                let mut flipped = bytes.clone();
                flipped[at] ^= 1;
                for damaged in [flipped, bytes[..at].to_vec()] {
                    let result = if is_manifest {
                        decode(&damaged, &digest)
                    } else {
                        decode(&text, &damaged)
                    };
                    let error = result.expect_err("damage is found");
                    assert_eq!(error.kind, ErrorKind::Damaged, "byte {at}: {error}");
                    assert!(error.message.contains("/manifest.json"), "byte {at}: {error}");
                }
            }
        }
    }

    #[test]
    fn what_is_wrong_is_said() {
        let (text, digest) = manifest().encode().unwrap();
        let stated = String::from_utf8(digest.clone()).unwrap();
        assert!(stated.ends_with("  manifest.json\n"), "{stated}");

        let error = decode(b"{}", format!("{}  manifest.json\n", "0".repeat(64)).as_bytes()).unwrap_err();
        insta::assert_snapshot!(error, @"clusters/orders/backups/20261122T101530Z-full-mysqldump-7f3a/manifest.json is damaged: its SHA-256 is 44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a, manifest.json.sha256 says 0000000000000000000000000000000000000000000000000000000000000000; restore another backup; `backstay verify` shows which are sound");
        let error = decode(&text, b"").unwrap_err();
        insta::assert_snapshot!(error, @r#"clusters/orders/backups/20261122T101530Z-full-mysqldump-7f3a/manifest.json.sha256 is damaged: expected a SHA-256 and "manifest.json"; restore another backup; `backstay verify` shows which are sound"#);

        let mut newer = serde_json::to_value(manifest()).unwrap();
        newer["format"] = json!(2);
        newer["kind"] = json!("sideways");
        let newer = serde_json::to_vec(&newer).unwrap();
        let error = decode(&newer, digest_line(&newer).as_bytes()).unwrap_err();
        assert_eq!(error.kind, ErrorKind::Refused);
        insta::assert_snapshot!(error, @"backup 20261122T101530Z-full-mysqldump-7f3a has manifest format 2, this version reads 1; use the version of backstay that wrote it, or a later one");

        let mut another = manifest();
        another.record.id = "20261121T000000Z-full-mysqldump-0000".into();
        let (text, digest) = another.encode().unwrap();
        let error = decode(&text, &digest).unwrap_err();
        insta::assert_snapshot!(error, @"clusters/orders/backups/20261122T101530Z-full-mysqldump-7f3a/manifest.json is the manifest of another backup: 20261121T000000Z-full-mysqldump-0000 of cluster orders; restore another backup; `backstay verify` shows which are sound");
    }
}
