//! A shared library that is no plug-in. Were it loaded, its constructor would run before anyone could look for a symbol
//! in it, and would write the file that `BACKSTAY_TEST_CONSTRUCTOR` names: a host must refuse the file unloaded.

// A constructor is an entry in a section that the dynamic loader runs; the attribute that puts it there is an unsafe one.
#![allow(unsafe_code)]

extern "C" fn constructor() {
    if let Some(path) = std::env::var_os("BACKSTAY_TEST_CONSTRUCTOR") {
        // A constructor can tell nobody of an error; the test that expects a file will.
        let _ = std::fs::write(path, "constructor ran\n");
    }
}

#[used]
#[unsafe(link_section = ".init_array")]
static CONSTRUCTOR: extern "C" fn() = constructor;
