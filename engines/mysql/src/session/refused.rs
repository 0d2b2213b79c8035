//! Why there is no session, and what to do: the same words by whichever way the connection was tried.

use std::io;

use backstay_engine_api::{EngineError, ErrorKind, TlsMode};

use super::connect::{CONNECT_TIMEOUT, LOGIN_TIMEOUT};
use super::{Address, Settings, account_name};

/// What to do where an account is refused without a password.
const SET_PASSWORD: &str =
    "set its password in the configuration, or for --to-server in $BACKSTAY_PASSWORD or ?password_file=FILE";

fn wrong(message: String) -> EngineError {
    EngineError::new(ErrorKind::Connection, message)
}

/// Nothing came back for [`LOGIN_TIMEOUT`].
pub(crate) fn silent(address: &Address) -> EngineError {
    wrong(format!(
        "{address} did not answer within {} seconds",
        LOGIN_TIMEOUT.as_secs()
    ))
    .advise("check that it is a MySQL or MariaDB server, and that it is not overloaded or stopped")
}

/// No TCP connection within [`CONNECT_TIMEOUT`].
pub(crate) fn not_there(address: &Address) -> EngineError {
    wrong(format!(
        "{address} did not answer within {} seconds",
        CONNECT_TIMEOUT.as_secs()
    ))
    .advise("check host, port and firewalls")
}

/// The server has no TLS, and `tls.mode` is stricter than preferred.
pub(crate) fn without_tls(address: &Address) -> EngineError {
    wrong(format!("{address} has no TLS, and the configuration requires it"))
        .advise("give the server a certificate, or set tls.mode to disabled if the network is trusted")
}

/// The account's authentication plug-in is none of ours.
pub(crate) fn unknown_plugin(name: &str, settings: &Settings) -> EngineError {
    wrong(format!(
        "{} at {} logs in by `{name}`, which Backstay does not know",
        settings.user, settings.address
    ))
    .advise("use an account with caching_sha2_password, mysql_native_password, ed25519, unix_socket or auth_socket")
}

/// The connection ended, or what came was no login.
pub(crate) fn ended(address: &Address, text: String) -> EngineError {
    wrong(format!("{address} ended the connection while it was logged in to"))
        .detail(text)
        .advise("check that it is a MySQL or MariaDB server, and look into its error log")
}

/// There is no connection to be had.
pub(crate) fn unreachable(address: &Address, text: &str, kind: io::ErrorKind) -> EngineError {
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

/// The TLS handshake failed, `text` says how.
pub(crate) fn tls_failed(text: &str, settings: &Settings) -> EngineError {
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

/// The server's ERR while it was logged in to.
pub(crate) fn denied(code: u16, state: &str, said: &str, settings: &Settings) -> EngineError {
    let address = &settings.address;
    let password = if settings.password.is_some() {
        "with a password"
    } else {
        "without a password"
    };
    let (message, advice) = match code {
        1045 | 1698 => {
            let socket = matches!(address, Address::Socket(_));
            let advice = match (settings.password.is_some(), socket) {
                (true, _) => "check the account's password and for which hosts it exists".to_owned(),
                (false, true) => format!(
                    "{SET_PASSWORD}; or run as the operating-system user of that name if the account uses unix_socket \
                     or auth_socket"
                ),
                (false, false) => SET_PASSWORD.to_owned(),
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
        .detail(format!("{code} ({state}): {said}"))
        .advise(advice)
}
