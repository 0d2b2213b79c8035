//! What is read from a file without running it.

use std::fs;
use std::os::unix::fs::symlink;

use backstay::plugin::inspect;
use backstay_engine_api::{CONTRACT, Operation};
use insta::assert_snapshot;
use serde_json::json;
use sha2::{Digest, Sha256};

use crate::fixture::{Build, fixture};
use crate::{patched, shown};

#[test]
fn a_plug_in_says_what_it_is() {
    let path = &fixture(Build::Hello);
    let engine = inspect(path).unwrap();
    let manifest = &engine.manifest;
    assert_eq!((manifest.name.as_str(), manifest.version.as_str()), ("hello", "0.3.0"));
    assert_eq!(
        (manifest.contract.as_str(), manifest.operations.as_slice()),
        (CONTRACT, &[Operation::Probe][..])
    );
    let bytes = fs::read(path).unwrap();
    assert_eq!(engine.size, bytes.len() as u64);
    assert_eq!(
        engine.sha256().unwrap(),
        Sha256::digest(&bytes)
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect::<String>()
    );
}

#[test]
fn options_are_checked_against_its_schema() {
    let engine = inspect(&fixture(Build::Hello)).unwrap();
    assert_eq!(engine.check_options(&json!({"times": 2, "to": "x"})), Ok(()));
    let errors = engine.check_options(&json!({"times": 0, "time": 1})).unwrap_err();
    assert_snapshot!(errors.join("\n"), @r#"
    times: 0 is less than the minimum of 1
    Additional properties are not allowed ('time' was unexpected)
    "#);
}

#[test]
fn what_is_no_plug_in_is_refused_with_its_reason() {
    let directory = tempfile::tempdir().unwrap();
    let good = fs::read(fixture(Build::Hello)).unwrap();
    let check = |name: &str, bytes: &[u8]| {
        let path = directory.path().join(name);
        fs::write(&path, bytes).unwrap();
        let error = inspect(&path).unwrap_err();
        format!(
            "{}{}\n",
            if error.refused() { "[refused] " } else { "" },
            shown(&error, directory.path())
        )
    };
    let contract = format!("{{\"contract\":\"{CONTRACT}\"").into_bytes();
    let replaced = |to: &str| patched(&good, &contract, to.as_bytes());
    let mut executable = good.clone();
    executable[16] = 2;
    let mut machine = good.clone();
    machine[18] = 183;
    let mut class = good.clone();
    class[4] = 1;
    let texts = [
        check("empty.so", b""),
        check("text.so", b"INPUT(libhello.so)\n"),
        check("class.so", &class),
        check("machine.so", &machine),
        check("executable.so", &executable),
        check(
            "section.so",
            &patched(&good, b".backstay_engine\0", b".backstay_engimm\0"),
        ),
        check("symbol.so", &patched(&good, b"_1as_0lib_1header", b"_1as_0lib_1haeder")),
        check("major.so", &replaced("{\"contract\":\"2.0.0\"")),
        check("contract.so", &replaced("{\"contract\":\"x.0.0\"")),
        check("json.so", &replaced("{\"contract\";\"1.0.0\"")),
        check("key.so", &replaced("{\"contrakt\":\"1.0.0\"")),
        check("name.so", &patched(&good, b"\"name\":\"hello\"", b"\"name\":\"../..\"")),
        check("schema.so", &patched(&good, b"\\\"integer\\\"", b"\\\"imteger\\\"")),
    ];
    assert_snapshot!(texts.concat(), @r#"
    DIR/empty.so is no engine: it is empty
    DIR/text.so is no engine: it is no ELF file (a shared library)
    DIR/class.so is no engine: it is no 64-bit library
    [refused] DIR/machine.so is built for aarch64; this host runs on x86_64
    DIR/executable.so is no engine: it is an ELF file, but no shared library
    DIR/section.so is no engine: it has no section .backstay_engine, which `export_engine!` writes
    DIR/symbol.so is no engine: it has a manifest, but does not export `_1as_0lib_1header_0root_bmodule_bloader`; was it stripped of its symbols?
    [refused] DIR/major.so was built against contract 2.0.0; this host runs engines of contract 1.0.0; get a build of the engine for it
    DIR/contract.so has a broken manifest: its contract is "x.0.0"; expected a version
    DIR/json.so has a broken manifest: expected `:` at line 1 column 12
    DIR/key.so has a broken manifest: missing field `contract` at line 1 column 528
    DIR/name.so has a broken manifest: its name is "../.."; expected a-z, 0-9 and `-`, starting with a letter
    DIR/schema.so has a broken manifest: its options' schema is no JSON Schema: "imteger" is not valid under any of the schemas listed in the 'anyOf' keyword
    "#);
    assert_snapshot!(shown(&inspect(&directory.path().join("missing.so")).unwrap_err(), directory.path()), @r#"DIR/missing.so can not be read: No such file or directory (os error 2)"#);
    assert_snapshot!(shown(&inspect(directory.path()).unwrap_err(), directory.path()), @r#"DIR is no engine: it is no file"#);
    let link = directory.path().join("zero.so");
    symlink("/dev/zero", &link).unwrap();
    assert_snapshot!(shown(&inspect(&link).unwrap_err(), directory.path()), @r#"DIR/zero.so is no engine: it is no file"#);
}

/// Wherever a copy stopped, the file is refused, and nothing panics on the way.
#[test]
fn a_truncated_file_is_refused_wherever_it_ends() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("short.so");
    let good = fs::read(fixture(Build::Hello)).unwrap();
    for length in [
        4,
        5,
        63,
        64,
        500,
        good.len() / 4,
        good.len() / 2,
        good.len() - 65,
        good.len() - 1,
    ] {
        fs::write(&path, &good[..length]).unwrap();
        let text = shown(&inspect(&path).unwrap_err(), directory.path());
        assert!(
            text.starts_with("DIR/short.so is truncated: its headers speak of "),
            "{length}: {text}"
        );
        assert!(
            text.ends_with(&format!(" bytes, it has {length}; copy it again")),
            "{length}: {text}"
        );
    }
}

/// A damaged header is an error or, where the byte does not matter, none; never a panic.
#[test]
fn damaged_headers_do_no_harm() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("damaged.so");
    let good = fs::read(fixture(Build::Hello)).unwrap();
    let mut refused = 0;
    for at in 0..64 {
        for value in [0, 0x7f, 0xff] {
            let mut bytes = good.clone();
            bytes[at] = value;
            fs::write(&path, &bytes).unwrap();
            if let Err(error) = inspect(&path) {
                shown(&error, directory.path());
                refused += 1;
            }
        }
    }
    assert!(refused > 60, "{refused}");
}
