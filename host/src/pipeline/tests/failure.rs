//! What is refused, what is thrown away, and what a store's failure does.

use std::fmt;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use backstay_engine_api::{Attributes, EngineError, ErrorKind, Storage};
use bytes::Bytes;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use futures_util::stream::BoxStream;
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{
    CopyOptions, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore, PutMultipartOptions,
    PutOptions, PutPayload, PutResult, UploadPart,
};

use super::super::testing::{Bed, read, sample, write};
use super::super::{MAX_OPEN, SinkOptions};

#[test]
fn what_is_refused() {
    let bed = Bed::memory();
    let sink = bed.sink(SinkOptions::default());
    let create = |name: &str| sink.create(name, Attributes::default(), Storage::Compress);
    let error = create("../../etc/passwd").unwrap_err();
    assert_eq!(
        error.to_string(),
        "object name \"../../etc/passwd\" has a part `.` or `..`; expected a relative path of 1 to 1000 bytes"
    );
    let first = create("a").unwrap();
    assert!(
        create("a")
            .unwrap_err()
            .message
            .contains("the backup has one of that name")
    );
    sink.finish(first).unwrap();
    assert!(
        create("a")
            .unwrap_err()
            .message
            .contains("the backup has one of that name")
    );
    assert_eq!(sink.write(first, b"x").unwrap_err().message, "object 1 is not open");
    assert_eq!(sink.finish(first).unwrap_err().message, "object 1 is not open");
    assert_eq!(sink.discard(99).unwrap_err().message, "object 99 is not open");
    let open: Vec<u64> = (0..MAX_OPEN)
        .map(|number| create(&format!("o{number}")).unwrap())
        .collect();
    assert!(
        create("one more")
            .unwrap_err()
            .message
            .contains("64 objects are open, which is the most")
    );
    for object in &open[1..] {
        sink.discard(*object).unwrap();
    }
    let error = sink.close().unwrap_err();
    assert_eq!(
        error.message,
        "the backup can not be closed: 1 objects are neither finished nor thrown away, one of them \"o0\""
    );
}

#[test]
fn options_out_of_range() {
    let good = SinkOptions::default();
    for (options, expected) in [
        (
            SinkOptions {
                level: 20,
                ..good.clone()
            },
            "compression level: expected 1 to 19, found 20",
        ),
        (
            SinkOptions {
                threads: 0,
                ..good.clone()
            },
            "compression threads: expected at least 1, found 0",
        ),
        (
            SinkOptions {
                memory_bytes: 5,
                ..good.clone()
            },
            "memory budget: expected at least 8388608 bytes, found 5",
        ),
        (
            SinkOptions { frame_bytes: 5, ..good },
            "frame size: expected 1 KiB to 128 MiB, found 5 bytes",
        ),
    ] {
        let bed = Bed::memory();
        let handle = bed.runtime.handle().clone();
        let error = super::super::BackupSink::new(bed.destination(), handle, options).unwrap_err();
        assert_eq!((error.kind, error.message.as_str()), (ErrorKind::Usage, expected));
    }
}

#[test]
fn a_discarded_object_leaves_nothing_and_its_name_is_free() {
    let bed = Bed::local();
    let sink = bed.sink(SinkOptions::default());
    let bytes = sample(1, 12 << 20);
    for _ in 0..3 {
        let object = sink.create("a", Attributes::default(), Storage::Compress).unwrap();
        sink.write(object, &bytes).unwrap();
        sink.discard(object).unwrap();
    }
    write(&sink, "a", b"at last", Storage::Compress);
    let summary = sink.close().unwrap();
    assert_eq!((summary.objects, summary.files, summary.bytes), (1, 1, 7));
    // What was thrown away may still be on its way out when the last one gets its file.
    let on_disk = bed.on_disk();
    let free = ["data/a.zst", "objects.jsonl.zst"];
    let taken = ["data/h/ca978112ca1bbdcafac231b39a23dc4d.zst", "objects.jsonl.zst"];
    assert!(on_disk == free || on_disk == taken, "{on_disk:?}");
    assert_eq!(read(&bed.source(), "a").unwrap(), b"at last");
}

