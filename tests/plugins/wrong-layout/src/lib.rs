//! A plug-in whose manifest is one of this contract, and whose root module is not: its function takes and gives other
//! types. Only the check of the layout, after loading, can tell.

// What `export_engine!` and abi_stable's derive hide from an author.
#![allow(unsafe_code, non_local_definitions)]

use abi_stable::library::{__call_root_module_loader, CheckTypeLayout, LibHeader, RootModule, RootModuleResult};
use abi_stable::prefix_type::PrefixTypeTrait;
use abi_stable::sabi_types::VersionStrings;
use abi_stable::std_types::RSlice;
use abi_stable::{StableAbi, declare_root_module_statics};
use backstay_engine_api::{CONTRACT, EngineKind, Manifest, Operation, manifest_bytes, manifest_len};

const MANIFEST: Manifest = Manifest::new("wrong-layout", env!("CARGO_PKG_VERSION"), EngineKind::Logical)
    .vendor("Backstay tests")
    .summary("A root module of another layout")
    .databases(&["mysql", "mariadb"])
    .operations(&[Operation::FullBackup]);

#[used]
#[unsafe(link_section = ".backstay_engine")]
static MANIFEST_SECTION: [u8; manifest_len(&MANIFEST)] = manifest_bytes(&MANIFEST);

/// The contract's module, but for what `call` takes and gives.
#[repr(C)]
#[derive(StableAbi)]
#[sabi(kind(Prefix(prefix_ref = EngineModuleRef)))]
#[sabi(missing_field(panic))]
pub struct EngineModule {
    /// Would be misread if it were called as the contract's.
    #[sabi(last_prefix_field)]
    pub call: extern "C" fn(RSlice<'_, u8>, u32) -> u64,
}

impl RootModule for EngineModuleRef {
    declare_root_module_statics! {EngineModuleRef}
    const BASE_NAME: &'static str = "backstay_engine";
    const NAME: &'static str = "backstay engine";
    const VERSION_STRINGS: VersionStrings = VersionStrings::new(CONTRACT);
}

extern "C" fn call(_call: RSlice<'_, u8>, _host: u32) -> u64 {
    0
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
