//! Loading an engine: the only unsafe code of the host.
//!
//! A plug-in is trusted like the host itself once it is loaded, for it shares the process. What can be checked is checked before:
//! the file is read once, into a sealed copy; that copy is inspected, and it is what is loaded, so that nobody can exchange
//! anything in between.

use std::fs::File;
use std::io::{self, Read, Seek};
use std::mem;
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::Path;
use std::thread;
use std::time::Duration;

use abi_stable::StableAbi;
use abi_stable::library::{AbiHeader, AbiHeaderRef, LibraryError, ROOT_MODULE_LOADER_NAME_WITH_NUL};
use abi_stable::std_types::RSlice;
use backstay_engine_api::abi::v1::{EngineModuleRef, HostPort};
use backstay_engine_api::wire::{Answer, Call};
use backstay_engine_api::{CONTRACT, EngineError};
use libloading::os::unix::{Library, RTLD_LOCAL, RTLD_NOW};
use rustix::fs::{MemfdFlags, SealFlags, fcntl_add_seals, memfd_create};
use rustix::io::Errno;

use super::inspect::{Inspected, digest, inspect_file, major, open};
use super::{PluginError, layout};

/// How often it is tried to seal a copy, and how long is waited in between.
const SEAL_ATTEMPTS: u32 = 100;
const SEAL_PAUSE: Duration = Duration::from_millis(20);

/// An engine whose code is in this process. It stays there until the process ends.
#[derive(Clone)]
pub struct LoadedEngine {
    /// What was inspected, and then loaded.
    pub inspected: Inspected,
    module: EngineModuleRef,
}

/// Loads the engine `name` from a file: copies it, inspects the copy, and loads exactly that.
///
/// `sha256` is the digest that the file must have, as [`Inspected::sha256`] gave it when it was chosen. Several engines can be loaded;
/// loading a file again gives a second, independent copy.
///
/// # Errors
/// It is no engine for this host, not the one that was asked for, or can not be loaded. Code of it ran only if the error is
/// [`PluginError::Load`] or [`PluginError::Layout`].
pub fn load(path: &Path, name: &str, sha256: Option<&str>) -> Result<LoadedEngine, PluginError> {
    let (path, file, metadata) = open(path)?;
    let failed = |reason: String| PluginError::Load {
        path: path.clone(),
        reason,
    };
    let no_copy = |error: io::Error| failed(format!("it could not be copied into memory: {error}"));
    let copy = sealed_copy(name, file).map_err(no_copy)?;
    let mut readable = File::from(copy.try_clone().map_err(no_copy)?);
    readable.rewind().map_err(no_copy)?;
    let found = digest(&readable).map_err(no_copy)?;
    let inspected = inspect_file(&path, readable, &metadata, Some(found.clone()))?;
    if let Some(expected) = sha256
        && expected != found
    {
        return Err(PluginError::Changed {
            path,
            expected: expected.to_owned(),
            found,
        });
    }
    if inspected.manifest.name != name {
        return Err(PluginError::OtherName {
            path,
            expected: name.to_owned(),
            found: inspected.manifest.name,
        });
    }
    let header = open_library(&copy).map_err(|reason| failed(without_copy_path(&reason, &copy)))?;
    // Once the descriptor is closed its number is used again, and glibc, which knows libraries by name, would give the next
    // plug-in this one's code.
    mem::forget(copy);
    let module = module(&path, header)?;
    Ok(LoadedEngine { inspected, module })
}

impl LoadedEngine {
    /// Runs an operation, and blocks until it is over. `port` is what the engine sees of the host.
    ///
    /// An engine that answers something else than an [`Answer`] gives an error, like one that fails.
    pub fn call(&self, call: &Call, port: HostPort) -> Answer {
        let name = &self.inspected.manifest.name;
        match serde_json::to_vec(call) {
            Ok(call) => read_answer(name, &self.module.call()(RSlice::from_slice(&call), port)),
            Err(error) => Answer::Error(EngineError::other("a call can not be written as JSON").because(&error)),
        }
    }
}

impl std::fmt::Debug for LoadedEngine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LoadedEngine")
            .field("inspected", &self.inspected)
            .finish_non_exhaustive()
    }
}

fn read_answer(name: &str, answer: &[u8]) -> Answer {
    serde_json::from_slice(answer).unwrap_or_else(|error| {
        let what = format!("the engine `{name}` answered something that is no JSON of the contract");
        Answer::Error(EngineError::other(what).detail(layout::one_line(&error.to_string())))
    })
}

