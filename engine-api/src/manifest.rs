//! What an engine says of itself: written by the author as a constant, read by the host out of the library file without
//! running any of its code.

mod encode;

use serde::{Deserialize, Serialize};

pub use encode::{manifest_bytes, manifest_len};

/// The version of this contract. A host runs plug-ins of the same major version.
pub const CONTRACT: &str = "1.0.0";

/// The ELF section that holds the manifest as JSON.
pub const MANIFEST_SECTION: &str = ".backstay_engine";

/// The operations of [`Engine`](crate::Engine).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Operation {
    /// [`probe`](crate::Engine::probe)
    Probe,
    /// [`full_backup`](crate::Engine::full_backup)
    FullBackup,
    /// [`incremental_backup`](crate::Engine::incremental_backup)
    IncrementalBackup,
    /// [`restore`](crate::Engine::restore)
    Restore,
    /// [`recover`](crate::Engine::recover)
    Recover,
    /// [`archive_log`](crate::Engine::archive_log)
    ArchiveLog,
    /// [`check`](crate::Engine::check)
    Check,
    /// [`clean`](crate::Engine::clean)
    Clean,
    /// [`remove`](crate::Engine::remove)
    Remove,
    /// [`serve`](crate::Engine::serve)
    Serve,
    /// [`compare`](crate::Engine::compare)
    Compare,
    /// One that this version does not know.
    #[serde(other)]
    Unknown,
}

impl Operation {
    /// Its name in the manifest.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Probe => "probe",
            Self::FullBackup => "full_backup",
            Self::IncrementalBackup => "incremental_backup",
            Self::Restore => "restore",
            Self::Recover => "recover",
            Self::ArchiveLog => "archive_log",
            Self::Check => "check",
            Self::Clean => "clean",
            Self::Remove => "remove",
            Self::Serve => "serve",
            Self::Compare => "compare",
            Self::Unknown => "unknown",
        }
    }
}

/// What an engine's backups are made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum EngineKind {
    /// Statements and rows: outlives a schema, a version, a server.
    Logical,
    /// The server's files: fast back in place.
    Physical,
    /// The server's log of changes.
    Log,
    /// One that this version does not know.
    #[serde(other)]
    Other,
}

impl EngineKind {
    /// Its name in the manifest.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Logical => "logical",
            Self::Physical => "physical",
            Self::Log => "log",
            Self::Other => "other",
        }
    }
}

/// What an engine restores to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum TargetKind {
    /// A running server.
    Server,
    /// A data directory without a server.
    DataDir,
    /// One that this version does not know.
    #[serde(other)]
    Other,
}

impl TargetKind {
    /// Its name in the manifest.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Server => "server",
            Self::DataDir => "data_dir",
            Self::Other => "other",
        }
    }
}

/// An engine's manifest, as its author writes it: a constant.
///
/// ```
/// use backstay_engine_api::{EngineKind, Manifest, Operation, TargetKind};
///
/// const MANIFEST: Manifest = Manifest::new("pgdump", "1.2.0", EngineKind::Logical)
///     .vendor("Example Ltd")
///     .summary("PostgreSQL through pg_dump and pg_restore")
///     .databases(&["postgresql"])
///     .operations(&[Operation::FullBackup, Operation::Restore])
///     .restores_to(&[TargetKind::Server]);
/// ```
#[derive(Debug, Clone, Copy)]
pub struct Manifest {
    pub(crate) name: &'static str,
    pub(crate) version: &'static str,
    pub(crate) kind: EngineKind,
    pub(crate) vendor: &'static str,
    pub(crate) summary: &'static str,
    pub(crate) databases: &'static [&'static str],
    pub(crate) operations: &'static [Operation],
    pub(crate) restores_to: &'static [TargetKind],
    pub(crate) selects_tables: bool,
    pub(crate) renames_schema: bool,
    pub(crate) restores_directories: bool,
    pub(crate) increments_from_positions: bool,
    pub(crate) options_schema: &'static str,
}

impl Manifest {
    /// A manifest with a name (lower-case letters, digits and `-`, starting with a letter) and the engine's own
    /// version; pass `env!("CARGO_PKG_VERSION")`.
    ///
    /// # Panics
    /// At compile time, if the name is not of that form.
    pub const fn new(name: &'static str, version: &'static str, kind: EngineKind) -> Self {
        assert!(
            encode::is_name(name),
            "an engine's name is made of a-z, 0-9 and `-`, and starts with a letter"
        );
        assert!(
            !version.is_empty(),
            "an engine needs a version: pass env!(\"CARGO_PKG_VERSION\")"
        );
        Self {
            name,
            version,
            kind,
            vendor: "",
            summary: "",
            databases: &[],
            operations: &[],
            restores_to: &[],
            selects_tables: false,
            renames_schema: false,
            restores_directories: false,
            increments_from_positions: false,
            options_schema: r#"{"type":"object","additionalProperties":false}"#,
        }
    }

    /// Who ships it.
    pub const fn vendor(mut self, vendor: &'static str) -> Self {
        self.vendor = vendor;
        self
    }

    /// One line for `backstay engines list`.
    pub const fn summary(mut self, summary: &'static str) -> Self {
        self.summary = summary;
        self
    }

