use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

fn at(text: &str) -> GtidPosition {
    text.parse().unwrap_or_else(|error| panic!("{text}: {error}"))
}

fn gtid(text: &str) -> MariadbGtid {
    text.parse().unwrap()
}

#[test]
fn text_is_sorted_by_domain() {
    assert_eq!(at("7-3-15,0-1-270").to_string(), "0-1-270,7-3-15");
    assert_eq!(at(" 0-1-270 ,\n7-3-15\n").to_string(), "0-1-270,7-3-15");
    assert_eq!(at("").to_string(), "");
    let most = "4294967295-4294967295-18446744073709551615";
    assert_eq!(at(most).to_string(), most);
    assert_eq!(
        serde_json::to_string(&at("7-3-15,0-1-270")).unwrap(),
        "\"0-1-270,7-3-15\""
    );
    assert_eq!(
        serde_json::from_str::<GtidPosition>("\"0-1-270\"").unwrap(),
        at("0-1-270")
    );
}

#[test]
fn what_is_refused_is_named() {
    let refused = |text: &str| text.parse::<GtidPosition>().unwrap_err().to_string();
    let advice = "copy the whole of @@gtid_binlog_pos or @@gtid_slave_pos, or write 0-1-270,7-3-15";
    assert_eq!(
        refused("0-1-270,7-3"),
        format!("MariaDB GTID position: expected '-' at byte 11, found the end of the text; {advice}")
    );
    assert_eq!(
        refused("4294967296-1-1"),
        format!(
            "MariaDB GTID position: expected a domain id from 0 to 4294967295 at byte 0, found \"4294967296\"; {advice}"
        )
    );
    assert_eq!(
        refused("0-1-270, 0-2-300"),
        "MariaDB GTID position: expected one GTID per domain, found a second one for domain 0, 0-2-300, at byte 9 after \
         0-1-270; take the text from @@gtid_binlog_pos, @@gtid_slave_pos or @@gtid_current_pos (@@gtid_binlog_state \
         lists one GTID per server and is not a position)"
    );
    for text in [
        ",",
        "0-1-270,",
        "0-1-270 7-3-15",
        "0- 1-2",
        "-0-1-2",
        "0-1-2-3",
        "0-1-18446744073709551616",
        "a-1-2",
    ] {
        assert!(text.parse::<GtidPosition>().is_err(), "{text:?}");
    }
}

#[test]
fn order_is_per_domain() {
    assert_eq!(at("0-1-270,7-3-15").compare(&at("7-3-15,0-1-270")), Order::Equal);
    assert_eq!(at("0-1-270").compare(&at("0-2-271")), Order::Before);
    assert_eq!(at("0-1-270").compare(&at("0-1-270,7-3-15")), Order::Before);
    assert_eq!(at("0-1-270").compare(&at("")), Order::After);
    assert_eq!(at("0-1-270,7-3-15").compare(&at("0-1-271,7-3-14")), Order::Diverged);
    assert_eq!(at("0-1-270").compare(&at("7-3-15")), Order::Diverged);
    // Two servers wrote the same number: a split brain, not the same place.
    assert_eq!(at("0-1-270").compare(&at("0-2-270")), Order::Diverged);
    assert!(at("0-1-270").covers(gtid("0-2-269")) && !at("0-1-270").covers(gtid("0-2-270")));
    assert!(!at("0-1-270").covers(gtid("1-1-1")));
}

#[test]
fn advance_goes_forwards_only() {
    let mut position = at("0-1-270");
    for next in ["0-1-270", "0-2-271", "7-3-15"] {
        position.advance(gtid(next)).unwrap();
    }
    assert_eq!(position, at("0-2-271,7-3-15"));
    for back in ["0-2-270", "0-1-271"] {
        position.advance(gtid(back)).unwrap_err();
        assert_eq!(position, at("0-2-271,7-3-15"));
    }
    assert_eq!(
        position.advance(gtid("0-1-271")).unwrap_err().to_string(),
        "MariaDB GTID position: expected a GTID of domain 0 after 0-2-271, found 0-1-271; the server wrote its log with \
         gtid_strict_mode off or two servers wrote the same domain, so numbers do not tell the order there: give each \
         writing server a domain of its own (gtid_domain_id)"
    );
    assert_eq!(position.set(gtid("0-1-9")), Some(gtid("0-2-271")));
    assert_eq!(position, at("0-1-9,7-3-15"));
}

type Model = BTreeMap<u32, (u32, u64)>;

fn both() -> impl Strategy<Value = (GtidPosition, Model)> {
    prop::collection::btree_map(0_u32..4, (1_u32..3, 1_u64..6), 0..4).prop_map(|model| {
        // Written backwards, so that parsing has to sort.
        let gtids = model
            .iter()
            .rev()
            .map(|(domain, (server, sequence))| format!("{domain}-{server}-{sequence}"));
        (at(&gtids.collect::<Vec<_>>().join(",")), model)
    })
}

/// Whether the first has all that the second has, domain by domain.
fn has(first: &Model, second: &Model) -> bool {
    second.iter().all(|(domain, theirs)| {
        first
            .get(domain)
            .is_some_and(|ours| ours.1 > theirs.1 || ours == theirs)
    })
}

proptest! {
    #[test]
    fn positions_against_maps((left, a) in both(), (right, b) in both()) {
        prop_assert_eq!(left.to_string().parse::<GtidPosition>().unwrap(), left.clone());
        let listed: Model = left.iter().map(|gtid| (gtid.domain, (gtid.server, gtid.sequence))).collect();
        prop_assert_eq!(&listed, &a);
        prop_assert_eq!(left.is_empty(), a.is_empty());
        prop_assert_eq!(left.covers_position(&right), has(&a, &b));
        let order = match (has(&b, &a), has(&a, &b)) {
            (true, true) => Order::Equal,
            (true, false) => Order::Before,
            (false, true) => Order::After,
            (false, false) => Order::Diverged,
        };
        prop_assert_eq!(left.compare(&right), order);
        prop_assert_eq!(order == Order::Equal, left == right);
    }

    #[test]
    fn advance_against_maps(
        (mut position, mut model) in both(), domain in 0_u32..4, server in 1_u32..3, sequence in 1_u64..7
    ) {
        let before = position.clone();
        let gtid = MariadbGtid { domain, server, sequence };
        let known = model.get(&domain).copied();
        if known.is_none_or(|(_, last)| sequence > last) || known == Some((server, sequence)) {
            position.advance(gtid).unwrap();
            model.insert(domain, (server, sequence));
            prop_assert!(position.covers(gtid) && position.covers_position(&before));
        } else {
            prop_assert!(position.advance(gtid).is_err());
        }
        prop_assert_eq!(position.iter().map(|gtid| (gtid.domain, (gtid.server, gtid.sequence))).collect::<Model>(), model);
    }

    #[test]
    fn no_text_panics(text in any::<String>(), near in "[-0-9, é\n]{0,40}") {
        for text in [&text, &near] {
            if let Ok(position) = text.parse::<GtidPosition>() {
                prop_assert_eq!(position.to_string().parse::<GtidPosition>().unwrap(), position);
            }
            if let Ok(gtid) = text.parse::<MariadbGtid>() {
                prop_assert_eq!(gtid.to_string().parse::<MariadbGtid>().unwrap(), gtid);
            }
        }
    }
}
