//! MariaDB's positions, and servers without GTIDs.

use super::*;

fn mariadb(text: &str) -> Position {
    Position::new(PositionKind::MARIADB_GTID, text)
}

fn file(text: &str) -> Position {
    Position::new(PositionKind::BINLOG_FILE, text)
}

fn full_at(id: &str, positions: &[Position]) -> BackupRecord {
    let mut record = record(id, BackupKind::Full, mariadb(""));
    record.positions = positions.to_vec();
    record
}

fn log_of(id: &str, from: &[Position], to: &[Position]) -> BackupRecord {
    let mut record = full_at(id, to);
    record.kind = BackupKind::Incremental;
    record.from = from.to_vec();
    record.bytes = 10;
    record.log = Some(Segment {
        name: id.to_owned(),
        from: from.to_vec(),
        to: to.to_vec(),
        ..Segment::default()
    });
    record
}

fn of_server(mut record: BackupRecord, id: u64) -> BackupRecord {
    record.server.identity.insert("server_id".to_owned(), id.into());
    record
}

#[test]
fn to_a_position_with_domains() {
    let one = |text: &str| vec![mariadb(text)];
    let backups = vec![
        full_at("a", &one("0-1-50,7-3-5")),
        log_of("b", &one("0-1-40,7-3-5"), &one("0-1-60,7-3-9")),
        // After a failover another server goes on.
        log_of("c", &one("0-1-60,7-3-9"), &one("0-2-80,7-3-9")),
        // It has parted: the same number, by another server.
        log_of("x", &one("0-1-40,7-3-5"), &one("0-9-50,7-3-9")),
    ];
    let holdings = holdings(backups);
    let plan_for = |point: RecoveryPoint| plan(&holdings, &to(point));
    assert_eq!(
        used(&plan_for(RecoveryPoint::gtid("0-1-50,7-3-5").unwrap()).unwrap()),
        ["a"]
    );
    assert_eq!(
        used(&plan_for(RecoveryPoint::gtid("0-1-55").unwrap()).unwrap()),
        ["a", "b"]
    );
    assert_eq!(
        used(&plan_for(RecoveryPoint::gtid("0-2-70,7-3-9").unwrap()).unwrap()),
        ["a", "b", "c"]
    );
    assert_eq!(used(&plan_for(RecoveryPoint::Latest).unwrap()), ["a", "b", "c"]);
    assert_eq!(
        used(&plan_for(RecoveryPoint::before_gtid("0-2-61").unwrap()).unwrap()),
        ["a", "b", "c"]
    );
    assert_eq!(
        used(&plan_for(RecoveryPoint::before_gtid("7-3-6").unwrap()).unwrap()),
        ["a", "b"]
    );
    insta::assert_snapshot!(reason_of(plan_for(RecoveryPoint::gtid("0-2-81").unwrap())), @"
    there is no way to 0-2-81 (included)
    no backup and no log has 0-2-81
    what can be reached ends at 0-2-80,7-3-9
    ");
    insta::assert_snapshot!(reason_of(plan_for(RecoveryPoint::gtid("0-1-30").unwrap())), @"
    there is no way to 0-1-30 (included)
    every backup is later than the point; the earliest, a, shows 0-1-50,7-3-5 (2020-01-01T00:00:00.999999Z)
    ");
}

/// Commit times are whole seconds there: what was committed later in a second counts as committed at its beginning.
#[test]
fn times_in_whole_seconds() {
    let mut at = mariadb("0-1-50");
    at.time = Some("2020-02-02T10:00:00.3Z".to_owned());
    let backups = vec![full_at("a", &[at.clone()])];
    let plan_for = |time: &str| plan(&holdings(backups.clone()), &to(RecoveryPoint::time(time).unwrap()));
    assert!(
        plan_for("2020-02-02T10:00:00.3Z").is_err(),
        "more may follow in that second"
    );
    insta::assert_snapshot!(reason_of(plan_for("2020-02-02T10:00:00.5Z")), @"
    there is no way to 2020-02-02T10:00:00.5Z
    what can be reached ends at 0-1-50 (2020-02-02T10:00:00.3Z)
    MariaDB logs whole seconds: only a later transaction or backup tells whether more was committed in that one
    ");
    let mut later = backups.clone();
    let mut seen = mariadb("0-1-50");
    seen.time = Some("2020-02-02T10:00:01.1Z".to_owned());
    later.push(full_at("b", &[seen]));
    let point = RecoveryPoint::time("2020-02-02T10:00:00.5Z").unwrap();
    assert_eq!(used(&plan(&holdings(later), &to(point)).unwrap()), ["a"]);
}

#[test]
fn without_gtids_on_one_server_only() {
    let one = |text: &str| vec![file(text)];
    let backups = vec![
        of_server(full_at("a", &one("binlog.000003:500")), 1),
        of_server(log_of("b", &one("binlog.000003:500"), &one("binlog.000005:900")), 1),
        // Another server's log has files of the same names.
        of_server(log_of("x", &one("binlog.000001:4"), &one("binlog.000009:4")), 2),
    ];
    let holdings = holdings(backups);
    let plan_for = |text: &str| plan(&holdings, &to(RecoveryPoint::binlog_file(text).unwrap()));
    insta::assert_snapshot!(reason_of(plan_for("binlog.000004:4")), @"
    there is no way to binlog.000004:4 (included)
    more than one server has had a binary log with binlog.000004:4 in it: name the point by its GTID
    ");
    let mut wanted: Wanted = RecoveryPoint::binlog_file("binlog.000004:4").unwrap().into();
    wanted.origin = origin_of(&holdings.backups[0].server.identity);
    assert_eq!(used(&plan(&holdings, &wanted).unwrap()), ["a", "b"]);
    assert_eq!(used(&plan(&holdings, &to(RecoveryPoint::Latest)).unwrap()), ["a", "b"]);
    insta::assert_snapshot!(reason_of(plan_for("binlog.000010:4")), @"
    there is no way to binlog.000010:4 (included)
    no backup and no log has binlog.000010:4 of any server in it
    ");
}

/// The point is a place in one server's log, the backup is another server's: their GTIDs bring them together.
#[test]
fn a_place_in_the_log_of_another_server() {
    let both = |gtid: &str, place: &str| vec![mariadb(gtid), file(place)];
    let backups = vec![
        of_server(full_at("a", &both("0-1-50", "binlog.000100:4")), 2),
        of_server(
            log_of(
                "b",
                &both("0-1-50", "binlog.000003:500"),
                &both("0-1-70", "binlog.000003:900"),
            ),
            1,
        ),
        of_server(
            log_of(
                "c",
                &both("0-1-70", "binlog.000003:900"),
                &both("0-1-90", "binlog.000004:300"),
            ),
            1,
        ),
    ];
    let holdings = holdings(backups);
    let plan_for = |text: &str| plan(&holdings, &to(RecoveryPoint::binlog_file(text).unwrap())).unwrap();
    assert_eq!(used(&plan_for("binlog.000003:500")), ["a"]);
    assert_eq!(used(&plan_for("binlog.000003:700")), ["a", "b"]);
    assert_eq!(used(&plan_for("binlog.000003:900")), ["a", "b"]);
    assert_eq!(used(&plan_for("binlog.000004:200")), ["a", "b", "c"]);
}

/// Positions of a kind that only an engine knows are the same or not.
#[test]
fn kinds_that_are_not_known() {
    let one = |text: &str| vec![Position::new(PositionKind::new("example-scn"), text)];
    let backups = vec![
        full_at("a", &one("100")),
        log_of("b", &one("100"), &one("200")),
        log_of("c", &one("200"), &one("300")),
        log_of("x", &one("150"), &one("300")),
    ];
    let holdings = holdings(backups);
    let plan_for = |text: &str| {
        let position = one(text).remove(0);
        plan(&holdings, &to(RecoveryPoint::Position { position }))
    };
    assert_eq!(used(&plan_for("100").unwrap()), ["a"]);
    assert_eq!(used(&plan_for("300").unwrap()), ["a", "b", "c"]);
    assert!(plan_for("250").is_err());
}
