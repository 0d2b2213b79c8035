//! Opening a session: connecting, logging in, setting it up.

use std::collections::HashMap;
use std::error::Error as _;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::Duration;

use backstay_engine_api::{EngineError, ErrorKind, TlsMode};
use mysql::prelude::Queryable;
use mysql::{Conn, DriverError, Opts, OptsBuilder};

use super::errors::{plain, query_error};
use super::{Address, LOCK_WAIT_SECONDS, Session, Settings, account_name, tls};
use crate::version::{Flavour, Version};

/// How long a TCP connection may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// How long connecting, TLS and logging in may take together.
const LOGIN_TIMEOUT: Duration = Duration::from_secs(15);

/// Where the usual packages put the server's socket.
pub(crate) fn usual_sockets() -> Vec<PathBuf> {
    [
        "/run/mysqld/mysqld.sock",
        "/var/run/mysqld/mysqld.sock",
        "/var/lib/mysql/mysql.sock",
        "/tmp/mysql.sock",
    ]
    .map(PathBuf::from)
    .into()
}

pub(super) fn open(settings: Arc<Settings>) -> Result<Session, EngineError> {
    let ssl = tls::options(&settings.tls)?;
    let builder = options(&settings)?;
    let tried = login(builder.clone().ssl_opts(ssl.clone()).into());
    let (conn, encrypted) = match tried {
        Err(Login::Failed(mysql::Error::DriverError(DriverError::TlsNotSupported)))
            if settings.tls.mode == TlsMode::Preferred =>
        {
            (login(builder.into()).map_err(|error| explain(error, &settings))?, false)
        }
        tried => {
            let over_tcp = matches!(settings.address, Address::Tcp { .. });
            (
                tried.map_err(|error| explain(error, &settings))?,
                ssl.is_some() && over_tcp,
            )
        }
    };
    set_up(conn, settings, encrypted)
}

fn options(settings: &Settings) -> Result<OptsBuilder, EngineError> {
    let builder = OptsBuilder::new()
        .user(Some(settings.user.as_str()))
        .pass(settings.password.as_ref().map(|secret| secret.reveal()))
        // The driver would leave TCP, and with it TLS, for the server's socket.
        .prefer_socket(false)
        .tcp_connect_timeout(Some(CONNECT_TIMEOUT))
        .tcp_keepalive_time_ms(Some(60_000))
        .connect_attrs(Some(HashMap::from([("program_name", "backstay")])));
    Ok(match &settings.address {
        Address::Tcp { host, port } => builder.ip_or_hostname(Some(host.as_str())).tcp_port(*port),
        Address::Socket(path) => {
            let text = path.to_str().ok_or_else(|| {
                EngineError::new(
                    ErrorKind::Usage,
                    format!("the socket's path {} is not UTF-8", path.display()),
                )
            })?;
            builder.socket(Some(text))
        }
    })
}

enum Login {
    Failed(mysql::Error),
    TimedOut,
}

/// In a thread of its own: a server that accepts and never greets would hold us for ever, and a read timeout on the
/// connection would go on to hold for every later query. A thread that is left behind ends when the server speaks.
fn login(opts: Opts) -> Result<Conn, Login> {
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || {
        // If nobody waits any more, the connection is dropped and so closed.
        let _ = sender.send(Conn::new(opts));
    });
    match receiver.recv_timeout(LOGIN_TIMEOUT) {
        Ok(result) => result.map_err(Login::Failed),
        Err(RecvTimeoutError::Timeout) => Err(Login::TimedOut),
        Err(RecvTimeoutError::Disconnected) => Err(Login::Failed(
            io::Error::other("the driver panicked while it logged in").into(),
        )),
    }
}

