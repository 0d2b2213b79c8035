//! What is written is read back, and other programs read it too.

use std::process::Command;

use backstay_engine_api::{Attributes, Storage};
use proptest::prelude::*;

use super::super::testing::{Bed, read, sample, write};
use super::super::{Bundling, Compression, SinkOptions};
use crate::repository::index::sha256_hex;

fn small_frames() -> SinkOptions {
    SinkOptions {
        frame_bytes: 1 << 10,
        memory_bytes: 8 << 20,
        threads: 3,
        ..SinkOptions::default()
    }
}

#[derive(Debug, Clone)]
struct Case {
    objects: Vec<(usize, Storage, Vec<usize>)>,
    options: SinkOptions,
    expected: Option<u64>,
}

fn case() -> impl Strategy<Value = Case> {
    let sizes = prop::collection::vec(prop_oneof![0..100usize, 0..5_000usize, 50_000..200_000usize], 0..8);
    let storage = prop_oneof![Just(Storage::Store), Just(Storage::Compress), Just(Storage::Zstd)];
    let object = (0..3usize, storage, sizes);
    let bundling = prop_oneof![Just(Bundling::Auto), Just(Bundling::Never), Just(Bundling::Always)];
    (
        prop::collection::vec(object, 0..12),
        bundling,
        prop_oneof![Just(None), (1u64..300_000).prop_map(Some)],
        prop_oneof![Just(Compression::Zstd), Just(Compression::None)],
        prop_oneof![Just(1usize << 10), Just(64 << 10), Just(4 << 20)],
        prop_oneof![Just(None), Just(Some(1000u64))],
    )
        .prop_map(|(objects, bundling, file, compression, frame_bytes, expected)| Case {
            objects,
            expected,
            options: SinkOptions {
                bundling,
                compression,
                frame_bytes,
                max_file_bytes: file.and_then(std::num::NonZeroU64::new),
                ..small_frames()
            },
        })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, ..ProptestConfig::default() })]

    #[test]
    fn whatever_is_written_comes_back(case in case(), local in any::<bool>()) {
        let bed = if local { Bed::local() } else { Bed::memory() };
        let sink = bed.sink(case.options.clone());
        if let Some(expected) = case.expected {
            sink.expect(expected);
        }
        // All are open at once, and written to in turn.
        let mut open = Vec::new();
        for (number, (_, storage, sizes)) in case.objects.iter().enumerate() {
            let handle = sink.create(&format!("o/{number}.zst"), Attributes::default(), *storage).unwrap();
            open.push((handle, sizes.iter(), sample(number as u64, sizes.iter().sum()), 0));
        }
        let mut more = true;
        while more {
            more = false;
            for (handle, sizes, bytes, at) in &mut open {
                if let Some(size) = sizes.next() {
                    sink.write(*handle, &bytes[*at..*at + size]).unwrap();
                    *at += size;
                    more = true;
                }
            }
        }
        for ((handle, ..), (fate, ..)) in open.iter().zip(&case.objects) {
            if *fate == 0 { sink.discard(*handle).unwrap() } else { sink.finish(*handle).map(|_| ()).unwrap() }
        }
        let summary = sink.close().unwrap();
        let source = bed.source();
        let kept: Vec<_> = open.iter().zip(&case.objects).enumerate().filter(|(_, (_, object))| object.0 != 0).collect();
        prop_assert_eq!(summary.objects, kept.len() as u64);
        for (number, ((_, _, bytes, _), _)) in kept {
            prop_assert_eq!(&read(&source, &format!("o/{number}.zst")).unwrap(), bytes);
        }
        // A discarded object of several files may leave those that were complete: they are named as leftovers.
        let discarded = case.objects.iter().any(|(fate, ..)| *fate == 0);
        for deep in [false, true] {
            let result = bed.verify(deep);
            prop_assert!(discarded && case.options.max_file_bytes.is_some() || result.is_ok(), "{:?}", result);
        }
    }
}

