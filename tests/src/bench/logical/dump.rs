//! Dumps: the floor, the peers and Backstay, in turn.

use std::collections::BTreeMap;
use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};

use backstay_bed::Flavour;

use super::super::compressing::Sample;
use super::super::hashing::hash_and_write;
use super::super::usage::Usage;
use super::super::{RUNS, median, table, time, verdict};
use super::data::DataSet;
use super::peers::{PLAIN, Peers, ZSTD, backstay};
use super::{floor, say};
use crate::backstay::Backstay;

const THREADS: [usize; 2] = [2, 4];
/// At so many threads the worker's memory is looked at.
const MEMORY_THREADS: usize = 4;

// The bars, each a ratio of medians; memory in MiB.
const PLAIN_TO_MYSQLDUMP: f64 = 0.35;
const PLAIN_TO_MYDUMPER: f64 = 0.65;
const PLAIN_TO_FLOOR: f64 = 1.15;
const ZSTD_TO_MYSQLDUMP: f64 = 0.52;
const ZSTD_TO_MYDUMPER: f64 = 0.5;
pub(super) const MEMORY: f64 = 256.0;

/// What is run, and on how many threads.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Side {
    Floor(usize),
    Hash,
    Compress,
    Mysqldump,
    Mydumper(usize),
    MydumperCompressed(usize),
    Plain(usize),
    Zstd(usize),
}

/// The runs of each side that count.
#[derive(Default)]
struct Runs {
    usages: BTreeMap<Side, Vec<Usage>>,
    bytes: BTreeMap<Side, u64>,
}

impl Runs {
    fn median(&self, side: Side, of: impl Fn(&Usage) -> f64) -> Option<f64> {
        let values: Vec<f64> = self.usages.get(&side)?.iter().map(of).collect();
        median(&values)
    }

    fn seconds(&self, side: Side) -> Option<f64> {
        self.median(side, |usage| usage.seconds)
    }
}

/// All sides, and their table.
pub(super) fn run(set: &DataSet) -> Result<String, Box<dyn Error>> {
    // In memory, for all sides: no peer syncs what it writes, as Backstay does before a backup counts, and the disk would be what is
    // measured.
    let memory = tempfile::Builder::new()
        .prefix("backstay-bench-")
        .tempdir_in("/dev/shm")?;
    let backstay = backstay(&set.server, &memory.path().join("backstay"));
    let peers = Peers { server: &set.server };
    let directory = memory.path().join("dumps");
    fs::create_dir_all(&directory)?;
    let mut runs = Runs::default();
    let mut sample = Sample::default();
    for round in 0..=RUNS {
        say(&format!(
            "{}: dump of {}, round {round} of {RUNS}",
            set.server.flavour.as_str(),
            set.about
        ));
        // Backstay first in the round that does not count: what hashing and zstd are given is as many bytes as it has stored. Each
        // round begins with another side.
        let mut sides = sides(set.server.flavour);
        let first = round * sides.len() / (RUNS + 1);
        sides.rotate_left(first);
        for side in sides {
            let stored = runs.bytes.get(&Side::Plain(2)).copied().unwrap_or(0);
            let (usage, bytes) = match side {
                Side::Floor(threads) => (seconds(floor::run(set, threads)?), 0),
                Side::Hash => (hash(&directory, stored)?, 0),
                Side::Compress => (seconds(time(|| sample.compress(stored))?.0.as_secs_f64()), 0),
                Side::Mysqldump => (peers.mysqldump(&[set.schema], Path::new("/dev/null"))?, 0),
                Side::Mydumper(threads) => (
                    peers.mydumper(set.schema, threads, false, &directory.join("mydumper"))?,
                    0,
                ),
                Side::MydumperCompressed(threads) => (
                    peers.mydumper(set.schema, threads, true, &directory.join("mydumper"))?,
                    0,
                ),
                Side::Plain(threads) => peers.backup(&backstay, PLAIN, threads)?,
                Side::Zstd(threads) => peers.backup(&backstay, ZSTD, threads)?,
            };
            runs.bytes.insert(side, bytes);
            if round == 0 && side == Side::Plain(2) {
                sample = sample_of(&backstay)?;
            }
            if round > 0 {
                runs.usages.entry(side).or_default().push(usage);
            }
        }
    }
    Ok(report(&runs))
}

fn sides(flavour: Flavour) -> Vec<Side> {
    let mut sides = Vec::new();
    for threads in THREADS {
        sides.extend([Side::Plain(threads), Side::Zstd(threads), Side::Floor(threads)]);
        if flavour == Flavour::MariaDb {
            sides.extend([Side::Mydumper(threads), Side::MydumperCompressed(threads)]);
        }
    }
    sides.extend([Side::Mysqldump, Side::Hash, Side::Compress]);
    sides
}

fn seconds(seconds: f64) -> Usage {
    Usage {
        seconds,
        ..Usage::default()
    }
}

fn hash(directory: &Path, bytes: u64) -> Result<Usage, Box<dyn Error>> {
    let folder = directory.join("hashed");
    fs::create_dir_all(&folder)?;
    let (taken, ()) = time(|| hash_and_write(&folder, bytes))?;
    fs::remove_dir_all(&folder)?;
    Ok(seconds(taken.as_secs_f64()))
}

