//! Strings in a definition that are no text.
//!
//! MariaDB 10.11 shows a default of bytes as the bytes are: `DEFAULT x'FF00'` comes as `DEFAULT '` 0xFF `\0'`, which stands in no file
//! of UTF-8. MySQL shows `0xFF00`.

use std::fmt::Write as _;

/// The definition with each string that is no UTF-8 as a hexadecimal literal.
pub(super) fn with_hexadecimals(definition: Vec<u8>) -> Vec<u8> {
    if std::str::from_utf8(&definition).is_ok() {
        return definition;
    }
    let mut out = Vec::with_capacity(definition.len() + 64);
    let mut rest = &definition[..];
    while let Some(start) = rest.iter().position(|byte| matches!(byte, b'\'' | b'`' | b'"')) {
        let quote = rest[start];
        let (before, quoted) = rest.split_at(start);
        let end = end_of(quoted, quote);
        let (quoted, after) = quoted.split_at(end);
        out.extend_from_slice(before);
        match quoted.strip_prefix(b"'").and_then(|inner| inner.strip_suffix(b"'")) {
            Some(inner) if std::str::from_utf8(inner).is_err() => out.extend_from_slice(hexadecimal(inner).as_bytes()),
            _ => out.extend_from_slice(quoted),
        }
        rest = after;
    }
    out.extend_from_slice(rest);
    out
}

/// Where what begins with a quote ends, behind its last one; a quote that is doubled does not end it.
fn end_of(quoted: &[u8], quote: u8) -> usize {
    let mut at = 1;
    while at < quoted.len() {
        match quoted[at] {
            b'\\' if quote != b'`' => at += 2,
            byte if byte == quote && quoted.get(at + 1) == Some(&quote) => at += 2,
            byte if byte == quote => return at + 1,
            _ => at += 1,
        }
    }
    quoted.len()
}

fn hexadecimal(inner: &[u8]) -> String {
    let mut literal = "x'".to_owned();
    let mut bytes = inner.iter();
    while let Some(byte) = bytes.next() {
        let byte = match *byte {
            b'\\' => match bytes.next() {
                Some(b'0') => 0,
                Some(b'n') => b'\n',
                Some(b'r') => b'\r',
                Some(b't') => b'\t',
                Some(b'b') => 8,
                Some(b'Z') => 26,
                Some(other) => *other,
                None => b'\\',
            },
            b'\'' => {
                // Doubled.
                bytes.next();
                b'\''
            }
            byte => byte,
        };
        let _ = write!(literal, "{byte:02X}");
    }
    literal.push('\'');
    literal
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_no_text() {
        let definition =
            b"CREATE TABLE `a'\xc3\xa9` (`k` binary(2) DEFAULT '\xff\\0', `t` text DEFAULT 'it''s \xc3\xa9 \\' x', \
            `v` varbinary(9) DEFAULT '''\xfe\\\\\\'\\n', `w` int COMMENT '\xc3\xa9''')";
        let want = "CREATE TABLE `a'é` (`k` binary(2) DEFAULT x'FF00', `t` text DEFAULT 'it''s é \\' x', \
            `v` varbinary(9) DEFAULT x'27FE5C270A', `w` int COMMENT 'é''')";
        let found = String::from_utf8(with_hexadecimals(definition.to_vec())).unwrap();
        assert_eq!(found, want);
        // As it is, whatever it looks like.
        let text = "'one that does not end".as_bytes().to_vec();
        assert_eq!(with_hexadecimals(text.clone()), text);
        assert_eq!(with_hexadecimals(b"x '\xff".to_vec()), b"x '\xff");
    }
}
