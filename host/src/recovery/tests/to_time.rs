//! Ways to a time.

use backstay_engine_api::position::PointInTime;

use super::*;

/// A time of the day that all cases are about.
fn at(time: &str) -> String {
    format!("2020-02-02T{time}Z")
}

fn backups() -> Vec<BackupRecord> {
    let mut backups: Vec<BackupRecord> = [
        ("a", "1-50", "02:20:20"),
        ("b", "1-5", "02:01:20"),
        ("c", "1-80", "03:31:00"),
        ("d", "1-70", "03:10:01"),
        ("e", "1-70", "03:10:11"),
    ]
    .map(|(id, position, time)| full(id, position, Some(&at(time))))
    .to_vec();
    let incrementals = [
        ("1-34", "1-5", 29, "02:01:44", "02:17:00"),
        ("1-38", "1-34", 4, "02:17:05", "02:18:00"),
        ("1-52", "1-35", 17, "02:17:59", "02:22:00"),
        ("1-60", "1-50", 10, "02:20:21", "02:47:20"),
        ("1-70", "1-60", 10, "02:47:20", "03:10:00.7"),
        ("1-82", "1-70", 12, "03:10:11", "03:39:09"),
        ("1-92", "1-79", 13, "03:37:07", "04:04:04"),
        ("1-95", "1-89", 6, "03:59:05", "04:15:00"),
    ];
    backups.extend(incrementals.map(|(to, from, bytes, first, last)| timed(to, from, bytes, &at(first), &at(last))));
    backups
}

fn way(time: &str) -> Result<Plan, NoPlan> {
    plan(&holdings(backups()), &to(RecoveryPoint::time(time).unwrap()))
}

#[test]
fn there_is_a_way() {
    let cases = [
        ("full is enough", "02:01:20", vec!["b"]),
        ("full is still enough", "02:01:41", vec!["b"]),
        ("full is just not enough", "02:01:44", vec!["b", "1-34:1-5"]),
        ("just one", "02:20:21", vec!["a", "1-60:1-50"]),
        (
            "two in the first order, one is enough",
            "02:23:23",
            vec!["a", "1-60:1-50"],
        ),
        ("two", "02:55:55", vec!["a", "1-60:1-50", "1-70:1-60"]),
        ("still two", "03:10:00.6", vec!["a", "1-60:1-50", "1-70:1-60"]),
        ("and still two", "03:10:00.7", vec!["a", "1-60:1-50", "1-70:1-60"]),
        (
            "past the last transaction, before the next",
            "03:10:00.8",
            vec!["a", "1-60:1-50", "1-70:1-60"],
        ),
        ("the next full", "03:10:01", vec!["d"]),
        ("the next full and one", "03:10:13", vec!["e", "1-82:1-70"]),
        (
            "the second of two that are the same",
            "03:10:11",
            vec!["e", "1-82:1-70"],
        ),
        ("still", "03:20:11", vec!["e", "1-82:1-70"]),
        ("the last full and one", "04:00:00", vec!["c", "1-92:1-79"]),
        (
            "the last full and all that is left",
            "04:10:00",
            vec!["c", "1-92:1-79", "1-95:1-89"],
        ),
    ];
    for (name, time, expected) in cases {
        let plan = way(&at(time)).unwrap_or_else(|reason| panic!("{name}: {reason:?}"));
        assert_eq!(used(&plan), expected, "{name}");
    }
    // The same moment in another zone.
    let plan = way("2020-02-02T05:10:13+02:00").unwrap();
    assert_eq!(used(&plan), ["e", "1-82:1-70"]);
}

