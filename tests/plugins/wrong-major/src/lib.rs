//! A plug-in of the next major version of the contract. It says so twice, in its manifest and in its root module's header:
//! a host must go by the version before it looks at the layout.

// What `export_engine!` and abi_stable's derive hide from an author.
#![allow(unsafe_code, non_local_definitions)]

use abi_stable::library::{__call_root_module_loader, CheckTypeLayout, LibHeader, RootModule, RootModuleResult};
use abi_stable::prefix_type::PrefixTypeTrait;
use abi_stable::sabi_types::VersionStrings;
use abi_stable::std_types::{RSlice, RVec};
use abi_stable::{StableAbi, declare_root_module_statics};

/// Has a key that no contract 1.x knows, as a manifest of contract 2 well may.
const MANIFEST: &str = concat!(
    r#"{"contract":"2.0.0","name":"wrong-major","version":""#,
    env!("CARGO_PKG_VERSION"),
    r#"","kind":"logical","vendor":"Backstay tests","summary":"Of contract 2.0.0","databases":["mysql","mariadb"],"#,
    r#""operations":["full_backup"],"restores_to":[],"selects_tables":false,"options_schema":"{}","moons":2}"#,
);

#[used]
#[unsafe(link_section = ".backstay_engine")]
static MANIFEST_SECTION: [u8; MANIFEST.len()] = *MANIFEST.as_bytes().first_chunk().unwrap();

/// A module of contract 2. What the host lends to a call stands here as bytes: the version is to be looked at first.
#[repr(C)]
#[derive(StableAbi)]
#[sabi(kind(Prefix(prefix_ref = EngineModuleRef)))]
#[sabi(missing_field(panic))]
pub struct EngineModule {
    /// Runs one operation.
    #[sabi(last_prefix_field)]
    pub call: extern "C" fn(RSlice<'_, u8>, RSlice<'_, u8>) -> RVec<u8>,
}

impl RootModule for EngineModuleRef {
    declare_root_module_statics! {EngineModuleRef}
    const BASE_NAME: &'static str = "backstay_engine";
    const NAME: &'static str = "backstay engine";
    const VERSION_STRINGS: VersionStrings = VersionStrings::new("2.0.0");
}

extern "C" fn call(_call: RSlice<'_, u8>, _host: RSlice<'_, u8>) -> RVec<u8> {
    RVec::new()
}

fn root_module() -> EngineModuleRef {
    EngineModule { call }.leak_into_prefix()
}

extern "C" fn erased_module() -> RootModuleResult {
    __call_root_module_loader(root_module)
}

#[unsafe(no_mangle)]
#[allow(non_upper_case_globals)]
static _1as_0lib_1header_0root_bmodule_bloader: LibHeader =
    // SAFETY: `erased_module` returns an `EngineModuleRef`, the module that the header is made for.
    unsafe { LibHeader::from_constructor::<EngineModuleRef>(erased_module, CheckTypeLayout::Yes) };
