use std::path::Path;

use backstay_engine_api::job::Segment;
use tempfile::TempDir;

use super::super::manifest::{HostRef, IndexRef, hex};
use super::super::testing::{Directory, each_store, job, position};
use super::super::{Lock, Purpose, Repository, layout};
use super::*;

const STREAM_ID: &str = "20261128T120000Z-log-binlog-0001";
const UUID: &str = "3e11fa47-71ca-11e1-9e33-c80aa9429562";

fn gtids(last: u64) -> Vec<Position> {
    vec![
        position("mysql-gtid", &format!("{UUID}:1-{last}")),
        position("binlog-file", &format!("binlog.000001:{}", 100 * last)),
    ]
}

fn stream() -> StreamRecord {
    StreamRecord {
        format: 1,
        id: STREAM_ID.to_owned(),
        cluster: "orders".to_owned(),
        from: gtids(10),
        created: "2026-11-28T12:00:00Z".to_owned(),
        host: HostRef::this(),
        ..StreamRecord::default()
    }
}

/// A segment of ten transactions, and what an archive has written of it into a directory.
fn segment(number: u64, directory: &Path) -> SegmentRecord {
    let data = directory.join("data");
    std::fs::create_dir_all(&data).unwrap();
    std::fs::write(data.join("binlog.000001.zst"), format!("events {number}")).unwrap();
    std::fs::write(directory.join(layout::INDEX), "the index").unwrap();
    SegmentRecord {
        format: 1,
        cluster: "orders".to_owned(),
        stream: STREAM_ID.to_owned(),
        segment: Segment {
            name: segment_name(number),
            from: gtids(10 * number),
            to: gtids(10 * number + 10),
            transactions: 10,
            ..Segment::default()
        },
        index: IndexRef {
            sha256: hex(b"the index"),
            length: 9,
            data_files: 1,
            data_bytes: format!("events {number}").len() as u64,
            ..IndexRef::default()
        },
        ..SegmentRecord::default()
    }
}

fn archive_lock(repository: &Repository) -> Lock {
    Lock::acquire(
        repository,
        "orders",
        Purpose::Archive,
        job("20261128T120000Z-log-binlog-j"),
    )
    .unwrap()
}

fn publish(repository: &Repository, number: u64, lock: &Lock) -> Result<()> {
    let directory = TempDir::new().unwrap();
    let record = segment(number, directory.path());
    repository.publish_segment(&record, directory.path(), lock)
}

#[test]
fn segments_follow_on_each_other() {
    each_store(|repository| {
        insta::allow_duplicates! {
        let lock = archive_lock(repository);
        insta::assert_snapshot!(publish(repository, 1, &lock).unwrap_err(), @"there is no archived log 20261128T120000Z-log-binlog-0001 of cluster orders; `backstay archive --status` shows those that there are");
        repository.create_stream(&stream(), &lock).unwrap();
        repository.create_stream(&stream(), &lock).unwrap();
        let another = StreamRecord { from: gtids(9), ..stream() };
        insta::assert_snapshot!(repository.create_stream(&another, &lock).unwrap_err(), @"clusters/orders/logs/20261128T120000Z-log-binlog-0001 is there already, and is another stream");

        insta::assert_snapshot!(publish(repository, 2, &lock).unwrap_err(), @"segment 000000000002 of log 20261128T120000Z-log-binlog-0001 can not be published before segment 000000000001");
        publish(repository, 1, &lock).unwrap();
        publish(repository, 1, &lock).unwrap();
        publish(repository, 2, &lock).unwrap();

        let directory = TempDir::new().unwrap();
        let record = SegmentRecord { member: "another".to_owned(), ..segment(2, directory.path()) };
        insta::assert_snapshot!(repository.publish_segment(&record, directory.path(), &lock).unwrap_err(), @"segment 000000000002 of log 20261128T120000Z-log-binlog-0001 is there already, and is another one; nothing was changed: another archive of this cluster has published it");
        let mut record = segment(3, directory.path());
        record.segment.from = gtids(29);
        insta::assert_snapshot!(repository.publish_segment(&record, directory.path(), &lock).unwrap_err(), @"a segment of the log does not follow on the one before: expected a start at mysql-gtid 3e11fa47-71ca-11e1-9e33-c80aa9429562:1-30, binlog-file binlog.000001:3000, found mysql-gtid 3e11fa47-71ca-11e1-9e33-c80aa9429562:1-29, binlog-file binlog.000001:2900");

        let [log] = &repository.logs("orders").unwrap()[..] else { panic!() };
        assert_eq!((log.id.as_str(), &log.record), (STREAM_ID, &stream()));
        assert!(log.damaged.is_empty(), "{:?}", log.damaged);
        let names: Vec<_> = log.segments.iter().map(|segment| segment.name.as_str()).collect();
        assert_eq!(names, ["000000000001", "000000000002"]);
        assert_eq!(log.to(), gtids(30));
        lock.release().unwrap();
        }
    });
}

