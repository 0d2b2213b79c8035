//! Small objects share files.

use backstay_engine_api::{Attributes, Storage};

use super::super::testing::{Bed, read, sample, write};
use super::super::{Bundling, SinkOptions};

#[test]
fn twenty_thousand_small_tables_are_few_files() {
    for announced in [false, true] {
        let bed = Bed::local();
        let sink = bed.sink(SinkOptions::default());
        if announced {
            sink.expect(20_000);
        }
        for number in 0..20_000 {
            let text = format!("INSERT INTO t{number} VALUES ({number}, 'some text');\n").repeat(20);
            write(
                &sink,
                &format!("many/t{number}.sql"),
                text.as_bytes(),
                Storage::Compress,
            );
        }
        let summary = sink.close().unwrap();
        assert_eq!(summary.objects, 20_000);
        let files = bed.on_disk().len() as u64;
        assert_eq!(summary.files + 1, files);
        assert_eq!(files, if announced { 2 } else { 1_002 });
        let source = bed.source();
        for number in [0, 999, 1_000, 1_001, 10_000, 19_999] {
            let text = String::from_utf8(read(&source, &format!("many/t{number}.sql")).unwrap()).unwrap();
            assert!(text.starts_with(&format!("INSERT INTO t{number} VALUES")), "{text}");
        }
        bed.verify(false).unwrap();
    }
}

#[test]
fn a_bundle_ends_and_the_next_begins() {
    let bed = Bed::memory();
    let sink = bed.sink(SinkOptions {
        bundling: Bundling::Always,
        ..SinkOptions::default()
    });
    let bytes = sample(1, 1 << 20);
    for number in 0..70 {
        write(&sink, &format!("{number}"), &bytes, Storage::Store);
    }
    write(&sink, "large", &sample(2, (1 << 20) + 1), Storage::Store);
    let summary = sink.close().unwrap();
    assert_eq!(summary.files, 3);
    let source = bed.source();
    let files: std::collections::BTreeSet<String> = source
        .index()
        .entries()
        .map(|entry| entry.extents[0].file.clone())
        .collect();
    assert_eq!(
        files.into_iter().collect::<Vec<_>>(),
        ["data/bundles/0", "data/bundles/1", "data/large"]
    );
    bed.verify(true).unwrap();
}

#[test]
fn small_objects_that_are_kept_apart() {
    let bed = Bed::local();
    let sink = bed.sink(SinkOptions {
        bundling: Bundling::Never,
        ..SinkOptions::default()
    });
    for number in 0..150 {
        write(&sink, &format!("{number}"), b"x", Storage::Compress);
    }
    assert_eq!(sink.close().unwrap().files, 150);
    assert_eq!(bed.on_disk().len(), 151);
}

#[test]
fn memory_stays_within_the_budget() {
    for bed in Bed::each() {
        let options = SinkOptions {
            memory_bytes: 16 << 20,
            threads: 4,
            ..SinkOptions::default()
        };
        let sink = bed.sink(options.clone());
        // As many as may be open, none of them ever small enough to be alone in the budget.
        let bytes = sample(7, 3 << 20);
        std::thread::scope(|scope| {
            for thread in 0..8 {
                let (sink, bytes) = (&sink, &bytes);
                scope.spawn(move || {
                    let open: Vec<u64> = (0..8)
                        .map(|number| {
                            let name = format!("{thread}/{number}");
                            sink.create(&name, Attributes::default(), Storage::Store).unwrap()
                        })
                        .collect();
                    for piece in bytes.chunks(100_000) {
                        open.iter().for_each(|object| sink.write(*object, piece).unwrap());
                    }
                    for object in open {
                        sink.finish(object).unwrap();
                    }
                });
            }
        });
        let most = sink.most_in_flight();
        let summary = sink.close().unwrap();
        assert_eq!(summary.bytes, 64 * (3 << 20));
        // What small objects held may come on top when they turn out not to be small.
        let limit = options.in_flight_bytes() + options.undecided_bytes();
        assert!(most <= limit, "{most} bytes in flight, {limit} expected at most");
        bed.verify(false).unwrap();
    }
}
