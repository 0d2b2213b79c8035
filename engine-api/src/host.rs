//! The engine's end of the line to the host.

use std::fmt;

use serde::Deserialize;

use crate::abi::v1::HostPort;
use crate::error::EngineError;
use crate::wire::{Answer, Request};
use abi_stable::std_types::{RSlice, RSliceMut};

/// The host, as an engine sees it. Shared by a job and its objects, and usable from any thread.
pub(crate) struct Host {
    port: HostPort,
}

impl Host {
    pub(crate) fn new(port: HostPort) -> Self {
        Self { port }
    }

    /// Sends a request and waits for its answer.
    pub(crate) fn ask<T: for<'de> Deserialize<'de>>(&self, request: &Request) -> Result<T, EngineError> {
        let request = serde_json::to_vec(request)
            .map_err(|error| EngineError::other("a request can not be written as JSON").because(&error))?;
        let answer = self.port.request(RSlice::from_slice(&request));
        serde_json::from_slice::<Answer>(&answer)
            .map_err(|error| EngineError::other("the host's answer is no JSON").because(&error))?
            .into_result()
    }

    pub(crate) fn write(&self, object: u64, bytes: &[u8]) -> Result<(), EngineError> {
        match self.port.write(object, RSlice::from_slice(bytes)) {
            0 => Ok(()),
            _ => Err(self.failure(object)),
        }
    }

    pub(crate) fn read(&self, object: u64, buffer: &mut [u8]) -> Result<usize, EngineError> {
        let room = buffer.len();
        match usize::try_from(self.port.read(object, RSliceMut::from_mut_slice(buffer))) {
            Ok(count) if count <= room => Ok(count),
            Ok(_) => Err(EngineError::other(
                "the host says that it read more than there is room for",
            )),
            Err(_) => Err(self.failure(object)),
        }
    }

    pub(crate) fn cancelled(&self) -> bool {
        self.port.cancelled()
    }

    fn failure(&self, object: u64) -> EngineError {
        match self.ask::<()>(&Request::Failure { object }) {
            Err(error) => error,
            Ok(()) => EngineError::other("the host failed and does not say why"),
        }
    }
}

impl fmt::Debug for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Host")
    }
}
