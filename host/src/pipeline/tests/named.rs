//! Objects whose names say that they are zstd: what is stored and exported is what the names say, what is read is plain.

use std::num::NonZeroU64;

use backstay_engine_api::{EngineError, ErrorKind, Storage};

use super::super::testing::{Bed, read, sample, write};
use super::super::{BackupSource, Bundling, Compression, SinkOptions};
use crate::repository::index::{ZSTD, ZSTD_NAMED};

const NAME: &str = "shop@orders@@0.tsv.zst";

fn each_way(test: impl Fn(SinkOptions)) {
    for compression in [Compression::Zstd, Compression::None] {
        for bundling in [Bundling::Auto, Bundling::Never, Bundling::Always] {
            for max_file_bytes in [None, NonZeroU64::new(30_000)] {
                test(SinkOptions {
                    compression,
                    bundling,
                    max_file_bytes,
                    frame_bytes: 16 << 10,
                    ..SinkOptions::default()
                });
            }
        }
    }
}

/// An object as an export writes it.
fn exported(source: &BackupSource, name: &str) -> Result<Vec<u8>, EngineError> {
    let entry = source.entry(name).unwrap();
    let expected = entry.exported();
    let mut stream = source.open_exported(entry)?;
    let mut bytes = vec![0; 1 << 20];
    let mut length = 0;
    loop {
        match stream.fill(&mut bytes[length..])? {
            0 => break,
            more => length += more,
        }
    }
    assert_eq!(length as u64, expected);
    bytes.truncate(length);
    Ok(bytes)
}

#[test]
fn the_name_is_the_files_and_the_bytes_are_zstd() {
    let large = sample(1, 100_000);
    let objects: [(&str, &[u8]); 3] = [
        (NAME, &large),
        ("shop@t@@0.tsv.zst", b"1\t2\n"),
        ("shop@u@@0.tsv.zst", b""),
    ];
    each_way(|options| {
        let bed = Bed::local();
        let sink = bed.sink(options.clone());
        for (name, bytes) in &objects {
            write(&sink, name, bytes, Storage::Zstd);
        }
        write(&sink, "@.json", b"{}", Storage::Store);
        let summary = sink.close().unwrap();
        let plain = objects.iter().map(|(_, bytes)| bytes.len() as u64).sum::<u64>() + 2;
        assert_eq!(summary.bytes, plain);
        let source = bed.source();
        for (name, bytes) in &objects {
            let entry = source.entry(name).unwrap();
            assert_eq!(entry.transforms, [ZSTD_NAMED], "{options:?}");
            assert_eq!(
                (entry.size, &read(&source, name).unwrap()[..]),
                (bytes.len() as u64, *bytes)
            );
            let stored = exported(&source, name).unwrap();
            assert_eq!(zstd::stream::decode_all(&stored[..]).unwrap(), *bytes);
            let bundled = entry.extents[0].file.starts_with("data/bundles/");
            if !bundled {
                for (number, extent) in entry.extents.iter().enumerate() {
                    let part = if number == 0 {
                        String::new()
                    } else {
                        format!(".part{}", number + 1)
                    };
                    assert_eq!(extent.file, format!("data/{name}{part}"));
                }
            }
        }
        if options.max_file_bytes.is_some() {
            assert!(source.entry(NAME).unwrap().extents.len() > 1);
        }
        assert_eq!(exported(&source, "@.json").unwrap(), b"{}");
        bed.verify(false).unwrap();
        bed.verify(true).unwrap();
    });
}

#[test]
fn a_stock_zstd_reads_the_file_where_it_lies() {
    let bed = Bed::local();
    let bytes = sample(1, 3_000_000);
    let sink = bed.sink(SinkOptions {
        compression: Compression::None,
        frame_bytes: 1 << 20,
        ..SinkOptions::default()
    });
    write(&sink, NAME, &bytes, Storage::Zstd);
    sink.close().unwrap();
    assert_eq!(bed.on_disk(), [&format!("data/{NAME}"), "objects.jsonl.zst"]);
    let mut zstd = std::process::Command::new("zstd");
    let decoded = zstd
        .arg("-dcq")
        .arg(bed.path(&format!("data/{NAME}")))
        .output()
        .unwrap();
    assert!(decoded.status.success(), "{}", String::from_utf8_lossy(&decoded.stderr));
    assert_eq!(decoded.stdout, bytes);
}

