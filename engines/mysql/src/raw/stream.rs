//! [`Stream`]: the connection beneath the packets: a Unix socket, TCP, or TLS over TCP.

use std::io::{self, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use backstay_engine_api::EngineError;
use rustix::net::sockopt;
use rustls::{ClientConnection, StreamOwned};

use crate::session::connect::{CONNECT_TIMEOUT, KEEPALIVE};
use crate::session::{Address, refused};

#[derive(Debug)]
pub(super) enum Stream {
    Unix(UnixStream),
    Tcp(TcpStream),
    Tls(Box<StreamOwned<ClientConnection, TcpStream>>),
}

impl Stream {
    pub(super) fn connect(address: &Address) -> Result<Self, EngineError> {
        match address {
            Address::Socket(path) => UnixStream::connect(path)
                .map(Self::Unix)
                .map_err(|error| refused::unreachable(address, &error.to_string(), error.kind())),
            Address::Tcp { host, port } => {
                let found = (host.as_str(), *port).to_socket_addrs();
                let found = found.map_err(|error| refused::unreachable(address, &error.to_string(), error.kind()))?;
                let mut failed = io::Error::new(io::ErrorKind::NotFound, "the name's lookup gave no address");
                for at in found {
                    match tcp(&at) {
                        Ok(stream) => return Ok(Self::Tcp(stream)),
                        Err(error) => failed = error,
                    }
                }
                Err(match failed.kind() {
                    io::ErrorKind::TimedOut => refused::not_there(address),
                    kind => refused::unreachable(address, &failed.to_string(), kind),
                })
            }
        }
    }

    /// How long a read or write may wait; `None` for as long as it takes.
    pub(super) fn set_timeout(&self, timeout: Option<Duration>) -> io::Result<()> {
        match self {
            Self::Unix(stream) => {
                stream.set_read_timeout(timeout)?;
                stream.set_write_timeout(timeout)
            }
            Self::Tcp(stream) => tcp_timeout(stream, timeout),
            Self::Tls(stream) => tcp_timeout(stream.get_ref(), timeout),
        }
    }

    /// Whether a password may go over it as it is: nobody but the server reads along.
    pub(super) fn private(&self) -> bool {
        !matches!(self, Self::Tcp(_))
    }
}

fn tcp(at: &std::net::SocketAddr) -> io::Result<TcpStream> {
    let stream = TcpStream::connect_timeout(at, CONNECT_TIMEOUT)?;
    stream.set_nodelay(true)?;
    sockopt::set_socket_keepalive(&stream, true)?;
    sockopt::set_tcp_keepidle(&stream, KEEPALIVE)?;
    Ok(stream)
}

fn tcp_timeout(stream: &TcpStream, timeout: Option<Duration>) -> io::Result<()> {
    stream.set_read_timeout(timeout)?;
    stream.set_write_timeout(timeout)
}

impl Read for Stream {
    #[inline]
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Unix(stream) => stream.read(buffer),
            Self::Tcp(stream) => stream.read(buffer),
            Self::Tls(stream) => stream.read(buffer),
        }
    }
}

impl Write for Stream {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Unix(stream) => stream.write(bytes),
            Self::Tcp(stream) => stream.write(bytes),
            Self::Tls(stream) => stream.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Unix(_) | Self::Tcp(_) => Ok(()),
            Self::Tls(stream) => stream.flush(),
        }
    }
}
