//! Ways to a set of transactions.

use super::*;

/// Five full backups, two of them the same, in no order.
fn fulls() -> Vec<BackupRecord> {
    [("a", "1-50"), ("b", "1-5"), ("c", "1-80"), ("d", "1-70"), ("e", "1-70")]
        .map(|(id, at)| full(id, at, None))
        .to_vec()
}

/// Incrementals that overlap; each as large as the number of its transactions.
fn incrementals() -> Vec<BackupRecord> {
    [
        ("1-34", "1-5", 29),
        ("1-38", "1-34", 4),
        ("1-52", "1-35", 17),
        ("1-60", "1-50", 10),
        ("1-70", "1-60", 10),
        ("1-82", "1-70", 12),
        ("1-92", "1-79", 13),
        ("1-95", "1-89", 6),
    ]
    .map(|(to, from, bytes)| incremental(to, from, bytes))
    .to_vec()
}

fn way(incrementals: Vec<BackupRecord>, purged: &str, point: &str) -> Result<Plan, NoPlan> {
    let mut backups = fulls();
    if !purged.is_empty() {
        for backup in &mut backups {
            let purged = gtids(purged).value;
            backup.server.facts.insert("gtid_purged".to_owned(), purged.into());
        }
    }
    backups.extend(incrementals);
    plan(&holdings(backups), &to_set(point))
}

#[test]
fn there_is_a_way() {
    // Of overlapping incrementals only those that are needed: 1-52:1-35 is not, on the way from 1-50 to 1-58.
    for (point, expected) in [
        ("1-58", vec!["a", "1-60:1-50"]),
        ("1-50", vec!["a"]),
        ("1-78", vec!["e", "1-82:1-70"]),
        ("1-45", vec!["b", "1-34:1-5", "1-38:1-34", "1-52:1-35"]),
        ("1-28", vec!["b", "1-34:1-5"]),
        ("1-88", vec!["c", "1-92:1-79"]),
        ("1-94", vec!["c", "1-92:1-79", "1-95:1-89"]),
        ("1-95", vec!["c", "1-92:1-79", "1-95:1-89"]),
    ] {
        let plan = way(incrementals(), "", point).unwrap_or_else(|reason| panic!("{point}: {reason:?}"));
        assert_eq!(used(&plan), expected, "{point}");
    }
}

