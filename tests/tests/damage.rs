//! Stored bytes that are damaged: `verify` and `restore` name what is hurt, and restore stops before its engine is called.

use std::fs;
use std::path::{Path, PathBuf};

use backstay_tests::backstay::Backstay;
use backstay_tests::plugins;
use tempfile::TempDir;

const SECTIONS: &str = "[cluster.main]\nserver = \"mysql://backup@127.0.0.1:1\"\n";

/// A repository with one backup of 3 objects: one large, of random bytes, and two small ones.
fn bed() -> (TempDir, Backstay, String) {
    let dir = tempfile::tempdir().unwrap();
    let folder = plugins::only(dir.path(), &["libmisbehave.so"]);
    let backstay = Backstay::new(dir.path(), &[folder], SECTIONS);
    backstay.run(&["backup", "--engine", "misbehave"]).ok();
    let id = backstay.ids("main").remove(0);
    (dir, backstay, id)
}

/// Restores over something, with an engine that would panic if it were called.
fn restore(backstay: &Backstay) -> backstay_tests::backstay::Output {
    let target = backstay.dir.join("target");
    fs::create_dir_all(&target).unwrap();
    fs::write(target.join("precious"), "x").unwrap();
    backstay.run(&[
        "restore",
        "--to-datadir",
        &target.display().to_string(),
        "--overwrite",
        "-o",
        "deed=panic",
        "-o",
        "when=restore",
    ])
}

/// The damage must be found by both, with this text, and by a restore that reads as it goes.
#[track_caller]
fn is_found(backstay: &Backstay, text: &str) {
    is_found_beforehand(backstay, text);
    let read = restore_into_nothing(backstay).fails_with(1);
    assert!(
        read.stderr.contains(text),
        "restore does not say `{text}` when it reads:\n{}",
        read.stderr
    );
}

/// The damage must be found by both, with this text.
#[track_caller]
fn is_found_beforehand(backstay: &Backstay, text: &str) {
    let verified = backstay.run(&["verify"]).fails_with(1);
    assert!(
        verified.stdout.contains(text),
        "verify does not say `{text}`:\n{}{}",
        verified.stdout,
        verified.stderr
    );
    let restored = restore(backstay).fails_with(1);
    assert!(
        restored.stderr.contains(text),
        "restore does not say `{text}`:\n{}",
        restored.stderr
    );
    assert!(
        !restored.stderr.contains("panicked"),
        "the engine was called:\n{}",
        restored.stderr
    );
}

/// Restores into an empty directory, with an engine that reads everything: what is damaged is found while it is read.
fn restore_into_nothing(backstay: &Backstay) -> backstay_tests::backstay::Output {
    let target = backstay.dir.join("nothing").display().to_string();
    backstay.run(&["restore", "--to-datadir", &target])
}

/// Writes a file's bytes anew after a change, and puts them back when the check is done.
fn with_change(path: &Path, change: impl FnOnce(&mut Vec<u8>), check: impl FnOnce()) {
    let sound = fs::read(path).unwrap();
    let mut damaged = sound.clone();
    change(&mut damaged);
    fs::write(path, damaged).unwrap();
    check();
    fs::write(path, sound).unwrap();
}

fn one(backstay: &Backstay, id: &str) -> PathBuf {
    backstay.backups("main").join(id).join("data/data/one.zst")
}

#[test]
fn an_undamaged_backup_verifies_and_reaches_its_engine() {
    let (_dir, backstay, _) = bed();
    backstay.run(&["verify"]).ok();
    assert!(restore(&backstay).fails_with(1).stderr.contains("misbehave panics"));
    restore_into_nothing(&backstay).ok();
}

#[test]
fn bytes_that_are_others() {
    let (_dir, backstay, id) = bed();
    let path = one(&backstay, &id);
    let length = fs::metadata(&path).unwrap().len() as usize;
    for at in [0, 5, length / 2, length - 1] {
        with_change(
            &path,
            |bytes| bytes[at] ^= 1,
            || is_found(&backstay, "object \"data/one\" is damaged"),
        );
    }
    backstay.run(&["verify"]).ok();
}

#[test]
fn a_file_that_is_cut_or_too_long_or_gone() {
    let (_dir, backstay, id) = bed();
    let path = one(&backstay, &id);
    with_change(
        &path,
        |bytes| bytes.truncate(bytes.len() / 2),
        || is_found(&backstay, "object \"data/one\" is damaged"),
    );
    with_change(&path, Vec::clear, || {
        is_found(&backstay, "object \"data/one\" is damaged")
    });
    with_change(
        &path,
        |_| {},
        || {
            fs::remove_file(&path).unwrap();
            is_found(&backstay, "object \"data/one\" is damaged");
        },
    );
    backstay.run(&["verify"]).ok();
}

