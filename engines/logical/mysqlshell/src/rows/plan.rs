//! Where to cut a table: ranges of its key with about as many bytes of rows each.
//!
//! The key's values are halved again and again, from the first that a row has to the last. For each middle the first row at or
//! after it is looked up in the index, and it is that row's key at which the table is cut; how many rows lie on either
//! side the server estimates from the index (EXPLAIN, whose range optimizer dives into it). So gaps and skew cost a few
//! look-ups and no uneven files, and neither OFFSET nor a scan is needed.
//!
//! That every row is in exactly one range depends on none of the estimates, nor on our idea of an order: each cut was found by
//! the server to lie after the first row of its range and before the range's end, and the ranges are what lies between
//! neighbouring cuts in the server's own comparison, open to both ends. Where a key's text may have no exact literal, the server is asked
//! whether the cuts are in order, and the table is not cut if they are not.

pub(crate) mod bound;
mod kind;
mod line;

use backstay_engine_api::EngineError;
use backstay_engine_api::job::JobContext;
use backstay_mysql::RawSession;

use super::source::Source;
use crate::catalogue::Table;
use bound::{Bound, Key, Range};
use line::{Line, samples};

/// Uneven cuts on the way to a piece, at most: where nothing but slivers can be cut off, or the estimates are nonsense, a file is
/// just large.
const UNEVEN: u32 = 24;
/// Look-ups for one cut, at most: as many as it takes to halve the longest line.
const LOOKUPS: usize = 128;

/// Pairs of cuts that one statement compares.
const AT_ONCE: usize = 100;

/// The rows of a range.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Chunk {
    /// The condition for its rows; `None` for all.
    pub(crate) condition: Option<String>,
    /// How many bytes they may be.
    pub(crate) bytes: u64,
}

/// Cuts a source into chunks of about `target` bytes, in the key's order; into one where it can not be cut.
///
/// # Errors
/// The session was lost; [`Cancelled`](backstay_engine_api::ErrorKind::Cancelled).
pub(crate) fn plan(
    job: &JobContext,
    session: &mut RawSession,
    source: Source<'_>,
    target: u64,
) -> Result<Vec<Chunk>, EngineError> {
    let key = Key::usable(&source.table.key);
    let whole = Piece {
        range: Range::default(),
        bytes: source.bytes(),
        uneven: 0,
    };
    let mut pieces = Vec::new();
    if can_be_cut(source) && !key.parts().is_empty() {
        let mut cutter = Cutter {
            session,
            from: source.from(),
            hint: source.hint(),
            estimate_hint: source.hint().replacen("FORCE", "USE", 1),
            key: &key,
        };
        let mut rest = vec![whole.clone()];
        while let Some(piece) = rest.pop() {
            job.check_cancelled()?;
            let halves = match is_large(piece.bytes, target) && piece.uneven < UNEVEN {
                true => cutter.halve(&piece)?,
                false => None,
            };
            match halves {
                // In order: the first half is looked at next.
                Some([first, second]) => rest.extend([second, first]),
                None => pieces.push(piece),
            }
        }
        pieces = merged(pieces, target);
        if !key.is_exact() && !cutter.are_in_order(&pieces)? {
            pieces = vec![whole];
        }
    } else {
        pieces.push(whole);
    }
    let chunk = |piece: Piece| Chunk {
        condition: key.condition(&piece.range),
        bytes: piece.bytes,
    };
    Ok(pieces.into_iter().map(chunk).collect())
}

/// Whether a source of so many bytes is worth cutting.
pub(crate) fn is_large(bytes: u64, target: u64) -> bool {
    bytes > target.saturating_add(target / 2)
}

/// Whether a source may be read in several queries. Without snapshots one query sees one state of a table, and several do not.
pub(crate) fn can_be_cut(source: Source<'_>) -> bool {
    has_snapshots(source.table) && !source.table.key.is_empty()
}

/// Whether all queries of a transaction see a table in one state.
pub(crate) fn has_snapshots(table: &Table) -> bool {
    table.engine.eq_ignore_ascii_case("InnoDB")
}

/// A range, and how many bytes its rows may be.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Piece {
    range: Range,
    bytes: u64,
    /// How many uneven cuts led to it.
    uneven: u32,
}

/// Puts small neighbours together.
fn merged(pieces: Vec<Piece>, target: u64) -> Vec<Piece> {
    let mut all: Vec<Piece> = Vec::new();
    for piece in pieces {
        match all.last_mut() {
            Some(last) if last.bytes + piece.bytes <= target => {
                last.bytes += piece.bytes;
                last.range.to = piece.range.to;
            }
            _ => all.push(piece),
        }
    }
    all
}

