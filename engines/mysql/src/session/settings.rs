//! [`Settings`]: where to connect and as whom, put together from the configuration, option files and the environment.

use std::fmt;
use std::path::PathBuf;

use backstay_engine_api::{EngineError, ErrorKind, Secret, Server, Tls, TlsMode};

use super::connect::usual_sockets;
use crate::option_file::{self, OptionLine};

/// MySQL's port where none is given.
const DEFAULT_PORT: u16 = 3306;

/// Where a server listens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Address {
    Tcp { host: String, port: u16 },
    Socket(PathBuf),
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp { host, port } if host.contains(':') => write!(f, "[{host}]:{port}"),
            Self::Tcp { host, port } => write!(f, "{host}:{port}"),
            Self::Socket(path) => write!(f, "{}", path.display()),
        }
    }
}

/// All that a connection needs, resolved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Settings {
    pub(crate) address: Address,
    pub(crate) user: String,
    pub(crate) password: Option<Secret>,
    pub(crate) tls: Tls,
    pub(crate) programs: Vec<PathBuf>,
}

/// What an option file says, of all that it may say.
#[derive(Debug, Default)]
struct FromFile {
    host: Option<String>,
    port: Option<u16>,
    socket: Option<PathBuf>,
    user: Option<String>,
    password: Option<String>,
    tls: Option<Tls>,
}

impl Settings {
    /// What the configuration says wins over the option file, and that over the environment.
    pub(crate) fn resolve(server: &Server, env: &dyn Fn(&str) -> Option<String>) -> Result<Self, EngineError> {
        let file = match &server.option_file {
            Some(path) => FromFile::parse(&option_file::read(path)?)?,
            None => FromFile::default(),
        };
        let tls = server.tls.clone().or(file.tls.clone()).unwrap_or_default();
        check_tls(&tls)?;
        Ok(Self {
            address: address(server, &file, env)?,
            user: match server.user.clone().or(file.user) {
                Some(user) => user,
                None => operating_system_user(env)?,
            },
            password: server
                .password
                .clone()
                .or(file.password.map(Secret::new))
                .or_else(|| env("MYSQL_PWD").map(Secret::new)),
            tls,
            programs: server.programs.clone(),
        })
    }
}

/// As MySQL's own clients have it: no host, or `localhost`, means the socket, unless a port was asked for.
fn address(server: &Server, file: &FromFile, env: &dyn Fn(&str) -> Option<String>) -> Result<Address, EngineError> {
    if let Some(socket) = &server.socket {
        return Ok(Address::Socket(socket.clone()));
    }
    let env_host = || env("MYSQL_HOST").filter(|host| !host.is_empty());
    let host = server.host.clone().or(file.host.clone()).or_else(env_host);
    let remote = host.as_ref().is_some_and(|host| host != "localhost");
    if !remote && server.port.is_none() {
        if let Some(socket) = &file.socket {
            return Ok(Address::Socket(socket.clone()));
        }
        if file.port.is_none() {
            let usual = || usual_sockets().into_iter().find(|path| path.exists());
            match env("MYSQL_UNIX_PORT")
                .filter(|path| !path.is_empty())
                .map(PathBuf::from)
                .or_else(usual)
            {
                Some(socket) => return Ok(Address::Socket(socket)),
                None if host.is_none() && env("MYSQL_TCP_PORT").is_none() => return Err(no_address()),
                None => {}
            }
        }
    }
    let port = match (server.port.or(file.port), env("MYSQL_TCP_PORT")) {
        (Some(port), _) => port,
        (None, Some(text)) => number("MYSQL_TCP_PORT", &text)?,
        (None, None) => DEFAULT_PORT,
    };
    let host = host.unwrap_or_else(|| "127.0.0.1".to_owned());
    Ok(Address::Tcp { host, port })
}

fn no_address() -> EngineError {
    let looked: Vec<String> = usual_sockets().iter().map(|path| path.display().to_string()).collect();
    let message = format!(
        "no host and no socket is given, and there is no socket at {}",
        looked.join(", ")
    );
    EngineError::new(ErrorKind::Connection, message)
        .advise("start the server, or give the server's host or socket in the configuration")
}

fn number(name: &str, text: &str) -> Result<u16, EngineError> {
    text.trim().parse().map_err(|_| {
        EngineError::new(
            ErrorKind::Usage,
            format!("{name} must be a port from 1 to 65535, found `{text}`"),
        )
    })
}

