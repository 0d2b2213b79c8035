//! Plug-ins: engines in shared libraries.
//!
//! The way of an engine into a worker: [`discover`] lists the files of the plug-in path, [`inspect()`] reads what a file says of
//! itself without running any of it, and [`load()`] runs it, from a sealed copy of exactly the bytes that were inspected.
//! A loaded engine stays loaded until the process ends.

pub mod discover;
mod elf;
mod error;
mod frugal;
pub mod inspect;
mod layout;
// dlopen and reading a symbol can not be done without unsafe code.
#[allow(unsafe_code)]
pub mod load;

pub use discover::{Discovery, Found, PLUGINS_ENV, SearchPath};
pub use error::PluginError;
pub use inspect::{Inspected, inspect};
pub use load::{LoadedEngine, load};

/// Whether it may name an engine: `[a-z][a-z0-9-]*`, as the contract has it.
pub fn is_engine_name(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_lowercase())
        && name
            .bytes()
            .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
}