#[test]
fn other_programs_read_what_is_stored() {
    let bed = Bed::local();
    let objects: [(&str, Vec<u8>); 4] = [
        ("shop@orders@@0.tsv", sample(1, 9_000_000)),
        ("na%C3%AFve@日本@@1.tsv", sample(2, 10_000)),
        ("schema/empty", Vec::new()),
        ("orders#p#p0.ibd", sample(3, 3_000_000)),
    ];
    let borrowed: Vec<(&str, &[u8])> = objects.iter().map(|(name, bytes)| (*name, &bytes[..])).collect();
    let options = SinkOptions {
        frame_bytes: 1 << 20,
        ..SinkOptions::default()
    };
    let sink = bed.sink(options);
    for (name, bytes) in &borrowed {
        write(&sink, name, bytes, Storage::Compress);
    }
    write(&sink, "@.json", b"{}", Storage::Store);
    let summary = sink.close().unwrap();
    assert_eq!((summary.objects, summary.files), (5, 5));
    let source = bed.source();
    for (name, bytes) in &objects {
        let path = bed.path(&format!("data/{name}.zst"));
        let decoded = Command::new("zstd").arg("-dcq").arg(&path).output().unwrap();
        assert!(
            decoded.status.success(),
            "{name}: {}",
            String::from_utf8_lossy(&decoded.stderr)
        );
        assert_eq!(&decoded.stdout, bytes);
        let printed = Command::new("sha256sum").arg(&path).output().unwrap();
        let extent = &source.entry(name).unwrap().extents[0];
        assert_eq!(String::from_utf8_lossy(&printed.stdout)[..64], extent.sha256);
    }
    assert_eq!(std::fs::read(bed.path("data/@.json")).unwrap(), b"{}");
    assert_eq!(sha256_hex(b"{}"), source.entry("@.json").unwrap().extents[0].sha256);
    assert_eq!(bed.on_disk().len(), 6);
}

#[test]
fn a_part_of_a_large_object_goes_on_in_another_file() {
    let bed = Bed::local();
    let bytes = sample(1, 5_000_000);
    let options = SinkOptions {
        frame_bytes: 1 << 20,
        max_file_bytes: std::num::NonZeroU64::new(1_700_000),
        ..SinkOptions::default()
    };
    bed.backup(options, &[("large", &bytes)]);
    assert_eq!(
        bed.on_disk(),
        [
            "data/large.zst",
            "data/large.zst.part2",
            "data/large.zst.part3",
            "objects.jsonl.zst"
        ]
    );
    assert_eq!(read(&bed.source(), "large").unwrap(), bytes);
    let files = ["", ".part2", ".part3"].map(|part| bed.path(&format!("data/large.zst{part}")));
    let joined = files.map(|file| std::fs::read(file).unwrap()).concat();
    assert_eq!(zstd::stream::decode_all(&joined[..]).unwrap(), bytes);
}

#[test]
fn many_threads_write_and_read_at_once() {
    for bed in Bed::each() {
        let sink = bed.sink(SinkOptions {
            memory_bytes: 8 << 20,
            ..small_frames()
        });
        std::thread::scope(|scope| {
            for thread in 0..8u64 {
                let sink = &sink;
                scope.spawn(move || {
                    for number in 0..20 {
                        let bytes = sample(thread * 100 + number, 1000 + (number as usize * 40_000));
                        write(sink, &format!("{thread}/{number}"), &bytes, Storage::Compress);
                    }
                });
            }
        });
        assert_eq!(
            sink.counters().plain_bytes,
            8 * (0..20).map(|number| 1000 + number * 40_000).sum::<u64>()
        );
        let summary = sink.close().unwrap();
        assert_eq!(summary.objects, 160);
        let source = bed.source();
        std::thread::scope(|scope| {
            for thread in 0..8u64 {
                let source = &source;
                scope.spawn(move || {
                    for number in 0..20 {
                        let bytes = sample(thread * 100 + number, 1000 + (number as usize * 40_000));
                        assert_eq!(read(source, &format!("{thread}/{number}")).unwrap(), bytes);
                    }
                });
            }
        });
    }
}

#[test]
fn one_object_takes_writes_from_many_threads() {
    for bed in Bed::each() {
        let sink = bed.sink(small_frames());
        let object = sink.create("lines", Attributes::default(), Storage::Compress).unwrap();
        std::thread::scope(|scope| {
            for thread in 0..4 {
                let sink = &sink;
                scope.spawn(move || {
                    for number in 0..500 {
                        sink.write(object, format!("{thread}:{number}\n").as_bytes()).unwrap();
                    }
                });
            }
        });
        sink.finish(object).unwrap();
        sink.close().unwrap();
        let text = String::from_utf8(read(&bed.source(), "lines").unwrap()).unwrap();
        assert_eq!(text.lines().count(), 2000);
        for thread in 0..4 {
            let prefix = format!("{thread}:");
            let numbers: Vec<u32> = text
                .lines()
                .filter_map(|line| line.strip_prefix(&prefix))
                .map(|number| number.parse().unwrap())
                .collect();
            assert!(numbers.is_sorted() && numbers.len() == 500);
        }
    }
}
