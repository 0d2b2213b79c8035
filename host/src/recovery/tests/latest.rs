//! What is said of a recovery to the latest point: all that it leaves out although it is there, or was.

use super::*;

fn latest(holdings: &Holdings) -> Plan {
    plan(holdings, &to(RecoveryPoint::Latest)).unwrap_or_else(|reason| panic!("{reason:?}"))
}

/// Code and subject of each note.
fn notes(plan: &Plan) -> Vec<(&str, &str)> {
    let notes = plan.notes.iter();
    notes
        .map(|note| (note.code.as_str(), note.subject.as_deref().unwrap_or("-")))
        .collect()
}

fn damaged(name: &str) -> (String, Unusable) {
    (name.to_owned(), Unusable::Damaged("a digest is wrong".to_owned()))
}

/// A log of two segments.
fn archived() -> Holdings {
    let kept = |name: &str, from: &str, to: &str| ArchivedSegment {
        segment: segment(name, from, to),
        origin: None,
    };
    Holdings {
        archives: vec![Archived {
            stream: "log".to_owned(),
            segments: vec![kept("1", "1-10", "1-20"), kept("2", "1-20", "1-30")],
            anew: false,
        }],
        ..holdings(vec![full("a", "1-10", None)])
    }
}

#[test]
fn the_end_of_the_log_is_damaged() {
    let mut holdings = archived();
    assert_eq!(latest(&holdings).notes, []);
    holdings.unusable.extend([damaged("log/2")]);
    let plan = latest(&holdings);
    assert_eq!(used(&plan), ["a", "log/1"]);
    assert_eq!(notes(&plan), [("around-damage", "log/2")]);
    insta::assert_snapshot!(plan.notes[0].text, @"damaged, and the recovery ends earlier for it: a digest is wrong");
    // So damaged that it is not known what it is.
    holdings.archives[0].segments.pop();
    let plan = latest(&holdings);
    assert_eq!(notes(&plan), [("unreadable", "log/2")]);
    insta::assert_snapshot!(plan.notes[0].text, @"what it holds is not known, and not in the recovery: a digest is wrong");
}

#[test]
fn the_newest_backup_is_damaged() {
    let mut holdings = holdings(vec![full("a", "1-10", None), full("b", "1-50", None)]);
    holdings.unusable.extend([damaged("b")]);
    let plan = latest(&holdings);
    assert_eq!(used(&plan), ["a"]);
    insta::assert_snapshot!(
        plan.notes[0].text,
        @"damaged, backup a is used in its place, and the recovery ends earlier for it: a digest is wrong"
    );
    // One whose record can not be read may be of interest if it is newer.
    holdings.backups.pop();
    assert_eq!(notes(&latest(&holdings)), [("unreadable", "b")]);
    holdings.unusable = [damaged("0")].into();
    assert_eq!(latest(&holdings).notes, []);
}

#[test]
fn a_newer_backup_can_not_be_used() {
    let mut holdings = holdings(vec![
        full("a", "1-10", None),
        full("b", "1-50", None),
        full("c", "1-60", None),
    ]);
    let why = || Unusable::Unavailable("it restores to a data directory only".to_owned());
    holdings.unusable = [("b".to_owned(), why()), ("c".to_owned(), why())].into();
    let plan = latest(&holdings);
    assert_eq!(used(&plan), ["a"]);
    assert_eq!(notes(&plan), [("newer-backup-unused", "c")]);
    insta::assert_snapshot!(
        plan.notes[0].text,
        @"it shows more than the recovery, and can not be used: it restores to a data directory only"
    );
    // It is not missed where log leads further.
    holdings.backups.push(incremental("1-70", "1-10", 10));
    assert_eq!(latest(&holdings).notes, []);
}

/// A server that has come in place of another without GTIDs in common.
#[test]
fn later_log_that_does_not_lead_on() {
    let at = Some("2020-01-01T00:00:10Z");
    let later = |to: &str, from: &str, first: &str| timed(to, from, 10, first, "2020-01-01T00:01:00Z");
    let mut holdings = holdings(vec![
        full("a", &format!("{U}:1-10,{V}:1-5"), at),
        later("1-30", "1-20", "2020-01-01T00:00:20Z"),
    ]);
    let plan = latest(&holdings);
    assert_eq!(used(&plan), ["a"]);
    insta::assert_snapshot!(
        plan.notes[0].text,
        @"the recovery ends before the end of the log: log 1-30:1-20 has later transactions (2020-01-01T00:00:20Z), and does not lead on from there: it begins at 3e11fa47-71ca-11e1-9e33-c80aa9429562:1-20"
    );
    // What was committed before is another matter.
    holdings.backups[1] = later("1-30", "1-20", "2020-01-01T00:00:05Z");
    assert_eq!(latest(&holdings).notes, []);
}
