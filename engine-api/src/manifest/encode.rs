//! A manifest as JSON, at compile time: a `static` array is what ends up in a section of the library file.

use super::{CONTRACT, Manifest};

/// How many bytes [`manifest_bytes`] makes.
pub const fn manifest_len(manifest: &Manifest) -> usize {
    write::<0>(manifest).len
}

/// The manifest as JSON. `N` is [`manifest_len`] of the same manifest.
///
/// # Panics
/// At compile time, if `N` is another number.
pub const fn manifest_bytes<const N: usize>(manifest: &Manifest) -> [u8; N] {
    let out = write::<N>(manifest);
    assert!(out.len == N, "N is not manifest_len");
    out.bytes
}

/// Whether it is `[a-z][a-z0-9-]*`.
pub(super) const fn is_name(name: &str) -> bool {
    let bytes = name.as_bytes();
    let mut i = 0;
    while i < bytes.len() {
        let ok = match bytes[i] {
            b'a'..=b'z' => true,
            b'0'..=b'9' | b'-' => i > 0,
            _ => false,
        };
        if !ok {
            return false;
        }
        i += 1;
    }
    !bytes.is_empty()
}

const fn write<const N: usize>(manifest: &Manifest) -> Out<N> {
    let mut out = Out { bytes: [0; N], len: 0 };
    out.raw("{\"contract\":");
    out.string(CONTRACT);
    out.field("name", manifest.name);
    out.field("version", manifest.version);
    out.field("kind", manifest.kind.name());
    out.field("vendor", manifest.vendor);
    out.field("summary", manifest.summary);
    out.raw(",\"databases\":[");
    let mut i = 0;
    while i < manifest.databases.len() {
        out.item(i, manifest.databases[i]);
        i += 1;
    }
    out.raw("],\"operations\":[");
    let mut i = 0;
    while i < manifest.operations.len() {
        out.item(i, manifest.operations[i].name());
        i += 1;
    }
    out.raw("],\"restores_to\":[");
    let mut i = 0;
    while i < manifest.restores_to.len() {
        out.item(i, manifest.restores_to[i].name());
        i += 1;
    }
    out.raw("],\"selects_tables\":");
    out.raw(if manifest.selects_tables { "true" } else { "false" });
    out.raw(",\"renames_schema\":");
    out.raw(if manifest.renames_schema { "true" } else { "false" });
    out.raw(",\"restores_directories\":");
    out.raw(if manifest.restores_directories { "true" } else { "false" });
    out.raw(",\"increments_from_positions\":");
    out.raw(if manifest.increments_from_positions {
        "true"
    } else {
        "false"
    });
    out.field("options_schema", manifest.options_schema);
    out.raw("}");
    out
}

/// Bytes so far. With `N` = 0 it only counts.
struct Out<const N: usize> {
    bytes: [u8; N],
    len: usize,
}

impl<const N: usize> Out<N> {
    const fn byte(&mut self, byte: u8) {
        if self.len < N {
            self.bytes[self.len] = byte;
        }
        self.len += 1;
    }

    const fn raw(&mut self, text: &str) {
        let bytes = text.as_bytes();
        let mut i = 0;
        while i < bytes.len() {
            self.byte(bytes[i]);
            i += 1;
        }
    }

    const fn field(&mut self, key: &str, value: &str) {
        self.raw(",\"");
        self.raw(key);
        self.raw("\":");
        self.string(value);
    }

    const fn item(&mut self, index: usize, value: &str) {
        if index > 0 {
            self.byte(b',');
        }
        self.string(value);
    }

    /// A JSON string (RFC 8259, section 7).
    const fn string(&mut self, text: &str) {
        const HEX: &[u8; 16] = b"0123456789abcdef";
        self.byte(b'"');
        let bytes = text.as_bytes();
        let mut i = 0;
        while i < bytes.len() {
            match bytes[i] {
                b'"' | b'\\' => {
                    self.byte(b'\\');
                    self.byte(bytes[i]);
                }
                byte if byte < 0x20 => {
                    self.raw("\\u00");
                    self.byte(HEX[(byte >> 4) as usize]);
                    self.byte(HEX[(byte & 15) as usize]);
                }
                byte => self.byte(byte),
            }
            i += 1;
        }
        self.byte(b'"');
    }
}
