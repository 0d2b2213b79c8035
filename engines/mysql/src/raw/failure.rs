//! [`Failure`]: what can go wrong on the wire, before it is known what was being done.

use std::io;

use backstay_engine_api::EngineError;
use mysql_common::constants::CapabilityFlags;
use mysql_common::io::ParseBuf;
use mysql_common::packets::ErrPacket;

/// Why an exchange with the server did not come to its end.
#[derive(Debug)]
pub(super) enum Failure {
    /// The server's ERR. The connection can go on being used; after any of the others it can not.
    Server(ServerSaid),
    /// The connection broke.
    Io(io::Error),
    /// What came is not the protocol.
    Protocol(String),
    /// The sink's or the source's own error.
    Ours(EngineError),
}

/// An ERR packet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ServerSaid {
    pub(super) code: u16,
    pub(super) state: String,
    pub(super) message: String,
}

impl Failure {
    pub(super) fn protocol(text: impl Into<String>) -> Self {
        Self::Protocol(text.into())
    }

    /// From a packet that begins with 0xFF.
    pub(super) fn of_err_packet(packet: &[u8]) -> Self {
        // Before the server knows our capabilities it sends no SQL state.
        let with_state = match packet.get(3) {
            Some(b'#') => CapabilityFlags::CLIENT_PROTOCOL_41,
            _ => CapabilityFlags::empty(),
        };
        match ParseBuf(packet).parse::<ErrPacket>(with_state) {
            Ok(ErrPacket::Error(error)) => Self::Server(ServerSaid {
                code: error.error_code(),
                state: error
                    .sql_state_ref()
                    .map_or_else(|| "HY000".to_owned(), |state| state.as_str().into_owned()),
                message: error.message_str().into_owned(),
            }),
            Ok(ErrPacket::Progress(_)) | Err(_) => Self::protocol("an error packet could not be read"),
        }
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

impl From<EngineError> for Failure {
    fn from(error: EngineError) -> Self {
        Self::Ours(error)
    }
}
