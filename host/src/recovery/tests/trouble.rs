//! Damage, gaps, chains of pages, interleaved servers.

use super::*;

fn damaged(names: &[&str]) -> BTreeMap<String, Unusable> {
    let why = |name: &&str| ((*name).to_owned(), Unusable::Damaged("a digest is wrong".to_owned()));
    names.iter().map(why).collect()
}

/// A plan's notes.
fn said(plan: &Plan) -> String {
    let notes = plan.notes.iter();
    let lines = notes.map(|note| {
        format!(
            "{}: {}: {}",
            note.code,
            note.subject.as_deref().unwrap_or("-"),
            note.text
        )
    });
    lines.collect::<Vec<_>>().join("\n")
}

#[test]
fn an_older_full_where_the_newest_is_damaged() {
    let mut holdings = holdings(vec![
        full("a", "1-10", None),
        full("b", "1-50", None),
        incremental("1-60", "1-10", 50),
    ]);
    assert_eq!(used(&plan(&holdings, &to_set("1-55")).unwrap()), ["b", "1-60:1-10"]);
    holdings.backups[1].bytes = 900;
    holdings.unusable = damaged(&["b"]);
    let plan_for = plan(&holdings, &to_set("1-55")).unwrap();
    assert_eq!(used(&plan_for), ["a", "1-60:1-10"]);
    insta::assert_snapshot!(said(&plan_for), @"around-damage: b: damaged, backup a is used in its place: a digest is wrong");
    holdings.unusable = damaged(&["a", "b"]);
    insta::assert_snapshot!(reason_of(plan(&holdings, &to_set("1-55"))), @"
    there is no way to 3e11fa47-71ca-11e1-9e33-c80aa9429562:1-55 (included)
    there is no backup that can be restored
    left out: a: a digest is wrong
    left out: b: a digest is wrong
    ");
    holdings.unusable = damaged(&["b", "1-60:1-10"]);
    insta::assert_snapshot!(reason_of(plan(&holdings, &to_set("1-55"))), @"
    there is no way to 3e11fa47-71ca-11e1-9e33-c80aa9429562:1-55 (included)
    no backup and no log has 3e11fa47-71ca-11e1-9e33-c80aa9429562:11-55
    what can be reached ends at 3e11fa47-71ca-11e1-9e33-c80aa9429562:1-10 (2020-01-01T00:00:00.999999Z)
    left out: 1-60:1-10: a digest is wrong
    left out: b: a digest is wrong
    ");
    // What is damaged and not needed is not spoken of.
    holdings.unusable = damaged(&["a"]);
    assert_eq!(plan(&holdings, &to_set("1-55")).unwrap().notes, []);
}

#[test]
fn a_backup_of_a_part_is_no_base() {
    let mut part = full("b", "1-50", None);
    (part.partial, part.bytes) = (true, 1);
    let mut holdings = holdings(vec![full("a", "1-10", None), part, incremental("1-60", "1-10", 50)]);
    assert_eq!(used(&plan(&holdings, &to_set("1-55")).unwrap()), ["a", "1-60:1-10"]);
    holdings.backups.remove(0);
    insta::assert_snapshot!(reason_of(plan(&holdings, &to_set("1-55"))), @"
    there is no way to 3e11fa47-71ca-11e1-9e33-c80aa9429562:1-55 (included)
    there is no backup that can be restored
    left out: b: it was told to leave out some of the server's schemas, tables or rows, and the log has all of them
    ");
}

#[test]
fn pages_first_then_logs() {
    let backups = || {
        vec![
            full("a", "1-10", None),
            pages("b", "a", "1-10", "1-30", 20),
            pages("c", "b", "1-30", "1-40", 10),
            incremental("1-35", "1-10", 300),
            incremental("1-60", "1-30", 30),
        ]
    };
    let sound = holdings(backups());
    assert_eq!(used(&plan(&sound, &to_set("1-55")).unwrap()), ["a", "b", "1-60:1-30"]);
    assert_eq!(used(&plan(&sound, &to_set("1-40")).unwrap()), ["a", "b", "c"]);
    assert_eq!(used(&plan(&sound, &to_set("1-32")).unwrap()), ["a", "b", "1-60:1-30"]);
    // A page-level incremental that is damaged takes those on it along; the log leads round it.
    let mut hurt = holdings(backups());
    hurt.unusable = damaged(&["b"]);
    let plan = plan(&hurt, &to_set("1-55")).unwrap();
    assert_eq!(used(&plan), ["a", "1-35:1-10", "1-60:1-30"]);
    assert_eq!((plan.restore_bytes, plan.log_bytes), (1000, 330));
}

#[test]
fn chains_that_are_broken() {
    let mut backups = vec![
        pages("b", "a", "1-10", "1-30", 20),
        pages("c", "b", "1-30", "1-40", 10),
        pages("d", "e", "1-30", "1-40", 10),
        pages("e", "d", "1-30", "1-40", 10),
        full("f", "1-5", None),
        pages("g", "f", "1-6", "1-40", 10),
        incremental("1-7", "1-5", 3),
        pages("h", "1-7:1-5", "1-7", "1-9", 3),
    ];
    backups[0].finished = "2020-01-02T00:00:00Z".to_owned();
    insta::assert_snapshot!(reason_of(plan(&holdings(backups), &to_set("1-40"))), @"
    there is no way to 3e11fa47-71ca-11e1-9e33-c80aa9429562:1-40 (included)
    no backup and no log has 3e11fa47-71ca-11e1-9e33-c80aa9429562:8-40
    what can be reached ends at 3e11fa47-71ca-11e1-9e33-c80aa9429562:1-7
    left out: b: it stands on a, which is not there
    left out: c: it stands on b, which can not be used
    left out: e: it stands on itself
    left out: d: it stands on e, which can not be used
    left out: g: there is a gap between backup g and its parent f: it starts at mysql-gtid 3e11fa47-71ca-11e1-9e33-c80aa9429562:1-6, its parent ends at mysql-gtid 3e11fa47-71ca-11e1-9e33-c80aa9429562:1-5
    left out: 1 more
    ");
}

/// Full and incremental backups from two servers in turn: GTIDs mean the same on both.
#[test]
fn two_servers_in_turn() {
    let on = |mut record: BackupRecord, server: &str| {
        record.server.identity.insert("server_uuid".to_owned(), server.into());
        record
    };
    let backups = vec![
        on(full("a", "1-10", None), U),
        on(full("b", "1-20", None), V),
        on(incremental("1-25", "1-10", 15), U),
        on(incremental("1-40", "1-20", 20), V),
        on(incremental("1-50", "1-25", 25), U),
    ];
    let mut holdings = holdings(backups);
    assert_eq!(
        used(&plan(&holdings, &to_set("1-45")).unwrap()),
        ["b", "1-25:1-10", "1-50:1-25"]
    );
    // Without one of them there is still a way, by those of the other server.
    holdings.backups.remove(2);
    assert_eq!(
        used(&plan(&holdings, &to_set("1-45")).unwrap()),
        ["b", "1-40:1-20", "1-50:1-25"]
    );
}

/// The log was purged before it was backed up; a new full backup mends it.
#[test]
fn purged_and_salvaged() {
    let mut holdings = holdings(vec![
        full("a", "1-10", None),
        incremental("1-20", "1-10", 10),
        incremental("1-40", "1-30", 10),
    ]);
    insta::assert_snapshot!(reason_of(plan(&holdings, &to_set("1-35"))), @"
    there is no way to 3e11fa47-71ca-11e1-9e33-c80aa9429562:1-35 (included)
    what can be reached ends at 3e11fa47-71ca-11e1-9e33-c80aa9429562:1-20
    log goes on in 1-40:1-30, but 3e11fa47-71ca-11e1-9e33-c80aa9429562:21-30 is missing before it
    ");
    let latest = plan(&holdings, &to(RecoveryPoint::Latest)).unwrap();
    assert_eq!(used(&latest), ["a", "1-20:1-10"]);
    insta::assert_snapshot!(said(&latest), @"log-beyond-a-gap: -: the recovery ends before the end of the log: log goes on in 1-40:1-30, but 3e11fa47-71ca-11e1-9e33-c80aa9429562:21-30 is missing before it");
    holdings.backups.push(full("c", "1-32", None));
    assert_eq!(used(&plan(&holdings, &to_set("1-35")).unwrap()), ["c", "1-40:1-30"]);
    let latest = plan(&holdings, &to(RecoveryPoint::Latest)).unwrap();
    assert_eq!(used(&latest), ["c", "1-40:1-30"]);
    assert_eq!(latest.notes, []);
}

/// Another server's history has nothing in common with the backup: it is not applied to it, whatever its numbers are.
#[test]
fn another_history() {
    let holdings = holdings(vec![
        full("a", "1-10", None),
        incremental(&format!("{V}:1-20"), "", 5),
        incremental("1-12", "1-10", 5),
    ]);
    assert_eq!(
        used(&plan(&holdings, &to(RecoveryPoint::Latest)).unwrap()),
        ["a", "1-12:1-10"]
    );
    assert!(plan(&holdings, &to_set(&format!("{V}:1-20"))).is_err());
    // Nor if all that the backup has was purged.
    let mut holdings = holdings;
    let purged = gtids("1-10").value;
    holdings.backups[0]
        .server
        .facts
        .insert("gtid_purged".to_owned(), purged.into());
    assert_eq!(
        used(&plan(&holdings, &to(RecoveryPoint::Latest)).unwrap()),
        ["a", "1-12:1-10"]
    );
}

#[test]
fn nothing_at_all() {
    insta::assert_snapshot!(reason_of(plan(&holdings(vec![]), &to(RecoveryPoint::Latest))), @"
    there is no way to the end of the log
    there is no backup that can be restored
    ");
    let no_full = holdings(vec![incremental("1-20", "1-10", 10)]);
    insta::assert_snapshot!(reason_of(plan(&no_full, &to_set("1-15"))), @"
    there is no way to 3e11fa47-71ca-11e1-9e33-c80aa9429562:1-15 (included)
    there is no backup that can be restored
    ");
}

#[test]
fn what_can_be_recovered() {
    let time = |time: &str| format!("2020-02-02T{time}Z");
    let holdings = holdings(vec![
        full("a", "1-10", Some(&time("01:00:00"))),
        timed("1-20", "1-10", 5, &time("01:10:00"), &time("02:00:00")),
        timed("1-30", "1-20", 5, &time("02:01:00"), &time("03:00:00")),
        timed("1-50", "1-40", 5, &time("04:00:00"), &time("05:00:00")),
        full("b", "1-45", Some(&time("04:30:00"))),
    ]);
    let coverage = coverage(&holdings);
    let shown = |spans: &[Span]| {
        let short = |text: &str| text[11..16].to_owned();
        let spans = spans
            .iter()
            .map(|span| format!("{}-{}", short(&span.from), short(&span.to)));
        spans.collect::<Vec<_>>().join(" ")
    };
    assert_eq!(shown(&coverage.full), "01:00-01:00 04:30-04:30");
    assert_eq!(shown(&coverage.incremental), "01:10-02:00 02:01-03:00 04:00-05:00");
    assert_eq!(shown(&coverage.recoverable), "01:00-03:00 04:30-05:00");
    assert_eq!(shown(&coverage.gaps), "03:00-04:30");
}