#[test]
fn what_is_not_whole_is_no_segment() {
    let directory = Directory::new();
    let repository = directory.repository();
    let lock = archive_lock(&repository);
    repository.create_stream(&stream(), &lock).unwrap();
    for number in 1..4 {
        publish(&repository, number, &lock).unwrap();
    }
    let written = TempDir::new().unwrap();
    let mut record = segment(4, written.path());
    record.index.data_bytes += 1;
    let error = repository.publish_segment(&record, written.path(), &lock).unwrap_err();
    assert_eq!(error.kind, ErrorKind::Damaged, "{error}");
    // What a killed archive leaves.
    let root = repository.root().unwrap().join("clusters/orders/logs").join(STREAM_ID);
    assert!(root.join("000000000004/data").exists());
    assert!(!root.join("000000000004/segment.json").exists());
    assert_eq!(repository.log("orders", STREAM_ID).unwrap().segments.len(), 3);
    publish(&repository, 4, &lock).unwrap();
    lock.release().unwrap();

    let json = root.join("000000000002/segment.json");
    let text = std::fs::read_to_string(&json).unwrap();
    std::fs::write(&json, text.replace("\"transactions\": 10", "\"transactions\": 11")).unwrap();
    let log = repository.log("orders", STREAM_ID).unwrap();
    let names: Vec<_> = log.segments.iter().map(|segment| segment.name.as_str()).collect();
    assert_eq!(names, ["000000000001", "000000000003", "000000000004"]);
    let [(name, error)] = &log.damaged[..] else {
        panic!("{:?}", log.damaged)
    };
    assert_eq!((name.as_str(), error.kind), ("000000000002", ErrorKind::Damaged));
    let line = std::process::Command::new("sha256sum")
        .args(["-c", "--quiet", "segment.json.sha256"])
        .current_dir(root.join("000000000001"))
        .status()
        .unwrap();
    assert!(line.success());
}

#[test]
fn a_repository_that_is_away_takes_nothing() {
    let directory = Directory::new();
    let repository = directory.repository();
    let lock = archive_lock(&repository);
    repository.create_stream(&stream(), &lock).unwrap();
    let root = repository.root().unwrap().to_owned();
    let away = root.with_extension("away");
    std::fs::rename(&root, &away).unwrap();
    let error = publish(&repository, 1, &lock).unwrap_err();
    assert_eq!(error.kind, ErrorKind::Io, "{error}");
    assert!(!root.exists(), "nothing was made in its place");
    std::fs::rename(&away, &root).unwrap();
    publish(&repository, 1, &lock).unwrap();
    lock.release().unwrap();
}

#[test]
fn another_who_holds_the_lock_has_the_log() {
    each_store(|repository| {
        let lock = archive_lock(repository);
        repository.create_stream(&stream(), &lock).unwrap();
        // The next holder, whom this process does not know of yet.
        let locks = layout::locks("orders")
            .unwrap()
            .join("archive")
            .join(format!("{:020}", lock.epoch() + 1));
        let put = repository
            .store
            .put(&locks, b"{}".to_vec(), super::super::store::Durability::Cached);
        repository.wait(put).unwrap();
        let error = publish(repository, 1, &lock).unwrap_err();
        assert_eq!(error.kind, ErrorKind::Refused, "{error}");
        assert!(repository.log("orders", STREAM_ID).unwrap().segments.is_empty());
    });
}

#[test]
fn starts_and_ends_are_compared() {
    assert!(follows(&gtids(5), &gtids(5)).is_ok());
    assert!(follows(&gtids(5), &gtids(4)).is_err(), "it would be there twice");
    assert!(follows(&gtids(5), &gtids(6)).is_err());
    // After a failover the file is another, and the first way of saying it decides.
    let mut other = gtids(5);
    other[1] = position("binlog-file", "mysql-bin.000009:4");
    assert!(follows(&gtids(5), &other).is_ok());
    assert!(follows(&[], &gtids(5)).is_err());
    assert!(follows(&gtids(5), &[position("lsn", "7")]).is_err());
    assert_eq!(segment_number("000000000012"), Some(12));
    for name in ["12", "000000000000", "x", "+00000000012"] {
        assert_eq!(segment_number(name), None, "{name}");
    }
}
