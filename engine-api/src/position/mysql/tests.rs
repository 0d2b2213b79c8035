//! What a MySQL 9.7.4 server answered to `SELECT GTID_SUBTRACT(text, '')`, and what it does not say.

use super::super::Order;
use super::*;

mod model;

const U: &str = "3e11fa47-71ca-11e1-9e33-c80aa9429562";
/// Sorts before `U`.
const V: &str = "2e11fa47-71ca-11e1-9e33-c80aa9429562";

/// Parses a set with U and V written for the UUIDs (tags in these tests are in lower case).
fn set(text: &str) -> GtidSet {
    parse(text).unwrap_or_else(|error| panic!("{text}: {error}"))
}

fn parse(text: &str) -> Result<GtidSet, super::super::PositionError> {
    text.replace('U', U).replace('V', V).parse()
}

fn gtid(text: &str) -> Gtid {
    text.replace('U', U).replace('V', V).parse().unwrap()
}

fn short(text: impl ToString) -> String {
    text.to_string().replace(U, "U").replace(V, "V")
}

#[test]
fn prints_what_the_server_prints() {
    for (given, printed) in [
        ("", ""),
        (" ,\n,", ""),
        ("U", ""),
        ("U:tag", ""),
        ("U:1-5", "U:1-5"),
        ("U:5", "U:5"),
        ("U:5-5", "U:5"),
        ("U:5-3", ""),
        ("U:5-0", ""),
        ("U: 1 - 3 : 5", "U:1-3:5"),
        ("U:1:2:3-5:10:9", "U:1-5:9-10"),
        ("\t\n U : tag_1 : 7 : 1-3 , , V:2 ,", "V:2,U:tag_1:1-3:7"),
        ("U:a:1:b:2:a:3,U:9,V:_z:1:a:1:2,V:1", "V:1:_z:1:a:1-2,U:9:a:1:3:b:2"),
        ("U:a:b:1", "U:b:1"),
        (
            "U:abcdefghijklmnopqrstuvwxyz012345:5",
            "U:abcdefghijklmnopqrstuvwxyz012345:5",
        ),
        ("U:9223372036854775806", "U:9223372036854775806"),
        ("U:1-9223372036854775806", "U:1-9223372036854775806"),
    ] {
        assert_eq!(short(set(given)), printed, "{given:?}");
    }
    let upper = "3E11FA47-71CA-11E1-9E33-C80AA9429562:TAG:1".parse::<GtidSet>().unwrap();
    assert_eq!(short(upper), "U:tag:1");
    assert_eq!(short(format!("{{{U}}}:1").parse::<GtidSet>().unwrap()), "U:1");
    assert_eq!(
        short(format!("{}:1", U.replace('-', "")).parse::<GtidSet>().unwrap()),
        "U:1"
    );
    assert_eq!(short(format!("{:#}", set("U:1,V:2"))), "V:2,\nU:1");
}

#[test]
fn refuses_what_the_server_refuses() {
    for text in [
        "U:",
        "U:tag:",
        "U::5",
        "U: :5",
        "U:0",
        "U:0-5",
        "U:00",
        "U:-5",
        "U:+5",
        "U:0x10",
        "U:1- +3",
        "U:1-",
        "U:1tag:5",
        "U:a b:1",
        "U:1;V:1",
        "U:1 V:1",
        "+U:1",
        "U:abcdefghijklmnopqrstuvwxyz0123456:5",
        "U:9223372036854775807",
        "U:1-9223372036854775807",
        "U:99999999999999999999999",
        "3e11fa47",
        "{U:1",
        "U}:1",
        "U:1\0",
        "U:é",
    ] {
        assert!(parse(text).is_err(), "{text:?}");
    }
}

#[test]
fn errors_name_place_and_remedy() {
    let advice = "copy the whole of @@gtid_executed, or write uuid:1-20:tag:1:3-5,uuid:7";
    for (text, message) in [
        (
            "U:1,zz",
            "expected a UUID of 32 hexadecimal digits at byte 39, found \"zz\"",
        ),
        ("U:1;", "expected ':', ',' or the end at byte 38, found \";\""),
        (
            "U:",
            "expected a transaction number at byte 37, found the end of the text",
        ),
        // One server version takes it for 8, another for 10.
        (
            "U:010",
            "expected a transaction number without a leading zero at byte 37, found \"010\"",
        ),
        (
            "U:0",
            "expected a transaction number from 1 to 9223372036854775806 at byte 37, found \"0\"",
        ),
    ] {
        assert_eq!(
            parse(text).unwrap_err().to_string(),
            format!("MySQL GTID set: {message}; {advice}")
        );
    }
    let long = format!("{U}:1 {}", "x\n".repeat(1000));
    let message = long.parse::<GtidSet>().unwrap_err().to_string();
    assert!(message.lines().count() == 1 && message.len() < 250, "{message}");
}