#[test]
fn there_is_none() {
    insta::assert_snapshot!(reason_of(way(&at("07:07:07"))), @"
    there is no way to 2020-02-02T07:07:07Z
    what can be reached ends at 3e11fa47-71ca-11e1-9e33-c80aa9429562:1-95 (2020-02-02T04:15:00Z)
    ");
    insta::assert_snapshot!(reason_of(way(&at("01:59:59"))), @"
    there is no way to 2020-02-02T01:59:59Z
    every backup is later than the point; the earliest, b, shows 3e11fa47-71ca-11e1-9e33-c80aa9429562:1-5 (2020-02-02T02:01:20Z)
    ");
}

#[test]
fn every_valid_time() {
    let micros = |time: &str| at(time).parse::<PointInTime>().unwrap().unix_microseconds();
    let (first, last) = (micros("02:01:20"), micros("04:15:00"));
    let mut time = first;
    let mut tried = 0;
    while time <= last {
        let point = PointInTime::from_unix_microseconds(time).unwrap();
        let plan = plan(&holdings(backups()), &to(RecoveryPoint::Time { time: point }))
            .unwrap_or_else(|reason| panic!("{point}: {reason:?}"));
        assert_eq!(plan.chain.len(), 1, "{point}");
        tried += 1;
        time += 10_000_000;
    }
    assert_eq!(tried, 803);
    assert!(way(&at("04:15:00.000001")).is_err());
}

/// A log that ends where a server was seen later goes on to that time.
#[test]
fn a_quiet_server() {
    let mut backups = backups();
    backups.push(full("f", "1-95", Some(&at("05:00:00"))));
    let holdings = holdings(backups);
    let plan_for = |time: &str| plan(&holdings, &to(RecoveryPoint::time(&at(time)).unwrap()));
    assert_eq!(used(&plan_for("04:59:59").unwrap()), ["c", "1-92:1-79", "1-95:1-89"]);
    assert_eq!(used(&plan_for("05:00:00").unwrap()), ["f"]);
    assert!(plan_for("05:00:01").is_err());
}

/// Of two transactions of the same microsecond at the point both are wanted.
#[test]
fn two_in_the_same_moment() {
    let backups = vec![
        full("a", "1-10", Some(&at("10:00:00"))),
        timed("1-11", "1-10", 5, &at("10:00:01"), &at("10:00:01")),
        timed("1-13", "1-11", 5, &at("10:00:01"), &at("10:00:02")),
    ];
    let plan_for = |backups: Vec<BackupRecord>| {
        let point = RecoveryPoint::time(&at("10:00:01")).unwrap();
        used(&plan(&holdings(backups), &to(point)).unwrap())
    };
    assert_eq!(plan_for(backups.clone()), ["a", "1-11:1-10", "1-13:1-11"]);
    assert_eq!(plan_for(backups[..2].to_vec()), ["a", "1-11:1-10"]);
}

/// The clock of the server was put back: a transaction later than the point comes before some that are not. The prefix ends at it.
#[test]
fn a_clock_that_stepped_back() {
    let backups = vec![
        full("a", "1-10", Some(&at("10:00:00"))),
        timed("1-20", "1-10", 5, &at("10:00:01"), &at("10:10:00")),
        timed("1-30", "1-20", 5, &at("10:05:00"), &at("10:20:00")),
        // It was taken when the clock said less than what its transactions say.
        full("b", "1-22", Some(&at("10:05:30"))),
    ];
    let holdings = holdings(backups);
    let point = RecoveryPoint::time(&at("10:06:00")).unwrap();
    let plan = plan(&holdings, &to(point)).unwrap();
    assert_eq!(used(&plan), ["a", "1-20:1-10"]);
}

/// Without a time of its position, a backup counts as of its end.
#[test]
fn a_backup_that_does_not_say_when() {
    let mut early = full("a", "1-10", None);
    early.finished = at("10:00:00");
    let holdings = holdings(vec![
        early,
        timed("1-20", "1-10", 5, &at("10:00:00.5"), &at("10:10:00")),
    ]);
    let plan_for = |time: &str| plan(&holdings, &to(RecoveryPoint::time(&at(time)).unwrap()));
    // It may show what was committed up to the end of that second.
    assert!(plan_for("10:00:00.7").is_err());
    assert_eq!(used(&plan_for("10:00:01").unwrap()), ["a", "1-20:1-10"]);
}
