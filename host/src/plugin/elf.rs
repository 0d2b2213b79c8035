//! What a library file says in its ELF headers. Nothing of it is trusted: every offset is checked against the file's length, and what is
//! read of it in all is bounded (`frugal.rs`).

use std::path::Path;

use backstay_engine_api::MANIFEST_SECTION;
use object::elf::{ET_DYN, FileHeader64, PT_LOAD};
use object::read::ReadRef;
use object::read::elf::{ElfFile64, FileHeader, ProgramHeader};
use object::{Architecture, Endianness, Object, ObjectSection, ObjectSymbol, SymbolKind};

use super::PluginError;

/// The symbol that a plug-in exports: abi_stable's `ROOT_MODULE_LOADER_NAME`.
pub(super) const ROOT_SYMBOL: &str = abi_stable::library::ROOT_MODULE_LOADER_NAME;

/// The architecture of this host, if it is one whose files we can tell.
const MACHINE: Option<Architecture> = if cfg!(target_arch = "x86_64") {
    Some(Architecture::X86_64)
} else if cfg!(target_arch = "aarch64") {
    Some(Architecture::Aarch64)
} else if cfg!(target_arch = "riscv64") {
    Some(Architecture::Riscv64)
} else if cfg!(target_arch = "s390x") {
    Some(Architecture::S390x)
} else if cfg!(target_arch = "powerpc64") {
    Some(Architecture::PowerPc64)
} else {
    None
};

/// The bytes of the manifest's section, after checking that the file is a whole plug-in for this machine. Of `file` no more is read
/// than that takes.
pub(super) fn manifest_section<'d, R: ReadRef<'d>>(path: &Path, file: R) -> Result<&'d [u8], PluginError> {
    // e_ident: magic number, class (64-bit), byte order.
    const MAGIC: &[u8] = b"\x7fELF";
    const CLASS_64: u8 = 2;
    let length = file
        .len()
        .map_err(|()| PluginError::no_plugin(path, "its length can not be read"))?;
    let beginning = file
        .read_bytes_at(0, length.min(MAGIC.len() as u64 + 1))
        .unwrap_or_default();
    if !beginning.starts_with(MAGIC) {
        let what = if length == 0 {
            "it is empty"
        } else {
            "it is no ELF file (a shared library)"
        };
        return Err(PluginError::no_plugin(path, what));
    }
    if beginning.get(MAGIC.len()).is_some_and(|class| *class != CLASS_64) {
        return Err(PluginError::no_plugin(path, "it is no 64-bit library"));
    }
    check_length(path, file, length)?;

    let broken = |error: object::Error| PluginError::no_plugin(path, format!("its ELF headers are broken: {error}"));
    let file = ElfFile64::<Endianness, R>::parse(file).map_err(broken)?;
    let machine = file.architecture();
    if let Some(expected) = MACHINE
        && machine != expected
    {
        return Err(PluginError::Machine {
            path: path.to_owned(),
            expected: std::env::consts::ARCH,
            found: format!("{machine:?}").to_ascii_lowercase(),
        });
    }
    if file.elf_header().e_type(file.endian()) != ET_DYN {
        return Err(PluginError::no_plugin(path, "it is an ELF file, but no shared library"));
    }
    let Some(section) = file.section_by_name(MANIFEST_SECTION) else {
        let reason = format!("it has no section {MANIFEST_SECTION}, which `export_engine!` writes");
        return Err(PluginError::no_plugin(path, reason));
    };
    // A symbol that is no data as large as what is read first would have the loader read what is something else.
    let header = std::mem::size_of::<abi_stable::library::AbiHeader>() as u64;
    // The name last: it is somewhere else in the file.
    let root = file.dynamic_symbols().find(|symbol| {
        symbol.is_definition()
            && symbol.kind() == SymbolKind::Data
            && symbol.size() >= header
            && symbol.name() == Ok(ROOT_SYMBOL)
    });
    if root.is_none() {
        let reason = format!("it has a manifest, but does not export `{ROOT_SYMBOL}`; was it stripped of its symbols?");
        return Err(PluginError::no_plugin(path, reason));
    }
    section.data().map_err(broken)
}

/// Every part that the headers speak of must lie within the file. The section headers come last in a file that a linker wrote, so
/// that any truncation shows.
fn check_length<'d, R: ReadRef<'d>>(path: &Path, file: R, found: u64) -> Result<(), PluginError> {
    let truncated = |expected| PluginError::Truncated {
        path: path.to_owned(),
        expected,
        found,
    };
    let least = std::mem::size_of::<FileHeader64<Endianness>>() as u64;
    if found < least {
        return Err(truncated(least));
    }
    let broken = |error: object::Error| PluginError::no_plugin(path, format!("its ELF headers are broken: {error}"));
    let header = FileHeader64::<Endianness>::parse(file).map_err(broken)?;
    let endian = header.endian().map_err(broken)?;
    let table = |offset: u64, size: u16, count: u16| offset.saturating_add(u64::from(size) * u64::from(count));
    let program = table(
        header.e_phoff(endian),
        header.e_phentsize(endian),
        header.e_phnum(endian),
    );
    let sections = table(
        header.e_shoff(endian),
        header.e_shentsize(endian),
        header.e_shnum(endian),
    );
    let mut end = program.max(sections);
    if program <= found {
        for segment in header.program_headers(endian, file).map_err(broken)? {
            if segment.p_type(endian) == PT_LOAD {
                end = end.max(segment.p_offset(endian).saturating_add(segment.p_filesz(endian)));
            }
        }
    }
    if end > found { Err(truncated(end)) } else { Ok(()) }
}
