//! The search: the cheapest way from any backup to the point.
//!
//! What a step costs depends on the piece alone. So each piece is reached best from the first place, in the order of cost, from
//! which it can be applied, and is looked at once as such; pieces that a place may lead on to are found by [`Stabbing`].

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};

use backstay_engine_api::position::{Order, RecoveryPoint};

use super::goal::{Goal, Standing};
use super::history::Since;
use super::holdings::{Follows, Piece, Prepared};
use super::place::{Place, Scale};
use super::stabbing::Stabbing;
use super::{LogStep, NoPlan, Plan, Wanted, reason};

/// What it takes to get somewhere: bytes in all, bytes of log, steps; less is better, in this order.
pub(super) type Cost = (u64, u64, u32);

/// A place that is reached: by a backup, or by a piece of log after another node.
#[derive(Debug, Clone)]
pub(super) struct Node {
    pub(super) kind: Kind,
    pub(super) cost: Cost,
    /// Where the target stands then. None: where the piece ends.
    joined: Option<Box<Place>>,
    pub(super) standing: Standing,
    /// The base that it began with.
    pub(super) base: usize,
    /// What is known of when a server stood there.
    since: Since,
}

/// What a node is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Base,
    /// A piece, and the node that it is applied after.
    Piece {
        piece: usize,
        after: usize,
    },
}

/// All that was reached.
#[derive(Debug, Default)]
pub(super) struct Reached {
    /// In the order in which they were found; a node comes after the one that it goes on from.
    pub(super) nodes: Vec<Node>,
    /// The cheapest node at the point or past it, if the search was for a point.
    pub(super) end: Option<usize>,
}

impl Node {
    /// Where the target stands then.
    pub(super) fn place<'a>(&'a self, prepared: &'a Prepared<'_>) -> &'a Place {
        match (&self.joined, self.kind) {
            (Some(joined), _) => joined,
            (None, Kind::Base) => &prepared.bases[self.base].place,
            (None, Kind::Piece { piece, .. }) => &prepared.pieces[piece].to,
        }
    }

    /// Whether a piece leads on from `place`, where this is, by its names, and is of another history by its times.
    pub(super) fn of_another_history(&self, place: &Place, piece: &Piece<'_>) -> bool {
        piece.follows(place, None) == Follows::Yes && self.since.parted(place, piece)
    }
}

/// Finds a plan.
pub(super) fn find(prepared: &Prepared<'_>, wanted: &Wanted) -> Result<Plan, NoPlan> {
    let goal = Goal::new(wanted, prepared).map_err(|what| reason::unclear(wanted, what, prepared))?;
    let reached = search(prepared, &goal);
    let (end, notes) = match (&goal, reached.end) {
        (Goal::Latest, _) => match latest(prepared, &reached) {
            Some(end) => (end, reason::beyond(prepared, &reached, end)),
            None => return Err(reason::none(prepared, wanted, &goal, &reached)),
        },
        (_, Some(end)) => (end, Vec::new()),
        (_, None) => return Err(reason::none(prepared, wanted, &goal, &reached)),
    };
    let mut plan = lay_out(prepared, &reached, end, &wanted.point);
    plan.notes = notes;
    Ok(plan)
}