#[test]
fn a_name_alone_says_nothing() {
    // An engine that compresses by itself, or calls its plain bytes so: an export gives it back what it wrote.
    let bytes = b"no zstd at all";
    for bundling in [Bundling::Never, Bundling::Always] {
        let bed = Bed::memory();
        let sink = bed.sink(SinkOptions {
            bundling,
            ..SinkOptions::default()
        });
        write(&sink, "a.zst", bytes, Storage::Compress);
        write(&sink, "b.zst", bytes, Storage::Store);
        write(&sink, "c.zst", bytes, Storage::Zstd);
        // Its file would be c.zst as well.
        write(&sink, "c", bytes, Storage::Compress);
        sink.close().unwrap();
        let source = bed.source();
        let transforms = |name: &str| source.entry(name).unwrap().transforms;
        assert_eq!(transforms("a.zst"), [ZSTD]);
        assert!(transforms("b.zst").is_empty());
        assert_eq!(transforms("c"), [ZSTD]);
        if bundling == Bundling::Never {
            assert_eq!(source.entry("a.zst").unwrap().extents[0].file, "data/a.zst.zst");
            assert_eq!(source.entry("b.zst").unwrap().extents[0].file, "data/b.zst");
            let pair = ["c.zst", "c"].map(|name| source.entry(name).unwrap().extents[0].file.clone());
            assert!(
                pair[0] != pair[1] && pair.contains(&"data/c.zst".to_owned()),
                "{pair:?}"
            );
        }
        for name in ["a.zst", "b.zst", "c"] {
            assert_eq!(exported(&source, name).unwrap(), bytes, "{name}");
            assert_eq!(read(&source, name).unwrap(), bytes, "{name}");
        }
        let stored = exported(&source, "c.zst").unwrap();
        assert_eq!(zstd::stream::decode_all(&stored[..]).unwrap(), bytes);
        bed.verify(true).unwrap();
    }
}

#[test]
fn damage_is_found_by_whoever_reads_or_exports() {
    for bundling in [Bundling::Never, Bundling::Always] {
        let bed = Bed::memory();
        let sink = bed.sink(SinkOptions {
            bundling,
            ..SinkOptions::default()
        });
        write(&sink, NAME, &sample(1, 10_000), Storage::Zstd);
        sink.close().unwrap();
        let extent = bed.source().entry(NAME).unwrap().extents[0].clone();
        let good = bed.get(&extent.file);
        for at in [0, extent.length / 2, extent.length - 1] {
            let mut bad = good.clone();
            bad[(extent.offset + at) as usize] ^= 4;
            bed.put(&extent.file, &bad);
            let source = bed.source();
            for error in [read(&source, NAME).unwrap_err(), exported(&source, NAME).unwrap_err()] {
                assert_eq!(error.kind, ErrorKind::Damaged);
                assert!(error.message.contains(&extent.sha256), "{error}");
            }
            for deep in [false, true] {
                assert_eq!(bed.verify(deep).unwrap_err().len(), 1);
            }
        }
    }
}

#[test]
fn a_name_that_does_not_say_so_is_refused() {
    let bed = Bed::memory();
    let sink = bed.sink(SinkOptions::default());
    let error = sink
        .create("t.tsv", backstay_engine_api::Attributes::default(), Storage::Zstd)
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        "object \"t.tsv\" can not be started: expected a name that ends in .zst, for its storage is `zstd`; \
         this is a fault of the engine's"
    );
    // The name is not taken by that.
    write(&sink, "t.tsv", b"x", Storage::Store);
    sink.close().unwrap();
}