/// A cut, and the rows estimated on both sides.
struct Cut {
    at: Bound,
    rows: [u64; 2],
}

impl Cut {
    fn smaller(&self) -> u64 {
        self.rows[0].min(self.rows[1])
    }

    fn is_even(&self) -> bool {
        self.smaller().saturating_mul(8) >= self.rows[0].saturating_add(self.rows[1])
    }
}

type Row = Vec<String>;

/// What looks for cuts.
struct Cutter<'a> {
    session: &'a mut RawSession,
    from: String,
    hint: String,
    /// MySQL does not dive into an index that it is forced to use: it takes each range for one row.
    estimate_hint: String,
    key: &'a Key,
}

impl Cutter<'_> {
    /// Cuts a piece in two; `None` if it can not be.
    fn halve(&mut self, piece: &Piece) -> Result<Option<[Piece; 2]>, EngineError> {
        let condition = self.key.condition(&piece.range);
        let (first, last) = match (
            self.row(condition.as_deref(), false)?,
            self.row(condition.as_deref(), true)?,
        ) {
            (Some(first), Some(last)) => (first, last),
            _ => return Ok(None),
        };
        let same = first.iter().zip(&last).take_while(|(a, b)| a == b).count();
        for column in same..self.key.parts().len() {
            if let Some(cut) = self.cut(piece, &first, &last, column)? {
                return Ok(Some(divided(piece, &cut)));
            }
        }
        Ok(None)
    }

    /// The most even cut by a column, those before it being as in the first row.
    fn cut(&mut self, piece: &Piece, first: &Row, last: &Row, column: usize) -> Result<Option<Cut>, EngineError> {
        let part = &self.key.parts()[column];
        let before = Place::new(self.key, piece, first, column);
        let mut best: Option<Cut> = None;
        if let Some(line) = Line::between(&part.kind, part.descending, &first[column], &last[column]) {
            let (mut low, mut high) = (line.low, line.high);
            for _ in 0..LOOKUPS {
                if low >= high || best.as_ref().is_some_and(Cut::is_even) {
                    break;
                }
                let middle = low + (high - low + 1) / 2;
                let Some((cut, row)) = self.cut_at(piece, &before, &line.value(middle))? else {
                    high = middle - 1;
                    continue;
                };
                if cut.rows[0] < cut.rows[1] {
                    // There is nothing between the middle and the row.
                    let at = line.place(&row[column]).filter(|at| *at < high);
                    low = at.unwrap_or(middle).max(middle);
                } else {
                    high = middle - 1;
                }
                keep(&mut best, cut);
            }
        }
        if part.kind.is_text() {
            for sample in samples(&first[column], &last[column]) {
                if best.as_ref().is_some_and(Cut::is_even) {
                    break;
                }
                if let Some((cut, _)) = self.cut_at(piece, &before, &sample)? {
                    keep(&mut best, cut);
                }
            }
        }
        Ok(best)
    }

    /// The cut before the first row at or after a value, and that row; `None` if it would leave nothing on one side.
    fn cut_at(&mut self, piece: &Piece, place: &Place, value: &str) -> Result<Option<(Cut, Row)>, EngineError> {
        let candidate = self.key.bound(place.same.iter().map(String::as_str).chain([value]));
        let condition = format!("{} AND {}", place.inside, self.key.at_or_after(&candidate));
        let Some(row) = self.row(Some(&condition), false)? else {
            return Ok(None);
        };
        let columns = row.iter().take(place.same.len() + 1).map(String::as_str);
        let cut = self.estimated(piece, self.key.bound(columns))?;
        Ok(Some((cut, row)))
    }

    fn estimated(&mut self, piece: &Piece, at: Bound) -> Result<Cut, EngineError> {
        let [first, second] = divide(&piece.range, &at);
        let rows = [self.estimate(&first)?, self.estimate(&second)?];
        Ok(Cut { at, rows })
    }

    /// The key of the first row, or of the last.
    fn row(&mut self, condition: Option<&str>, last: bool) -> Result<Option<Row>, EngineError> {
        let sql = format!(
            "SELECT {} FROM {}{}{} ORDER BY {} LIMIT 1",
            self.key.columns(),
            self.from,
            self.hint,
            condition.map_or_else(String::new, |condition| format!(" WHERE {condition}")),
            self.key.order(last)
        );
        let rows = self.session.texts(sql)?;
        Ok(rows.into_iter().next().and_then(|row| row.into_iter().collect()))
    }

    /// Whether each cut lies before the next. Where text has no exact literal they may not, and ranges would overlap.
    fn are_in_order(&mut self, pieces: &[Piece]) -> Result<bool, EngineError> {
        let cuts: Vec<&Bound> = pieces.iter().filter_map(|piece| piece.range.to.as_ref()).collect();
        for some in cuts.windows(2).collect::<Vec<_>>().chunks(AT_ONCE) {
            let conditions: Vec<String> = some.iter().map(|pair| self.key.in_order(pair[0], pair[1])).collect();
            let answer = self.session.texts(format!("SELECT {}", conditions.join(" AND ")))?;
            if answer.first().and_then(|row| row.first()?.as_deref()) != Some("1") {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// How many rows the server takes a range to have.
    fn estimate(&mut self, range: &Range) -> Result<u64, EngineError> {
        let condition = self.key.condition(range).unwrap_or_else(|| "TRUE".to_owned());
        let sql = format!(
            "EXPLAIN FORMAT=TRADITIONAL SELECT {} FROM {}{} WHERE {condition}",
            self.key.columns(),
            self.from,
            self.estimate_hint
        );
        let rows = self.session.texts(sql)?;
        // MySQL ends with rows, filtered, Extra; MariaDB with rows, Extra.
        let estimate = rows.into_iter().next().and_then(|row| {
            let from_the_end = if row.len() >= 12 { 3 } else { 2 };
            row.get(row.len().checked_sub(from_the_end)?)?.as_ref()?.parse().ok()
        });
        Ok(estimate.unwrap_or(0))
    }
}

/// Where cuts by a column are looked for.
struct Place {
    /// The values of the columns before it.
    same: Row,
    /// After the first row, and before the piece's end.
    inside: String,
}

impl Place {
    fn new(key: &Key, piece: &Piece, first: &Row, column: usize) -> Self {
        let bound = key.bound(first[..=column].iter().map(String::as_str));
        let to = piece.range.to.as_ref().map(|to| format!(" AND {}", key.before(to)));
        Self {
            same: first[..column].to_vec(),
            inside: key.after(&bound) + &to.unwrap_or_default(),
        }
    }
}

fn keep(best: &mut Option<Cut>, cut: Cut) {
    if best.as_ref().is_none_or(|best| best.smaller() < cut.smaller()) {
        *best = Some(cut);
    }
}

fn divide(range: &Range, at: &Bound) -> [Range; 2] {
    let first = Range {
        from: range.from.clone(),
        to: Some(at.clone()),
    };
    let second = Range {
        from: Some(at.clone()),
        to: range.to.clone(),
    };
    [first, second]
}

/// The piece's bytes go by the rows. So all pieces together are as large as the table, however wrong the estimates of rows.
fn divided(piece: &Piece, cut: &Cut) -> [Piece; 2] {
    let [first, second] = divide(&piece.range, &cut.at);
    let [before, after] = cut.rows.map(u128::from);
    let share = u128::from(piece.bytes) * before.max(1) / (before + after).max(2);
    let bytes = u64::try_from(share).unwrap_or(piece.bytes).min(piece.bytes);
    let uneven = piece.uneven + u32::from(!cut.is_even());
    let half = |range, bytes| Piece { range, bytes, uneven };
    [half(first, bytes), half(second, piece.bytes - bytes)]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn piece(from: Option<u64>, to: Option<u64>, bytes: u64) -> Piece {
        let bound = |at: u64| Bound(vec![at.to_string()]);
        let range = Range {
            from: from.map(bound),
            to: to.map(bound),
        };
        Piece {
            range,
            bytes,
            uneven: 0,
        }
    }

    #[test]
    fn small_neighbours_are_merged() {
        let pieces = vec![
            piece(None, Some(1), 10),
            piece(Some(1), Some(2), 80),
            piece(Some(2), Some(3), 20),
            piece(Some(3), None, 120),
        ];
        let expected = vec![
            piece(None, Some(2), 90),
            piece(Some(2), Some(3), 20),
            piece(Some(3), None, 120),
        ];
        assert_eq!(merged(pieces, 100), expected);
    }

    #[test]
    fn a_piece_is_divided_by_its_rows() {
        let cut = |rows| Cut {
            at: Bound(vec!["5".into()]),
            rows,
        };
        for (rows, first, uneven) in [([1, 3], 25, 0), ([0, 0], 50, 0), ([10, 0], 100, 1)] {
            let halves = divided(&piece(Some(1), None, 100), &cut(rows));
            let expected = [piece(Some(1), Some(5), first), piece(Some(5), None, 100 - first)];
            assert_eq!(halves, expected.map(|half| Piece { uneven, ..half }));
        }
        assert!(cut([1, 7]).is_even() && !cut([1, 8]).is_even());
    }
}