    /// The databases it is for, by the schemes of their URLs: `mysql`, `mariadb`, `postgresql`.
    pub const fn databases(mut self, databases: &'static [&'static str]) -> Self {
        self.databases = databases;
        self
    }

    /// The operations it has. Those that are not listed are never called.
    pub const fn operations(mut self, operations: &'static [Operation]) -> Self {
        self.operations = operations;
        self
    }

    /// What it restores to.
    pub const fn restores_to(mut self, targets: &'static [TargetKind]) -> Self {
        self.restores_to = targets;
        self
    }

    /// That it restores single tables: it heeds [`Selection::selects`](crate::Selection::selects).
    pub const fn selects_tables(mut self) -> Self {
        self.selects_tables = true;
        self
    }

    /// That it puts tables under another schema: it heeds [`Selection::into_schema`](crate::Selection::into_schema).
    pub const fn renames_schema(mut self) -> Self {
        self.renames_schema = true;
        self
    }

    /// That it restores directories that no Backstay made, such as a dump of the program whose format it writes. Its
    /// [`restore`](crate::Engine::restore) is then also called with a chain of one record of an unknown server, without position
    /// and state, whose objects are a directory's files: without attributes, read decompressed where the name ends in `.zst` (their
    /// size is then the file's), and not verified beforehand.
    pub const fn restores_directories(mut self) -> Self {
        self.restores_directories = true;
        self
    }

    /// That it takes an incremental of a position that an operator names, without a backup that ends there: its
    /// [`incremental_backup`](crate::Engine::incremental_backup) is then also called with
    /// [`BackupRecord::of_position`](crate::BackupRecord::of_position).
    pub const fn increments_from_positions(mut self) -> Self {
        self.increments_from_positions = true;
        self
    }

    /// The JSON Schema of its options; `include_str!("options.schema.json")`. The default allows none.
    pub const fn options_schema(mut self, schema: &'static str) -> Self {
        self.options_schema = schema;
        self
    }
}

/// An engine's manifest, as a host reads it from the library file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EngineManifest {
    /// The version of the contract it was built against.
    pub contract: String,
    /// The engine's name, by which operators choose it.
    pub name: String,
    /// The engine's own version.
    pub version: String,
    /// What its backups are made of.
    pub kind: EngineKind,
    /// Who ships it.
    #[serde(default)]
    pub vendor: String,
    /// One line.
    #[serde(default)]
    pub summary: String,
    /// The databases it is for.
    #[serde(default)]
    pub databases: Vec<String>,
    /// The operations it has.
    #[serde(default)]
    pub operations: Vec<Operation>,
    /// What it restores to.
    #[serde(default)]
    pub restores_to: Vec<TargetKind>,
    /// Whether it restores single tables.
    #[serde(default)]
    pub selects_tables: bool,
    /// Whether it puts them under another schema.
    #[serde(default)]
    pub renames_schema: bool,
    /// Whether it restores directories that no Backstay made.
    #[serde(default)]
    pub restores_directories: bool,
    /// Whether it takes incrementals of a position, without a backup that ends there.
    #[serde(default)]
    pub increments_from_positions: bool,
    /// The JSON Schema of its options, as text.
    #[serde(default)]
    pub options_schema: String,
}

impl EngineManifest {
    /// Whether it lists an operation.
    pub fn has(&self, operation: Operation) -> bool {
        self.operations.contains(&operation)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FULL: Manifest = Manifest::new("a-1", "0.1.0", EngineKind::Physical)
        .vendor("Ünïcode \"quoted\" \\ and\ttab")
        .summary("line\nbreak \u{1}")
        .databases(&["mysql", "mariadb"])
        .operations(&[Operation::FullBackup, Operation::Clean])
        .restores_to(&[TargetKind::Server, TargetKind::DataDir])
        .selects_tables()
        .renames_schema()
        .restores_directories()
        .increments_from_positions()
        .options_schema(r#"{"type":"object"}"#);
    static BYTES: [u8; manifest_len(&FULL)] = manifest_bytes(&FULL);

    #[test]
    fn what_is_written_at_compile_time_is_read_back() {
        let read: EngineManifest = serde_json::from_slice(&BYTES).unwrap();
        assert_eq!(
            read,
            EngineManifest {
                contract: CONTRACT.into(),
                name: "a-1".into(),
                version: "0.1.0".into(),
                kind: EngineKind::Physical,
                vendor: "Ünïcode \"quoted\" \\ and\ttab".into(),
                summary: "line\nbreak \u{1}".into(),
                databases: vec!["mysql".into(), "mariadb".into()],
                operations: vec![Operation::FullBackup, Operation::Clean],
                restores_to: vec![TargetKind::Server, TargetKind::DataDir],
                selects_tables: true,
                renames_schema: true,
                restores_directories: true,
                increments_from_positions: true,
                options_schema: r#"{"type":"object"}"#.into(),
            }
        );
    }

    #[test]
    fn names_match_the_json() {
        for operation in [Operation::Probe, Operation::IncrementalBackup, Operation::ArchiveLog] {
            assert_eq!(serde_json::to_value(operation).unwrap(), operation.name());
        }
        assert_eq!(
            serde_json::to_value(TargetKind::DataDir).unwrap(),
            TargetKind::DataDir.name()
        );
        assert_eq!(serde_json::to_value(EngineKind::Log).unwrap(), EngineKind::Log.name());
    }
}
