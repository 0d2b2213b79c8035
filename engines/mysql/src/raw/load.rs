//! The data of LOAD DATA LOCAL.

use std::io::{self, Read, Write};

use backstay_engine_api::EngineError;

use super::Loaded;
use super::answer::Answer;
use super::failure::Failure;
use super::wire::{HEAD, Wire};

/// How much data goes into a packet and a write, in bytes. Servers refuse packets of `max_allowed_packet`, which few have
/// below 1 MiB.
const PACKET: usize = 256 * 1024 - HEAD;

/// Sends `source` as the file that the server asked for, and reads what it made of it.
///
/// The protocol has no way to say that a file ends too early: if `source` fails, only closing the connection keeps the
/// server from taking what it has for the whole.
pub(super) fn send_file<S: Read + Write>(wire: &mut Wire<S>, source: &mut impl Read) -> Result<Loaded, Failure> {
    let mut packet = vec![0; HEAD + PACKET];
    loop {
        let count = read_full(source, &mut packet[HEAD..]).map_err(|error| Failure::Ours(EngineError::from(error)))?;
        // An empty packet ends the file.
        if let Err(failure) = wire.send_in_place(&mut packet[..HEAD + count]) {
            // A server that ends the connection may have said why.
            return match wire.packet() {
                Err(said @ Failure::Server(_)) => Err(said),
                _ => Err(failure),
            };
        }
        if count == 0 {
            break;
        }
    }
    match Answer::read(wire)? {
        Answer::Done(loaded) => Ok(loaded),
        Answer::Columns(_) | Answer::WantsFile => {
            Err(Failure::protocol("a file was answered with something else than OK"))
        }
    }
}

/// Reads until `buffer` is full or the source at its end.
fn read_full(source: &mut impl Read, buffer: &mut [u8]) -> io::Result<usize> {
    let mut count = 0;
    while count < buffer.len() {
        match source.read(&mut buffer[count..]) {
            Ok(0) => break,
            Ok(more) => count += more,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(count)
}
