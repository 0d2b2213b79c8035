use super::*;
use crate::replay::plan::Start;

const A: &str = "3e11fa47-71ca-11e1-9e33-c80aa9429562";
const B: &str = "4e11fa47-71ca-11e1-9e33-c80aa9429562";

fn files() -> Vec<File> {
    ["binlog.000001", "binlog.000002"]
        .into_iter()
        .enumerate()
        .map(|(log, name)| File {
            log,
            object: name.to_owned(),
            name: name.to_owned(),
        })
        .collect()
}

/// Of each transaction the name and the time; four to a file, of 100 bytes each from 200 on.
fn log(names: &[(&str, i64)]) -> Vec<Transaction> {
    names
        .iter()
        .enumerate()
        .map(|(index, (name, time))| {
            let start = 200 + 100 * (index as u64 % 4);
            Transaction {
                name: if name.contains(':') {
                    Name::Mysql(name.parse().unwrap())
                } else {
                    Name::Mariadb(name.parse().unwrap())
                },
                file: index / 4,
                offset: start,
                length: 100,
                time: *time,
                place: Some((start, start + 100)),
            }
        })
        .collect()
}

fn mysql() -> Vec<Transaction> {
    let names: Vec<(String, i64)> = [
        (A, 6, 10),
        (A, 7, 11),
        (B, 1, 12),
        (A, 9, 12),
        (A, 8, 15),
        (B, 2, 14),
        (A, 10, 16),
    ]
    .into_iter()
    .map(|(uuid, number, time)| (format!("{uuid}:{number}"), time))
    .collect();
    let names: Vec<(&str, i64)> = names.iter().map(|(name, time)| (name.as_str(), *time)).collect();
    log(&names)
}

fn mariadb() -> Vec<Transaction> {
    log(&[
        ("0-1-6", 1),
        ("7-1-3", 1),
        ("0-1-7", 2),
        ("9-1-1", 2),
        ("7-1-4", 2),
        ("0-2-8", 3),
    ])
}

/// How many transactions are replayed, and what is said.
fn count(point: &RecoveryPoint, all: Vec<Transaction>) -> Result<(usize, Vec<String>), String> {
    let start = match all[0].name {
        Name::Mariadb(_) => Start::Mariadb("0-1-5,7-1-2".parse().unwrap()),
        _ => Start::Mysql(format!("{A}:1-5").parse().unwrap()),
    };
    up_to(point, &start, &[], &files(), all)
        .map(|(all, notices)| (all.len(), notices.into_iter().map(|notice| notice.code).collect()))
        .map_err(|error| error.to_string())
}

fn time(microseconds: i64) -> RecoveryPoint {
    let time = PointInTime::from_unix_microseconds(microseconds).unwrap();
    RecoveryPoint::Time { time }
}

#[test]
fn a_time_is_the_end_of_a_prefix() {
    let none = Vec::<String>::new();
    for (moment, expected) in [(9, 0), (10, 1), (12, 4), (13, 4), (15, 6), (16, 7), (17, 7)] {
        let (found, codes) = count(&time(moment), mysql()).unwrap();
        assert_eq!(found, expected, "{moment}");
        assert_eq!(codes, none);
    }
    // At 14, one that comes later in the log is not later.
    let (found, codes) = count(&time(14), mysql()).unwrap();
    assert_eq!((found, codes), (4, vec!["clock-stepped-back".to_owned()]));
}