fn set_up(mut conn: Conn, settings: Arc<Settings>, encrypted: bool) -> Result<Session, EngineError> {
    const WHO: &str = "SELECT VERSION(), @@version_comment, CURRENT_USER()";
    let failed = |error: mysql::Error, sql: &str| query_error(&error, sql, &settings.user);
    let row: Option<(String, String, String)> = conn.query_first(WHO).map_err(|error| failed(error, WHO))?;
    let (version, comment, account) =
        row.ok_or_else(|| EngineError::other(format!("{} does not say what it is", settings.address)))?;
    let flavour = Flavour::of(&version, &comment);
    let no_limit = if flavour.is_mariadb() {
        "max_statement_time"
    } else {
        "max_execution_time"
    };
    // NO_AUTO_VALUE_ON_ZERO: rows with 0 in an AUTO_INCREMENT column stay as they are. NO_ENGINE_SUBSTITUTION: a table
    // of an engine that is not there is an error and not another table. The time limits are the largest that both
    // flavours have or an hour, so that a slow repository does not cost the session.
    let set_up = format!(
        "SET NAMES utf8mb4, SESSION sql_mode = 'NO_AUTO_VALUE_ON_ZERO,NO_ENGINE_SUBSTITUTION', autocommit = 1, \
         wait_timeout = 31536000, net_read_timeout = 3600, net_write_timeout = 3600, \
         lock_wait_timeout = {LOCK_WAIT_SECONDS}, {no_limit} = 0"
    );
    conn.query_drop(&set_up).map_err(|error| failed(error, &set_up))?;
    const NOW: &str = "SELECT UNIX_TIMESTAMP()";
    const UPTIME: &str = "SHOW GLOBAL STATUS LIKE 'Uptime'";
    let now: Option<i64> = conn.query_first(NOW).map_err(|error| failed(error, NOW))?;
    let uptime: Option<(String, i64)> = conn.query_first(UPTIME).map_err(|error| failed(error, UPTIME))?;
    let server_started = now.unwrap_or_default() - uptime.map_or(0, |(_, seconds)| seconds);
    Ok(Session {
        conn,
        settings,
        account,
        flavour,
        version: Version::parse(&version),
        encrypted,
        server_started,
    })
}

/// Why there is no session, and what to do.
fn explain(login: Login, settings: &Settings) -> EngineError {
    let address = &settings.address;
    let wrong = |message: String| EngineError::new(ErrorKind::Connection, message);
    let error = match login {
        Login::Failed(error) => error,
        Login::TimedOut => {
            return wrong(format!(
                "{address} did not answer within {} seconds",
                LOGIN_TIMEOUT.as_secs()
            ))
            .advise("check that it is a MySQL or MariaDB server, and that it is not overloaded or stopped");
        }
    };
    match &error {
        mysql::Error::DriverError(DriverError::ConnectTimeout) => wrong(format!(
            "{address} did not answer within {} seconds",
            CONNECT_TIMEOUT.as_secs()
        ))
        .advise("check host, port and firewalls"),
        mysql::Error::DriverError(DriverError::CouldNotConnect(Some((_, text, kind)))) => {
            unreachable(address, text, *kind)
        }
        mysql::Error::DriverError(DriverError::TlsNotSupported) => {
            wrong(format!("{address} has no TLS, and the configuration requires it"))
                .advise("give the server a certificate, or set tls.mode to disabled if the network is trusted")
        }
        mysql::Error::DriverError(DriverError::UnknownAuthPlugin(name)) => wrong(format!(
            "{} at {address} logs in by `{name}`, which Backstay does not know",
            settings.user
        ))
        .advise("use an account with caching_sha2_password, mysql_native_password, unix_socket or auth_socket"),
        mysql::Error::MySqlError(error) => denied(error, settings),
        mysql::Error::TlsError(_) => tls_failed(&plain(&error), settings),
        error
            if io_error(error)
                .and_then(io::Error::get_ref)
                .is_some_and(|inner| inner.is::<rustls::Error>()) =>
        {
            tls_failed(&plain(error), settings)
        }
        other => wrong(format!("{address} ended the connection while it was logged in to"))
            .detail(plain(other))
            .advise("check that it is a MySQL or MariaDB server, and look into its error log"),
    }
}

/// TLS begins with the first packet that is sent over it, so that its errors come out of the packet codec.
fn io_error(error: &mysql::Error) -> Option<&io::Error> {
    match error {
        mysql::Error::IoError(error) => Some(error),
        mysql::Error::CodecError(error) => error.source()?.downcast_ref(),
        _ => None,
    }
}

