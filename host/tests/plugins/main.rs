//! Finding, inspecting and loading plug-ins, with libraries that were really built.

mod discover;
mod fixture;
mod inspect;
mod load;

use std::path::Path;

/// An error's text without the directories of this machine, and the proof that it is one line.
fn shown(error: &backstay::plugin::PluginError, directory: &Path) -> String {
    let text = error.to_string();
    assert!(!text.contains('\n'), "more than a line: {text}");
    text.replace(directory.to_str().unwrap(), "DIR")
}

/// The bytes with the first `from` replaced by `to`, of the same length.
fn patched(bytes: &[u8], from: &[u8], to: &[u8]) -> Vec<u8> {
    assert_eq!(from.len(), to.len());
    let at = bytes.windows(from.len()).position(|window| window == from).unwrap();
    let mut bytes = bytes.to_vec();
    bytes[at..at + to.len()].copy_from_slice(to);
    bytes
}
