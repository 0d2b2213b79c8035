//! Authentication plug-ins: what they ask, and what is answered.

use std::borrow::Cow;
use std::panic::catch_unwind;

use backstay_engine_api::{EngineError, ErrorKind};
use mysql_common::crypto;
use mysql_common::io::ParseBuf;
use mysql_common::packets::AuthSwitchRequest;
use mysql_common::scramble::{create_response_for_ed25519, scramble_native, scramble_sha256};

use super::failure::Failure;
use super::stream::Stream;
use super::wire::Wire;
use crate::session::{Settings, refused};

/// How many packets a server may send before it has decided: MariaDB tries an account's methods one by one.
const STEPS: usize = 32;

/// Length of what MariaDB's `ed25519` sends to be signed, in bytes; no more follows it.
const ED25519_NONCE: usize = 32;

/// A client's side of an authentication plug-in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Method {
    Native,
    CachingSha2,
    Sha256,
    Clear,
    Ed25519,
    /// The operating system tells the server who we are.
    Socket,
}

impl Method {
    const ALL: [(&str, Self); 7] = [
        ("mysql_native_password", Self::Native),
        ("caching_sha2_password", Self::CachingSha2),
        ("sha256_password", Self::Sha256),
        ("mysql_clear_password", Self::Clear),
        ("client_ed25519", Self::Ed25519),
        ("auth_socket", Self::Socket),
        ("unix_socket", Self::Socket),
    ];

    /// The plug-in's name.
    pub(super) fn name(&self) -> &'static [u8] {
        Self::ALL
            .iter()
            .find_map(|(name, method)| (method == self).then_some(name.as_bytes()))
            .unwrap_or_default()
    }

    fn named(name: &str) -> Option<Self> {
        Self::ALL
            .iter()
            .find_map(|(known, method)| (*known == name).then_some(*method))
    }
}

/// What is sent first by a method.
pub(super) fn answer(method: &Method, nonce: &[u8], stream: &Stream, settings: &Settings) -> Result<Vec<u8>, Failure> {
    let password = password(settings);
    Ok(match method {
        Method::Native => scramble_native(nonce, password).map_or_else(Vec::new, Vec::from),
        Method::CachingSha2 => scramble_sha256(nonce, password).map_or_else(Vec::new, Vec::from),
        Method::Sha256 if password.is_empty() => vec![0],
        Method::Sha256 if matches!(stream, Stream::Tls(_)) => ended_by_zero(password),
        // Asks for the server's key. Unlike the newer plug-in it takes no clear password over a socket.
        Method::Sha256 => vec![1],
        Method::Clear if stream.private() => ended_by_zero(password),
        Method::Clear => {
            let message = format!(
                "{} at {} logs in by its password in clear, and the connection is not encrypted",
                settings.user, settings.address
            );
            return Err(EngineError::new(ErrorKind::Connection, message)
                .advise("set tls.mode to verify-identity")
                .into());
        }
        Method::Ed25519 => create_response_for_ed25519(password, nonce).to_vec(),
        Method::Socket => Vec::new(),
    })
}

/// Answers the server's questions until it lets us in.
pub(super) fn finish(
    wire: &mut Wire<Stream>,
    mut method: Method,
    mut nonce: Vec<u8>,
    settings: &Settings,
) -> Result<(), Failure> {
    let mut asked_for_key = method == Method::Sha256;
    for _ in 0..STEPS {
        let packet = wire.packet()?;
        match packet {
            [0, ..] => return Ok(()),
            [0xfe] => return Err(refused::unknown_plugin("mysql_old_password", settings).into()),
            [0xfe, ..] => {
                (method, nonce) = switched(packet, settings)?;
                asked_for_key = method == Method::Sha256;
                let answer = answer(&method, &nonce, &wire.stream, settings)?;
                wire.send(&answer)?;
            }
            // The server knows the scramble, and its OK follows.
            [1, 3] if method == Method::CachingSha2 => {}
            // It does not, and needs the password.
            [1, 4] if method == Method::CachingSha2 => {
                if wire.stream.private() {
                    wire.send(&ended_by_zero(password(settings)))?;
                } else {
                    asked_for_key = true;
                    wire.send(&[2])?;
                }
            }
            [1, key @ ..] if asked_for_key => {
                asked_for_key = false;
                let sealed = sealed(password(settings), &nonce, key)?;
                wire.send(&sealed)?;
            }
            _ => {
                return Err(Failure::protocol(
                    "it asked for something that its plug-in does not ask",
                ));
            }
        }
    }
    Err(Failure::protocol("it went on asking who we are"))
}

