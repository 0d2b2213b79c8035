//! The algebra against a plain set of (UUID, tag, number), over few sources and small numbers so that things meet.

use std::collections::{BTreeMap, HashSet};

use proptest::prelude::*;

use super::super::super::Order;
use super::super::{Gtid, GtidSet, Tag, Tsid, Uuid};

type Name = (Uuid, Option<Tag>, u64);
type Model = HashSet<Name>;

fn source() -> impl Strategy<Value = Tsid> {
    let tag = prop_oneof![Just(None), Just(Some("a")), Just(Some("_")), Just(Some("a1"))];
    (0_u8..3, tag).prop_map(|(byte, tag)| Tsid {
        uuid: Uuid::from_bytes([byte << 6; 16]),
        tag: tag.map(|tag| tag.parse().unwrap()),
    })
}

/// A set, and the text it was read from: sources and intervals in any order, overlapping, touching, repeated.
fn written() -> impl Strategy<Value = (String, Model)> {
    let interval = (source(), 1_u64..60, 0_u64..8, any::<bool>());
    prop::collection::vec(interval, 0..24).prop_map(|intervals| {
        let mut text = String::new();
        let mut model = Model::new();
        for (Tsid { uuid, tag }, first, length, spaced) in intervals {
            let gap = if spaced { "\n " } else { "" };
            let name = Tsid { uuid, tag: tag.clone() }.to_string().to_uppercase();
            text += &format!("{gap}{name}{gap}:{gap}{first}-{}{gap},", first + length);
            model.extend((first..=first + length).map(|number| (uuid, tag.clone(), number)));
        }
        (text, model)
    })
}

fn both() -> impl Strategy<Value = (GtidSet, Model)> {
    written().prop_map(|(text, model)| (text.parse().unwrap(), model))
}

fn gtid((uuid, tag, number): &Name) -> Gtid {
    Gtid::new(
        Tsid {
            uuid: *uuid,
            tag: tag.clone(),
        },
        *number,
    )
    .unwrap()
}

/// The model of a set, through its public view only; checks that the view is in order and has gaps.
fn model(set: &GtidSet) -> Model {
    let mut model = Model::new();
    let mut before: Option<(Tsid, u64)> = None;
    for (tsid, interval) in set.intervals() {
        if let Some((last_tsid, last)) = before.replace((tsid.clone(), interval.last())) {
            assert!(
                last_tsid < *tsid || (last_tsid == *tsid && last + 1 < interval.first()),
                "{set}"
            );
        }
        model.extend((interval.first()..=interval.last()).map(|number| (tsid.uuid, tsid.tag.clone(), number)));
    }
    model
}

/// Canonical text, made from single numbers.
fn print(model: &Model) -> String {
    let mut sorted: BTreeMap<String, BTreeMap<String, Vec<u64>>> = BTreeMap::new();
    for (uuid, tag, number) in model {
        let tag = tag.as_ref().map(|tag| format!(":{tag}")).unwrap_or_default();
        sorted
            .entry(uuid.to_string())
            .or_default()
            .entry(tag)
            .or_default()
            .push(*number);
    }
    let uuids = sorted.into_iter().map(|(uuid, tags)| {
        let tags = tags.into_iter().map(|(tag, mut numbers)| {
            numbers.sort_unstable();
            let runs = numbers.chunk_by(|left, right| left + 1 == *right).map(|run| match run {
                [only] => format!(":{only}"),
                [first, .., last] => format!(":{first}-{last}"),
                [] => String::new(),
            });
            tag + &runs.collect::<String>()
        });
        uuid + &tags.collect::<String>()
    });
    uuids.collect::<Vec<_>>().join(",")
}

proptest! {
    #[test]
    fn parse_and_print((text, expected) in written()) {
        let set: GtidSet = text.parse().unwrap();
        prop_assert_eq!(&model(&set), &expected);
        prop_assert_eq!(set.to_string(), print(&expected));
        prop_assert_eq!(&set.to_string().parse::<GtidSet>().unwrap(), &set);
        prop_assert_eq!(&format!("{set:#}").parse::<GtidSet>().unwrap(), &set);
        prop_assert_eq!(set.count(), expected.len() as u128);
        prop_assert_eq!(set.is_empty(), expected.is_empty());
        prop_assert_eq!(expected.iter().map(gtid).collect::<GtidSet>(), set);
    }

    #[test]
    fn two_sets((left, a) in both(), (right, b) in both()) {
        prop_assert_eq!(model(&left.union(&right)), a.union(&b).cloned().collect());
        prop_assert_eq!(model(&left.subtract(&right)), a.difference(&b).cloned().collect());
        prop_assert_eq!(model(&left.intersect(&right)), a.intersection(&b).cloned().collect());
        prop_assert_eq!(left.is_disjoint(&right), a.is_disjoint(&b));
        prop_assert_eq!(left.contains_set(&right), a.is_superset(&b));
        prop_assert!(left.union(&right).contains_set(&left) && left.contains_set(&left.intersect(&right)));
        // Canonical: what holds the same is the same.
        prop_assert_eq!(&left.subtract(&right).union(&left.intersect(&right)), &left);
        prop_assert_eq!(left == right, a == b);
        let order = match (a.is_subset(&b), a.is_superset(&b)) {
            (true, true) => Order::Equal,
            (true, false) => Order::Before,
            (false, true) => Order::After,
            (false, false) => Order::Diverged,
        };
        prop_assert_eq!(left.compare(&right), order);
        prop_assert_eq!(left.union(&right).compare(&left), if a.is_superset(&b) { Order::Equal } else { Order::After });
    }

    #[test]
    fn one_transaction((mut set, mut expected) in both(), tsid in source(), number in 1_u64..70) {
        let one = Gtid::new(tsid.clone(), number).unwrap();
        let name = (tsid.uuid, tsid.tag, number);
        prop_assert_eq!(set.contains(&one), expected.contains(&name));
        prop_assert_eq!(&one.to_string().parse::<Gtid>().unwrap(), &one);
        prop_assert_eq!(GtidSet::from(one.clone()).to_string(), one.to_string());
        set.insert(one);
        expected.insert(name);
        prop_assert_eq!(model(&set), expected);
    }

    #[test]
    fn no_text_panics(text in any::<String>()) {
        check(&text);
    }

    #[test]
    fn no_nearly_right_text_panics(
        (text, _) in written(), cut in any::<prop::sample::Index>(), junk in "[-0-9a-f:,_{} \n\u{b}+é]{0,6}"
    ) {
        check(&(text[..cut.index(text.len() + 1)].to_owned() + &junk + &text[cut.index(text.len() + 1)..]));
    }
}

/// Whatever parses prints as something that parses to the same.
fn check(text: &str) {
    if let Ok(set) = text.parse::<GtidSet>() {
        assert_eq!(set.to_string().parse::<GtidSet>().unwrap(), set);
    }
    if let Ok(one) = text.parse::<Gtid>() {
        assert_eq!(one.to_string().parse::<Gtid>().unwrap(), one);
    }
    if let Ok(tag) = text.parse::<Tag>() {
        assert_eq!(tag.to_string().parse::<Tag>().unwrap(), tag);
    }
    if let Ok(uuid) = text.parse::<Uuid>() {
        assert_eq!(uuid.to_string().parse::<Uuid>().unwrap(), uuid);
    }
}
