//! What is written is read back, and what is wrong is named with its line.

use super::*;

fn entry(name: &str) -> IndexEntry {
    IndexEntry {
        name: name.to_owned(),
        attributes: Attributes::kind("table-data").schema("shop").with("rows", 3),
        size: 10,
        transforms: vec![ZSTD.to_owned()],
        extents: vec![Extent {
            file: "data/bundles/0".to_owned(),
            offset: 7,
            length: 5,
            sha256: sha256_hex(name.as_bytes()),
        }],
    }
}

fn built(names: &[&str]) -> (Vec<u8>, IndexSummary) {
    let mut builder = IndexBuilder::new();
    for name in names {
        builder.push(&entry(name)).unwrap();
    }
    builder.finish(1).unwrap()
}

#[test]
fn entries_come_back_by_name() {
    let (stored, summary) = built(&["b", "a\"quote", "日本", "a/1", "Z", "a"]);
    assert_eq!((summary.objects, summary.bytes, summary.stored_bytes), (6, 60, 30));
    assert_eq!(summary.length, stored.len() as u64);
    assert_eq!(summary.sha256, sha256_hex(&stored));
    let index = Index::read(&stored[..]).unwrap();
    let names: Vec<_> = index.entries().map(|entry| entry.name).collect();
    assert_eq!(names, ["Z", "a", "a\"quote", "a/1", "b", "日本"]);
    for name in &names {
        assert_eq!(index.get(name), Some(entry(name)));
    }
    assert_eq!(index.get("c"), None);
    let (page, more) = index.page(Some("a\"quote"), 2);
    assert_eq!(
        page.iter().map(|entry| &entry.name[..]).collect::<Vec<_>>(),
        ["a/1", "b"]
    );
    assert!(more);
    assert_eq!(index.page(Some("b"), 9).0.len(), 1);
    assert!(!index.page(Some("b"), 9).1);
    assert_eq!(index.page(None, usize::MAX).0.len(), 6);
}

#[test]
fn an_empty_index_is_one() {
    let (stored, summary) = built(&[]);
    assert_eq!(summary.objects, 0);
    assert!(Index::read(&stored[..]).unwrap().is_empty());
}

#[test]
fn a_name_twice_is_refused() {
    let mut builder = IndexBuilder::new();
    builder.push(&entry("a")).unwrap();
    builder.push(&entry("a")).unwrap();
    let error = builder.finish(1).unwrap_err();
    assert_eq!(error.to_string(), r#"object "a" was written twice"#);
}

#[test]
fn what_is_wrong_is_named_with_its_line() {
    let good = serde_json::to_string(&entry("a")).unwrap();
    let digest = &entry("a").extents[0].sha256;
    for (second, expected) in [
        (good.clone(), r#"object "a" is out of order"#),
        (
            good.replace(r#""a""#, r#""../../etc/passwd""#),
            "has a part `.` or `..`",
        ),
        (good.replace("data/bundles/0", "data/../../x"), "has a part `.` or `..`"),
        (good.replace("data/bundles/0", "manifest.json"), "is not below `data/`"),
        (good.replace(digest.as_str(), "12"), "expected 64 hex digits"),
        (good.replace(r#""size":10,"#, ""), "missing field `size`"),
        (good.replace(r#"["zstd"]"#, "[]"), "expected 10 stored bytes, found 5"),
        (
            good.replace(r#""offset":7"#, r#""offset":18446744073709551615"#),
            "beyond 2^64",
        ),
        (
            good.replace(r#"["zstd"]"#, r#"["zstd:named"]"#),
            "expected a name that ends in .zst",
        ),
        ("nonsense".to_owned(), "expected ident"),
        ("x".repeat(MAX_LINE + 1), "is too long"),
    ] {
        let error = Index::read_lines(format!("{good}\n{second}\n").as_bytes()).unwrap_err();
        assert_eq!(error.kind, ErrorKind::Damaged);
        assert!(error.message.starts_with("objects.jsonl.zst, line 2: "), "{error}");
        assert!(error.message.contains(expected), "{error}");
    }
    let error = Index::read_lines(good.as_bytes()).unwrap_err();
    assert!(error.message.ends_with("line 1: has no end"), "{error}");
}

#[test]
fn a_truncated_file_is_an_error() {
    let (stored, _) = built(&["a", "b"]);
    for length in 0..stored.len() {
        assert!(Index::read(&stored[..length]).is_err(), "{length} bytes");
    }
}

#[test]
fn keys_of_a_later_version_do_not_hurt() {
    let line = serde_json::to_string(&entry("a"))
        .unwrap()
        .replacen('{', r#"{"new":{"x":1},"#, 1);
    let index = Index::read_lines(format!("{line}\n").as_bytes()).unwrap();
    assert_eq!(index.get("a"), Some(entry("a")));
}
