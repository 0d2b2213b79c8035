//! What belongs together by its names and not by its times: servers that were reset, clocks that were wrong.

use super::*;

fn at(time: &str) -> String {
    format!("2020-01-01T{time}Z")
}

/// Both ways in which a place is said, of one server.
fn place(set: &str, file: &str, time: Option<&str>) -> Vec<Position> {
    let positions = [gtids(set), Position::new(PositionKind::BINLOG_FILE, file)];
    let timed = |mut position: Position| {
        position.time = time.map(at);
        position
    };
    positions.map(timed).to_vec()
}

fn base(id: &str, set: &str, file: &str, time: &str, bytes: u64) -> BackupRecord {
    let mut base = full(id, set, None);
    base.positions = place(set, file, Some(time));
    base.bytes = bytes;
    base.server.identity.insert("server_uuid".to_owned(), U.into());
    base
}

/// An archived segment of that server, with the commit times of its first and last transaction.
fn archived(name: &str, ends: [(&str, &str); 2], times: [&str; 2]) -> ArchivedSegment {
    let [(from, from_file), (to, to_file)] = ends;
    ArchivedSegment {
        segment: Segment {
            name: name.to_owned(),
            from: place(from, from_file, None),
            to: place(to, to_file, None),
            first_time: Some(at(times[0])),
            last_time: Some(at(times[1])),
            bytes: 10,
            ..Segment::default()
        },
        origin: Some(U.into()),
    }
}

fn stream(id: &str, segments: Vec<ArchivedSegment>) -> Archived {
    Archived {
        stream: id.to_owned(),
        segments,
        anew: false,
    }
}

#[test]
fn a_server_that_was_reset_counts_again() {
    let mut old_log = timed("1-80", "1-50", 10, &at("09:10:00"), &at("09:30:00"));
    old_log.server.identity.insert("server_uuid".to_owned(), U.into());
    let log = old_log.log.as_mut().unwrap();
    log.from = place("1-50", "log.000001:500", None);
    log.to = place("1-80", "log.000001:800", None);
    let holdings = Holdings {
        // The old backup is the smaller one.
        backups: vec![
            base("old", "1-50", "log.000001:500", "09:00:00", 10),
            old_log,
            base("new", "1-60", "log.000001:600", "12:10:00", 1000),
        ],
        archives: vec![stream(
            "after-the-reset",
            vec![
                archived(
                    "1",
                    [("", "log.000001:4"), ("1-100", "log.000001:1000")],
                    ["12:00:00", "12:20:00"],
                ),
                archived(
                    "2",
                    [("1-100", "log.000001:1000"), ("1-200", "log.000001:2000")],
                    ["12:21:00", "12:30:00"],
                ),
            ],
        )],
        ..Holdings::default()
    };
    let plan_for = |wanted: Wanted| used(&plan(&holdings, &wanted).unwrap());
    let segments = ["new", "after-the-reset/1", "after-the-reset/2"];
    assert_eq!(plan_for(to(RecoveryPoint::Latest)), segments);
    assert_eq!(plan_for(to_set("1-90")), segments[..2]);
    // The old history has its own end, which is no way on from the new backup, nor is the new log one from the old backup.
    let by_time = |time: &str| plan_for(to(RecoveryPoint::time(&at(time)).unwrap()));
    assert_eq!(by_time("09:29:59"), ["old", "1-80:1-50"]);
    assert_eq!(by_time("12:15:00"), segments[..2]);
    // Of a server that is known to have begun anew, times need not be far apart.
    let mut soon = holdings.clone();
    soon.backups[0].positions = place("1-50", "log.000001:500", Some("11:59:59"));
    soon.backups.truncate(1);
    assert_eq!(
        used(&plan(&soon, &to(RecoveryPoint::Latest)).unwrap()),
        ["old", "after-the-reset/1", "after-the-reset/2"]
    );
    soon.archives[0].anew = true;
    assert_eq!(used(&plan(&soon, &to(RecoveryPoint::Latest)).unwrap()), ["old"]);
    let mut without_new = holdings.clone();
    without_new.backups.pop();
    let plan_without = plan(&without_new, &to_set("1-90"));
    insta::assert_snapshot!(reason_of(plan_without), @"
    there is no way to 3e11fa47-71ca-11e1-9e33-c80aa9429562:1-90 (included)
    what can be reached ends at 3e11fa47-71ca-11e1-9e33-c80aa9429562:1-80 (2020-01-01T09:30:00Z)
    log after-the-reset/1 begins again with names that are there already: the server was reset in between, and its log leads on from a backup that was taken after that
    ");
}

/// An archive that catches up writes several segments in the same second, of what was committed long before.
#[test]
fn the_end_of_a_segment_was_not_the_end_of_the_log() {
    let first = archived(
        "1",
        [("1-10", "log.000001:100"), ("1-20", "log.000001:200")],
        ["10:00:01", "10:05:00"],
    );
    let second = archived(
        "2",
        [("1-20", "log.000001:200"), ("1-30", "log.000001:300")],
        ["10:05:01", "10:40:00"],
    );
    let mut segments = vec![first, second];
    let way = |segments: &[ArchivedSegment], time: &str| {
        let holdings = Holdings {
            backups: vec![base("a", "1-10", "log.000001:100", "10:00:00", 1000)],
            archives: vec![stream("s", segments.to_vec())],
            ..Holdings::default()
        };
        let point = RecoveryPoint::time(&at(time)).unwrap();
        plan(&holdings, &to(point)).map(|plan| used(&plan))
    };
    assert_eq!(way(&segments, "10:28:00").unwrap(), ["a", "s/1", "s/2"]);
    assert_eq!(way(&segments, "10:05:00.5").unwrap(), ["a", "s/1"]);
    let covered = |segments: &[ArchivedSegment]| {
        let holdings = Holdings {
            archives: vec![stream("s", segments.to_vec())],
            ..Holdings::default()
        };
        let log = coverage(&holdings).log;
        log.into_iter().map(|span| (span.from, span.to)).collect::<Vec<_>>()
    };
    assert_eq!(covered(&segments), [(at("10:00:01"), at("10:40:00"))]);
    assert_eq!(covered(&segments[1..]), [(at("10:05:01"), at("10:40:00"))]);
    // One that says so contradicts the next one, which is believed.
    let stood = Some(at("11:00:05"));
    for position in &mut segments[0].segment.to {
        position.time.clone_from(&stood);
    }
    segments[1].segment.from = segments[0].segment.to.clone();
    assert_eq!(way(&segments, "10:28:00").unwrap(), ["a", "s/1", "s/2"]);
    // What the last one says is all that there is.
    assert!(way(&segments, "10:50:00").is_err());
    for position in &mut segments[1].segment.to {
        position.time.clone_from(&stood);
    }
    assert_eq!(way(&segments, "10:50:00").unwrap(), ["a", "s/1", "s/2"]);
}