fn unreachable(address: &Address, text: &str, kind: io::ErrorKind) -> EngineError {
    let wrong = |message: String| EngineError::new(ErrorKind::Connection, message);
    match (address, kind) {
        (Address::Socket(path), io::ErrorKind::NotFound) => wrong(format!("there is no socket {}", path.display()))
            .advise("start the server, or give the path that its `SELECT @@socket` shows"),
        (_, io::ErrorKind::ConnectionRefused) => {
            wrong(format!("{address} refuses connections: no server listens there"))
                .advise("start the server, or correct host, port or socket")
        }
        (Address::Socket(path), io::ErrorKind::PermissionDenied) => {
            wrong(format!("the socket {} may not be opened by this user", path.display()))
                .advise("run as a user who may enter the socket's directory")
        }
        (Address::Tcp { host, .. }, _) if text.contains("lookup") || text.contains("not known") => {
            wrong(format!("the host `{host}` is unknown"))
                .detail(text)
                .advise("correct the host's name, or check DNS")
        }
        _ => wrong(format!("{address} can not be reached"))
            .detail(text)
            .advise("check host, port and firewalls"),
    }
}

fn tls_failed(text: &str, settings: &Settings) -> EngineError {
    let advice = match settings.tls.mode {
        TlsMode::VerifyCa | TlsMode::VerifyIdentity if text.contains("UnknownIssuer") => {
            "set tls.ca to the certificate of the authority that signed the server's certificate"
        }
        TlsMode::VerifyIdentity if text.contains("not valid for name") || text.contains("NotValidForName") => {
            "connect by a name that is in the server's certificate, or set tls.mode to verify-ca"
        }
        _ => "check tls.ca, tls.cert and tls.key against the server's certificate",
    };
    EngineError::new(ErrorKind::Connection, format!("TLS with {} failed", settings.address))
        .detail(text)
        .advise(advice)
}

fn denied(error: &mysql::MySqlError, settings: &Settings) -> EngineError {
    let address = &settings.address;
    let password = if settings.password.is_some() {
        "with a password"
    } else {
        "without a password"
    };
    let (message, advice) = match error.code {
        1045 | 1698 => {
            let socket = matches!(address, Address::Socket(_));
            let advice = match (settings.password.is_some(), socket) {
                (true, _) => "check the account's password and for which hosts it exists",
                (false, true) => {
                    "set its password in the configuration, or run as the operating-system user of that name if the \
                     account uses unix_socket or auth_socket"
                }
                (false, false) => "set its password in the configuration",
            };
            // Of an account that demands TLS both families say the same, and MariaDB of a server that does.
            let plain = !socket && settings.tls.mode == TlsMode::Disabled;
            let tls = if plain {
                "; set tls.mode to required if the server or the account demands TLS"
            } else {
                ""
            };
            let message = format!("{address} refused the account `{}`, {password}", settings.user);
            (message, format!("{advice}{tls}"))
        }
        1130 | 1129 => (
            format!("{address} does not allow connections from this host"),
            format!(
                "create the account for this host: CREATE USER {} …",
                account_name(&format!("{}@HOST", settings.user))
            ),
        ),
        1040 | 1203 => (
            format!("{address} has no connection left"),
            "raise max_connections, or try again when it is less busy".to_owned(),
        ),
        3118 | 4151 => (
            format!("the account `{}` at {address} is locked", settings.user),
            "unlock it with ALTER USER … ACCOUNT UNLOCK, or use another".to_owned(),
        ),
        3159 => (
            format!("{address} takes only encrypted connections"),
            "set tls.mode to required or stricter".to_owned(),
        ),
        1820 | 1862 => (
            format!("the password of `{}` at {address} has expired", settings.user),
            "set a new one with ALTER USER".to_owned(),
        ),
        _ => (
            format!("{address} refused the connection"),
            "look into the server's error log".to_owned(),
        ),
    };
    EngineError::new(ErrorKind::Connection, message)
        .detail(format!("{} ({}): {}", error.code, error.state, error.message))
        .advise(advice)
}
