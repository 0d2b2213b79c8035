//! Builds the fixture engine below the workspace's target directory, as a crate out of tree with a target directory of its own.
//!
//! Under nextest each test is a process: sources are written only where they differ, so that Cargo builds once, and one process
//! at a time.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// What to build the fixture as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Build {
    /// The engine `hello`.
    Hello,
    /// The same under the name `hola`.
    Hola,
    /// `hello` with an undefined symbol.
    Undefined,
    /// `hello` built against a contract of the same version, in which `HostApi::write` answers a `u64`.
    OtherLayout,
}

/// The library, built.
pub(crate) fn fixture(build: Build) -> PathBuf {
    // …/target/debug/deps/plugins-…
    let executable = std::env::current_exe().unwrap();
    let target = executable.ancestors().nth(3).unwrap().join("fixtures");
    fs::create_dir_all(&target).unwrap();
    let lock = fs::File::create(target.join("lock")).unwrap();
    rustix::fs::flock(&lock, rustix::fs::FlockOperation::LockExclusive).unwrap();

    let features = match build {
        Build::Hola => "other-name",
        Build::Undefined => "undefined-symbol",
        Build::Hello | Build::OtherLayout => "",
    };
    // Cargo does not tell libraries of the same name in one target directory apart, whatever their features.
    let name = format!("hello-{build:?}").to_ascii_lowercase();
    let source = match build {
        Build::OtherLayout => changed_contract(&target, &name),
        _ => {
            let directory = target.join(&name);
            let api = host().join("../engine-api");
            copy_tree(&host().join("tests/fixtures/hello-engine"), &directory, &|text| {
                let text = text.replace("../../../../engine-api", api.to_str().unwrap());
                text.replace("name = \"hello-engine\"", &format!("name = \"{name}\""))
            });
            directory
        }
    };
    // The workspace's versions of all dependencies: they are there already, and no network is needed.
    let workspace = if build == Build::OtherLayout {
        source.parent().unwrap()
    } else {
        &source
    };
    fs::copy(host().join("../Cargo.lock"), workspace.join("Cargo.lock")).unwrap();
    let output = Command::new(env!("CARGO"))
        .args([
            "build",
            "--quiet",
            "--offline",
            "--features",
            features,
            "--manifest-path",
        ])
        .arg(source.join("Cargo.toml"))
        .env("CARGO_TARGET_DIR", target.join("target"))
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));

    // Under a name of its own, and replaced as a whole: another process may be reading it.
    let copy = target.join(format!("{build:?}.so"));
    let fresh = target.join("fresh");
    let library = format!("target/debug/lib{}.so", name.replace('-', "_"));
    fs::copy(target.join(library), &fresh).unwrap();
    fs::rename(&fresh, &copy).unwrap();
    copy
}

fn host() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// A workspace with the fixture and a copy of the contract's crate that differs in one type.
fn changed_contract(target: &Path, name: &str) -> PathBuf {
    let root = target.join("other-layout");
    copy_tree(&host().join("../engine-api"), &root.join("engine-api"), &|text| {
        text.replace("bytes: RSlice<'_, u8>) -> u32;", "bytes: RSlice<'_, u8>) -> u64;")
    });
    let abi = fs::read_to_string(root.join("engine-api/src/abi/v1.rs")).unwrap();
    assert!(
        abi.contains("-> u64;"),
        "the contract has no `write` that answers a u32 any more"
    );
    copy_tree(
        &host().join("tests/fixtures/hello-engine"),
        &root.join("hello"),
        &|text| {
            let text = text
                .replace("[workspace]\n", "")
                .replace("../../../../engine-api", "../engine-api");
            let text = text.replace("name = \"hello-engine\"", &format!("name = \"{name}\""));
            text.split("\n[profile.dev]").next().unwrap().to_owned()
        },
    );
    let workspace = fs::read_to_string(host().join("../Cargo.toml")).unwrap();
    let members = workspace.find("members = [").unwrap();
    let rest = &workspace[members + workspace[members..].find(']').unwrap() + 1..];
    let workspace = format!("{}members = [\"engine-api\", \"hello\"]{rest}", &workspace[..members]);
    write(&root.join("Cargo.toml"), &workspace);
    root.join("hello")
}

/// Copies a crate's files with a change to each, without touching those that are as they should be.
fn copy_tree(from: &Path, to: &Path, change: &dyn Fn(&str) -> String) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let copy = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy_tree(&entry.path(), &copy, change);
        } else if entry.file_name() != "Cargo.lock" {
            write(&copy, &change(&fs::read_to_string(entry.path()).unwrap()));
        }
    }
}

fn write(path: &Path, text: &str) {
    if fs::read_to_string(path).ok().as_deref() != Some(text) {
        fs::write(path, text).unwrap();
    }
}
