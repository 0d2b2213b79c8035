//! Why there is no plan, and what must be said of one that there is.

use backstay_engine_api::position::{Order, PointInTime, RecoveryPoint};
use backstay_engine_api::{BackupRecord, Notice, Position};

use super::goal::{Goal, Standing, in_whole_seconds};
use super::holdings::{Follows, Prepared};
use super::place::{Gtids, Place};
use super::reach::{self, Node, Reached};
use super::{Holdings, NoPlan, Plan, Unusable, Wanted};

/// How many of a kind are named.
const NAMED: usize = 5;
/// How long a position is shown, in characters.
const SHOWN: usize = 300;

/// The point can not be understood.
pub(super) fn unclear(wanted: &Wanted, what: String, prepared: &Prepared<'_>) -> NoPlan {
    no_plan(
        wanted,
        vec![what],
        prepared,
        "name the point by a GTID or a time; `backstay log search` shows both",
    )
}

/// Nothing leads to the point.
pub(super) fn none(prepared: &Prepared<'_>, wanted: &Wanted, goal: &Goal, reached: &Reached) -> NoPlan {
    if prepared.bases.is_empty() {
        let what = "there is no backup that can be restored".to_owned();
        return no_plan(wanted, vec![what], prepared, "take a full backup");
    }
    let mut details = Vec::new();
    if let Some(unknown) = unknown_transactions(prepared, goal) {
        details.push(format!("no backup and no log has {}", short(&unknown)));
    }
    if reached.nodes.is_empty() {
        let standings = prepared.bases.iter().map(|base| (base, goal.standing_of_base(base)));
        let past = standings.clone().filter(|(_, standing)| *standing == Standing::Past);
        // The earliest of those that are too late is the one that is nearest.
        match past.min_by_key(|(base, _)| (base.time, base.place.rank())) {
            Some((base, _)) => details.push(format!(
                "every backup is later than the point; the earliest, {}, shows {}{}",
                base.record.id,
                short(&base.place.show()),
                at_time(base.time)
            )),
            None => details.push("no backup says where it stands to such a point".to_owned()),
        }
        return no_plan(
            wanted,
            details,
            prepared,
            "choose a later point; `backstay list` shows what can be recovered",
        );
    }
    let Some(farthest) = reach::latest(prepared, reached) else {
        return no_plan(wanted, details, prepared, "take a full backup");
    };
    let place = reached.nodes[farthest].place(prepared);
    let time = ended(prepared, &reached.nodes[farthest]);
    details.push(format!(
        "what can be reached ends at {}{}",
        short(&place.show()),
        at_time(time)
    ));
    if let (Goal::Time(goal), Some(time)) = (goal, time)
        && in_whole_seconds(place)
        && time.div_euclid(1_000_000) == goal.at.div_euclid(1_000_000)
    {
        details.push(
            "MariaDB logs whole seconds: only a later transaction or backup tells whether more was committed in that one"
                .to_owned(),
        );
    }
    details.extend(gap(prepared, &reached.nodes[farthest], place));
    no_plan(
        wanted,
        details,
        prepared,
        "choose an earlier point, or `--latest` for all that can be reached; `backstay list` shows what can be recovered",
    )
}

/// Log that lies beyond the end of a recovery to the latest point, because something before it is missing.
pub(super) fn beyond(prepared: &Prepared<'_>, reached: &Reached, end: usize) -> Vec<Notice> {
    let end = &reached.nodes[end];
    gap(prepared, end, end.place(prepared))
        .map(|gap| {
            Notice::new(
                "log-beyond-a-gap",
                format!("the recovery ends before the end of the log: {gap}"),
            )
        })
        .into_iter()
        .collect()
}

