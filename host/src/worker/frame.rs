//! Frames: a message as JSON after its length, a big-endian u32.

use std::io::{self, Read, Write};

use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

/// The longest message, in bytes: far above a chain of records, far below what would hurt.
const MAX_FRAME: usize = 64 << 20;

/// Reads a message; `None` at the end of the stream.
pub(super) fn read<T: DeserializeOwned>(from: &mut impl Read) -> io::Result<Option<T>> {
    let mut length = [0; 4];
    match from.read_exact(&mut length) {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
        Err(error) => return Err(error),
    }
    let mut bytes = vec![0; checked_length(length)?];
    from.read_exact(&mut bytes)?;
    Ok(Some(serde_json::from_slice(&bytes)?))
}

/// Writes a message.
pub(super) fn write<T: Serialize>(to: &mut impl Write, message: &T) -> io::Result<()> {
    to.write_all(&encode(message)?)
}

/// As [`read`], for the supervisor. Not cancellation-safe: run it in a task of its own.
pub(super) async fn read_async<T: DeserializeOwned>(from: &mut (impl AsyncRead + Unpin)) -> io::Result<Option<T>> {
    let mut length = [0; 4];
    match from.read_exact(&mut length).await {
        Ok(_) => {}
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
        Err(error) => return Err(error),
    }
    let mut bytes = vec![0; checked_length(length)?];
    from.read_exact(&mut bytes).await?;
    Ok(Some(serde_json::from_slice(&bytes)?))
}

/// As [`write`], for the supervisor.
pub(super) async fn write_async<T: Serialize>(to: &mut (impl AsyncWrite + Unpin), message: &T) -> io::Result<()> {
    to.write_all(&encode(message)?).await
}

fn checked_length(length: [u8; 4]) -> io::Result<usize> {
    let length = u32::from_be_bytes(length) as usize;
    if length > MAX_FRAME {
        return Err(io::Error::other(format!(
            "a message of {length} bytes: the most is {MAX_FRAME}"
        )));
    }
    Ok(length)
}

fn encode<T: Serialize>(message: &T) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0; 4];
    serde_json::to_writer(&mut bytes, message)?;
    let length = bytes.len() - 4;
    if length > MAX_FRAME {
        return Err(io::Error::other(format!(
            "a message of {length} bytes: the most is {MAX_FRAME}"
        )));
    }
    // MAX_FRAME fits in 32 bits.
    bytes[..4].copy_from_slice(&(length as u32).to_be_bytes());
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_come_back_in_order_and_end() {
        let mut wire = Vec::new();
        write(&mut wire, &"one").unwrap();
        write(&mut wire, &vec![1, 2, 3]).unwrap();
        let mut from = wire.as_slice();
        assert_eq!(read::<String>(&mut from).unwrap().as_deref(), Some("one"));
        assert_eq!(read::<Vec<i32>>(&mut from).unwrap(), Some(vec![1, 2, 3]));
        assert_eq!(read::<String>(&mut from).unwrap(), None);
    }

    #[test]
    fn a_length_that_is_no_length_is_refused() {
        assert!(read::<String>(&mut [0xff_u8, 0xff, 0xff, 0xff, 1].as_slice()).is_err());
    }
}
