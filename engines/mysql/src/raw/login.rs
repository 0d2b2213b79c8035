//! Connecting: the server's greeting, TLS, and who we are.

use std::collections::HashMap;
use std::io;
use std::sync::Arc;

use backstay_engine_api::{EngineError, ErrorKind, TlsMode};
use mysql_common::constants::CapabilityFlags;
use mysql_common::io::ParseBuf;
use mysql_common::packets::{AuthPlugin, HandshakePacket, HandshakeResponse, SslRequest};
use mysql_common::proto::MySerialize;
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, StreamOwned};

use super::auth::{self, Method};
use super::failure::Failure;
use super::stream::Stream;
use super::tls;
use super::wire::Wire;
use crate::session::connect::{LOGIN_TIMEOUT, PROGRAM_NAME};
use crate::session::{Address, Settings, refused};

/// `utf8mb4_general_ci`, which both families have under this number.
const COLLATION: u8 = 45;
/// The version that the crate takes that collation for.
const ANY_VERSION: (u16, u16, u16) = (8, 0, 0);
/// The longest packet we take, as the protocol has it; rows are read in parts.
const LONGEST: u32 = 1 << 30;

/// A connection that is logged in.
pub(super) struct LoggedIn {
    pub(super) wire: Wire<Stream>,
    pub(super) connection_id: u32,
    pub(super) encrypted: bool,
}

/// Connects and logs in.
pub(super) fn log_in(settings: &Settings) -> Result<LoggedIn, EngineError> {
    let config = match settings.address {
        Address::Tcp { .. } => tls::config(&settings.tls)?,
        // Nobody can listen on a socket.
        Address::Socket(_) => None,
    };
    let stream = Stream::connect(&settings.address)?;
    let logged_in = stream
        .set_timeout(Some(LOGIN_TIMEOUT))
        .map_err(Failure::from)
        .and_then(|()| greet(Wire::new(stream), settings, config));
    logged_in.map_err(|failure| explain(failure, settings))
}

fn greet(mut wire: Wire<Stream>, settings: &Settings, config: Option<Arc<ClientConfig>>) -> Result<LoggedIn, Failure> {
    let greeting = ParseBuf(wire.packet()?)
        .parse::<HandshakePacket>(())
        .map_err(|error| Failure::Protocol(format!("its greeting can not be read: {error}")))?
        .into_owned();
    let theirs = greeting.capabilities();
    if greeting.protocol_version() != 10 || !theirs.contains(CapabilityFlags::CLIENT_PROTOCOL_41) {
        return Err(Failure::protocol("it speaks the protocol of MySQL 4.0 or older"));
    }
    let mut ours = capabilities(theirs);
    let mut encrypted = false;
    if let Some(config) = config {
        if theirs.contains(CapabilityFlags::CLIENT_SSL) {
            ours |= CapabilityFlags::CLIENT_SSL;
            wire.send(&bytes(&SslRequest::new(ours, LONGEST, COLLATION)))?;
            wire = wire.over(|stream| encrypt(stream, settings, config))?;
            encrypted = true;
        } else if settings.tls.mode != TlsMode::Preferred {
            return Err(refused::without_tls(&settings.address).into());
        }
    }
    let method = match greeting.auth_plugin() {
        Some(AuthPlugin::CachingSha2Password) => Method::CachingSha2,
        // For an account with any other the server asks to switch.
        _ => Method::Native,
    };
    let nonce = greeting.nonce();
    let response = HandshakeResponse::new(
        Some(auth::answer(&method, &nonce, &wire.stream, settings)?),
        ANY_VERSION,
        Some(settings.user.as_bytes()),
        None::<&[u8]>,
        Some(AuthPlugin::from_bytes(method.name())),
        ours,
        ours.contains(CapabilityFlags::CLIENT_CONNECT_ATTRS)
            .then(|| HashMap::from([(PROGRAM_NAME.0.to_owned(), PROGRAM_NAME.1.to_owned())])),
        LONGEST,
    );
    wire.send(&bytes(&response))?;
    auth::finish(&mut wire, method, nonce, settings)?;
    Ok(LoggedIn {
        wire,
        connection_id: greeting.connection_id(),
        encrypted,
    })
}

fn capabilities(theirs: CapabilityFlags) -> CapabilityFlags {
    let wanted = CapabilityFlags::CLIENT_PROTOCOL_41
        | CapabilityFlags::CLIENT_SECURE_CONNECTION
        | CapabilityFlags::CLIENT_LONG_PASSWORD
        | CapabilityFlags::CLIENT_LONG_FLAG
        | CapabilityFlags::CLIENT_TRANSACTIONS
        | CapabilityFlags::CLIENT_PLUGIN_AUTH
        | CapabilityFlags::CLIENT_PLUGIN_AUTH_LENENC_CLIENT_DATA
        | CapabilityFlags::CLIENT_CONNECT_ATTRS;
    // A server may not offer this while `local_infile` is off, which can be changed while we are connected.
    (theirs & wanted) | CapabilityFlags::CLIENT_LOCAL_FILES
}

fn bytes(packet: &impl MySerialize) -> Vec<u8> {
    let mut bytes = Vec::new();
    packet.serialize(&mut bytes);
    bytes
}

fn encrypt(stream: Stream, settings: &Settings, config: Arc<ClientConfig>) -> Result<Stream, Failure> {
    let (Stream::Tcp(mut tcp), Address::Tcp { host, .. }) = (stream, &settings.address) else {
        return Err(Failure::protocol("TLS is for TCP only"));
    };
    let name = ServerName::try_from(host.clone()).map_err(|error| {
        EngineError::new(
            ErrorKind::Usage,
            format!("TLS needs a host's name or address, and `{host}` is none"),
        )
        .because(&error)
    })?;
    let mut connection =
        ClientConnection::new(config, name).map_err(|error| refused::tls_failed(&error.to_string(), settings))?;
    while connection.is_handshaking() {
        connection.complete_io(&mut tcp)?;
    }
    Ok(Stream::Tls(Box::new(StreamOwned::new(connection, tcp))))
}

/// Why there is no session, and what to do.
fn explain(failure: Failure, settings: &Settings) -> EngineError {
    let address = &settings.address;
    match failure {
        Failure::Ours(error) => error,
        Failure::Server(said) => refused::denied(said.code, &said.state, &said.message, settings),
        Failure::Protocol(text) => refused::ended(address, text),
        Failure::Io(error) => match error.kind() {
            io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => refused::silent(address),
            _ if error.get_ref().is_some_and(|inner| inner.is::<rustls::Error>()) => {
                refused::tls_failed(&error.to_string(), settings)
            }
            _ => refused::ended(address, error.to_string()),
        },
    }
}
