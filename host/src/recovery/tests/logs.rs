//! Which of a server's binary logs lead on from a position: each file as a piece that starts at its previous GTIDs and ends at the
//! next one's. The last file has no known end yet and is not among them. And whether one incremental leads on from a base.

use super::super::holdings::{Follows, Prepared};
use super::*;

const USUAL: [&str; 6] = ["1-50", "1-60", "1-60", "1-78", "1-243", "1-331"];
const EMPTY_FIRST: [&str; 6] = ["", "1-60", "1-60", "1-78", "1-243", "1-331"];
const EMPTY_FIRST_WITH_GAP: [&str; 6] = ["", "2-60", "2-60", "2-78", "2-243", "2-331"];
const SHRINKING: [&str; 6] = ["1-50", "1-60", "1-60", "3-78", "20-243", "200-331"];
const PURGED: [&str; 6] = ["3-78", "3-90", "3-90", "3-100", "3-110", "2-300"];

/// The numbers of the files that a server at a position is brought on with; where none are, why not.
fn chosen(previous: &[&str], at: &str, purged: &str) -> Result<Vec<usize>, Follows> {
    let mut base = full("base", at, None);
    if !purged.is_empty() {
        let purged = gtids(purged).value;
        base.server.facts.insert("gtid_purged".to_owned(), purged.into());
    }
    let segments = previous
        .windows(2)
        .enumerate()
        .map(|(index, pair)| ArchivedSegment {
            segment: Segment {
                bytes: 10,
                ..segment(&(index + 1).to_string(), pair[0], pair[1])
            },
            origin: None,
        })
        .collect();
    let holdings = Holdings {
        backups: vec![base],
        archives: vec![Archived {
            stream: "log".to_owned(),
            segments,
            anew: false,
        }],
        ..Holdings::default()
    };
    let plan = plan(&holdings, &to(RecoveryPoint::Latest)).expect("the base at least");
    if plan.logs.is_empty() {
        let prepared = Prepared::new(&holdings, true);
        let base = &prepared.bases[0];
        let first = &prepared.pieces[0];
        return Err(first.follows(&base.place, base.purged.as_ref()));
    }
    let number = |step: &LogStep| step.segment.name.parse().expect("a number");
    Ok(plan.logs.iter().map(number).collect())
}

/// What it is, the files' previous GTIDs, the position, what is purged, and the files.
type Case<'a> = (&'a str, &'a [&'a str], &'a str, &'a str, Result<&'a [usize], Follows>);

#[test]
fn choosing_logs() {
    let other = format!("{V}:1-63");
    let other = other.as_str();
    // A file without transactions of its own (from 1-60 to 1-60) is never needed.
    let cases: &[Case] = &[
        ("exact", &USUAL, "1-78", "", Ok(&[4, 5])),
        (
            "exact, two files with the same previous GTIDs",
            &USUAL,
            "1-60",
            "",
            Ok(&[3, 4, 5]),
        ),
        ("inexact", &USUAL, "1-63", "", Ok(&[3, 4, 5])),
        ("one file", &USUAL, "1-243", "", Ok(&[5])),
        (
            "the last file is not over",
            &USUAL,
            "1-331",
            "",
            Err(Follows::AddsNothing),
        ),
        ("beyond all", &USUAL, "1-630000", "", Err(Follows::AddsNothing)),
        ("entries that are purged", &USUAL, other, "", Err(Follows::Gap)),
        (
            "an empty first file, another history",
            &EMPTY_FIRST,
            other,
            "",
            Err(Follows::Apart),
        ),
        (
            "an empty first file that is needed",
            &EMPTY_FIRST,
            "1-30",
            "",
            Ok(&[1, 3, 4, 5]),
        ),
        (
            "an empty first file that is not needed",
            &EMPTY_FIRST,
            "1-65",
            "",
            Ok(&[3, 4, 5]),
        ),
        (
            "an empty first file that is far back",
            &EMPTY_FIRST,
            "1-100",
            "",
            Ok(&[4, 5]),
        ),
        (
            "an empty first file, a hole at the start",
            &EMPTY_FIRST_WITH_GAP,
            "1-30",
            "",
            Err(Follows::Apart),
        ),
        (
            "the same, and the hole is purged",
            &EMPTY_FIRST_WITH_GAP,
            "1-30",
            "1",
            Ok(&[1, 3, 4, 5]),
        ),
        (
            "the same, purged and not needed",
            &EMPTY_FIRST_WITH_GAP,
            "1-65",
            "1",
            Ok(&[3, 4, 5]),
        ),
        ("previous GTIDs that shrink", &SHRINKING, "1-63", "", Ok(&[3, 4, 5])),
        ("exact, purged", &PURGED, "3-78", "3-78", Ok(&[1, 3, 4, 5])),
        (
            "exact, purged, nothing missing",
            &USUAL,
            "1-50",
            "1-50",
            Ok(&[1, 3, 4, 5]),
        ),
        ("inexact, purged, missing", &PURGED, "1-63", "1-2", Err(Follows::Gap)),
        (
            "inexact, purged, and not all that is missing",
            &PURGED,
            "1-80",
            "1",
            Err(Follows::Apart),
        ),
        ("inexact, purged, found", &PURGED, "1-84", "1-2", Ok(&[1, 3, 4, 5])),
    ];
    assert_eq!(cases.len(), 20);
    for (name, previous, at, purged, expected) in cases {
        let found = chosen(previous, at, purged);
        assert_eq!(found, expected.map(<[usize]>::to_vec), "{name}");
    }
}

#[test]
fn one_incremental_on_a_base() {
    use Follows::{AddsNothing, Apart, Gap, Yes};
    for (base, purged, from, end, expected) in [
        ("1-58", "", "1-58", "1-70", Yes),
        ("1-58", "", "1-51", "1-70", Yes),
        ("1-58", "", "1-51", "1-58", AddsNothing),
        ("1-58", "", "1-58", "1-58", AddsNothing),
        ("1-58", "", "1-51", "1-55", AddsNothing),
        ("1-58", "", "1-59", "1-70", Gap),
        ("1-58", "", "1-60", "1-70", Gap),
        ("1-58", "", "3-51", "3-70", Apart),
        ("1-58", "1-2", "3-51", "3-70", Yes),
        ("1-58", "1-2", "4-51", "4-70", Apart),
    ] {
        let mut record = full("base", base, None);
        if !purged.is_empty() {
            let purged = gtids(purged).value;
            record.server.facts.insert("gtid_purged".to_owned(), purged.into());
        }
        let holdings = holdings(vec![record, incremental(end, from, 10)]);
        let prepared = Prepared::new(&holdings, true);
        let base = &prepared.bases[0];
        let found = prepared.pieces[0].follows(&base.place, base.purged.as_ref());
        assert_eq!(found, expected, "{from} to {end} on {:?}", base.place.show());
        // And the whole planner goes that way or does not.
        let plan = plan(&holdings, &to(RecoveryPoint::Latest)).expect("the base at least");
        assert_eq!(plan.logs.len(), usize::from(expected == Yes));
    }
}