/// A file in memory that nobody, this process included, can change any more.
fn sealed_copy(name: &str, mut from: impl Read) -> io::Result<OwnedFd> {
    let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
    let name = format!("backstay-{name}");
    // It need not be a program to be mapped as a library, and where `vm.memfd_noexec` is 2 it must not be. Kernels before 6.3
    // do not know the flag.
    let copy =
        memfd_create(name.as_str(), flags | MemfdFlags::NOEXEC_SEAL).or_else(|_| memfd_create(name.as_str(), flags))?;
    let mut file = File::from(copy);
    io::copy(&mut from, &mut file)?;
    let seals = SealFlags::SEAL | SealFlags::SHRINK | SealFlags::GROW | SealFlags::WRITE;
    // The kernel says EBUSY while anything of its own, such as the moving of pages where memory is short, holds one of the file's.
    for _ in 0..SEAL_ATTEMPTS {
        match fcntl_add_seals(&file, seals) {
            Err(Errno::BUSY) => thread::sleep(SEAL_PAUSE),
            sealed => return sealed.map(|()| file.into()).map_err(Into::into),
        }
    }
    fcntl_add_seals(&file, seals)?;
    Ok(file.into())
}

fn copy_path(copy: &OwnedFd) -> String {
    format!("/proc/self/fd/{}", copy.as_raw_fd())
}

/// What dlopen says begins with the copy's path, which tells an operator nothing.
fn without_copy_path(reason: &str, copy: &OwnedFd) -> String {
    let path = copy_path(copy);
    layout::one_line(reason.strip_prefix(&format!("{path}: ")).unwrap_or(reason)).replace(&path, "its copy in memory")
}

fn open_library(copy: &OwnedFd) -> Result<AbiHeaderRef, String> {
    // Missing symbols are found now and not in the middle of a job, and no plug-in sees the symbols of another.
    // SAFETY: the library's constructors run. They are trusted, as all of the engine's code: the operator put it into the plug-in
    // path, and it was inspected.
    let library =
        unsafe { Library::open(Some(copy_path(copy)), RTLD_NOW | RTLD_LOCAL) }.map_err(|error| detail(&error))?;
    // SAFETY: the symbol was seen to be data of at least an `AbiHeader`'s size; `AbiHeaderRef` is a pointer to such, as abi_stable's
    // own loader reads it, and is checked before more of it is used.
    let header = unsafe { library.get::<AbiHeaderRef>(ROOT_MODULE_LOADER_NAME_WITH_NUL) }
        .map(|symbol| *symbol)
        .map_err(|error| detail(&error))?;
    // The header, the module and the layouts are references into the library for as long as the process lives.
    mem::forget(library);
    Ok(header)
}

/// libloading's errors say only that it failed; their source says why.
fn detail(error: &libloading::Error) -> String {
    std::error::Error::source(error).map_or_else(|| error.to_string(), ToString::to_string)
}

/// The module that a library exports, if its binary contract is ours.
fn module(path: &Path, header: AbiHeaderRef) -> Result<EngineModuleRef, PluginError> {
    let differs = |reason: String| PluginError::Layout {
        path: path.to_owned(),
        reason,
        expected: CONTRACT,
    };
    if !header.is_valid() {
        let ours = AbiHeader::VALUE;
        return Err(differs(if header.magic_string == ours.magic_string {
            format!(
                "it was built with abi_stable {}.{}, this host with {}.{}",
                header.abi_major, header.abi_minor, ours.abi_major, ours.abi_minor
            )
        } else {
            "what it exports is no module of abi_stable".to_owned()
        }));
    }
    let header = header.upgrade().map_err(|error| differs(reason(&error)))?;
    // The version in the code, which is the one that counts; the manifest could say anything.
    let version = header.version_strings().version;
    if major(version.as_str()) != major(CONTRACT) {
        return Err(PluginError::Contract {
            path: path.to_owned(),
            expected: CONTRACT,
            found: version.as_str().escape_debug().to_string(),
        });
    }
    header.init_root_module::<EngineModuleRef>().map_err(|error| {
        let found = header
            .layout()
            .and_then(|found| layout::difference("EngineModule", <EngineModuleRef as StableAbi>::LAYOUT, found));
        differs(found.unwrap_or_else(|| reason(&error)))
    })
}

fn reason(error: &LibraryError) -> String {
    layout::one_line(&error.to_string())
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    #[test]
    fn what_is_no_answer_is_an_error() {
        for (answer, detail) in [
            (b"".as_slice(), "EOF while parsing a value at line 1 column 0"),
            (b"\xff\xfe", "expected value at line 1 column 1"),
            (
                b"{\"fine\":1}",
                "unknown variant `fine`, expected `ok` or `error` at line 1 column 7",
            ),
        ] {
            let Answer::Error(error) = read_answer("x", answer) else {
                panic!("taken for an answer: {answer:?}");
            };
            let expected = "the engine `x` answered something that is no JSON of the contract";
            assert_eq!(error.to_string(), format!("{expected}: {detail}"));
        }
        assert!(matches!(read_answer("x", b"{\"ok\":null}"), Answer::Ok(_)));
    }

    #[test]
    fn a_sealed_copy_can_not_be_changed() {
        let copy = sealed_copy("x", &b"bytes"[..]).unwrap();
        let mut file = File::from(copy);
        assert!(file.write_all(b"more").is_err());
        assert!(file.set_len(0).is_err());
        let seals = rustix::fs::fcntl_get_seals(&file).unwrap();
        assert!(seals.contains(SealFlags::SEAL | SealFlags::SHRINK | SealFlags::GROW | SealFlags::WRITE));
    }
}