/// What is missing between a node's place and the next log that goes on beyond it.
fn gap(prepared: &Prepared<'_>, node: &Node, place: &Place) -> Option<String> {
    let mut pieces = prepared.pieces.iter();
    if let Some(piece) = pieces.find(|piece| node.of_another_history(place, piece)) {
        return Some(format!(
            "log {} begins again with names that are there already: the server was reset in between, and its log leads on from a \
             backup that was taken after that",
            piece.source.name()
        ));
    }
    let later = prepared.pieces.iter().filter(|piece| {
        piece.follows(place, None) == Follows::Gap && place.compare(&piece.from) == Some(Order::Before)
    });
    let Some(next) = later.min_by_key(|piece| (piece.from.rank(), piece.first)) else {
        return apart(prepared, place).or_else(|| elsewhere(prepared, place, ended(prepared, node)));
    };
    let missing = match (&place.gtids, &next.from.gtids) {
        (Some(Gtids::Mysql(had)), Some(Gtids::Mysql(from))) => {
            format!("{} is missing", short(&from.subtract(had).to_string()))
        }
        _ => format!(
            "all from {} to {} is missing",
            short(&place.show()),
            short(&next.from.show())
        ),
    };
    Some(format!(
        "log goes on in {}, but {missing} before it",
        next.source.name()
    ))
}

/// Log that would lead on from a place if it had all that a server there has.
fn apart(prepared: &Prepared<'_>, place: &Place) -> Option<String> {
    let mut pieces = prepared.pieces.iter();
    let piece = pieces.find(|piece| piece.follows(place, None) == Follows::Apart && place.covers(&piece.from))?;
    let lacks = match (&place.gtids, &piece.to.gtids) {
        (Some(Gtids::Mysql(had)), Some(Gtids::Mysql(got))) => had.subtract(got).to_string(),
        _ => place.show(),
    };
    Some(format!(
        "{} starts at or before that, but is of another history: it knows nothing of {}",
        piece.source.name(),
        short(&lacks)
    ))
}

/// Log of later transactions that does not lead on from a place, and can not be put in order with it.
fn elsewhere(prepared: &Prepared<'_>, place: &Place, time: Option<i64>) -> Option<String> {
    let time = time?;
    let later = prepared.pieces.iter().filter(|piece| {
        let unlike = matches!(
            place.compare(&piece.from),
            None | Some(Order::Diverged | Order::Incomparable)
        );
        unlike && piece.first.is_some_and(|first| first > time)
    });
    let piece = later.min_by_key(|piece| piece.first)?;
    Some(format!(
        "log {} has later transactions{}, and does not lead on from there: it begins at {}",
        piece.source.name(),
        at_time(piece.first),
        short(&piece.from.show())
    ))
}

/// When a server stood where a node ends, or what it ends with was committed, in microseconds.
fn ended(prepared: &Prepared<'_>, node: &Node) -> Option<i64> {
    match node.kind {
        reach::Kind::Base => prepared.bases[node.base].time,
        reach::Kind::Piece { piece, .. } => prepared.pieces[piece].to.time.or(prepared.pieces[piece].last),
    }
}

/// The transactions that are asked for and that nothing has.
fn unknown_transactions(prepared: &Prepared<'_>, goal: &Goal) -> Option<String> {
    let ends = || {
        let bases = prepared.bases.iter().map(|base| &base.place);
        bases.chain(prepared.pieces.iter().map(|piece| &piece.to))
    };
    match goal {
        Goal::Mysql(wanted) => {
            let mut left = wanted.clone();
            for place in ends() {
                if let Some(Gtids::Mysql(had)) = &place.gtids {
                    left = left.subtract(had);
                }
            }
            (!left.is_empty()).then(|| left.to_string())
        }
        Goal::BeforeMysql(gtid) => {
            let known = |place: &Place| matches!(&place.gtids, Some(Gtids::Mysql(had)) if had.contains(gtid));
            (!ends().any(known)).then(|| gtid.to_string())
        }
        Goal::Mariadb(wanted) => {
            let known =
                |gtid| ends().any(|place| matches!(&place.gtids, Some(Gtids::Mariadb(had)) if had.covers(gtid)));
            let left: Vec<String> = wanted
                .iter()
                .filter(|gtid| !known(*gtid))
                .map(|gtid| gtid.to_string())
                .collect();
            (!left.is_empty()).then(|| left.join(","))
        }
        Goal::BeforeMariadb(gtid) => {
            let known = |place: &Place| matches!(&place.gtids, Some(Gtids::Mariadb(had)) if had.covers(*gtid));
            (!ends().any(known)).then(|| gtid.to_string())
        }
        _ => None,
    }
}

