use std::fs;
use std::path::Path;

use backstay_engine_api::job::Segment;
use tempfile::TempDir;
use tokio::runtime::Runtime;

use super::*;
use crate::repository::index::sha256_hex;
use crate::repository::logs::{Sealed, digest_file, segment_name};
use crate::repository::{IndexRef, JobRef, Lock, Purpose, layout};

const STREAM: &str = "20261128T120000Z-log-binlog-0001";

/// A repository and a spool, as the archive of one cluster has them.
struct Bed {
    directory: TempDir,
    runtime: Runtime,
}

impl Bed {
    fn new() -> Self {
        Self {
            directory: TempDir::new().unwrap(),
            runtime: Runtime::new().unwrap(),
        }
    }

    fn repository(&self) -> Repository {
        let url = format!("file://{}", self.directory.path().join("repository").display());
        fs::create_dir_all(self.directory.path().join("repository")).unwrap();
        Repository::init(&url, self.runtime.handle()).unwrap()
    }

    /// A spool with a stream and so many segments of it, none of which is in the repository.
    fn spool(&self, segments: u64) -> Spool {
        let mut spool = Spool::open(self.directory.path().join("spool"), 1 << 20).unwrap();
        spool.add_stream(&stream()).unwrap();
        for number in 1..=segments {
            let written = self.directory.path().join(format!("written-{number}"));
            let record = segment(number, &written);
            spool.add(&record, &written).unwrap();
        }
        spool
    }

    /// A stream's directory in the repository, with its record's digest and without the record: what comes of an attempt to make it on a full
    /// disk, or that was killed.
    fn half_made(&self, repository: &Repository, id: &str) {
        let directory = repository.root().unwrap().join("clusters/orders/logs").join(id);
        fs::create_dir_all(&directory).unwrap();
        let (_, digest) = stream().seal().unwrap();
        fs::write(directory.join(digest_file::<StreamRecord>()), digest).unwrap();
    }
}

fn at(offset: u64) -> Vec<Position> {
    vec![Position::binlog_file(
        &format!("binlog.000001:{offset}").parse().unwrap(),
    )]
}

fn stream() -> StreamRecord {
    StreamRecord {
        format: 1,
        id: STREAM.to_owned(),
        cluster: "orders".to_owned(),
        from: at(100),
        created: "2026-11-28T12:00:00Z".to_owned(),
        ..StreamRecord::default()
    }
}

fn segment(number: u64, directory: &Path) -> SegmentRecord {
    let data = directory.join("data");
    fs::create_dir_all(&data).unwrap();
    fs::write(data.join("binlog.000001.zst"), "events").unwrap();
    fs::write(directory.join(layout::INDEX), "the index").unwrap();
    SegmentRecord {
        format: 1,
        cluster: "orders".to_owned(),
        stream: STREAM.to_owned(),
        segment: Segment {
            name: segment_name(number),
            from: at(100 * number),
            to: at(100 * number + 100),
            transactions: 1,
            ..Segment::default()
        },
        index: IndexRef {
            sha256: sha256_hex(b"the index"),
            length: 9,
            data_files: 1,
            data_bytes: 6,
            ..IndexRef::default()
        },
        ..SegmentRecord::default()
    }
}

fn lock(repository: &Repository) -> Lock {
    let job = JobRef {
        id: "20261128T120000Z-log-binlog-j".to_owned(),
        engine: "binlog".to_owned(),
        workflow: None,
    };
    Lock::acquire(repository, "orders", Purpose::Archive, job).unwrap()
}

#[test]
fn segments_wait_until_their_half_made_stream_is_made() {
    let bed = Bed::new();
    let (repository, mut spool) = (bed.repository(), bed.spool(2));
    bed.half_made(&repository, STREAM);

    let found = end(&repository, "orders", &mut spool).unwrap();
    assert_eq!(found.stream, Some(stream()));
    assert_eq!((found.number, found.to), (2, at(300)));
    assert_eq!((spool.streams().count(), spool.len()), (1, 2));

    // As the archive goes on, killed once more in between.
    let lock = lock(&repository);
    repository.create_stream(spool.first_stream().unwrap(), &lock).unwrap();
    let found = end(&repository, "orders", &mut spool).unwrap();
    assert_eq!(found.number, 2);
    assert_eq!((spool.streams().count(), spool.len()), (0, 2));
    let first = spool.first().unwrap();
    repository
        .publish_segment(&first.record, &first.directory, &lock)
        .unwrap();
    let found = end(&repository, "orders", &mut spool).unwrap();
    assert_eq!((found.number, spool.len()), (2, 1));
    let log = repository.log("orders", STREAM).unwrap();
    assert_eq!((log.record, log.segments.len()), (stream(), 1));
    assert!(log.damaged.is_empty(), "{:?}", log.damaged);
    lock.release().unwrap();
}

#[test]
fn a_stream_that_another_has_not_made_is_no_newer_log() {
    let bed = Bed::new();
    let (repository, mut spool) = (bed.repository(), bed.spool(1));
    bed.half_made(&repository, "20261128T130000Z-log-binlog-0001");
    let found = end(&repository, "orders", &mut spool).unwrap();
    assert_eq!((found.number, spool.len()), (1, 1));

    // One that is made is.
    let lock = lock(&repository);
    let newer = StreamRecord {
        id: "20261128T130000Z-log-binlog-0001".to_owned(),
        ..stream()
    };
    repository.create_stream(&newer, &lock).unwrap();
    let found = end(&repository, "orders", &mut spool).unwrap();
    assert_eq!(found.stream.map(|stream| stream.id), Some(newer.id));
    assert!(spool.is_empty());
    lock.release().unwrap();
}