#[test]
fn a_sink_that_is_dropped_leaves_no_index_and_nothing_half_done() {
    let bed = Bed::local();
    let sink = bed.sink(SinkOptions::default());
    sink.expect(1001);
    write(&sink, "bundled", b"x", Storage::Compress);
    let object = sink.create("a", Attributes::default(), Storage::Compress).unwrap();
    sink.write(object, &sample(1, 12 << 20)).unwrap();
    drop(sink);
    assert_eq!(bed.on_disk(), Vec::<String>::new());
}

#[test]
fn the_throttle_holds() {
    let bed = Bed::memory();
    let sink = bed.sink(SinkOptions {
        throttle: std::num::NonZeroU64::new(4 << 20),
        ..SinkOptions::default()
    });
    let start = Instant::now();
    for number in 0..5 {
        write(&sink, &format!("{number}"), &sample(number, 1 << 20), Storage::Store);
    }
    sink.close().unwrap();
    // The first 1 MiB is free, and so is a quarter of a second.
    assert!(start.elapsed() >= Duration::from_millis(740), "{:?}", start.elapsed());
}

#[test]
fn a_brake_stops_whoever_waits() {
    let slow = |bytes_per_second| SinkOptions {
        throttle: std::num::NonZeroU64::new(bytes_per_second),
        memory_bytes: 8 << 20,
        ..SinkOptions::default()
    };
    let soon = Duration::from_millis(200);
    // For memory.
    let bed = Bed::local();
    let sink = bed.sink(slow(8 << 20));
    let brake = sink.brake();
    let object = sink.create("a", Attributes::default(), Storage::Store).unwrap();
    let bytes = sample(1, 4 << 20);
    let written = thread::scope(|scope| {
        let writer = scope.spawn(|| (0..16).try_for_each(|_| sink.write(object, &bytes)));
        thread::sleep(soon);
        brake.pull();
        writer.join().unwrap()
    });
    assert_eq!(written.unwrap_err().kind, ErrorKind::Cancelled);
    let error = sink.create("b", Attributes::default(), Storage::Store).unwrap_err();
    assert_eq!(error.kind, ErrorKind::Cancelled);
    drop(sink);
    assert_eq!(bed.on_disk(), Vec::<String>::new());

    // For the store, at the end: half of it takes a second.
    let bed = Bed::local();
    let sink = bed.sink(slow(4 << 20));
    let brake = sink.brake();
    write(&sink, "a", &bytes, Storage::Store);
    write(&sink, "b", &bytes, Storage::Store);
    let closed = thread::scope(|scope| {
        let closing = scope.spawn(|| sink.close());
        thread::sleep(soon);
        brake.pull();
        closing.join().unwrap()
    });
    assert_eq!(closed.unwrap_err().kind, ErrorKind::Cancelled);
    assert!(!bed.on_disk().iter().any(|file| file.contains("objects.jsonl")));
}

#[test]
fn a_brake_stops_whoever_writes() {
    let bed = Bed::local();
    let sink = bed.sink(SinkOptions {
        memory_bytes: 8 << 20,
        ..SinkOptions::default()
    });
    let brake = sink.brake();
    let bytes = sample(1, 1 << 20);
    let written = thread::scope(|scope| {
        let writer = scope.spawn(|| -> Result<(), EngineError> {
            let object = sink.create("a", Attributes::default(), Storage::Store)?;
            loop {
                sink.write(object, &bytes)?;
            }
        });
        thread::sleep(Duration::from_millis(100));
        brake.pull();
        writer.join().unwrap()
    });
    assert_eq!(written.unwrap_err().kind, ErrorKind::Cancelled);
    drop(sink);
    assert_eq!(bed.on_disk(), Vec::<String>::new());
}

#[test]
fn a_writer_that_is_stopped_is_no_success() {
    let bed = Bed::memory();
    let sink = bed.sink(SinkOptions::default());
    bed.runtime.shutdown_background();
    write(&sink, "a", b"x", Storage::Store);
    let error = sink.close().unwrap_err();
    assert_eq!(
        error.message,
        "clusters/c/backups/b/data/a was not written to its end: the writer was stopped"
    );
}

