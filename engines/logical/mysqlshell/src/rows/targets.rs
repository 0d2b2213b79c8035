//! [`targets()`]: how large the chunks of each table are to be.

use std::cmp::Reverse;

use super::source::Source;
use crate::catalogue::Table;
use crate::options::BYTES_PER_CHUNK;

/// At the end a thread waits for another about as long as one chunk takes: so many chunks are each thread's share of what is left to do.
const CHUNKS_LEFT: u64 = 4;

/// Smaller chunks are not made for that, in bytes: each costs a file, and a few look-ups.
const SMALLEST: u64 = 8_000_000;

/// Nor many more of them than this: where there are very many objects, small ones are put together into files that only Backstay reads.
const MOST_CHUNKS: u64 = 200;

/// The tables' sources, the largest first, as they are dumped, and of how many bytes the chunks of each are to be: `most`, or a share of
/// what is left to do from there on. Whoever wants larger chunks than usual gets them.
pub(crate) fn targets<'a>(
    tables: impl Iterator<Item = &'a Table>,
    most: u64,
    threads: usize,
) -> Vec<(Source<'a>, u64)> {
    let mut sources: Vec<_> = tables.flat_map(Source::all).collect();
    sources.sort_by_key(|source| Reverse(source.bytes()));
    let mut left: u64 = sources.iter().map(Source::bytes).sum();
    let least = SMALLEST.max(left / MOST_CHUNKS);
    let even = threads > 1 && most <= BYTES_PER_CHUNK;
    let with_target = |source: Source<'a>| {
        let share = left / (threads.max(1) as u64 * CHUNKS_LEFT);
        left -= source.bytes();
        let target = if even { share.max(least).min(most) } else { most };
        (source, target)
    };
    sources.into_iter().map(with_target).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(name: &str, megabytes: u64) -> Table {
        Table {
            name: name.to_owned(),
            bytes: megabytes * 1_000_000,
            ..Table::default()
        }
    }

    fn of(tables: &[Table], most: u64, threads: usize) -> Vec<(&str, u64)> {
        let all = targets(tables.iter(), most * 1_000_000, threads);
        all.into_iter()
            .map(|(source, target)| (source.table.name.as_str(), target / 1_000_000))
            .collect()
    }

    #[test]
    fn what_comes_last_is_cut_smaller() {
        let tables = [table("c", 100), table("a", 800), table("b", 100), table("d", 1)];
        let expected = [("a", 64), ("c", 25), ("b", 12), ("d", 8)];
        assert_eq!(of(&tables, 64, 2), expected);
        assert_eq!(
            of(&tables, 10, 2),
            expected.map(|(name, target)| (name, target.min(10)))
        );
    }

    #[test]
    fn a_great_many_threads_make_no_great_many_chunks() {
        let tables: Vec<Table> = (0..20).map(|_| table("t", 400)).collect();
        let chunks: u64 = of(&tables, 64, 64).iter().map(|(_, target)| 400 / target).sum();
        assert!(chunks <= MOST_CHUNKS, "{chunks}");
        assert_eq!(of(&tables, 1000, 64)[19], ("t", 1000));
    }

    #[test]
    fn one_thread_waits_for_nobody() {
        let tables = [table("a", 800), table("b", 10)];
        assert_eq!(of(&tables, 64, 1), [("a", 64), ("b", 64)]);
    }
}
