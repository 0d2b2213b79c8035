//! Where a server is, how to log in, and what is known of it.

use std::fmt;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// Text that is never shown: `Debug` prints `[secret]`, and there is no `Display`.
///
/// It is serialized in the clear, because that is how it reaches the engine; records, manifests and logs hold no
/// [`Server`] and so no secret.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Secret(String);

impl Secret {
    /// Wraps a secret.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The secret itself, for the one place that logs in with it.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[secret]")
    }
}

/// How a connection is encrypted; the modes of MySQL's `--ssl-mode`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TlsMode {
    /// No encryption.
    Disabled,
    /// Encrypted where the server offers it.
    #[default]
    Preferred,
    /// Encrypted or not at all; the server is not checked.
    Required,
    /// As `Required`, and the certificate must be signed by `ca`.
    VerifyCa,
    /// As `VerifyCa`, and the certificate must be for the host's name.
    VerifyIdentity,
}

/// Encryption of a connection, with PEM files.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tls {
    /// How strict it is.
    #[serde(default)]
    pub mode: TlsMode,
    /// Certificates of the authorities that are trusted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca: Option<PathBuf>,
    /// The client's certificate.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cert: Option<PathBuf>,
    /// The client's private key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<PathBuf>,
}

/// A server to work on. What is `None` was not configured: the engine's database has its own default for it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Server {
    /// What the operator calls it, for messages: `mysql://backup@db1:3306`, never with a password.
    pub name: String,
    /// The scheme of its URL: `mysql`, `mariadb`, `postgresql`, ….
    pub scheme: String,
    /// Host name or address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host: Option<String>,
    /// TCP port.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub port: Option<u16>,
    /// Unix socket, or the directory of it, as the database has it; used instead of host and port where given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub socket: Option<PathBuf>,
    /// Account.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// Its password, from wherever the operator keeps it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub password: Option<Secret>,
    /// The database named by the URL's path, for servers whose connections belong to one (PostgreSQL): the only one that is
    /// backed up or restored.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub database: Option<String>,
    /// Encryption.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls: Option<Tls>,
    /// An option file of the database's own format with whatever is not given here. An engine whose database has none refuses it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub option_file: Option<PathBuf>,
    /// The data directory, where the engine runs on the server's machine.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub data_dir: Option<PathBuf>,
    /// Directories to look for the database's programs in, before PATH.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub programs: Vec<PathBuf>,
    /// Whether it runs for this job alone, as [`serve`](crate::Engine::serve) made it: if the job fails, nothing on it stays.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub private: bool,
}

/// What a server is in its cluster.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// Takes writes.
    Primary,
    /// Replicates from another server.
    Replica,
}

/// What is known of a server: who it is and what a server that starts on its data must be like.
///
/// Every database has facts of its own; they go under `facts` and are kept as they are.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct ServerFacts {
    /// `mysql`, `mariadb`, `percona`, `postgresql`, ….
    pub flavour: String,
    /// The server's version as it prints it, such as `9.7.0` or `10.11.14-MariaDB`.
    pub version: String,
    /// What makes it this server and no other: MySQL's `server_uuid`, MariaDB's `server_id` and `gtid_domain_id`.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub identity: Map<String, Value>,
    /// Primary or replica, where the database knows such a thing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub role: Option<Role>,
    /// How far a replica is behind its source, in seconds; `None` where it is unknown (replication stopped) or a
    /// primary.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lag: Option<f64>,
    /// A replica's own coordinates in its source's log, for setting up another replica of the same source.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub replication: Map<String, Value>,
    /// Anything else: page size, `lower_case_table_names`, time zone, collation, plug-ins, ….
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub facts: Map<String, Value>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_not_printed() {
        let server = Server {
            password: Some(Secret::new("hunter2")),
            ..Server::default()
        };
        let shown = format!("{server:?}");
        assert!(shown.contains("[secret]") && !shown.contains("hunter2"), "{shown}");
    }
}
