//! What a disk does to a repository: full, read-only, something else in the way. The mounts are made in a mount namespace of
//! a child process, and so go with it.

mod killed;

use std::path::Path;
use std::process::Command;

use object_store::path::Path as ObjectPath;

use super::locks::Purpose;
use super::store::Durability;
use super::testing::{Directory, commit, index_of, job, record, runtime, write_data};
use super::*;
use crate::ErrorKind;

const CHILD: &str = "BACKSTAY_TEST_MOUNTS";

/// Runs the test again in a child process with mounts of its own; `true` in that child.
fn in_own_mounts(test: &str) -> bool {
    if std::env::var_os(CHILD).is_some() {
        return true;
    }
    let mut command = Command::new("unshare");
    if !rustix::process::geteuid().is_root() {
        command.args(["--user", "--map-root-user"]);
    }
    command.arg("--mount").arg(std::env::current_exe().unwrap());
    command
        .args(["--exact", &format!("repository::tests::{test}"), "--nocapture"])
        .env(CHILD, "1");
    let output = command.output().expect("unshare is installed (package util-linux)");
    let text = String::from_utf8_lossy(&output.stdout);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && text.contains("1 passed"), "{text}{errors}");
    false
}

fn mount(directory: &Path, options: &str) {
    let status = Command::new("mount")
        .args(["-t", "tmpfs", "-o", options, "tmpfs"])
        .arg(directory)
        .status();
    assert!(status.unwrap().success(), "mount -o {options}");
}

#[test]
fn a_full_disk_lists_nothing() {
    if !in_own_mounts("a_full_disk_lists_nothing") {
        return;
    }
    let directory = tempfile::TempDir::new().unwrap();
    mount(directory.path(), "size=1m");
    let url = format!("file://{}", directory.path().display());
    let repository = Repository::init(&url, runtime()).unwrap();
    commit(&repository, record("a-full", None)).unwrap();

    let lock = Lock::acquire(&repository, "orders", Purpose::Backup, job("b-full")).unwrap();
    write_data(&repository, "b-full");
    let manifest = Manifest::new(record("b-full", None), index_of(&repository, "b-full"));
    // All of the file system but what fills it.
    let filler = ObjectPath::from("filler");
    let mut size = 1 << 20;
    while size > 0 {
        let path = filler.clone().join(size.to_string());
        if repository
            .wait(repository.store.put(&path, vec![0; size], Durability::Cached))
            .is_err()
        {
            size /= 2;
        }
    }
    let error = repository.commit(&manifest, &lock).unwrap_err();
    assert_eq!(error.kind, ErrorKind::Io);
    insta::assert_snapshot!(error.to_string().replace(&url, "URL"), @"can not write clusters/orders/backups/b-full/manifest.json.sha256 in repository URL: No space left on device (os error 28); free space on that file system and try again");
    drop(lock);
    let listing = repository.list("orders").unwrap();
    assert_eq!(
        (listing.backups.len(), listing.unfinished.len(), listing.damaged.len()),
        (1, 1, 0)
    );

    // With space again, the next backup works.
    repository.wait(repository.store.remove_tree(&filler)).unwrap();
    commit(&repository, record("c-full", None)).unwrap();
    assert_eq!(repository.find("orders", "latest").unwrap().record.id, "c-full");
}

#[test]
fn a_disk_that_is_read_only() {
    if !in_own_mounts("a_disk_that_is_read_only") {
        return;
    }
    let directory = tempfile::TempDir::new().unwrap();
    mount(directory.path(), "size=1m");
    let url = format!("file://{}", directory.path().display());
    let repository = Repository::init(&url, runtime()).unwrap();
    commit(&repository, record("a-full", None)).unwrap();
    mount(directory.path(), "remount,ro");

    let repository = Repository::open(&url, runtime()).unwrap();
    assert_eq!(repository.list("orders").unwrap().backups.len(), 1);
    let error = Lock::acquire(&repository, "orders", Purpose::Backup, job("b")).unwrap_err();
    assert_eq!(error.kind, ErrorKind::Io);
    insta::assert_snapshot!(error.to_string().replace(&url, "URL"), @"can not write clusters/orders/locks/backup/00000000000000000002 in repository URL: Read-only file system (os error 30); mount that file system read-write");
    let missing = format!("{url}/below");
    let error = Repository::init(&missing, runtime()).unwrap_err();
    insta::assert_snapshot!(error.to_string().replace(&url["file://".len()..], "DIR"), @"can not make the repository's directory DIR/below: Read-only file system (os error 30); mount that file system read-write");
}

