//! Escapes of the row text: which bytes need one, found fast, and the text with them.

/// What follows the backslash for a byte that is escaped; 0 for all others.
const ESCAPE: [u8; 256] = {
    let mut table = [0; 256];
    table[0] = b'0';
    table[0x08] = b'b';
    table[b'\t' as usize] = b't';
    table[b'\n' as usize] = b'n';
    table[b'\r' as usize] = b'r';
    table[0x1a] = b'Z';
    table[b'\\' as usize] = b'\\';
    table
};

/// How many bytes are looked at at once.
const BLOCK: usize = 16;

/// Appends `bytes` with escapes.
#[inline]
pub(crate) fn append(out: &mut Vec<u8>, bytes: &[u8]) {
    if suspicious(bytes) {
        append_slowly(out, bytes);
    } else {
        out.extend_from_slice(bytes);
    }
}

/// Whether a byte is a control character or a backslash: a few more than need an escape, but told by two comparisons.
#[inline]
fn suspicious(bytes: &[u8]) -> bool {
    let (blocks, _) = bytes.as_chunks::<BLOCK>();
    match bytes.last_chunk::<BLOCK>() {
        // The last block overlaps the one before, so that there is no rest to go through byte by byte.
        Some(last) => blocks.iter().any(suspicious_block) || suspicious_block(last),
        None => suspicious_short(bytes),
    }
}

/// Without a branch, so that it compiles to a few vector instructions.
#[inline]
fn suspicious_block(block: &[u8; BLOCK]) -> bool {
    block.iter().fold(false, |found, byte| found | is_suspicious(*byte))
}

#[inline]
fn is_suspicious(byte: u8) -> bool {
    (byte < 0x20) | (byte == b'\\')
}

/// Fewer than [`BLOCK`] bytes: two words that overlap.
#[inline]
fn suspicious_short(bytes: &[u8]) -> bool {
    match (bytes.first_chunk::<8>(), bytes.last_chunk::<8>()) {
        (Some(first), Some(last)) => {
            suspicious_word(u64::from_ne_bytes(*first)) || suspicious_word(u64::from_ne_bytes(*last))
        }
        _ => bytes.iter().fold(false, |found, byte| found | is_suspicious(*byte)),
    }
}

/// The usual tests of a word for a byte less than another, and for one that is zero.
#[inline]
fn suspicious_word(word: u64) -> bool {
    const ONES: u64 = 0x0101_0101_0101_0101;
    const HIGH: u64 = 0x8080_8080_8080_8080;
    let control = word.wrapping_sub(ONES * 0x20) & !word & HIGH;
    let other = word ^ (ONES * b'\\' as u64);
    let backslash = other.wrapping_sub(ONES) & !other & HIGH;
    control | backslash != 0
}

#[inline(never)]
fn append_slowly(out: &mut Vec<u8>, bytes: &[u8]) {
    out.reserve(bytes.len() + bytes.len() / 8);
    let (blocks, rest) = bytes.as_chunks::<BLOCK>();
    for block in blocks {
        if suspicious_block(block) {
            append_escaped(out, block);
        } else {
            out.extend_from_slice(block);
        }
    }
    append_escaped(out, rest);
}

/// At most [`BLOCK`] bytes. Without a branch: where the next escape is nobody can foretell.
#[inline]
fn append_escaped(out: &mut Vec<u8>, bytes: &[u8]) {
    let mut escaped = [0; 2 * BLOCK];
    let mut length = 0;
    for byte in bytes {
        let code = ESCAPE[usize::from(*byte)];
        escaped[length] = if code == 0 { *byte } else { b'\\' };
        escaped[length + 1] = code;
        length += 1 + usize::from(code != 0);
    }
    out.extend_from_slice(&escaped[..length]);
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn each_byte_at_each_place() {
        for byte in 0..=255 {
            for length in 1..40 {
                for at in 0..length {
                    let mut bytes = vec![b'x'; length];
                    bytes[at] = byte;
                    assert_eq!(suspicious(&bytes), is_suspicious(byte), "{byte} at {at} of {length}");
                }
            }
        }
    }

    proptest! {
        #[test]
        fn as_byte_by_byte(bytes in prop::collection::vec(prop_oneof![any::<u8>(), Just(b'\\'), Just(b'\n')], 0..200)) {
            let mut out = Vec::new();
            append(&mut out, &bytes);
            let expected: Vec<u8> = bytes.iter().flat_map(|byte| match ESCAPE[usize::from(*byte)] {
                0 => vec![*byte],
                code => vec![b'\\', code],
            }).collect();
            prop_assert_eq!(out, expected);
        }
    }
}
