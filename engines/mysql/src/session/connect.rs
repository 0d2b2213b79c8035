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
use super::{Address, LOCK_WAIT_SECONDS, Session, Settings, refused, tls};
use crate::version::{Flavour, Version};

/// How long a TCP connection may take.
pub(crate) const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// How long connecting, TLS and logging in may take together.
pub(crate) const LOGIN_TIMEOUT: Duration = Duration::from_secs(15);
/// The server's code for an account or a password that it does not take (ER_ACCESS_DENIED_ERROR).
const DENIED: u16 = 1045;
/// When TCP begins to look whether a silent peer is still there.
pub(crate) const KEEPALIVE: Duration = Duration::from_secs(60);
/// What `performance_schema.session_connect_attrs` says of us.
pub(crate) const PROGRAM_NAME: (&str, &str) = ("program_name", "backstay");

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
        .tcp_keepalive_time_ms(Some(KEEPALIVE.as_millis() as u32))
        .connect_attrs(Some(HashMap::from([PROGRAM_NAME])));
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

/// The driver takes the last byte of MariaDB's ed25519 nonce for the end of a text where it is zero, and is denied once in 256 times: so a
/// password is tried twice.
fn login(opts: Opts) -> Result<Conn, Login> {
    let again = opts.get_pass().is_some().then(|| opts.clone());
    match (login_once(opts), again) {
        (Err(Login::Failed(mysql::Error::MySqlError(error))), Some(opts)) if error.code == DENIED => login_once(opts),
        (tried, _) => tried,
    }
}

/// In a thread of its own: a server that accepts and never greets would hold us for ever, and a read timeout on the
/// connection would go on to hold for every later query. A thread that is left behind ends when the server speaks.
fn login_once(opts: Opts) -> Result<Conn, Login> {
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
    let set_up = set_up_statement(flavour);
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

/// What every session says first, by whichever way it is connected.
pub(crate) fn set_up_statement(flavour: Flavour) -> String {
    // MariaDB may also end sessions that wait in a transaction, as those do that hold a snapshot for others.
    let no_limits = if flavour.is_mariadb() {
        "max_statement_time = 0, idle_transaction_timeout = 0, idle_readonly_transaction_timeout = 0, \
         idle_write_transaction_timeout = 0"
    } else {
        "max_execution_time = 0"
    };
    // NO_AUTO_VALUE_ON_ZERO: rows with 0 in an AUTO_INCREMENT column stay as they are. NO_ENGINE_SUBSTITUTION: a table
    // of an engine that is not there is an error and not another table. ALLOW_INVALID_DATES: a 31st of February that somebody
    // has stored is read, compared and stored as it is. The time limits are the largest that both
    // flavours have or an hour, so that a slow repository does not cost the session. A server may have a limit of rows for all
    // who set none (`sql_select_limit`): without a word it would cut off whatever is read.
    format!(
        "SET NAMES utf8mb4, SESSION sql_mode = 'NO_AUTO_VALUE_ON_ZERO,NO_ENGINE_SUBSTITUTION,ALLOW_INVALID_DATES', autocommit = 1, \
         wait_timeout = 31536000, net_read_timeout = 3600, net_write_timeout = 3600, \
         lock_wait_timeout = {LOCK_WAIT_SECONDS}, {no_limits}, sql_select_limit = 18446744073709551615"
    )
}

/// Why there is no session, and what to do.
fn explain(login: Login, settings: &Settings) -> EngineError {
    let address = &settings.address;
    let error = match login {
        Login::Failed(error) => error,
        Login::TimedOut => return refused::silent(address),
    };
    match &error {
        mysql::Error::DriverError(DriverError::ConnectTimeout) => refused::not_there(address),
        mysql::Error::DriverError(DriverError::CouldNotConnect(Some((_, text, kind)))) => {
            refused::unreachable(address, text, *kind)
        }
        mysql::Error::DriverError(DriverError::TlsNotSupported) => refused::without_tls(address),
        mysql::Error::DriverError(DriverError::UnknownAuthPlugin(name)) => refused::unknown_plugin(name, settings),
        mysql::Error::MySqlError(error) => refused::denied(error.code, &error.state, &error.message, settings),
        mysql::Error::TlsError(_) => refused::tls_failed(&plain(&error), settings),
        error
            if io_error(error)
                .and_then(io::Error::get_ref)
                .is_some_and(|inner| inner.is::<rustls::Error>()) =>
        {
            refused::tls_failed(&plain(error), settings)
        }
        other => refused::ended(address, plain(other)),
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