/// Goes on from every backup that is not past the point, until the point is reached or nothing more can be.
pub(super) fn search(prepared: &Prepared<'_>, goal: &Goal) -> Reached {
    let mut reached = Reached::default();
    let mut queue = BinaryHeap::new();
    for (base, of) in prepared.bases.iter().enumerate() {
        let standing = goal.standing_of_base(of);
        if matches!(standing, Standing::Before | Standing::At) {
            let cost = (of.bytes, 0, 0);
            // Of equal ones the newer one.
            let newest = Reverse(of.record.id.as_str());
            queue.push(Reverse((cost, newest, reached.nodes.len())));
            reached.nodes.push(Node {
                kind: Kind::Base,
                cost,
                joined: None,
                standing,
                base,
                since: Since::of_base(of),
            });
        }
    }
    let mut scales = scales(prepared);
    let mut taken = vec![false; prepared.pieces.len()];
    while let Some(Reverse((cost, newest, at))) = queue.pop() {
        let node = reached.nodes[at].clone();
        if matches!(node.standing, Standing::At | Standing::Past) {
            reached.end = Some(at);
            break;
        }
        let place = node.place(prepared).clone();
        let purged = prepared.bases[node.base].purged.as_ref();
        for (scale, rank) in place.ranks() {
            let Some(pieces) = scales.get_mut(&scale) else {
                continue;
            };
            pieces.take(rank, &mut |index| {
                let index = index as usize;
                if taken[index] {
                    return true;
                }
                let piece = &prepared.pieces[index];
                if piece.follows(&place, purged) != Follows::Yes || node.since.parted(&place, piece) {
                    return false;
                }
                let joined = (purged.is_some() && !piece.to.covers(&place)).then(|| Box::new(place.joined(&piece.to)));
                let standing = match goal.standing_after(piece, joined.as_deref().unwrap_or(&piece.to)) {
                    Standing::Unknown => return false,
                    standing => standing,
                };
                let cost = (cost.0 + piece.bytes, cost.1 + piece.bytes, cost.2 + 1);
                queue.push(Reverse((cost, newest, reached.nodes.len())));
                reached.nodes.push(Node {
                    kind: Kind::Piece {
                        piece: index,
                        after: at,
                    },
                    cost,
                    joined,
                    standing,
                    base: node.base,
                    since: node.since.after(piece),
                });
                taken[index] = true;
                true
            });
        }
    }
    reached
}

fn scales(prepared: &Prepared<'_>) -> HashMap<Scale, Stabbing> {
    let mut intervals: HashMap<Scale, Vec<(u128, u128, u32)>> = HashMap::new();
    for (index, piece) in prepared.pieces.iter().enumerate() {
        let ends = piece.to.ranks();
        for (scale, start) in piece.from.ranks() {
            if let Some((_, end)) = ends.iter().find(|(other, _)| *other == scale) {
                intervals.entry(scale).or_default().push((start, *end, index as u32));
            }
        }
    }
    let tree = |(scale, intervals)| (scale, Stabbing::new(intervals));
    intervals.into_iter().map(tree).collect()
}

/// The node that nothing is after; where histories have parted, the one of the history that was seen last.
pub(super) fn latest(prepared: &Prepared<'_>, reached: &Reached) -> Option<usize> {
    let time = |node: &Node| match node.kind {
        Kind::Base => prepared.bases[node.base].time,
        Kind::Piece { piece, .. } => {
            let piece = &prepared.pieces[piece];
            piece.to.time.max(piece.last)
        }
    };
    let nodes = &reached.nodes;
    let place = |index: usize| nodes[index].place(prepared);
    let mut best = (0..nodes.len()).max_by_key(|index| (time(&nodes[*index]), Reverse(nodes[*index].cost)))?;
    let mut by_rank: Vec<usize> = (0..nodes.len()).collect();
    by_rank.sort_by_cached_key(|index| place(*index).rank());
    for index in by_rank {
        if place(index).compare(place(best)) == Some(Order::After) {
            best = index;
        }
    }
    let same = (0..nodes.len()).filter(|index| *index == best || place(*index).is(place(best)));
    same.min_by_key(|index| {
        (
            nodes[*index].cost,
            Reverse(&prepared.bases[nodes[*index].base].record.id),
        )
    })
}

/// The way that ends at a node.
fn lay_out(prepared: &Prepared<'_>, reached: &Reached, end: usize, point: &RecoveryPoint) -> Plan {
    let mut logs = Vec::new();
    let mut at = end;
    while let Kind::Piece { piece, after } = reached.nodes[at].kind {
        let piece = &prepared.pieces[piece];
        logs.push(LogStep {
            source: piece.source.clone(),
            segment: piece.segment.clone(),
            bytes: piece.bytes,
        });
        at = after;
    }
    logs.reverse();
    let base = &prepared.bases[reached.nodes[at].base];
    let mut chain = vec![base.record.id.clone()];
    let mut below = base.parent;
    while let Some(parent) = below {
        chain.push(prepared.bases[parent].record.id.clone());
        below = prepared.bases[parent].parent;
    }
    chain.reverse();
    Plan {
        point: point.clone(),
        engine: base.record.engine.name.clone(),
        chain,
        from: base.record.positions.clone(),
        to: logs
            .last()
            .map_or(&base.record.positions, |step| &step.segment.to)
            .clone(),
        restore_bytes: base.bytes,
        log_bytes: logs.iter().map(|step| step.bytes).sum(),
        logs,
        notes: Vec::new(),
    }
}
