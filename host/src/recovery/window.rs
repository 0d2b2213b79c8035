//! What of a cluster's history can be recovered: spans of time, each with what covers it.

use std::collections::HashMap;

use backstay_engine_api::position::PointInTime;
use backstay_engine_api::{BackupKind, Position};
use serde::Serialize;

use super::Holdings;
use super::goal::Goal;
use super::holdings::Prepared;
use super::reach::{self, Kind};

/// A stretch of time, in RFC 3339.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Span {
    /// Where it begins.
    pub from: String,
    /// Where it ends; the same for a moment.
    pub to: String,
    /// The same, in microseconds since 1970.
    #[serde(skip)]
    pub micros: (i64, i64),
}

/// What there is of a cluster, and what can be recovered with it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Coverage {
    /// When full backups show the data: a moment each.
    pub full: Vec<Span>,
    /// What incremental backups lead over.
    pub incremental: Vec<Span>,
    /// What archived logs lead over.
    pub log: Vec<Span>,
    /// What can be recovered to any moment of.
    pub recoverable: Vec<Span>,
    /// What lies between two of those.
    pub gaps: Vec<Span>,
}

/// What can be recovered.
pub fn coverage(holdings: &Holdings) -> Coverage {
    let prepared = Prepared::new(holdings, true);
    let mut coverage = Coverage::default();
    let mut incremental = Vec::new();
    for base in &prepared.bases {
        let Some(time) = base.time else { continue };
        match (
            base.record.kind,
            base.parent.and_then(|parent| prepared.bases[parent].time),
        ) {
            (BackupKind::Incremental, Some(parent)) => incremental.push((parent, time)),
            _ => coverage.full.extend(span(time, time)),
        }
    }
    let mut log = Vec::new();
    let mut before: Option<(&[Position], i64)> = None;
    for piece in &prepared.pieces {
        let (Some(first), Some(last)) = (piece.from.time.or(piece.first), piece.to.time.max(piece.last)) else {
            continue;
        };
        match piece.source {
            super::LogSource::Backup { .. } => incremental.push((first, last)),
            super::LogSource::Archive { .. } => {
                // Between two segments that meet, nothing was committed.
                let first = match before {
                    Some((to, end)) if to == piece.segment.from => first.min(end),
                    _ => first,
                };
                before = Some((&piece.segment.to, last));
                log.push((first, last));
            }
        }
    }
    coverage.incremental = merged(incremental);
    coverage.log = merged(log);

    // Each piece that is reached carries on from the place that it is applied at, up to its end.
    let reached = reach::search(&prepared, &Goal::Latest);
    let mut ends: Vec<Option<i64>> = Vec::with_capacity(reached.nodes.len());
    let mut recoverable = Vec::new();
    let seen = seen(&prepared);
    let seen_at = |positions: &[Position]| {
        let at = positions.first()?;
        seen.get(&(at.kind.as_str(), at.value.as_str())).copied()
    };
    for node in &reached.nodes {
        let end = match node.kind {
            Kind::Base => {
                let base = &prepared.bases[node.base];
                let end = base.time.max(seen_at(&base.record.positions));
                recoverable.extend(base.time.zip(end));
                end
            }
            Kind::Piece { piece, after } => {
                let piece = &prepared.pieces[piece];
                let end = piece.to.time.max(piece.last).max(seen_at(&piece.segment.to));
                if let (Some(start), Some(end)) = (ends[after], end) {
                    recoverable.push((start.min(end), end));
                }
                end.max(ends[after])
            }
        };
        ends.push(end);
    }
    coverage.recoverable = merged(recoverable);
    let pairs = coverage.recoverable.windows(2);
    coverage.gaps = pairs
        .filter_map(|pair| span(pair[0].micros.1, pair[1].micros.0))
        .collect();
    coverage.full.sort_by_key(|span| span.micros);
    coverage
}

/// When a server was last seen at a place: up to then nothing more was committed.
fn seen<'a>(prepared: &Prepared<'a>) -> HashMap<(&'a str, &'a str), i64> {
    let mut seen: HashMap<(&str, &str), i64> = HashMap::new();
    let mut note = |positions: &'a [Position], time: Option<i64>| {
        if let (Some(at), Some(time)) = (positions.first(), time) {
            let last = seen.entry((at.kind.as_str(), at.value.as_str())).or_insert(time);
            *last = (*last).max(time);
        }
    };
    for base in &prepared.bases {
        note(&base.record.positions, base.place.time);
    }
    for piece in &prepared.pieces {
        note(&piece.segment.from, piece.from.time);
        note(&piece.segment.to, piece.to.time);
    }
    seen
}

/// Spans in order, those that overlap or touch joined.
fn merged(mut spans: Vec<(i64, i64)>) -> Vec<Span> {
    spans.sort_unstable();
    let mut joined: Vec<(i64, i64)> = Vec::new();
    for (from, to) in spans {
        match joined.last_mut() {
            Some(last) if from <= last.1 => last.1 = last.1.max(to),
            _ => joined.push((from, to)),
        }
    }
    joined.into_iter().filter_map(|(from, to)| span(from, to)).collect()
}

fn span(from: i64, to: i64) -> Option<Span> {
    let text = |time| PointInTime::from_unix_microseconds(time).map(|time| time.to_string());
    Some(Span {
        from: text(from)?,
        to: text(to)?,
        micros: (from, to),
    })
}