/// Of the latest backup, which is not compressed.
fn sample_of(backstay: &Backstay) -> Result<Sample, Box<dyn Error>> {
    let files = backstay.files();
    let data = files.iter().filter(|(path, _)| path.iter().any(|part| part == "data"));
    let paths: Vec<_> = data.map(|(path, _)| backstay.repository().join(path)).collect();
    Ok(Sample::of(paths.iter().map(PathBuf::as_path))?)
}

fn report(runs: &Runs) -> String {
    let mut rows = Vec::new();
    let mysqldump = runs.seconds(Side::Mysqldump);
    let hash = runs.seconds(Side::Hash);
    let compress = runs.seconds(Side::Compress);
    let bare = |what: &str, threads: &str, side: Side| {
        let mut row = vec![what.to_owned(), threads.to_owned(), show(runs.seconds(side))];
        row.extend(["", "", "", "", "", ""].map(str::to_owned));
        row
    };
    rows.push(bare("mysqldump > /dev/null", "1", Side::Mysqldump));
    rows.push(bare("SHA-256 and page cache, the bytes of `none`", "all", Side::Hash));
    rows.push(bare("zstd 1, the bytes of `none`", "all", Side::Compress));
    for threads in THREADS {
        let text = threads.to_string();
        let floor = runs.seconds(Side::Floor(threads));
        rows.push(bare("floor: every row read", &text, Side::Floor(threads)));
        for (what, side) in [
            ("mydumper", Side::Mydumper(threads)),
            ("mydumper --compress", Side::MydumperCompressed(threads)),
        ] {
            if runs.seconds(side).is_some() {
                rows.push(bare(what, &text, side));
            }
        }
        let with = |other: Option<f64>| floor.zip(other).map(|(floor, other)| floor + other);
        for (what, side, bars) in [
            (
                "backstay, none",
                Side::Plain(threads),
                [
                    (mysqldump, Some(PLAIN_TO_MYSQLDUMP)),
                    (runs.seconds(Side::Mydumper(threads)), Some(PLAIN_TO_MYDUMPER)),
                    (with(hash), Some(PLAIN_TO_FLOOR)),
                ],
            ),
            (
                "backstay, zstd 1",
                Side::Zstd(threads),
                [
                    (mysqldump, Some(ZSTD_TO_MYSQLDUMP)),
                    (runs.seconds(Side::MydumperCompressed(threads)), Some(ZSTD_TO_MYDUMPER)),
                    // No bar, but it says how far a bar against mysqldump can be met.
                    (with(compress), None),
                ],
            ),
        ] {
            let ours = runs.seconds(side);
            let mut row = vec![what.to_owned(), text.clone(), show(ours)];
            row.extend(bars.map(|(peer, bar)| match ours.zip(peer) {
                Some((ours, peer)) => {
                    bar.map_or_else(|| format!("{:.2}", ours / peer), |bar| verdict(ours / peer, bar))
                }
                None => String::new(),
            }));
            row.push(percent(runs.median(side, |usage| usage.share())));
            row.push(match runs.median(side, |usage| usage.peak) {
                Some(peak) if threads == MEMORY_THREADS => memory(peak),
                Some(peak) => format!("{peak:.0} MiB"),
                None => String::new(),
            });
            row.push(format!(
                "{:.0} MB",
                runs.bytes.get(&side).copied().unwrap_or(0) as f64 / 1e6
            ));
            rows.push(row);
        }
    }
    table(
        &[
            "what",
            "threads",
            "median",
            "to mysqldump (bar)",
            "to mydumper, compressed or not as ours (bar)",
            "to floor + SHA-256 and page cache, or + zstd (bar)",
            "our CPU, of ours and the server's",
            "worker's peak memory (bar)",
            "stored",
        ],
        &rows,
    )
}

pub(super) fn show(seconds: Option<f64>) -> String {
    seconds.map_or_else(String::new, |seconds| format!("{seconds:.2} s"))
}

pub(super) fn percent(share: Option<f64>) -> String {
    share.map_or_else(String::new, |share| format!("{:.0} %", share * 100.0))
}

pub(super) fn memory(peak: f64) -> String {
    let mark = if peak <= MEMORY { "<=" } else { "MISSED:" };
    format!("{peak:.0} MiB ({mark} {MEMORY:.0})")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ratios_are_of_medians_and_a_side_that_did_not_run_is_left_out() {
        let mut runs = Runs::default();
        for (side, taken) in [
            (Side::Mysqldump, 10.0),
            (Side::Hash, 1.0),
            (Side::Compress, 3.0),
            (Side::Floor(2), 2.0),
            (Side::Plain(2), 3.0),
            (Side::Zstd(2), 6.0),
        ] {
            runs.usages
                .insert(side, vec![seconds(taken), seconds(99.0), seconds(0.0)]);
        }
        let text = report(&runs);
        assert!(
            text.contains("| backstay, none | 2 | 3.00 s | 0.30 (<= 0.35) |  | 1.00 (<= 1.15) |"),
            "{text}"
        );
        assert!(
            text.contains("| backstay, zstd 1 | 2 | 6.00 s | 0.60 (MISSED: 0.52) |  | 1.20 |"),
            "{text}"
        );
        assert!(!text.contains("| mydumper |"), "{text}");
    }
}