#[test]
fn files_that_are_swapped() {
    let (_dir, backstay, id) = bed();
    let (one, two) = (one(&backstay, &id), one(&backstay, &id).with_file_name("two.zst"));
    let aside = backstay.dir.join("aside");
    fs::rename(&one, &aside).unwrap();
    fs::rename(&two, &one).unwrap();
    fs::rename(&aside, &two).unwrap();
    is_found(&backstay, "object \"data/one\" is damaged");
    // Who reads stops at the first.
    is_found_beforehand(&backstay, "object \"data/two\" is damaged");
}

#[test]
fn an_index_that_is_edited() {
    let (_dir, backstay, id) = bed();
    let index = backstay.backups("main").join(&id).join("objects.jsonl.zst");
    with_change(
        &index,
        |bytes| *bytes.last_mut().unwrap() ^= 1,
        || is_found(&backstay, "objects.jsonl.zst is damaged"),
    );
    with_change(
        &index,
        |bytes| bytes.truncate(10),
        || is_found(&backstay, "objects.jsonl.zst is damaged"),
    );
    fs::remove_file(&index).unwrap();
    is_found(&backstay, "objects.jsonl.zst is missing");
}

#[test]
fn a_manifest_that_is_edited() {
    let (_dir, backstay, id) = bed();
    let manifest = backstay.backups("main").join(&id).join("manifest.json");
    let edit = |bytes: &mut Vec<u8>| {
        let text = String::from_utf8(bytes.clone()).unwrap();
        let edited = text.replace("\"kind\": \"full\"", "\"kind\": \"incremental\"");
        assert_ne!(text, edited);
        *bytes = edited.into_bytes();
    };
    with_change(&manifest, edit, || is_found(&backstay, "manifest.json is damaged"));
    with_change(
        &manifest,
        |bytes| bytes.truncate(100),
        || is_found(&backstay, "manifest.json is damaged"),
    );
    let digest = manifest.with_file_name("manifest.json.sha256");
    with_change(&digest, |bytes| bytes[0] ^= 1, || is_found(&backstay, "manifest.json"));
    // Without a manifest there is no backup: what is left is named.
    fs::remove_file(&manifest).unwrap();
    assert!(backstay.run(&["list"]).ok().stdout.contains("left by a killed job"));
    assert!(
        backstay
            .run(&["verify"])
            .ok()
            .stdout
            .contains(&format!("leftover {id}"))
    );
    backstay.run(&["verify", "--clear-leftovers"]).ok();
    assert!(!backstay.backups("main").join(&id).exists());
}

#[test]
fn a_file_too_many_is_named_and_harms_nothing() {
    let (_dir, backstay, id) = bed();
    fs::write(backstay.backups("main").join(&id).join("data/stray"), "x").unwrap();
    assert!(
        backstay
            .run(&["verify"])
            .ok()
            .stdout
            .contains("leftover: data/stray belongs to no object")
    );
    assert!(restore(&backstay).fails_with(1).stderr.contains("misbehave panics"));
}

#[test]
fn what_is_stored_is_read_by_other_programs() {
    let (_dir, backstay, id) = bed();
    let shown = backstay.run(&["show", "--objects", "--json"]).ok().json();
    let object = &shown["objects"][0];
    assert_eq!(object["name"], "data/one");
    let path = backstay
        .backups("main")
        .join(&id)
        .join(object["extents"][0]["file"].as_str().unwrap());
    let run = |program: &str, arguments: &[&str]| {
        let output = std::process::Command::new(program)
            .args(arguments)
            .arg(&path)
            .output()
            .unwrap();
        assert!(
            output.status.success(),
            "{program}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        output.stdout
    };
    let digest = String::from_utf8(run("sha256sum", &[])).unwrap();
    assert_eq!(digest.split(' ').next(), object["extents"][0]["sha256"].as_str());
    let plain = run("zstd", &["-d", "-c"]);
    let exported = backstay.dir.join("exported");
    backstay
        .run(&["export", "latest", &exported.display().to_string()])
        .ok();
    assert!(
        plain == fs::read(exported.join("data/one")).unwrap(),
        "zstd -d and export differ"
    );
    let checked = std::process::Command::new("sha256sum")
        .args(["--check", "manifest.json.sha256"])
        .current_dir(backstay.backups("main").join(&id))
        .output()
        .unwrap();
    assert!(checked.status.success());
}
