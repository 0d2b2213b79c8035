//! Bytes that a restore can tell are right: they follow from an object's attributes.

use std::io::{self, Read, Write};

use backstay_engine_api::{Attributes, EngineError, ErrorKind, ObjectInfo, ObjectWriter};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// How much is written or compared at a time, in bytes.
pub(crate) const PIECE: usize = 1 << 20;

/// What an object's bytes are like.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Data {
    /// Bytes that do not compress.
    Random,
    /// Lines of text.
    Text,
}

/// The attributes by which [`check`] knows what an object must hold.
pub(crate) fn attributes(data: Data, seed: u64) -> Attributes {
    let name = match data {
        Data::Random => "random",
        Data::Text => "text",
    };
    Attributes::kind("test-data").with("data", name).with("seed", seed)
}

/// Writes an object's next bytes.
pub(crate) fn write(object: &mut ObjectWriter, stream: &mut Stream, mut bytes: u64) -> Result<(), EngineError> {
    let mut piece = vec![0; PIECE];
    while bytes > 0 {
        let count = usize::try_from(bytes).unwrap_or(PIECE).min(PIECE);
        stream.fill(&mut piece[..count]);
        object.write_all(&piece[..count])?;
        bytes -= count as u64;
    }
    Ok(())
}

/// Reads an object to its end and compares it, byte for byte, with what was written.
pub(crate) fn check(info: &ObjectInfo, mut object: impl Read) -> Result<(), EngineError> {
    let data = info.attributes.other.get("data").cloned().unwrap_or(Value::Null);
    let seed = info.attributes.other.get("seed").and_then(Value::as_u64);
    let (Ok(data), Some(seed)) = (serde_json::from_value(data), seed) else {
        return Err(wrong(info, "its attributes do not say what it holds"));
    };
    let mut stream = Stream::new(data, seed);
    let (mut found, mut expected) = (vec![0; PIECE], vec![0; PIECE]);
    let mut at = 0;
    loop {
        let count = match object.read(&mut found) {
            Ok(count) => count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error.into()),
        };
        if count == 0 {
            break;
        }
        stream.fill(&mut expected[..count]);
        if let Some(off) = (0..count).find(|i| found[*i] != expected[*i]) {
            let text = format!(
                "byte {} is {:#04x}, expected {:#04x}",
                at + off as u64,
                found[off],
                expected[off]
            );
            return Err(wrong(info, &text));
        }
        at += count as u64;
    }
    if at != info.size {
        return Err(wrong(
            info,
            &format!("it ends after {at} bytes, expected {}", info.size),
        ));
    }
    Ok(())
}

fn wrong(info: &ObjectInfo, why: &str) -> EngineError {
    EngineError::new(
        ErrorKind::Damaged,
        format!("object {} is not what was written: {why}", info.name),
    )
}

/// An endless stream of bytes that its kind and seed determine, however it is cut into pieces.
pub(crate) struct Stream {
    data: Data,
    state: u64,
    line: u64,
    rest: Vec<u8>,
}

impl Stream {
    pub(crate) fn new(data: Data, seed: u64) -> Self {
        Self {
            data,
            state: seed,
            line: 0,
            rest: Vec::new(),
        }
    }

    fn fill(&mut self, mut buffer: &mut [u8]) {
        while !buffer.is_empty() {
            if self.rest.is_empty() {
                self.refill();
            }
            let count = self.rest.len().min(buffer.len());
            buffer[..count].copy_from_slice(&self.rest[..count]);
            self.rest.drain(..count);
            buffer = &mut buffer[count..];
        }
    }

    /// Some 8 KiB.
    fn refill(&mut self) {
        match self.data {
            Data::Random => (0..1024).for_each(|_| {
                let next = self.next();
                self.rest.extend_from_slice(&next.to_le_bytes());
            }),
            Data::Text => (0..128).for_each(|_| {
                self.line += 1;
                let amount = self.next() % 10_000;
                let line = format!("{}\taccount {}\tbalance {amount}\n", self.line, self.line % 997);
                self.rest.extend_from_slice(line.as_bytes());
            }),
        }
    }

    /// SplitMix64 (Steele, Lea, Flood: Fast splittable pseudorandom number generators, 2014).
    fn next(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
}
