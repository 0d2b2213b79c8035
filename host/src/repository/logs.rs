//! Archived logs: streams of segments.
//!
//! A *stream* is a log without a gap: each segment begins where the one before it ends. Where that can not be kept up (the
//! server has deleted what follows, or its history is another one) a new stream begins, and says what is missing before it.
//!
//! A segment is stored as a backup is: data, an index of objects with their digests, and last of all, made atomically, a
//! record ([`record`]). So what a killed archive leaves is no segment. Segments are numbered, and a number is made once: of
//! two archives that were to write one stream, the second is refused.

mod publish;
mod read;
mod record;
#[cfg(test)]
mod tests;

use backstay_engine_api::job::Segment;
use backstay_engine_api::{Order, Position};

use crate::{Error, ErrorKind, Result};

pub use record::{Gap, SegmentRecord, StreamRecord};
pub(crate) use record::{Sealed, digest_file};

/// The record of a stream, in its directory.
pub const STREAM: &str = "stream.json";
/// The record of a segment, in its directory.
pub const SEGMENT: &str = "segment.json";

/// How many digits a segment's number has in its name: 30,000 years of one each second.
const DIGITS: usize = 12;

/// A log as it is archived: all that a planner needs of it.
#[derive(Debug, Clone)]
pub struct Stream {
    /// Its id, which sorts by when it began.
    pub id: String,
    /// Whose log it is, where it begins and what is missing before it.
    pub record: StreamRecord,
    /// Its segments, in order. Each follows on the one before, but where one between them is damaged.
    pub segments: Vec<Segment>,
    /// What is of no use: a segment's name, or [`STREAM`], and what is wrong with it.
    pub damaged: Vec<(String, Error)>,
}

impl Stream {
    /// Where it ends: what an archive that goes on follows on.
    pub fn to(&self) -> &[Position] {
        self.segments
            .last()
            .map_or(self.record.from.as_slice(), |segment| segment.to.as_slice())
    }
}

/// The name of the segment of a number; the first is 1.
pub fn segment_name(number: u64) -> String {
    format!("{number:0DIGITS$}")
}

/// The number in a segment's name.
pub fn segment_number(name: &str) -> Option<u64> {
    let number = name.parse().ok()?;
    (number > 0 && segment_name(number) == name).then_some(number)
}

/// Whether a segment that starts at `from` follows on a log that ends at `to`: the first way of saying where it starts that
/// the end is said in too must be the same place. A log is not archived twice, so that an earlier start is wrong as well.
///
/// # Errors
/// It does not ([`ErrorKind::Refused`]).
pub fn follows(to: &[Position], from: &[Position]) -> Result<()> {
    let show = |positions: &[Position]| match positions {
        [] => "nowhere".to_owned(),
        positions => {
            let shown: Vec<String> = positions.iter().map(ToString::to_string).collect();
            shown.join(", ")
        }
    };
    let pair = from
        .iter()
        .find_map(|start| to.iter().find(|end| end.kind == start.kind).map(|end| (end, start)));
    match pair {
        Some((end, start)) if matches!(start.compare(end), Ok(Order::Equal)) => Ok(()),
        _ => Err(Error::new(
            ErrorKind::Refused,
            format!(
                "a segment of the log does not follow on the one before: expected a start at {}, found {}",
                show(to),
                show(from)
            ),
        )),
    }
}
