//! Servers as operators write them: a URL, and where its password is.
//!
//! `SCHEME://[USER@][HOST[:PORT]][/DATABASE][?KEY=VALUE&…]`, where the scheme is the database's (`mysql`, `mariadb`,
//! `postgresql`, …) and the keys are those of a cluster's member: `socket`, `password-file`, `password-env`,
//! `option-file`, `data-dir`, `tls-mode`, `tls-ca`, `tls-cert` and `tls-key` (with `_` or `-`). Percent-encoding is decoded. Paths in
//! a URL are absolute. A password in the URL is refused: it would be in the shell's history and in the list of processes.

use std::borrow::Cow;
use std::fmt;
use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use backstay_engine_api::{Secret, Server, Tls};
use percent_encoding::percent_decode_str;
use url::Url;

use super::cluster::tls_mode;
use super::redact::redact_url;
use super::value::suggest;

/// The environment variable with the password of a server that is given by its URL alone.
pub const PASSWORD_ENV: &str = "BACKSTAY_PASSWORD";

/// The keys of a server's URL.
const URL_KEYS: [&str; 9] = [
    "socket",
    "password-file",
    "password-env",
    "option-file",
    "data-dir",
    "tls-mode",
    "tls-ca",
    "tls-cert",
    "tls-key",
];

/// Where a password is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PasswordSource {
    /// The first line of a file.
    File(PathBuf),
    /// An environment variable.
    Env(String),
}

/// A server, and where its password is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ServerSpec {
    /// The server; its password is not read yet.
    pub server: Server,
    /// Where the password is; `None` to log in without one (a socket account, a certificate, an option file).
    pub password: Option<PasswordSource>,
}

/// A server's URL that is wrong. It is printed without what may be a password.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the server `{url}` {reason}")]
pub struct ServerUrlError {
    url: String,
    reason: String,
    password: bool,
}

impl ServerUrlError {
    /// What is wrong, as the end of a sentence.
    pub fn reason(&self) -> &str {
        &self.reason
    }

    /// Whether it is that it has a password.
    pub fn password(&self) -> bool {
        self.password
    }
}