/// A disk that is full after so many bytes.
#[derive(Debug)]
struct Full {
    inner: InMemory,
    left: Arc<AtomicU64>,
}

impl fmt::Display for Full {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("full")
    }
}

fn take(left: &AtomicU64, bytes: usize) -> object_store::Result<()> {
    let taken = left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| {
        left.checked_sub(bytes as u64)
    });
    taken.map(|_| ()).map_err(|_| object_store::Error::Generic {
        store: "Full",
        source: Box::new(io::Error::from(io::ErrorKind::StorageFull)),
    })
}

#[derive(Debug)]
struct FullUpload(Box<dyn MultipartUpload>, Arc<AtomicU64>);

impl MultipartUpload for FullUpload {
    fn put_part(&mut self, data: PutPayload) -> UploadPart {
        match take(&self.1, data.content_length()) {
            Ok(()) => self.0.put_part(data),
            Err(error) => async { Err(error) }.boxed(),
        }
    }

    fn complete<'a: 'b, 'b>(&'a mut self) -> BoxFuture<'b, object_store::Result<PutResult>>
    where
        Self: 'b,
    {
        self.0.complete()
    }

    fn abort<'a: 'b, 'b>(&'a mut self) -> BoxFuture<'b, object_store::Result<()>>
    where
        Self: 'b,
    {
        self.0.abort()
    }
}

impl ObjectStore for Full {
    fn put_opts<'a: 'c, 'b: 'c, 'c>(
        &'a self,
        location: &'b Path,
        payload: PutPayload,
        options: PutOptions,
    ) -> BoxFuture<'c, object_store::Result<PutResult>>
    where
        Self: 'c,
    {
        match take(&self.left, payload.content_length()) {
            Ok(()) => self.inner.put_opts(location, payload, options),
            Err(error) => async { Err(error) }.boxed(),
        }
    }

    fn put_multipart_opts<'a: 'c, 'b: 'c, 'c>(
        &'a self,
        location: &'b Path,
        options: PutMultipartOptions,
    ) -> BoxFuture<'c, object_store::Result<Box<dyn MultipartUpload>>>
    where
        Self: 'c,
    {
        async move {
            let upload = self.inner.put_multipart_opts(location, options).await?;
            Ok(Box::new(FullUpload(upload, Arc::clone(&self.left))) as Box<dyn MultipartUpload>)
        }
        .boxed()
    }

    fn get_opts<'a: 'c, 'b: 'c, 'c>(
        &'a self,
        location: &'b Path,
        options: GetOptions,
    ) -> BoxFuture<'c, object_store::Result<GetResult>>
    where
        Self: 'c,
    {
        self.inner.get_opts(location, options)
    }

    fn get_ranges<'a: 'd, 'b: 'd, 'c: 'd, 'd>(
        &'a self,
        location: &'b Path,
        ranges: &'c [std::ops::Range<u64>],
    ) -> BoxFuture<'d, object_store::Result<Vec<Bytes>>>
    where
        Self: 'd,
    {
        self.inner.get_ranges(location, ranges)
    }

    fn delete_stream(
        &self,
        locations: BoxStream<'static, object_store::Result<Path>>,
    ) -> BoxStream<'static, object_store::Result<Path>> {
        self.inner.delete_stream(locations)
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, object_store::Result<ObjectMeta>> {
        self.inner.list(prefix)
    }

    fn list_with_delimiter<'a: 'c, 'b: 'c, 'c>(
        &'a self,
        prefix: Option<&'b Path>,
    ) -> BoxFuture<'c, object_store::Result<ListResult>>
    where
        Self: 'c,
    {
        self.inner.list_with_delimiter(prefix)
    }

    fn copy_opts<'a: 'd, 'b: 'd, 'c: 'd, 'd>(
        &'a self,
        from: &'b Path,
        to: &'c Path,
        options: CopyOptions,
    ) -> BoxFuture<'d, object_store::Result<()>>
    where
        Self: 'd,
    {
        self.inner.copy_opts(from, to, options)
    }
}