/// What MySQL's clients take where no user is given: root for the superuser, the login name otherwise.
fn operating_system_user(env: &dyn Fn(&str) -> Option<String>) -> Result<String, EngineError> {
    let uid = rustix::process::geteuid().as_raw();
    if uid == 0 {
        return Ok("root".to_owned());
    }
    let name = std::fs::read_to_string("/etc/passwd").ok().and_then(|passwd| {
        let mut fields = passwd.lines().map(|line| line.split(':'));
        fields.find_map(|mut line| {
            let name = line.next()?;
            (line.nth(1)?.parse() == Ok(uid)).then(|| name.to_owned())
        })
    });
    name.or_else(|| env("USER")).or_else(|| env("LOGNAME")).ok_or_else(|| {
        EngineError::new(
            ErrorKind::Usage,
            format!("no account is given, and the user with id {uid} has no name"),
        )
        .advise("give the account's name in the server's URL: mysql://NAME@HOST")
    })
}

fn check_tls(tls: &Tls) -> Result<(), EngineError> {
    let wrong = |message: &str, advice: &str| Err(EngineError::new(ErrorKind::Usage, message).advise(advice));
    if matches!(tls.mode, TlsMode::VerifyCa | TlsMode::VerifyIdentity) && tls.ca.is_none() {
        return wrong(
            "TLS that verifies the server needs the certificate of the authority, and none is given",
            "set tls.ca to a PEM file, such as the ca.pem in the server's data directory",
        );
    }
    if tls.cert.is_some() != tls.key.is_some() {
        return wrong(
            "TLS with a client certificate needs both the certificate and its key",
            "set both tls.cert and tls.key, or none",
        );
    }
    Ok(())
}

impl FromFile {
    fn parse(lines: &[OptionLine]) -> Result<Self, EngineError> {
        let mut found = Self::default();
        // [backstay] is more special than [client], wherever it stands in the file.
        for group in ["client", "backstay"] {
            for line in lines.iter().filter(|line| line.group == group) {
                found.take(line)?;
            }
        }
        Ok(found)
    }

    fn take(&mut self, line: &OptionLine) -> Result<(), EngineError> {
        let value = || line.value.clone();
        let path = || line.value.as_ref().map(PathBuf::from);
        let on = !matches!(line.value.as_deref(), Some("0" | "off" | "OFF" | "false" | "FALSE"));
        let tls = self.tls.clone().unwrap_or_default();
        match line.key.strip_prefix("loose-").unwrap_or(&line.key) {
            "host" => self.host = value(),
            "port" => {
                self.port = line
                    .value
                    .as_deref()
                    .map(|text| number("port in the option file", text))
                    .transpose()?
            }
            "socket" => self.socket = path(),
            "user" => self.user = value(),
            "password" => self.password = value(),
            "ssl-ca" => self.tls = Some(Tls { ca: path(), ..tls }),
            "ssl-cert" => self.tls = Some(Tls { cert: path(), ..tls }),
            "ssl-key" => self.tls = Some(Tls { key: path(), ..tls }),
            "ssl-mode" => {
                self.tls = Some(Tls {
                    mode: ssl_mode(line.value.as_deref().unwrap_or(""))?,
                    ..tls
                })
            }
            // MariaDB's way to say it.
            "ssl" if on => {
                self.tls = Some(Tls {
                    mode: tls.mode.max_of(TlsMode::Required),
                    ..tls
                })
            }
            "skip-ssl" | "disable-ssl" | "ssl" => {
                self.tls = Some(Tls {
                    mode: TlsMode::Disabled,
                    ..tls
                })
            }
            "ssl-verify-server-cert" if on => {
                self.tls = Some(Tls {
                    mode: TlsMode::VerifyIdentity,
                    ..tls
                })
            }
            _ => {}
        }
        Ok(())
    }
}

/// Modes by strictness: a later `ssl` does not undo an earlier `ssl-verify-server-cert`.
trait Stricter {
    fn max_of(self, other: Self) -> Self;
}

impl Stricter for TlsMode {
    fn max_of(self, other: Self) -> Self {
        if self as u8 > other as u8 { self } else { other }
    }
}

fn ssl_mode(text: &str) -> Result<TlsMode, EngineError> {
    Ok(match text.to_ascii_uppercase().as_str() {
        "DISABLED" => TlsMode::Disabled,
        "PREFERRED" => TlsMode::Preferred,
        "REQUIRED" => TlsMode::Required,
        "VERIFY_CA" => TlsMode::VerifyCa,
        "VERIFY_IDENTITY" => TlsMode::VerifyIdentity,
        _ => {
            let expected = "DISABLED, PREFERRED, REQUIRED, VERIFY_CA or VERIFY_IDENTITY";
            let message = format!("ssl-mode in the option file must be {expected}, found `{text}`");
            return Err(EngineError::new(ErrorKind::Usage, message));
        }
    })
}

#[cfg(test)]
mod tests;
