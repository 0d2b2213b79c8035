//! Version 1 of the binary contract: what crosses between host and plug-in as machine code knows it.
//!
//! It is meant never to grow. A plug-in exports one function, [`EngineModule::call`]; a host lends it one object,
//! [`HostPort`]. Everything that may change travels through them as JSON (see [`crate::wire`]), and only an object's bytes
//! travel as bytes. No call lets a panic out: abi_stable ends the whole process when one crosses the boundary.

use std::panic::{self, AssertUnwindSafe};
use std::sync::Arc;

use abi_stable::library::RootModule;
use abi_stable::sabi_types::VersionStrings;
use abi_stable::std_types::{RBox, RSlice, RSliceMut, RVec};
use abi_stable::{StableAbi, declare_root_module_statics, sabi_trait};

use crate::engine::Engine;
use crate::error::{EngineError, ErrorKind};
use crate::host::Host;
use crate::job;
use crate::manifest::CONTRACT;
use crate::wire::{Answer, Call};

/// What a plug-in exports.
#[repr(C)]
#[derive(StableAbi)]
#[sabi(kind(Prefix(prefix_ref = EngineModuleRef)))]
#[sabi(missing_field(panic))]
pub struct EngineModule {
    /// Runs one operation: a [`Call`] in, an [`Answer`] out, both JSON. It blocks until the operation is over.
    #[sabi(last_prefix_field)]
    pub call: extern "C" fn(RSlice<'_, u8>, HostPort) -> RVec<u8>,
}

impl RootModule for EngineModuleRef {
    declare_root_module_statics! {EngineModuleRef}
    const BASE_NAME: &'static str = "backstay_engine";
    const NAME: &'static str = "backstay engine";
    const VERSION_STRINGS: VersionStrings = VersionStrings::new(CONTRACT);
}

/// What a host lends to a plug-in for the length of a call.
#[sabi_trait]
pub trait HostApi: Send + Sync + 'static {
    /// Answers a [`Request`](crate::wire::Request) with an [`Answer`], both JSON.
    fn request(&self, request: RSlice<'_, u8>) -> RVec<u8>;

    /// Takes bytes for an object: all of them (0), or the object has failed (anything else).
    fn write(&self, object: u64, bytes: RSlice<'_, u8>) -> u32;

    /// Fills a buffer from an object: how many bytes there were, 0 at its end, less than 0 if it has failed.
    fn read(&self, object: u64, buffer: RSliceMut<'_, u8>) -> i64;

    /// Whether the engine should stop at the next good moment.
    fn cancelled(&self) -> bool;
}

/// A host as it crosses the boundary.
pub type HostPort = HostApi_TO<RBox<()>>;

/// Makes the module that a plug-in exports.
pub fn module(call: extern "C" fn(RSlice<'_, u8>, HostPort) -> RVec<u8>) -> EngineModuleRef {
    use abi_stable::prefix_type::PrefixTypeTrait;
    EngineModule { call }.leak_into_prefix()
}

/// The plug-in's side of [`EngineModule::call`] for an engine. Never panics.
pub fn serve<E: Engine>(call: RSlice<'_, u8>, port: HostPort) -> RVec<u8> {
    let host = Arc::new(Host::new(port));
    panics::remember();
    let answer = panic::catch_unwind(AssertUnwindSafe(|| {
        match serde_json::from_slice::<Call>(call.as_slice()) {
            Ok(call) => job::dispatch(&E::default(), call, &host),
            Err(error) => Answer::Error(
                EngineError::unsupported("this call; it was built against an older contract").detail(error.to_string()),
            ),
        }
    }))
    .unwrap_or_else(|payload| Answer::Error(panic_error(payload.as_ref())));
    // An answer holds only maps with string keys, so that writing it as JSON can not fail.
    serde_json::to_vec(&answer).unwrap_or_default().into()
}

/// A caught panic as an error.
fn panic_error(payload: &(dyn std::any::Any + Send)) -> EngineError {
    let message = payload
        .downcast_ref::<&str>()
        .map(|text| (*text).to_owned())
        .or_else(|| payload.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "no message".to_owned());
    let error = EngineError::new(ErrorKind::Panic, format!("the engine panicked: {message}"))
        .advise("this is a fault of the engine's; report it to its vendor");
    match panics::first() {
        Some(first) => error.detail(first),
        None => error,
    }
}

/// The first panic of a call, wherever it was: one in a thread is known by its message alone where the thread is joined.
mod panics {
    use std::panic;
    use std::sync::{Mutex, Once, PoisonError};

    static FIRST: Mutex<Option<String>> = Mutex::new(None);

    /// Forgets what was before, and remembers what comes. The hook is this library's own: each plug-in has its own copy of the
    /// standard library.
    pub(super) fn remember() {
        static HOOK: Once = Once::new();
        HOOK.call_once(|| {
            let before = panic::take_hook();
            panic::set_hook(Box::new(move |info| {
                FIRST
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .get_or_insert_with(|| info.to_string());
                before(info);
            }));
        });
        *FIRST.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    pub(super) fn first() -> Option<String> {
        FIRST.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}
