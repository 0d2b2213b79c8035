//! Damage anywhere is found and named, by verify and by whoever reads the object.

use backstay_engine_api::{ErrorKind, Storage};

use super::super::testing::{Bed, read, sample, write};
use super::super::{Bundling, Problem, ProblemKind, SinkOptions, VerifyOptions, verify};
use crate::repository::index::{INDEX_FILE, Index, IndexBuilder, IndexEntry};

fn options(bundling: Bundling) -> SinkOptions {
    SinkOptions {
        frame_bytes: 16 << 10,
        bundling,
        ..SinkOptions::default()
    }
}

fn bed(bundling: Bundling) -> Bed {
    let bed = Bed::memory();
    let objects = [
        ("a", sample(1, 50_000)),
        ("b", sample(2, 40_000)),
        ("c", sample(3, 100)),
    ];
    let borrowed: Vec<(&str, &[u8])> = objects.iter().map(|(name, bytes)| (*name, &bytes[..])).collect();
    bed.backup(options(bundling), &borrowed);
    bed
}

fn kinds(result: Result<(), Vec<Problem>>) -> Vec<(ProblemKind, Option<String>)> {
    let problems = result.expect_err("damage should be found");
    problems
        .into_iter()
        .map(|problem| (problem.kind, problem.object))
        .collect()
}

fn of(kind: ProblemKind, object: &str) -> (ProblemKind, Option<String>) {
    (kind, Some(object.to_owned()))
}

#[test]
fn a_changed_byte_anywhere() {
    for bundling in [Bundling::Never, Bundling::Always] {
        let bed = bed(bundling);
        let entry = bed.source().entry("b").unwrap();
        let extent = &entry.extents[0];
        let good = bed.get(&extent.file);
        for step in 0..=20 {
            let mut bad = good.clone();
            let at = extent.offset + (extent.length - 1) * step / 20;
            bad[at as usize] ^= 0x10;
            bed.put(&extent.file, &bad);
            for deep in [false, true] {
                assert_eq!(
                    kinds(bed.verify(deep)),
                    [of(ProblemKind::Digest, "b")],
                    "byte {at}, {bundling:?}, {deep}"
                );
            }
            let source = bed.source();
            let error = read(&source, "b").unwrap_err();
            assert_eq!(error.kind, ErrorKind::Damaged);
            for part in ["object \"b\" is damaged", &extent.file, &extent.sha256] {
                assert!(error.message.contains(part), "{error}");
            }
            assert_eq!(read(&source, "a").unwrap(), sample(1, 50_000));
        }
    }
}

#[test]
fn a_file_too_short_too_long_or_gone() {
    for bundling in [Bundling::Never, Bundling::Always] {
        let bed = bed(bundling);
        // In a bundle, whichever lies last: objects are compressed side by side.
        let entries: Vec<_> = bed.source().index().entries().collect();
        let entry = entries.into_iter().max_by_key(|entry| entry.extents[0].offset).unwrap();
        let last = entry.name.as_str();
        let extent = &entry.extents[0];
        let good = bed.get(&extent.file);

        bed.put(&extent.file, &good[..good.len() - 1]);
        for deep in [false, true] {
            assert_eq!(kinds(bed.verify(deep)), [of(ProblemKind::Short, last)]);
        }
        let error = read(&bed.source(), last).unwrap_err();
        let expected = format!("expected {} bytes, found {}", good.len(), good.len() - 1);
        assert!(error.message.contains(&expected), "{error}");

        bed.put(&extent.file, &[&good[..], b"more"].concat());
        assert!(
            kinds(bed.verify(false))
                .iter()
                .all(|(kind, _)| *kind == ProblemKind::Long)
        );

        bed.delete(&extent.file);
        let hurt: &[&str] = if bundling == Bundling::Always {
            &["a", "b", "c"]
        } else {
            &[last]
        };
        let expected: Vec<_> = hurt.iter().map(|name| of(ProblemKind::Missing, name)).collect();
        for deep in [false, true] {
            assert_eq!(kinds(bed.verify(deep)), expected);
        }
        let error = read(&bed.source(), last).unwrap_err();
        assert_eq!(error.kind, ErrorKind::Damaged);
        assert!(error.message.contains("expected a file, found none"), "{error}");
    }
}

#[test]
fn files_that_changed_places() {
    let bed = bed(Bundling::Never);
    let (a, b) = (bed.get("data/a.zst"), bed.get("data/b.zst"));
    bed.put("data/a.zst", &b);
    bed.put("data/b.zst", &a);
    let found = kinds(bed.verify(false));
    // One of them is now too short and the other too long, whichever.
    assert!(
        found.iter().any(|(_, object)| object.as_deref() == Some("a")),
        "{found:?}"
    );
    assert!(
        found.iter().any(|(_, object)| object.as_deref() == Some("b")),
        "{found:?}"
    );
    assert!(read(&bed.source(), "a").is_err() && read(&bed.source(), "b").is_err());
}

