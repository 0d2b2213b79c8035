//! What of a directory is read, and what is not.

use std::os::unix::fs::symlink;

use tempfile::TempDir;

use super::*;

fn directory(files: &[(&str, &[u8])]) -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    for (name, bytes) in files {
        let path = dir.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }
    dir
}

fn text(directory: &Directory, name: &str) -> Result<Vec<u8>, EngineError> {
    let mut stream = directory.open_object(name)?;
    let (mut all, mut buffer) = (Vec::new(), [0; 1000]);
    loop {
        match stream.fill(&mut buffer)? {
            0 => return Ok(all),
            length => all.extend_from_slice(&buffer[..length]),
        }
    }
}

#[test]
fn files_are_objects() {
    let rows = b"1\tone\n".repeat(100_000);
    let frames = [
        zstd::bulk::compress(&rows[..6], 1).unwrap(),
        zstd::bulk::compress(&rows[6..], 1).unwrap(),
    ]
    .concat();
    let dir = directory(&[
        ("@.json", b"{}"),
        ("shop@t@@0.tsv.zst", &frames),
        ("shop@t@@0.tsv.zst.idx", b"idx"),
        ("sub/empty", b""),
    ]);
    symlink("@.json", dir.path().join("link")).unwrap();
    let directory = Directory::open(dir.path()).unwrap();
    let page = directory.objects_page(None, 3);
    let names = |page: &ObjectPage| {
        page.objects
            .iter()
            .map(|object| object.name.clone())
            .collect::<Vec<_>>()
    };
    assert_eq!(names(&page), ["@.json", "link", "shop@t@@0.tsv.zst"]);
    assert!(page.more);
    assert_eq!(page.objects[2].size, frames.len() as u64);
    let page = directory.objects_page(Some("shop@t@@0.tsv.zst"), 2);
    assert_eq!(names(&page), ["shop@t@@0.tsv.zst.idx", "sub/empty"]);
    assert!(!page.more);
    assert_eq!(text(&directory, "shop@t@@0.tsv.zst").unwrap(), rows);
    assert_eq!(text(&directory, "shop@t@@0.tsv.zst.idx").unwrap(), b"idx");
    assert_eq!(text(&directory, "sub/empty").unwrap(), b"");
    assert_eq!(text(&directory, "link").unwrap(), b"{}");
    for name in ["nope", "../x", "/etc/passwd", "sub", ""] {
        assert!(directory.open_object(name).is_err(), "{name}");
    }
}

#[test]
fn what_is_refused() {
    let outside = directory(&[("secret", b"x")]);
    let secret = outside.path().join("secret");
    type Make<'a> = Box<dyn Fn(&Path) + 'a>;
    let cases: [(Make<'_>, ErrorKind, &str); 6] = [
        (
            Box::new(|dir| symlink(&secret, dir.join("a")).unwrap()),
            ErrorKind::Refused,
            "leads out of the directory",
        ),
        (
            Box::new(|dir| symlink(outside.path(), dir.join("a")).unwrap()),
            ErrorKind::Refused,
            "leads out of the directory",
        ),
        (
            Box::new(|dir| symlink("nowhere", dir.join("a")).unwrap()),
            ErrorKind::Usage,
            "a can not be read",
        ),
        (
            Box::new(|dir| symlink(".", dir.join("a")).unwrap()),
            ErrorKind::Refused,
            "is no regular file",
        ),
        (
            Box::new(|dir| drop(std::os::unix::net::UnixListener::bind(dir.join("a")).unwrap())),
            ErrorKind::Refused,
            "is no regular file",
        ),
        (
            Box::new(|dir| fs::write(dir.join("line\nbreak"), b"").unwrap()),
            ErrorKind::Refused,
            "has a control character",
        ),
    ];
    for (make, kind, expected) in cases {
        let dir = directory(&[("@.json", b"{}")]);
        make(dir.path());
        let error = Directory::open(dir.path()).unwrap_err();
        assert_eq!(error.kind, kind, "{error}");
        assert!(error.message.contains(expected), "{error}");
    }
    let dir = directory(&[("file", b"")]);
    let empty = tempfile::tempdir().unwrap();
    for (path, expected) in [
        (dir.path().join("nope"), "nope can not be read: No such file"),
        (dir.path().join("file"), "file is no directory"),
        (empty.path().to_owned(), "is empty"),
    ] {
        let error = Directory::open(&path).unwrap_err();
        assert_eq!(error.kind, ErrorKind::Usage, "{error}");
        assert!(error.message.contains(expected), "{error}");
    }
}

#[test]
fn a_file_that_became_a_link_since_is_not_followed() {
    let outside = directory(&[("secret", b"x")]);
    let dir = directory(&[("a", b"1")]);
    let listed = Directory::open(dir.path()).unwrap();
    fs::remove_file(dir.path().join("a")).unwrap();
    symlink(outside.path().join("secret"), dir.path().join("a")).unwrap();
    assert_eq!(listed.open_object("a").unwrap_err().kind, ErrorKind::Refused);
}

#[test]
fn what_is_no_zstd_is_damaged() {
    let frame = zstd::bulk::compress(&b"1\tone\n".repeat(1000), 1).unwrap();
    for bytes in [&b"plain"[..], &frame[..frame.len() - 2], b""] {
        let dir = directory(&[("t.tsv.zst", bytes)]);
        let error = text(&Directory::open(dir.path()).unwrap(), "t.tsv.zst").unwrap_err();
        assert_eq!(error.kind, ErrorKind::Damaged);
        assert!(
            error
                .message
                .contains("t.tsv.zst is damaged: expected zstd frames, found"),
            "{error}"
        );
    }
}