#[test]
fn urls_that_are_none() {
    for (url, expected) in [
        (
            "/srv/backup",
            r#"repository URL "/srv/backup": relative URL without a base; write file:///absolute/path"#,
        ),
        (
            "file://srv/backup",
            r#"repository URL "file://srv/backup": the path is not absolute, "srv" stands before it; write file:///absolute/path"#,
        ),
        (
            "file:srv",
            r#"repository URL "file:srv": the path is not absolute; write file:///absolute/path"#,
        ),
        (
            "s3://bucket/x",
            r#"repository URL "s3://bucket/x": scheme "s3" is not known, file is; write file:///absolute/path"#,
        ),
    ] {
        for result in [Repository::open(url, runtime()), Repository::init(url, runtime())] {
            let error = result.unwrap_err();
            assert_eq!((error.kind, error.to_string().as_str()), (ErrorKind::Usage, expected));
        }
    }
}

#[test]
fn what_is_no_repository() {
    let directory = Directory::new();
    let url = directory.url();
    let root = Path::new(&url["file://".len()..]);
    let open = |url: &str| {
        let error = Repository::open(url, runtime()).unwrap_err();
        (error.kind, error.to_string().replace(root.to_str().unwrap(), "DIR"))
    };
    let init = |url: &str| {
        let error = Repository::init(url, runtime()).unwrap_err();
        (error.kind, error.to_string().replace(root.to_str().unwrap(), "DIR"))
    };

    let (kind, text) = open(&url);
    assert_eq!(kind, ErrorKind::Usage);
    insta::assert_snapshot!(text, @"file://DIR is no repository: it has no backstay.json; correct repository.url, mount it, or make one with `backstay init`");
    let (kind, text) = open(&format!("{url}/missing"));
    assert_eq!(kind, ErrorKind::Usage);
    insta::assert_snapshot!(text, @"the repository's directory DIR/missing does not exist; correct repository.url, mount it, or make it with `backstay init`");

    std::fs::write(root.join("diary.txt"), "x").unwrap();
    let (kind, text) = init(&url);
    assert_eq!(kind, ErrorKind::Refused);
    insta::assert_snapshot!(text, @r#"DIR is no repository and is not empty: it holds "diary.txt"; choose an empty or a new directory"#);
    for text in [open(&format!("{url}/diary.txt")).1, init(&format!("{url}/diary.txt")).1] {
        assert_eq!(
            text,
            "the repository's directory DIR/diary.txt is no directory; correct repository.url"
        );
    }
}

#[test]
fn init_makes_what_open_opens() {
    let directory = Directory::new();
    let url = format!("{}/a%20b/c", directory.url());
    let repository = Repository::init(&url, runtime()).unwrap();
    let root = repository.root().unwrap().to_owned();
    assert!(root.ends_with("a b/c"), "{root:?}");
    use std::os::unix::fs::PermissionsExt;
    assert_eq!(std::fs::metadata(&root).unwrap().permissions().mode() & 0o777, 0o700);
    commit(&repository, record("a-full", None)).unwrap();
    assert!(root.join("clusters/orders/backups/a-full/manifest.json").is_file());
    let checked = Command::new("sha256sum")
        .args(["--check", "--quiet", "manifest.json.sha256"])
        .current_dir(root.join("clusters/orders/backups/a-full"))
        .status();
    assert!(checked.unwrap().success());
    let opened = Repository::open(&url, runtime()).unwrap();
    assert_eq!(opened.list("orders").unwrap().backups.len(), 1);

    let error = Repository::init(&url, runtime()).unwrap_err();
    assert_eq!(error.kind, ErrorKind::Refused);
    insta::assert_snapshot!(error.to_string().replace(&url, "URL"), @"URL is a repository already; use it as it is");

    let marker = root.join("backstay.json");
    std::fs::write(&marker, r#"{"format":2,"layout":"new"}"#).unwrap();
    let error = Repository::open(&url, runtime()).unwrap_err();
    assert_eq!(error.kind, ErrorKind::Refused);
    insta::assert_snapshot!(error.to_string().replace(&url, "URL"), @"URL has repository format 2, this version reads 1; use the version of backstay that wrote it, or a later one");
    std::fs::write(&marker, "{").unwrap();
    let error = Repository::open(&url, runtime()).unwrap_err();
    assert_eq!(error.kind, ErrorKind::Damaged);
    insta::assert_snapshot!(error.to_string().replace(&url, "URL"), @r#"backstay.json of repository URL is damaged: EOF while parsing an object at line 1 column 1; its content is {"format":1}"#);
}
