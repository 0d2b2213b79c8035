//! The plug-in path: order, doubles, and what is said when an engine is not there.

use std::fs;
use std::path::{Path, PathBuf};

use backstay::plugin::{Discovery, SearchPath};
use insta::assert_snapshot;

use crate::fixture::{Build, fixture};
use crate::shown;

fn put(from: &Path, directory: &Path, name: &str) -> PathBuf {
    fs::create_dir_all(directory).unwrap();
    let path = directory.join(name);
    fs::copy(from, &path).unwrap();
    path
}

/// What was found, a line for each file.
fn listed(discovery: &Discovery, root: &Path) -> String {
    let lines = discovery.found.iter().map(|found| {
        let name = found.path.strip_prefix(root).unwrap().display().to_string();
        match (&found.result, &found.shadowed_by) {
            (Ok(engine), None) => format!("{name}: {}", engine.manifest.name),
            (Ok(engine), Some(by)) => {
                format!(
                    "{name}: {}, shadowed by {}",
                    engine.manifest.name,
                    by.strip_prefix(root).unwrap().display()
                )
            }
            (Err(error), _) => format!("{name}: error: {}", shown(error, root)),
        }
    });
    lines.collect::<Vec<_>>().join("\n")
}

#[test]
fn the_first_directory_wins() {
    let root = tempfile::tempdir().unwrap();
    let (a, b, c) = (root.path().join("a"), root.path().join("b"), root.path().join("c"));
    put(&fixture(Build::Hello), &a, "libhello.so");
    put(&fixture(Build::Hello), &a, "libhello2.so");
    put(&fixture(Build::Undefined), &b, "libhello.so");
    put(&fixture(Build::Hola), &b, "libhola.so");
    fs::write(b.join("notes.txt"), "no library").unwrap();
    fs::write(b.join("broken.so"), "no library").unwrap();
    let missing = root.path().join("missing");
    let discovery = SearchPath::only(&[missing, a.clone(), b, c, a]).discover().unwrap();
    assert_snapshot!(listed(&discovery, root.path()), @r#"
    a/libhello.so: hello
    a/libhello2.so: hello, shadowed by a/libhello.so
    b/broken.so: error: DIR/b/broken.so is no engine: it is no ELF file (a shared library)
    b/libhello.so: hello, shadowed by a/libhello.so
    b/libhola.so: hola
    "#);
    assert_eq!(discovery.engines().count(), 2);
    assert!(discovery.find("hello").unwrap().path.ends_with("a/libhello.so"));
    assert_snapshot!(shown(&discovery.find("helo").unwrap_err(), root.path()), @r#"there is no engine `helo` in DIR/missing, DIR/a, DIR/b, DIR/c; did you mean `hello`?; not usable: DIR/b/broken.so is no engine: it is no ELF file (a shared library)"#);
    assert_snapshot!(shown(&discovery.find("xtrabackup").unwrap_err(), root.path()), @r#"there is no engine `xtrabackup` in DIR/missing, DIR/a, DIR/b, DIR/c; there are `hello`, `hola`; not usable: DIR/b/broken.so is no engine: it is no ELF file (a shared library)"#);
}

#[test]
fn two_of_a_name_in_one_directory_are_not_chosen_from() {
    let root = tempfile::tempdir().unwrap();
    let (a, b) = (root.path().join("a"), root.path().join("b"));
    put(&fixture(Build::Hello), &a, "hello-one.so");
    put(&fixture(Build::Undefined), &a, "hello-two.so");
    put(&fixture(Build::Hello), &b, "hello-three.so");
    let discovery = SearchPath::only(&[a.clone(), b.clone()]).discover().unwrap();
    let error = discovery.find("hello").unwrap_err();
    assert!(error.refused());
    assert_snapshot!(shown(&error, root.path()), @r#"the engine `hello` is there twice: DIR/a/hello-one.so and DIR/a/hello-two.so; remove one of them"#);
    assert_snapshot!(listed(&discovery, root.path()), @r#"
    a/hello-one.so: error: the engine `hello` is there twice: DIR/a/hello-one.so and DIR/a/hello-two.so; remove one of them
    a/hello-two.so: error: the engine `hello` is there twice: DIR/a/hello-one.so and DIR/a/hello-two.so; remove one of them
    b/hello-three.so: hello, shadowed by a/hello-one.so
    "#);
    // In the directory that comes second, they do not matter.
    let discovery = SearchPath::only(&[b, a]).discover().unwrap();
    assert!(discovery.find("hello").unwrap().path.ends_with("b/hello-three.so"));
}

#[test]
fn missing_directories_are_an_error_when_all_are_missing() {
    let root = tempfile::tempdir().unwrap();
    let missing = [root.path().join("a"), root.path().join("b")];
    assert_snapshot!(shown(&SearchPath::only(&missing).discover().unwrap_err(), root.path()), @r#"no directory of the plug-in path exists: DIR/a, DIR/b; set [plugins] path or BACKSTAY_PLUGINS"#);
    fs::create_dir(&missing[1]).unwrap();
    let discovery = SearchPath::only(&missing).discover().unwrap();
    assert!(discovery.found.is_empty());
    assert_snapshot!(shown(&discovery.find("hello").unwrap_err(), root.path()), @r#"there is no engine `hello` in DIR/a, DIR/b; there is none at all"#);
}

#[test]
fn the_usual_path_ends_beside_the_program() {
    let configured = PathBuf::from("relative/engines");
    let directories = SearchPath::new(std::slice::from_ref(&configured)).directories();
    let program = std::env::current_exe().unwrap().parent().unwrap().to_owned();
    assert!(directories.iter().all(|path| path.is_absolute()), "{directories:?}");
    assert!(directories.ends_with(&[
        std::env::current_dir().unwrap().join(configured),
        program.join("engines"),
        program.parent().unwrap().join("lib/backstay/engines"),
        program
    ]));
}

#[test]
fn a_file_is_named_after_its_engine() {
    let root = tempfile::tempdir().unwrap();
    put(&fixture(Build::Hello), root.path(), "libbackstay_mysqldump.so");
    let discovery = SearchPath::only(&[root.path().to_owned()]).discover().unwrap();
    assert_snapshot!(listed(&discovery, root.path()), @r#"libbackstay_mysqldump.so: error: DIR/libbackstay_mysqldump.so is the engine `hello`, which its file's name does not say; if it is meant to be here, rename it to libhello.so"#);
}