#[test]
fn a_file_of_no_object() {
    let bed = bed(Bundling::Never);
    bed.put("data/x/y", b"left");
    let problems = bed.verify(false).unwrap_err();
    assert_eq!(problems.len(), 1);
    assert_eq!(
        problems[0].to_string(),
        "a file belongs to no object (data/x/y): expected no such file, found 4 bytes"
    );
    // Who restores some objects does not care.
    let some = |entry: &IndexEntry| entry.name == "a";
    let options = VerifyOptions {
        threads: 1,
        deep: false,
    };
    verify(&bed.source(), Some(&some), options, &|_| {}).unwrap();
}

#[test]
fn only_what_is_selected_is_read() {
    let bed = bed(Bundling::Never);
    bed.put("data/a.zst", b"damaged");
    let read = std::sync::atomic::AtomicU64::new(0);
    let count = |bytes| {
        read.fetch_add(bytes, std::sync::atomic::Ordering::Relaxed);
    };
    let some = |entry: &IndexEntry| entry.name != "a";
    let options = VerifyOptions {
        threads: 2,
        deep: false,
    };
    verify(&bed.source(), Some(&some), options, &count).unwrap();
    let source = bed.source();
    let expected = source.entry("b").unwrap().stored() + source.entry("c").unwrap().stored();
    assert_eq!(read.into_inner(), expected);
}

/// Writes the index anew, with right digests: what only decompression finds.
fn rewrite(bed: &Bed, change: impl Fn(&mut IndexEntry)) {
    let index = Index::read(&bed.get(INDEX_FILE)[..]).unwrap();
    let mut builder = IndexBuilder::new();
    for mut entry in index.entries() {
        change(&mut entry);
        builder.push(&entry).unwrap();
    }
    bed.put(INDEX_FILE, &builder.finish(1).unwrap().0);
}

#[test]
fn right_digests_of_wrong_content() {
    // In each case the file is what the index says, and the object is not.
    let frame = zstd::bulk::compress(&sample(1, 50_000), 3).unwrap();
    for (stored, expected) in [
        ([&frame[..], b"garbage"].concat(), "expected zstd frames, found"),
        (frame[..frame.len() - 3].to_vec(), "expected zstd frames, found"),
        ([&frame[..], &frame[..]].concat(), "expected 50000 bytes, found more"),
        (
            zstd::bulk::compress(&sample(1, 49_999), 3).unwrap(),
            "expected 50000 bytes, found 49999",
        ),
        (Vec::new(), "expected zstd frames, found"),
    ] {
        let bed = bed(Bundling::Never);
        bed.put("data/a.zst", &stored);
        rewrite(&bed, |entry| {
            if entry.name == "a" {
                entry.extents[0].length = stored.len() as u64;
                entry.extents[0].sha256 = crate::repository::index::sha256_hex(&stored);
            }
        });
        bed.verify(false).unwrap();
        let problems = bed.verify(true).unwrap_err();
        assert_eq!(problems.len(), 1);
        assert_eq!(problems[0].kind, ProblemKind::Content);
        let error = read(&bed.source(), "a").unwrap_err();
        assert!(
            error.message.starts_with("object \"a\" is damaged (data/a.zst): "),
            "{error}"
        );
        assert!(error.message.contains(expected), "{error}");
    }
}

#[test]
fn a_transform_of_a_later_version() {
    let bed = bed(Bundling::Never);
    rewrite(&bed, |entry| {
        if entry.name == "b" {
            entry.transforms.push("age:x25519".to_owned());
        }
    });
    let error = bed.source().open_object("b").unwrap_err();
    assert_eq!(error.kind, ErrorKind::Refused);
    assert_eq!(
        error.to_string(),
        "object \"b\" can not be decoded (data/b.zst): expected no transform, \"zstd\" or \"zstd:named\", found \"age:x25519\"; \
         use the version of backstay that made the backup, or a later one"
    );
    assert_eq!(kinds(bed.verify(false)), [of(ProblemKind::Transform, "b")]);
}

#[test]
fn an_error_stays() {
    let bed = Bed::memory();
    let sink = bed.sink(options(Bundling::Never));
    write(&sink, "a", &sample(1, 10_000), Storage::Store);
    sink.close().unwrap();
    let mut bad = bed.get("data/a");
    bad[9_999] ^= 1;
    bed.put("data/a", &bad);
    let mut stream = bed.source().open_object("a").unwrap();
    let mut buffer = [0; 100];
    let first = stream.fill(&mut buffer).unwrap_err();
    assert_eq!(stream.fill(&mut buffer).unwrap_err(), first);
    assert_eq!(
        bed.source().open_object("nope").unwrap_err().message,
        "the backup has no object \"nope\""
    );
}