/// Why a server can not be logged in to.
#[derive(Debug, thiserror::Error)]
pub enum ServerError {
    /// Its URL is wrong.
    #[error(transparent)]
    Url(#[from] ServerUrlError),
    /// The password's file can not be read.
    #[error("the password of {server} can not be read from {}: {source}", path.display())]
    PasswordFile {
        /// The server.
        server: String,
        /// The file.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// The password's file has nothing in it, or more than a line.
    #[error("the password file {} of {server} {reason}; expected one line with the password", path.display())]
    NoPassword {
        /// The server.
        server: String,
        /// The file.
        path: PathBuf,
        /// What it is instead.
        reason: &'static str,
    },
    /// The password's variable is not set.
    #[error("the password of {server} is to be in the environment variable {variable}, which {reason}")]
    PasswordEnv {
        /// The server.
        server: String,
        /// The variable.
        variable: String,
        /// What is wrong with it.
        reason: &'static str,
    },
}

/// A server from its URL alone (`--to-server`), with its password read: from `?password-file=` or `?password-env=`, else from
/// [`PASSWORD_ENV`] if that is set, else there is none.
///
/// # Errors
/// The URL is wrong, or the password is not where it says.
pub fn parse_server_url(url: &str) -> Result<Server, ServerError> {
    let mut spec = ServerSpec::parse(url)?;
    if spec.password.is_none() && std::env::var_os(PASSWORD_ENV).is_some_and(|value| !value.is_empty()) {
        spec.password = Some(PasswordSource::Env(PASSWORD_ENV.to_owned()));
    }
    spec.resolve()
}

impl ServerSpec {
    /// Parses a URL of the form above.
    ///
    /// # Errors
    /// What is wrong with it. The error does not hold a password that the URL may have.
    pub fn parse(text: &str) -> Result<Self, ServerUrlError> {
        let fail = |reason: String, password| ServerUrlError {
            url: redact_url(text),
            reason,
            password,
        };
        parse(text).map_err(|wrong| match wrong {
            Wrong::Password => fail("has a password in it, which others could read".to_owned(), true),
            Wrong::Other(reason) => fail(reason, false),
        })
    }

    /// The server with its password, which is read now.
    ///
    /// # Errors
    /// It is not where it is said to be.
    pub fn resolve(&self) -> Result<Server, ServerError> {
        let mut server = self.server.clone();
        server.password = match &self.password {
            None => None,
            Some(PasswordSource::File(path)) => Some(read_file(&server.name, path)?),
            Some(PasswordSource::Env(variable)) => Some(read_env(&server.name, variable)?),
        };
        Ok(server)
    }

    /// Host and port or the socket, for telling members apart.
    pub(super) fn address(&self) -> String {
        match (&self.server.socket, &self.server.host, self.server.port) {
            (Some(socket), ..) => socket.display().to_string(),
            (None, Some(host), Some(port)) => format!("{host}:{port}"),
            (None, Some(host), None) => host.clone(),
            (None, None, _) => self.server.name.clone(),
        }
    }

    /// Sets the server's name from its parts.
    pub(super) fn name_again(&mut self) {
        let server = &self.server;
        let mut name = format!("{}://", server.scheme);
        if let Some(user) = &server.user {
            name += &format!("{user}@");
        }
        match &server.host {
            // An IPv6 address.
            Some(host) if host.contains(':') => name += &format!("[{host}]"),
            Some(host) => name += host,
            None => {}
        }
        if let Some(port) = server.port {
            name += &format!(":{port}");
        }
        if let Some(database) = &server.database {
            name += &format!("/{database}");
        }
        if server.host.is_none()
            && let Some(socket) = &server.socket
        {
            name += &format!("/?socket={}", socket.display());
        }
        self.server.name = name;
    }
}

/// What is wrong with a URL.
enum Wrong {
    Password,
    Other(String),
}

impl Wrong {
    fn because(reason: impl fmt::Display) -> Self {
        Self::Other(reason.to_string())
    }
}

fn parse(text: &str) -> Result<ServerSpec, Wrong> {
    const EXPECTED: &str = "is no URL of a server, such as \"mysql://USER@HOST:3306\"";
    // `url` drops tabs and line breaks, and takes `mysql:host` for something else than a host.
    if text.contains(|c: char| c.is_control() || c == ' ') || !text.contains("://") {
        return Err(Wrong::because(EXPECTED));
    }
    // A password may make the rest of the URL look wrong; it is what should be said first.
    if redact_url(text) != text {
        return Err(if text.contains(['@', '?']) {
            Wrong::Password
        } else {
            Wrong::because("has something else than a port after the host's colon")
        });
    }
    let url = Url::parse(text).map_err(|error| Wrong::because(format!("is no URL of a server: {error}")))?;
    if url.password().is_some() {
        return Err(Wrong::Password);
    }
    if matches!(url.scheme(), "file" | "http" | "https") {
        return Err(Wrong::because(EXPECTED));
    }
    if url.fragment().is_some() {
        return Err(Wrong::because("has a `#`; write it as `%23`"));
    }
    let mut spec = ServerSpec::default();
    spec.server.scheme = url.scheme().to_owned();
    spec.server.user = Some(decode(url.username())?).filter(|user| !user.is_empty());
    spec.server.host = match url.host_str().filter(|host| !host.is_empty()) {
        Some(host) => Some(decode(host.trim_start_matches('[').trim_end_matches(']'))?),
        None => None,
    };
    spec.server.port = url.port();
    let path = url.path().trim_start_matches('/');
    if path.contains('/') {
        return Err(Wrong::because(
            "has a path; expected at most a database's name after the host, and a socket as `?socket=/PATH`",
        ));
    }
    spec.server.database = Some(decode(path)?).filter(|database| !database.is_empty());
    let mut seen = Vec::new();
    for (key, value) in url.query_pairs() {
        let key = key.replace('_', "-");
        set(&mut spec, &key, value)?;
        if seen.contains(&key) {
            return Err(Wrong::because(format!("has `{key}` twice")));
        }
        seen.push(key);
    }
    spec.name_again();
    Ok(spec)
}

/// Sets what a key of the URL's query says.
fn set(spec: &mut ServerSpec, key: &str, value: Cow<'_, str>) -> Result<(), Wrong> {
    let path = || {
        let path = PathBuf::from(value.as_ref());
        if path.is_absolute() {
            Ok(path)
        } else {
            Err(Wrong::because(format!(
                "has the `{key}` \"{}\"; expected an absolute path",
                value.escape_debug()
            )))
        }
    };
    let password = match key {
        "password-file" => Some(PasswordSource::File(path()?)),
        "password-env" => Some(PasswordSource::Env(value.as_ref().to_owned())),
        _ => None,
    };
    if let Some(password) = password {
        if spec.password.is_some() {
            return Err(Wrong::because("has both `password-file` and `password-env`"));
        }
        spec.password = Some(password);
        return Ok(());
    }
    let tls = &mut spec.server.tls;
    match key {
        "socket" => spec.server.socket = Some(path()?),
        "option-file" => spec.server.option_file = Some(path()?),
        "data-dir" => spec.server.data_dir = Some(path()?),
        "tls-ca" => tls.get_or_insert_with(Tls::default).ca = Some(path()?),
        "tls-cert" => tls.get_or_insert_with(Tls::default).cert = Some(path()?),
        "tls-key" => tls.get_or_insert_with(Tls::default).key = Some(path()?),
        "tls-mode" => {
            let mode = tls_mode(&value).ok_or_else(|| {
                Wrong::because(format!(
                    "has the `tls-mode` \"{}\"; expected disabled, preferred, required, verify-ca or verify-identity",
                    value.escape_debug()
                ))
            })?;
            tls.get_or_insert_with(Tls::default).mode = mode;
        }
        "password" | "passwd" | "pwd" => return Err(Wrong::Password),
        _ => {
            let help = suggest(key, URL_KEYS.into_iter());
            return Err(Wrong::because(format!(
                "has the unknown key `{}`; {help}",
                key.escape_debug()
            )));
        }
    }
    Ok(())
}

fn decode(text: &str) -> Result<String, Wrong> {
    let decoded = percent_decode_str(text).decode_utf8();
    let decoded = decoded.map_err(|_| Wrong::because("has percent-encoded bytes that are not UTF-8"))?;
    if decoded.contains(char::is_control) {
        return Err(Wrong::because("has percent-encoded control characters"));
    }
    Ok(decoded.into_owned())
}

fn read_file(server: &str, path: &Path) -> Result<Secret, ServerError> {
    let failed = |source| ServerError::PasswordFile {
        server: server.to_owned(),
        path: path.to_owned(),
        source,
    };
    let mode = fs::metadata(path).map_err(failed)?.permissions().mode();
    if mode & 0o004 != 0 {
        tracing::warn!(
            "every user of this machine can read the password file {}; run `chmod 600` on it",
            path.display()
        );
    }
    let text = fs::read_to_string(path).map_err(failed)?;
    let password = text.strip_suffix('\n').unwrap_or(&text);
    let password = password.strip_suffix('\r').unwrap_or(password);
    let reason = match password {
        "" => "is empty",
        several if several.contains(['\n', '\0']) => "has more than one line",
        _ => return Ok(Secret::new(password)),
    };
    Err(ServerError::NoPassword {
        server: server.to_owned(),
        path: path.to_owned(),
        reason,
    })
}

fn read_env(server: &str, variable: &str) -> Result<Secret, ServerError> {
    let reason = match std::env::var(variable) {
        Ok(value) if !value.is_empty() => return Ok(Secret::new(value)),
        Ok(_) => "is empty",
        Err(std::env::VarError::NotPresent) => "is not set",
        Err(std::env::VarError::NotUnicode(_)) => "is not UTF-8",
    };
    Err(ServerError::PasswordEnv {
        server: server.to_owned(),
        variable: variable.to_owned(),
        reason,
    })
}

#[cfg(test)]
mod tests;