#[test]
fn gtids_are_all_there_at_the_end() {
    let point = |text: &str| RecoveryPoint::gtid(text).unwrap();
    let beyond = vec!["beyond-the-set".to_owned()];
    assert_eq!(count(&point(&format!("{A}:1-7")), mysql()).unwrap(), (2, vec![]));
    // The eighth was committed after the ninth, and both after another server's first.
    assert_eq!(
        count(&point(&format!("{A}:1-8")), mysql()).unwrap(),
        (5, beyond.clone())
    );
    assert_eq!(count(&point(&format!("{A}:1-9,{B}:1")), mysql()).unwrap(), (5, vec![]));
    assert_eq!(count(&point(&format!("{A}:1-5")), mysql()).unwrap(), (0, vec![]));
    let error = count(&point(&format!("{A}:1-11")), mysql()).unwrap_err();
    assert!(error.starts_with(&format!("{A}:11 is not in the logs")), "{error}");

    // In each domain that is named nothing after its transaction, of others what comes before.
    assert_eq!(count(&point("0-1-7,7-1-3"), mariadb()).unwrap(), (3, vec![]));
    assert_eq!(count(&point("0-2-8,7-1-3"), mariadb()).unwrap(), (5, beyond));
    assert_eq!(count(&point("0-1-5,7-1-4,9-1-1"), mariadb()).unwrap(), (3, vec![]));
    assert!(
        count(&point("0-1-9"), mariadb())
            .unwrap_err()
            .starts_with("0-1-9 is not in the logs")
    );
    let error = count(&point("0-1-7"), mysql()).unwrap_err();
    assert!(error.contains("of another kind"), "{error}");
}

#[test]
fn just_before_one() {
    let point = |text: &str| RecoveryPoint::before_gtid(text).unwrap();
    assert_eq!(count(&point(&format!("{A}:8")), mysql()).unwrap(), (4, vec![]));
    assert_eq!(count(&point(&format!("{A}:6")), mysql()).unwrap(), (0, vec![]));
    let error = count(&point(&format!("{A}:5")), mysql()).unwrap_err();
    assert!(error.starts_with(&format!("the backup has {A}:5 already")), "{error}");
    assert_eq!(count(&point("7-1-4"), mariadb()).unwrap(), (4, vec![]));
    assert!(
        count(&point("7-1-5"), mariadb())
            .unwrap_err()
            .contains("not in the logs")
    );
}

#[test]
fn places_are_ends_of_transactions() {
    let point = |text: &str| RecoveryPoint::binlog_file(text).unwrap();
    for (place, expected) in [
        ("binlog.000001:157", 0),
        ("binlog.000001:200", 0),
        ("binlog.000001:300", 1),
        ("binlog.000001:600", 4),
        // A rotation's own event comes after the last transaction.
        ("binlog.000001:647", 4),
        ("binlog.000002:157", 4),
        ("binlog.000002:500", 7),
    ] {
        assert_eq!(count(&point(place), mysql()).unwrap().0, expected, "{place}");
    }
    let error = count(&point("binlog.000001:350"), mysql()).unwrap_err();
    assert!(error.contains("in the middle of a transaction"), "{error}");
    let error = count(&point("binlog.000002:501"), mysql()).unwrap_err();
    assert!(error.contains("the logs end at binlog.000002:500"), "{error}");
    assert!(count(&point("binlog.000003:157"), mysql()).is_err());
}

#[test]
fn places_without_gtids_are_in_order() {
    let mut files = files();
    files[1].name = "binlog.000005".to_owned();
    let start = Start::Place("binlog.000001:200".parse().unwrap());
    let to = |place: &str| Segment {
        to: vec![Position::binlog_file(&place.parse().unwrap())],
        ..Segment::default()
    };
    let logs = [to("binlog.000003:157"), to("binlog.000007:157")];
    let count = |place: &str| {
        let point = RecoveryPoint::binlog_file(place).unwrap();
        let mut all = mysql();
        all.iter_mut()
            .for_each(|transaction| transaction.name = Name::Anonymous);
        up_to(&point, &start, &logs, &files, all)
            .map(|(all, _)| all.len())
            .map_err(|error| error.to_string())
    };
    for (place, expected) in [
        ("binlog.000001:200", 0),
        ("binlog.000001:600", 4),
        // In files without a transaction, between two that have some and after the last.
        ("binlog.000003:157", 4),
        ("binlog.000004:4", 4),
        ("binlog.000005:157", 4),
        ("binlog.000005:400", 6),
        ("binlog.000005:500", 7),
        ("binlog.000005:531", 7),
        ("binlog.000007:157", 7),
    ] {
        assert_eq!(count(place), Ok(expected), "{place}");
    }
    for place in ["binlog.000007:158", "other.000003:157"] {
        assert!(count(place).unwrap_err().contains("is not in the logs"), "{place}");
    }
}