/// What damage did to a plan, against the one that there would be without it.
pub(super) fn around_damage(holdings: &Holdings, plan: &Plan, ideal: &Plan) -> Vec<Notice> {
    let logs = ideal.logs.iter().map(|step| step.source.name());
    // To the latest point that can be reached one gets in any case.
    let short_of = plan.point == RecoveryPoint::Latest && ends_before(&plan.to, &ideal.to);
    let mut notes = Vec::new();
    for name in ideal.chain.iter().cloned().chain(logs) {
        if let Some(Unusable::Damaged(reason)) = holdings.unusable.get(&name) {
            let mut text = match plan.chain.last() {
                Some(base) if ideal.chain.contains(&name) => format!("damaged, backup {base} is used in its place"),
                _ if short_of => "damaged".to_owned(),
                _ => "damaged, another way round it is taken".to_owned(),
            };
            if short_of {
                text += ", and the recovery ends earlier for it";
            }
            notes.push(Notice::new("around-damage", format!("{text}: {reason}")).about(name));
        }
    }
    notes
}

/// Whether a server that stands at the one has less than one at the other; for those that can not be compared, whether they differ.
fn ends_before(one: &[Position], other: &[Position]) -> bool {
    match unplaced(one).compare(&unplaced(other)) {
        Some(Order::Before) => true,
        Some(Order::Equal | Order::After) => false,
        _ => one.first() != other.first(),
    }
}

/// Positions of some server.
fn unplaced(positions: &[Position]) -> Place {
    Place::new(positions, None).unwrap_or_default()
}

/// What a recovery to the latest point leaves out although it may go further: what can not be read at all, and the newest of the backups
/// that can not be used here.
pub(super) fn passed_over(holdings: &Holdings, plan: &Plan) -> Vec<Notice> {
    let mut notes = Vec::new();
    for (name, why) in &holdings.unusable {
        // Ids are in the order of time.
        let newer = || plan.chain.last().is_none_or(|used| name > used);
        if let Unusable::Damaged(reason) = why
            && !has_record(holdings, name)
            && (name.contains('/') || newer())
        {
            let text = format!("what it holds is not known, and not in the recovery: {reason}");
            notes.push(Notice::new("unreadable", text).about(name.clone()));
        }
    }
    let end = unplaced(&plan.to);
    let beyond = |record: &&BackupRecord| {
        let at = unplaced(&record.positions);
        match end.compare(&at) {
            Some(Order::Before) => true,
            Some(Order::Equal | Order::After) => false,
            _ => at.time.zip(end.time).is_some_and(|(at, end)| at > end),
        }
    };
    let unavailable = holdings
        .backups
        .iter()
        .filter_map(|record| match holdings.unusable.get(&record.id)? {
            Unusable::Unavailable(reason) => Some((record, reason)),
            Unusable::Damaged(_) => None,
        });
    if let Some((record, reason)) = unavailable
        .filter(|(record, _)| beyond(record))
        .max_by_key(|(record, _)| &record.id)
    {
        let text = format!("it shows more than the recovery, and can not be used: {reason}");
        notes.push(Notice::new("newer-backup-unused", text).about(record.id.clone()));
    }
    notes
}

/// Whether it is known what a backup or a segment is.
fn has_record(holdings: &Holdings, name: &str) -> bool {
    match name.split_once('/') {
        None => holdings.backups.iter().any(|record| record.id == name),
        Some((stream, segment)) => holdings
            .archives
            .iter()
            .filter(|archived| archived.stream == stream)
            .any(|archived| archived.segments.iter().any(|kept| kept.segment.name == segment)),
    }
}

fn no_plan(wanted: &Wanted, mut details: Vec<String>, prepared: &Prepared<'_>, advice: &str) -> NoPlan {
    let left_out = &prepared.left_out;
    details.extend(
        left_out
            .iter()
            .take(NAMED)
            .map(|(name, why)| format!("left out: {name}: {why}")),
    );
    if left_out.len() > NAMED {
        details.push(format!("left out: {} more", left_out.len() - NAMED));
    }
    NoPlan {
        message: format!("there is no way to {}", wanted.point),
        details,
        advice: advice.to_owned(),
    }
}

fn at_time(time: Option<i64>) -> String {
    time.and_then(PointInTime::from_unix_microseconds)
        .map(|time| format!(" ({time})"))
        .unwrap_or_default()
}

/// A position that is not too long for a line.
fn short(text: &str) -> String {
    match text.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}