#[test]
fn one_transaction() {
    let tagged = gtid(" U : Audit : 23 ");
    assert_eq!(short(&tagged), "U:audit:23");
    assert_eq!(
        (
            tagged.tag().map(Tag::as_str),
            tagged.number(),
            tagged.uuid().to_string().as_str()
        ),
        (Some("audit"), 23, U)
    );
    assert_eq!(short(gtid("U:23")), "U:23");
    for text in ["", "U", "U:audit", "U:1-5", "U:1:2", "U:1,V:1", "U:a:b:1", "U:0"] {
        assert!(
            text.replace('U', U).replace('V', V).parse::<Gtid>().is_err(),
            "{text:?}"
        );
    }
    let tsid = tagged.tsid().clone();
    assert!(Gtid::new(tsid.clone(), MAX_NUMBER).is_ok());
    assert!(Gtid::new(tsid.clone(), 0).is_err());
    assert!(Gtid::new(tsid, MAX_NUMBER + 1).is_err());
}

#[test]
fn algebra() {
    let (a, b) = (set("U:1-10:20-30:tag:1-5,V:7"), set("U:5-25:tag:6"));
    assert_eq!(short(a.union(&b)), "V:7,U:1-30:tag:1-6");
    assert_eq!(short(a.subtract(&b)), "V:7,U:1-4:26-30:tag:1-5");
    assert_eq!(short(b.subtract(&a)), "U:11-19:tag:6");
    assert_eq!(short(a.intersect(&b)), "U:5-10:20-25");
    assert_eq!(a.compare(&b), Order::Diverged);
    assert_eq!(a.intersect(&b).compare(&a), Order::Before);
    assert!(!a.is_disjoint(&b) && a.is_disjoint(&set("U:11-19:tag:6,V:1")));
    assert!(a.contains(&gtid("U:tag:5")) && !a.contains(&gtid("U:tag:6")) && !a.contains(&gtid("U:other:1")));
    assert_eq!(a.count(), 27);
    assert_eq!(short(b.subtract(&a).first().unwrap()), "U:11");
    assert_eq!(GtidSet::new().first(), None);
}

#[test]
fn insert_follows_a_log() {
    let mut followed = set("U:1-5:7");
    for (number, printed) in [
        (8, "U:1-5:7-8"),
        (6, "U:1-8"),
        (3, "U:1-8"),
        (20, "U:1-8:20"),
        (10, "U:1-8:10:20"),
    ] {
        followed.insert(Gtid::new(gtid("U:1").tsid().clone(), number).unwrap());
        assert_eq!(short(&followed), printed);
    }
}

#[test]
fn json_is_the_text() {
    let both = set("U:1,V:tag:2");
    let json = serde_json::to_string(&both).unwrap();
    assert_eq!(short(&json), "\"V:tag:2,U:1\"");
    assert_eq!(serde_json::from_str::<GtidSet>(&json).unwrap(), both);
}

/// Numbers are never enumerated, and intervals in the worst order cost no more than sorting them.
#[test]
fn big_sets() {
    let whole = set(&format!("U:1-{MAX_NUMBER},V:1-{MAX_NUMBER},V:t:1-{MAX_NUMBER}"));
    assert_eq!(whole.count(), u128::from(MAX_NUMBER) * 3);
    assert_eq!(
        short(whole.subtract(&set("U:2"))),
        short(&whole).replace("U:1-", "U:1:3-")
    );

    let odd: String = (0..100_000).rev().map(|n| format!(":{}", 2 * n + 1)).collect();
    let odd = set(&format!("U{odd}"));
    assert_eq!(odd.intervals().count(), 100_000);
    assert_eq!(whole.subtract(&odd).union(&odd), whole);
    assert_eq!(whole.intersect(&odd), odd);
    assert!(whole.contains_set(&odd) && !odd.contains_set(&whole));
}