fn switched(packet: &[u8], settings: &Settings) -> Result<(Method, Vec<u8>), Failure> {
    let request = ParseBuf(packet)
        .parse::<AuthSwitchRequest>(())
        .map_err(|error| Failure::Protocol(format!("its question for another plug-in can not be read: {error}")))?;
    let plugin = request.auth_plugin();
    let name: Cow<'_, str> = String::from_utf8_lossy(plugin.as_bytes());
    let method = Method::named(&name).ok_or_else(|| refused::unknown_plugin(&name, settings))?;
    // Scrambles are text that ends with a zero byte, which is not theirs. A nonce of ed25519 is any bytes, and the last may be one.
    let nonce = match method {
        Method::Ed25519 => &packet[packet.len().saturating_sub(ED25519_NONCE)..],
        _ => request.plugin_data(),
    };
    Ok((method, nonce.to_vec()))
}

fn password(settings: &Settings) -> &[u8] {
    settings
        .password
        .as_ref()
        .map_or(&[], |secret| secret.reveal().as_bytes())
}

fn ended_by_zero(password: &[u8]) -> Vec<u8> {
    [password, &[0]].concat()
}

/// The password for the owner of the server's RSA key only.
fn sealed(password: &[u8], nonce: &[u8], key: &[u8]) -> Result<Vec<u8>, Failure> {
    let mut text = ended_by_zero(password);
    for (byte, mask) in text.iter_mut().zip(nonce.iter().cycle()) {
        *byte ^= mask;
    }
    // The crate panics over what is no RSA key, or one too short for the password.
    catch_unwind(|| crypto::encrypt(&text, key)).map_err(|_| Failure::protocol("its RSA key can not be used"))
}

#[cfg(test)]
mod tests {
    use std::net::{TcpListener, TcpStream};
    use std::os::unix::net::UnixStream;

    use backstay_engine_api::{Secret, Server};

    use super::*;

    #[test]
    fn a_nonce_that_ends_in_zero() {
        let server = Server {
            host: Some("127.0.0.1".to_owned()),
            ..Server::default()
        };
        let settings = Settings::resolve(&server, &|_| None).unwrap();
        let nonce: Vec<u8> = (1..32).chain([0]).collect();
        let packet = [b"\xfeclient_ed25519\0", &nonce[..]].concat();
        assert_eq!(switched(&packet, &settings).unwrap(), (Method::Ed25519, nonce));
        let packet = b"\xfemysql_native_password\0abcdefghijklmnopqrst\0";
        let (method, scramble) = switched(packet, &settings).unwrap();
        assert_eq!((method, scramble.len()), (Method::Native, 20));
    }

    /// A server that asks for the password in clear gets it only where nobody reads along.
    #[test]
    fn passwords_in_clear() {
        let server = Server {
            host: Some("127.0.0.1".to_owned()),
            port: Some(3306),
            user: Some("u".to_owned()),
            password: Some(Secret::new("secret")),
            ..Server::default()
        };
        let settings = Settings::resolve(&server, &|_| None).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let tcp = Stream::Tcp(TcpStream::connect(listener.local_addr().unwrap()).unwrap());
        let unix = Stream::Unix(UnixStream::pair().unwrap().0);
        let sent = |method, stream| answer(&method, &[7; 20], stream, &settings);
        assert_eq!(sent(Method::Clear, &unix).unwrap(), b"secret\0");
        let refused = sent(Method::Clear, &tcp);
        assert!(
            matches!(&refused, Err(Failure::Ours(error)) if error.message.contains("not encrypted")
                && !error.to_string().contains("secret")),
            "{refused:?}"
        );
        // This one asks for the server's key instead, on both.
        assert_eq!(sent(Method::Sha256, &tcp).unwrap(), [1]);
        assert_eq!(sent(Method::Sha256, &unix).unwrap(), [1]);
        for method in [Method::Native, Method::CachingSha2, Method::Ed25519] {
            let sent = sent(method, &tcp).unwrap();
            assert!(!sent.is_empty() && !sent.windows(6).any(|bytes| bytes == b"secret"));
        }
        let broken = sealed(b"secret", &[7; 20], b"no key");
        assert!(matches!(broken, Err(Failure::Protocol(_))), "{broken:?}");
        let named = switched(b"\xfeauth_gssapi_client\0data\0", &settings).unwrap_err();
        assert!(
            matches!(&named, Failure::Ours(error) if error.message.contains("`auth_gssapi_client`")),
            "{named:?}"
        );
    }
}
