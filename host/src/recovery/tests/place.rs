//! The numbers on a scale, against the order of places.

use proptest::prelude::*;

use super::super::place::Place;
use super::*;

fn places() -> impl Strategy<Value = Position> {
    let interval = (1_u64..40, 0_u64..10).prop_map(|(first, more)| format!("{first}-{}", first + more));
    let source = |uuid: &'static str| {
        proptest::collection::vec(interval.clone(), 1..3).prop_map(move |parts| format!("{uuid}:{}", parts.join(":")))
    };
    let sets = (proptest::option::of(source(U)), proptest::option::of(source(V)));
    sets.prop_map(|(u, v)| {
        let parts: Vec<String> = u.into_iter().chain(v).collect();
        Position::new(PositionKind::MYSQL_GTID, parts.join(","))
    })
}

proptest! {
    #[test]
    fn the_number_grows_along_the_way(left in places(), right in places()) {
        let place = |position: Position| Place::new(&[position], None).unwrap();
        let (left, right) = (place(left), place(right));
        if right.covers(&left) {
            prop_assert!(left.rank() <= right.rank());
        }
        let both = left.joined(&right);
        prop_assert!(both.covers(&left) && both.covers(&right));
        prop_assert!(left.rank() <= both.rank());
    }
}
