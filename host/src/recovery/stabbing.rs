//! [`Stabbing`]: which pieces of a log may go on from a place.
//!
//! Each piece is an interval on a scale, from where it starts to where it ends. A tree over the pieces in the order of their
//! starts, with the farthest end in each part, finds those that have a number in them in O(log n) each, and lets pieces be taken
//! out. What it finds is what the numbers allow; whether the places really follow on each other is looked at by the caller.

/// The pieces on one scale.
#[derive(Debug, Default)]
pub(super) struct Stabbing {
    /// Starts in ascending order, each with its piece.
    starts: Vec<(u128, u32)>,
    /// The farthest end below each node of a complete binary tree; none where nothing is left.
    farthest: Vec<Option<u128>>,
    leaves: usize,
}

impl Stabbing {
    /// Of pieces as (start, end, piece).
    pub(super) fn new(mut pieces: Vec<(u128, u128, u32)>) -> Self {
        pieces.sort_unstable();
        let leaves = pieces.len().next_power_of_two();
        let mut farthest = vec![None; leaves * 2];
        for (slot, (_, end, _)) in pieces.iter().enumerate() {
            farthest[leaves + slot] = Some(*end);
        }
        for node in (1..leaves).rev() {
            farthest[node] = farthest[node * 2].max(farthest[node * 2 + 1]);
        }
        Self {
            starts: pieces.into_iter().map(|(start, _, piece)| (start, piece)).collect(),
            farthest,
            leaves,
        }
    }

    /// Asks about each piece that starts at or before `at` and ends at or after it; those for which the answer is true are taken
    /// out.
    pub(super) fn take(&mut self, at: u128, wanted: &mut dyn FnMut(u32) -> bool) {
        let before = self.starts.partition_point(|(start, _)| *start <= at);
        self.descend(1, 0, self.leaves, before, at, wanted);
    }

    fn descend(
        &mut self,
        node: usize,
        low: usize,
        width: usize,
        before: usize,
        at: u128,
        wanted: &mut dyn FnMut(u32) -> bool,
    ) {
        if low >= before || self.farthest[node].is_none_or(|end| end < at) {
            return;
        }
        if width == 1 {
            if wanted(self.starts[low].1) {
                self.farthest[node] = None;
            }
            return;
        }
        let half = width / 2;
        self.descend(node * 2, low, half, before, at, wanted);
        self.descend(node * 2 + 1, low + half, half, before, at, wanted);
        self.farthest[node] = self.farthest[node * 2].max(self.farthest[node * 2 + 1]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_what_a_scan_finds() {
        let mut random = 12_345_u64;
        let mut next = move |below: u128| {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            u128::from(random >> 33) % below
        };
        let pieces: Vec<(u128, u128, u32)> = (0..300)
            .map(|piece| {
                let start = next(1000);
                (start, start + next(50), piece)
            })
            .collect();
        let mut left = pieces.clone();
        let mut tree = Stabbing::new(pieces);
        for _ in 0..500 {
            let (at, parity) = (next(1100), next(2) as u32);
            let mut found = Vec::new();
            tree.take(at, &mut |piece| {
                found.push(piece);
                piece % 2 == parity
            });
            let mut expected: Vec<u32> = left
                .iter()
                .filter(|(start, end, _)| *start <= at && at <= *end)
                .map(|(_, _, piece)| *piece)
                .collect();
            expected.sort_unstable();
            found.sort_unstable();
            assert_eq!(found, expected, "at {at}");
            left.retain(|(_, _, piece)| !(expected.contains(piece) && piece % 2 == parity));
        }
    }

    #[test]
    fn of_nothing() {
        Stabbing::new(Vec::new()).take(1, &mut |_| panic!("there is nothing"));
    }
}
