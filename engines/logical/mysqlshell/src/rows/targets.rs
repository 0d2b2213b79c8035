//! [`targets()`]: how each table is read: by one query, or in ranges, and of what size.

use std::cmp::Reverse;

use super::source::Source;
use crate::catalogue::Table;
use crate::options::BYTES_PER_CHUNK;

/// How a source is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Target {
    /// By one query. MySQL compares each row of a range with the range's end: sysbench's rows take it a fifth longer.
    Whole,
    /// In ranges of its key of about so many bytes, by several threads at once.
    Ranges(u64),
}

/// At the end a thread waits for another about as long as one chunk takes: so many chunks are each thread's share of what is left to do.
const CHUNKS_LEFT: u64 = 4;

/// Smaller chunks are not made for that, in bytes: each costs a file, and a few look-ups.
const SMALLEST: u64 = 8_000_000;

/// Nor many more of them than this: where there are very many objects, small ones are put together into files that only Backstay reads.
const MOST_CHUNKS: u64 = 200;

/// What a value takes besides what its bytes take, as bytes: from the times of rows of 4 columns and 190 bytes, and of 34 columns and
/// 1,090 bytes.
const VALUE: u64 = 60;

/// The tables' sources, the largest first, as they are dumped, and how each is read. Whoever wants larger chunks than usual gets them.
///
/// One that takes no more than two thirds of a thread's share of what is left to do from there on is read as a whole: the other threads
/// have enough to do until it is done, and still if it takes longer than it seemed. Of others chunks are made, of `most` bytes or, towards the
/// end, of a part of a thread's share.
pub(crate) fn targets<'a>(
    tables: impl Iterator<Item = &'a Table>,
    most: u64,
    threads: usize,
) -> Vec<(Source<'a>, Target)> {
    let threads = threads.max(1) as u64;
    let mut sources: Vec<_> = tables.flat_map(Source::all).collect();
    sources.sort_by_key(|source| Reverse(source.bytes()));
    let mut left: u64 = sources.iter().map(Source::bytes).sum();
    let mut weight_left: u64 = sources.iter().map(weight).sum();
    let least = SMALLEST.max(left / MOST_CHUNKS);
    let even = most <= BYTES_PER_CHUNK;
    let with_target = |source: Source<'a>| {
        let share = left / (threads * CHUNKS_LEFT);
        let whole = threads == 1 || weight(&source) <= weight_left / threads / 3 * 2;
        left -= source.bytes();
        weight_left -= weight(&source);
        let target = match (whole, even) {
            (true, _) => Target::Whole,
            (false, true) => Target::Ranges(share.max(least).min(most)),
            (false, false) => Target::Ranges(most),
        };
        (source, target)
    };
    sources.into_iter().map(with_target).collect()
}

/// How long a source takes, as bytes.
fn weight(source: &Source<'_>) -> u64 {
    source.bytes() + source.rows() * source.table.columns.len() as u64 * VALUE
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalogue::{Column, Encoding};

    fn table(name: &str, megabytes: u64) -> Table {
        Table {
            name: name.to_owned(),
            bytes: megabytes * 1_000_000,
            ..Table::default()
        }
    }

    fn of(tables: &[Table], most: u64, threads: usize) -> Vec<(&str, Option<u64>)> {
        let all = targets(tables.iter(), most * 1_000_000, threads);
        let megabytes = |target| match target {
            Target::Whole => None,
            Target::Ranges(bytes) => Some(bytes / 1_000_000),
        };
        all.into_iter()
            .map(|(source, target)| (source.table.name.as_str(), megabytes(target)))
            .collect()
    }

    #[test]
    fn what_comes_last_is_cut_smaller() {
        let tables = [table("c", 100), table("a", 800), table("b", 100), table("d", 1)];
        let expected = [("a", Some(64)), ("c", Some(25)), ("b", Some(12)), ("d", Some(8))];
        assert_eq!(of(&tables, 64, 2), expected);
        assert_eq!(
            of(&tables, 10, 2),
            expected.map(|(name, target)| (name, target.map(|most| most.min(10))))
        );
    }

    #[test]
    fn what_others_need_longer_for_is_read_whole() {
        let tables: Vec<Table> = (0..8).map(|_| table("t", 100)).collect();
        let whole = |threads| {
            of(&tables, 64, threads)
                .iter()
                .take_while(|(_, target)| target.is_none())
                .count()
        };
        assert_eq!([1, 2, 4, 8].map(whole), [8, 6, 3, 0]);
        // All after those are cut, for less and less is left.
        assert_eq!(of(&tables, 64, 2)[6..], [("t", Some(25)), ("t", Some(12))]);
    }

    #[test]
    fn many_small_rows_take_longer_than_their_bytes() {
        let column = Column {
            name: "n".into(),
            data_type: "int".into(),
            encoding: Encoding::Plain,
            inexact: None,
            empty_member: None,
        };
        let small_rows = Table {
            rows: 20_000_000,
            columns: vec![column; 3],
            ..table("small_rows", 100)
        };
        let tables = [
            table("a", 300),
            table("b", 300),
            table("c", 300),
            small_rows,
            table("d", 99),
        ];
        let expected = [
            ("a", None),
            ("b", None),
            ("c", None),
            ("small_rows", Some(24)),
            ("d", Some(12)),
        ];
        assert_eq!(of(&tables, 64, 2), expected);
    }

    #[test]
    fn a_great_many_threads_make_no_great_many_chunks() {
        let tables: Vec<Table> = (0..20).map(|_| table("t", 400)).collect();
        let chunks: u64 = of(&tables, 64, 64)
            .iter()
            .map(|(_, target)| 400 / target.unwrap())
            .sum();
        assert!(chunks <= MOST_CHUNKS, "{chunks}");
        assert_eq!(of(&tables, 1000, 64)[19], ("t", Some(1000)));
    }

    #[test]
    fn one_thread_waits_for_nobody() {
        let tables = [table("a", 800), table("b", 10)];
        assert_eq!(of(&tables, 64, 1), [("a", None), ("b", None)]);
    }
}
