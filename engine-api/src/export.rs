//! [`export_engine!`](crate::export_engine): the one line that makes a crate a plug-in.

/// Makes the crate a plug-in: exports the engine to the host, and writes its manifest into the library file.
///
/// The crate needs `crate-type = ["cdylib"]`, and the engine must be [`Engine`](crate::Engine). Call it once per crate.
///
/// ```
/// use backstay_engine_api::{Engine, EngineKind, Manifest, export_engine};
///
/// #[derive(Default)]
/// struct Nothing;
///
/// impl Engine for Nothing {
///     const MANIFEST: Manifest = Manifest::new("nothing", env!("CARGO_PKG_VERSION"), EngineKind::Logical);
/// }
///
/// export_engine!(Nothing);
/// # fn main() {}
/// ```
#[macro_export]
macro_rules! export_engine {
    ($engine:ty $(,)?) => {
        const _: () = {
            #[used]
            #[unsafe(link_section = ".backstay_engine")]
            static BACKSTAY_MANIFEST: [u8; $crate::manifest_len(&<$engine as $crate::Engine>::MANIFEST)] =
                $crate::manifest_bytes(&<$engine as $crate::Engine>::MANIFEST);

            extern "C" fn call(
                call: $crate::__private::RSlice<'_, u8>,
                host: $crate::__private::HostPort,
            ) -> $crate::__private::RVec<u8> {
                $crate::__private::serve::<$engine>(call, host)
            }

            fn root_module() -> $crate::__private::EngineModuleRef {
                $crate::__private::module(call)
            }

            extern "C" fn erased_module() -> $crate::__private::RootModuleResult {
                $crate::__private::__call_root_module_loader(root_module)
            }

            // abi_stable's ROOT_MODULE_LOADER_NAME. Its `#[export_root_module]` would write the same, but asks for
            // abi_stable among the author's own dependencies.
            #[unsafe(no_mangle)]
            #[allow(non_upper_case_globals)]
            static _1as_0lib_1header_0root_bmodule_bloader: $crate::__private::LibHeader =
                // SAFETY: `erased_module` returns an `EngineModuleRef`, the module that the header is made for.
                unsafe {
                    $crate::__private::LibHeader::from_constructor::<$crate::__private::EngineModuleRef>(
                        erased_module,
                        $crate::__private::CheckTypeLayout::Yes,
                    )
                };
        };
    };
    () => {
        ::core::compile_error!("name the type that implements `Engine`: `export_engine!(MyEngine);`");
    };
    ($($other:tt)+) => {
        ::core::compile_error!("expected one type that implements `Engine`: `export_engine!(MyEngine);`");
    };
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_loader_has_the_name_that_abi_stable_looks_for() {
        assert_eq!(
            abi_stable::library::ROOT_MODULE_LOADER_NAME,
            "_1as_0lib_1header_0root_bmodule_bloader"
        );
    }
}
