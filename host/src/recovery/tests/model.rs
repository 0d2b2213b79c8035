//! Against a model: every way is tried, on histories that were drawn at random.

use proptest::prelude::*;

use super::*;

/// A backup or a piece of log, in numbers of one server's transactions.
#[derive(Debug, Clone)]
enum Thing {
    Full { at: u64, bytes: u64 },
    Log { from: u64, to: u64, bytes: u64 },
}

fn things() -> impl Strategy<Value = Vec<Thing>> {
    let full = (0_u64..60, 1_u64..200).prop_map(|(at, bytes)| Thing::Full { at, bytes });
    let log = (0_u64..60, 0_u64..25, 1_u64..100).prop_map(|(from, more, bytes)| Thing::Log {
        from,
        to: from + more,
        bytes,
    });
    proptest::collection::vec(prop_oneof![1 => full, 3 => log], 0..14)
}

/// When the transaction of a number was committed: two or three in each second.
fn time_of(number: u64) -> i64 {
    1_600_000_000_000_000 + number as i64 * 400_000
}

fn text(micros: i64) -> String {
    backstay_engine_api::position::PointInTime::from_unix_microseconds(micros)
        .expect("a time")
        .to_string()
}

fn set(last: u64) -> String {
    if last == 0 { String::new() } else { format!("1-{last}") }
}

fn holdings_of(things: &[Thing]) -> Holdings {
    let record = |(index, thing): (usize, &Thing)| match *thing {
        Thing::Full { at, bytes } => {
            let mut record = full(&format!("{index:02}"), &set(at), Some(&text(time_of(at))));
            record.bytes = bytes;
            record
        }
        Thing::Log { from, to, bytes } => {
            let mut record = incremental(&set(to), &set(from), bytes);
            record.id = format!("{index:02}");
            if let Some(log) = record.log.as_mut().filter(|_| from < to) {
                log.first_time = Some(text(time_of(from + 1)));
                log.last_time = Some(text(time_of(to)));
            }
            record
        }
    };
    holdings(things.iter().enumerate().map(record).collect())
}

/// The fewest bytes with which the transactions up to `target` can be had, by trying everything.
fn fewest_bytes(things: &[Thing], target: u64) -> Option<u64> {
    let mut best: Vec<Option<u64>> = vec![None; 100];
    let mut found: Option<u64> = None;
    for thing in things {
        if let Thing::Full { at, bytes } = *thing
            && at <= target
        {
            let best = &mut best[at as usize];
            *best = Some(best.map_or(bytes, |known| known.min(bytes)));
        }
    }
    // As long as anything gets better.
    loop {
        let mut changed = false;
        for thing in things {
            let Thing::Log { from, to, bytes } = *thing else {
                continue;
            };
            for at in from..to.min(target) {
                let Some(cost) = best[at as usize].map(|cost| cost + bytes) else {
                    continue;
                };
                if to >= target {
                    found = Some(found.map_or(cost, |known| known.min(cost)));
                } else if best[to as usize].is_none_or(|known| cost < known) {
                    best[to as usize] = Some(cost);
                    changed = true;
                }
            }
        }
        if !changed {
            break;
        }
    }
    match (best[target as usize], found) {
        (Some(exact), Some(found)) => Some(exact.min(found)),
        (exact, found) => exact.or(found),
    }
}

/// Follows a plan by hand: each step must be possible where the one before it ends, and add something.
fn follow(things: &[Thing], plan: &Plan, target: u64) -> Result<(), String> {
    let thing = |name: &str| name.parse::<usize>().ok().and_then(|index| things.get(index)).cloned();
    let Some(Thing::Full { at, .. }) = thing(&plan.chain[0]) else {
        return Err("it begins with no full backup".to_owned());
    };
    let mut stands = at;
    for step in &plan.logs {
        let Some(Thing::Log { from, to, .. }) = thing(&step.source.name()) else {
            return Err("a step is no log".to_owned());
        };
        if stands >= target || from > stands || to <= stands {
            return Err(format!("{from} to {to} at {stands}, on the way to {target}"));
        }
        stands = to;
    }
    if at <= target && stands >= target && (plan.logs.is_empty() == (at == target)) {
        Ok(())
    } else {
        Err(format!("it ends at {stands}, and {target} is wanted"))
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn the_cheapest_way_to_a_position(things in things(), target in 1_u64..80) {
        let found = plan(&holdings_of(&things), &to_set(&set(target)));
        let expected = fewest_bytes(&things, target);
        match (found, expected) {
            (Ok(plan), Some(bytes)) => {
                prop_assert_eq!(plan.restore_bytes + plan.log_bytes, bytes);
                prop_assert_eq!(follow(&things, &plan, target), Ok(()));
            }
            (Err(_), None) => {}
            (found, expected) => prop_assert!(false, "found {:?}, expected {:?}", found, expected),
        }
    }

    /// To just before a transaction leads the way to it, from a backup that does not have it.
    #[test]
    fn the_cheapest_way_to_before_a_transaction(things in things(), number in 1_u64..80) {
        let point = RecoveryPoint::before_gtid(&format!("{U}:{number}")).unwrap();
        let found = plan(&holdings_of(&things), &to(point));
        let expected = fewest_bytes_beyond(&things, number - 1);
        prop_assert_eq!(found.ok().map(|plan| plan.restore_bytes + plan.log_bytes), expected);
    }

    /// To a time there is a way to the last transaction that is not later, as cheap as any from which it is known that the next
    /// one is later: because a piece of log has it, or begins with it.
    #[test]
    fn the_cheapest_way_to_a_time(things in things(), last in 1_u64..70, after in 1_i64..400_000) {
        let point = RecoveryPoint::time(&text(time_of(last) + after)).unwrap();
        let found = plan(&holdings_of(&things), &to(point));
        let next_begins = things
            .iter()
            .any(|thing| matches!(*thing, Thing::Log { from, to, .. } if from == last && to > last));
        let known = if next_begins { fewest_bytes(&things, last) } else { None };
        let expected = known.into_iter().chain(fewest_bytes_beyond(&things, last)).min();
        prop_assert_eq!(found.as_ref().ok().map(|plan| plan.restore_bytes + plan.log_bytes), expected);
        if let Ok(plan) = found {
            let beyond = follow(&without_later(&things, last), &plan, last + 1);
            prop_assert!(beyond.is_ok() || follow(&things, &plan, last).is_ok(), "{:?}", beyond);
        }
    }
}

/// The fewest bytes with which a log can be had that goes beyond `last`.
fn fewest_bytes_beyond(things: &[Thing], last: u64) -> Option<u64> {
    fewest_bytes(&without_later(things, last), last + 1)
}

/// Without the use of full backups that are later.
fn without_later(things: &[Thing], last: u64) -> Vec<Thing> {
    let usable = |thing: &Thing| match *thing {
        Thing::Full { at, bytes } if at > last => Thing::Full { at: 99, bytes },
        ref other => other.clone(),
    };
    things.iter().map(usable).collect()
}