#[test]
fn there_is_none() {
    insta::assert_snapshot!(reason_of(way(incrementals(), "", "1-2")), @"
    there is no way to 3e11fa47-71ca-11e1-9e33-c80aa9429562:1-2 (included)
    every backup is later than the point; the earliest, b, shows 3e11fa47-71ca-11e1-9e33-c80aa9429562:1-5 (2020-01-01T00:00:00.999999Z)
    ");
    insta::assert_snapshot!(reason_of(way(incrementals(), "", &format!("{V}:1-50"))), @"
    there is no way to 4f22ab58-82db-22f2-af44-d91bb053a673:1-50 (included)
    no backup and no log has 4f22ab58-82db-22f2-af44-d91bb053a673:1-50
    what can be reached ends at 3e11fa47-71ca-11e1-9e33-c80aa9429562:1-95
    ");
    insta::assert_snapshot!(reason_of(way(incrementals(), "", "1-99")), @"
    there is no way to 3e11fa47-71ca-11e1-9e33-c80aa9429562:1-99 (included)
    no backup and no log has 3e11fa47-71ca-11e1-9e33-c80aa9429562:96-99
    what can be reached ends at 3e11fa47-71ca-11e1-9e33-c80aa9429562:1-95
    ");
    let mut gap = incrementals();
    gap[6] = incremental("1-92", "1-84", 8);
    insta::assert_snapshot!(reason_of(way(gap, "", "1-88")), @"
    there is no way to 3e11fa47-71ca-11e1-9e33-c80aa9429562:1-88 (included)
    what can be reached ends at 3e11fa47-71ca-11e1-9e33-c80aa9429562:1-82
    log goes on in 1-92:1-84, but 3e11fa47-71ca-11e1-9e33-c80aa9429562:83-84 is missing before it
    ");
}

/// The first that is found is not taken, but the one with the fewest bytes.
#[test]
fn the_cheapest_of_several() {
    let with = |bytes| {
        let mut incrementals = incrementals();
        incrementals.push(incremental("1-99", "1-5", bytes));
        incrementals
    };
    let long = ["b", "1-34:1-5", "1-38:1-34", "1-52:1-35"];
    assert_eq!(used(&way(with(94), "", "1-45").unwrap()), long);
    assert_eq!(used(&way(with(40), "", "1-45").unwrap()), ["b", "1-99:1-5"]);
    // As many bytes in fewer steps.
    assert_eq!(used(&way(with(50), "", "1-45").unwrap()), ["b", "1-99:1-5"]);
}

#[test]
fn logs_that_do_not_count_what_was_purged() {
    let forgetful = || vec![incremental("3-90", "3-75", 15), incremental("3-95", "3-90", 5)];
    insta::assert_snapshot!(reason_of(way(forgetful(), "", "1-92")), @"
    there is no way to 3e11fa47-71ca-11e1-9e33-c80aa9429562:1-92 (included)
    what can be reached ends at 3e11fa47-71ca-11e1-9e33-c80aa9429562:1-80 (2020-01-01T00:00:00.999999Z)
    3-90:3-75 starts at or before that, but is of another history: it knows nothing of 3e11fa47-71ca-11e1-9e33-c80aa9429562:1-2
    ");
    let plan = way(forgetful(), "1-2", "1-92").unwrap();
    assert_eq!(used(&plan), ["c", "3-90:3-75", "3-95:3-90"]);
}

#[test]
fn a_single_transaction_means_all_up_to_it() {
    let plan = way(incrementals(), "", "58").unwrap();
    assert_eq!(used(&plan), ["a", "1-60:1-50"]);
    let plan = way(incrementals(), "", "50").unwrap();
    assert_eq!(used(&plan), ["a"]);
}

#[test]
fn just_before_one_transaction() {
    let mut backups = fulls();
    backups.extend(incrementals());
    let holdings = holdings(backups);
    for (number, expected) in [
        (51, vec!["a", "1-60:1-50"]),
        (50, vec!["b", "1-34:1-5", "1-38:1-34", "1-52:1-35"]),
        (81, vec!["e", "1-82:1-70"]),
        (95, vec!["c", "1-92:1-79", "1-95:1-89"]),
    ] {
        let point = RecoveryPoint::before_gtid(&format!("{U}:{number}")).unwrap();
        assert_eq!(used(&plan(&holdings, &to(point)).unwrap()), expected, "{number}");
    }
    let before = |gtid: String| reason_of(plan(&holdings, &to(RecoveryPoint::before_gtid(&gtid).unwrap())));
    insta::assert_snapshot!(before(format!("{U}:96")), @"
    there is no way to just before 3e11fa47-71ca-11e1-9e33-c80aa9429562:96
    no backup and no log has 3e11fa47-71ca-11e1-9e33-c80aa9429562:96
    what can be reached ends at 3e11fa47-71ca-11e1-9e33-c80aa9429562:1-95
    ");
    insta::assert_snapshot!(before(format!("{U}:5")), @"
    there is no way to just before 3e11fa47-71ca-11e1-9e33-c80aa9429562:5
    every backup is later than the point; the earliest, b, shows 3e11fa47-71ca-11e1-9e33-c80aa9429562:1-5 (2020-01-01T00:00:00.999999Z)
    ");
    insta::assert_snapshot!(before(format!("{U}:audit:1")), @"
    there is no way to just before 3e11fa47-71ca-11e1-9e33-c80aa9429562:audit:1
    no backup and no log has 3e11fa47-71ca-11e1-9e33-c80aa9429562:audit:1
    what can be reached ends at 3e11fa47-71ca-11e1-9e33-c80aa9429562:1-95
    ");
}

#[test]
fn tags_are_sources_of_their_own() {
    let tagged = |numbers: &str| format!("{U}:1-50:audit:{numbers}");
    let backups = vec![
        full("a", &tagged("1-3"), None),
        incremental(&tagged("1-9"), &tagged("1-3"), 5),
    ];
    let holdings = holdings(backups);
    let plan_for = |text: String| plan(&holdings, &to_set(&text));
    assert_eq!(plan_for(tagged("1-7")).unwrap().logs.len(), 1);
    assert_eq!(plan_for(tagged("1-3")).unwrap().logs.len(), 0);
    assert!(plan_for(format!("{U}:1-50:audit:1-10")).is_err());
    assert!(plan_for(format!("{U}:1-50")).is_err(), "the backup has more than that");
}