fn full_after(bytes: u64) -> Bed {
    let store = Full {
        inner: InMemory::new(),
        left: Arc::new(AtomicU64::new(bytes)),
    };
    Bed::with(Arc::new(store), None)
}

const FULL: &str = "could not be written: no storage space; make room in the repository, or remove backups that are not \
                    needed any more";

#[test]
fn a_full_disk_ends_everything() {
    let bed = full_after(3 << 20);
    let sink = bed.sink(SinkOptions {
        memory_bytes: 8 << 20,
        frame_bytes: 256 << 10,
        ..SinkOptions::default()
    });
    let object = sink.create("large", Attributes::default(), Storage::Store).unwrap();
    let other = sink.create("other", Attributes::default(), Storage::Store).unwrap();
    let piece = sample(1, 100_000);
    // It would go on without end if a failure were not seen, and hang if waiters were not woken.
    let error = (0..).find_map(|_| sink.write(object, &piece).err()).unwrap();
    assert_eq!(error.kind, ErrorKind::Io);
    assert_eq!(
        error.to_string(),
        format!("clusters/c/backups/b/data/large in the repository {FULL}")
    );
    assert_eq!(sink.write(other, b"x").unwrap_err(), error);
    assert_eq!(sink.finish(object).unwrap_err(), error);
    assert_eq!(
        sink.create("new", Attributes::default(), Storage::Store).unwrap_err(),
        error
    );
    sink.discard(object).unwrap();
    assert_eq!(sink.close().unwrap_err(), error);
}

#[test]
fn a_file_that_can_not_be_written_ends_everything() {
    let bed = Bed::local();
    // In the way of the directory.
    bed.put("data", b"");
    for bytes in [1, 2 << 20] {
        let sink = bed.sink(SinkOptions::default());
        let object = sink.create("large", Attributes::default(), Storage::Store).unwrap();
        // It is said now or, of a small one, at its end, and again when the sink is closed.
        let _ = sink.write(object, &sample(1, bytes)).and_then(|()| sink.finish(object));
        let error = sink.close().unwrap_err();
        assert_eq!(
            error.to_string(),
            "clusters/c/backups/b/data/large in the repository could not be written: Not a directory (os error 20)"
        );
    }
    assert_eq!(bed.on_disk(), ["data"]);
}

#[test]
fn a_file_whose_place_is_taken_leaves_nothing_half_done() {
    let bed = Bed::local();
    bed.put("data/large/file", b"");
    let sink = bed.sink(SinkOptions::default());
    let object = sink.create("large", Attributes::default(), Storage::Store).unwrap();
    sink.write(object, &sample(1, 2 << 20)).unwrap();
    let staged = || bed.on_disk().contains(&"data/large#1".to_owned());
    let start = Instant::now();
    while !staged() {
        assert!(start.elapsed() < Duration::from_secs(30), "{:?}", bed.on_disk());
        thread::sleep(Duration::from_millis(1));
    }
    let _ = sink.finish(object);
    let error = sink.close().unwrap_err();
    assert_eq!(
        error.to_string(),
        "clusters/c/backups/b/data/large in the repository could not be written: Is a directory (os error 21)"
    );
    assert_eq!(bed.on_disk(), ["data/large/file"]);
}

#[test]
fn a_full_disk_at_the_last_byte_is_no_backup() {
    for (room, file) in [(0, "data/small"), (1000, "objects.jsonl.zst")] {
        let bed = full_after(room);
        let sink = bed.sink(SinkOptions::default());
        let object = sink.create("small", Attributes::default(), Storage::Store).unwrap();
        sink.write(object, &[0; 1000]).unwrap();
        // It is on its way: whether it arrived is known at the end.
        let _ = sink.finish(object);
        let error = sink.close().unwrap_err();
        assert_eq!(
            error.to_string(),
            format!("clusters/c/backups/b/{file} in the repository {FULL}")
        );
    }
}
