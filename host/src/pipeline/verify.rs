//! [`verify`]: reads a backup's bytes, for no other purpose than to know that they are what was written.

mod plan;

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use backstay_engine_api::EngineError;
use sha2::{Digest, Sha256};

use super::budget::lock;
use super::problem::{Problem, ProblemKind};
use super::reader::{Piece, other_digest};
use super::source::BackupSource;
use crate::repository::index::{IndexEntry, hex};

use plan::{Part, Plan};

/// How much is read at once. Each thread has three of them in memory.
const CHUNK: u64 = 1 << 20;

/// How a backup is verified.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct VerifyOptions {
    /// How many threads read; at least 1.
    pub threads: usize,
    /// Whether the bytes are decompressed too, and the objects' sizes compared. Digests say that the bytes are those that
    /// were written; this says that they are what the engine meant.
    pub deep: bool,
}

/// Verifies the objects that are selected, or a whole backup: then files are reported too that belong to no object.
/// `progress` is given the number of stored bytes that were read since it was last called.
///
/// # Errors
/// Everything that is wrong, by file and place.
pub fn verify(
    source: &BackupSource,
    select: Option<&dyn Fn(&IndexEntry) -> bool>,
    options: VerifyOptions,
    progress: &(dyn Fn(u64) + Sync),
) -> Result<(), Vec<Problem>> {
    let (plan, problems) = Plan::make(source, select);
    let problems = Mutex::new(problems);
    let next = AtomicUsize::new(0);
    let work = || {
        while let Some(task) = plan.task(next.fetch_add(1, Ordering::Relaxed), options.deep) {
            let checker = Checker {
                source,
                plan: &plan,
                problems: &problems,
                progress,
            };
            if options.deep {
                task.iter().for_each(|part| checker.decode(part));
            } else {
                checker.digest_file(task);
            }
        }
    };
    std::thread::scope(|scope| {
        for _ in 1..options.threads.max(1) {
            scope.spawn(work);
        }
        work();
    });
    let mut problems = problems.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
    if problems.is_empty() {
        return Ok(());
    }
    problems.sort_by(|a, b| (&a.object, &a.file).cmp(&(&b.object, &b.file)));
    // An object of several extents in one missing file would be named for each.
    problems.dedup();
    Err(problems)
}

struct Checker<'a> {
    source: &'a BackupSource,
    plan: &'a Plan,
    problems: &'a Mutex<Vec<Problem>>,
    progress: &'a (dyn Fn(u64) + Sync),
}

impl Checker<'_> {
    /// Compares the digests of extents of one file, which are in the order of their offsets.
    fn digest_file(&self, mut parts: &[Part]) {
        while let Some(first) = parts.first() {
            // What lies together is read together: an extent of a bundle may have 100 bytes.
            let together = 1 + parts
                .windows(2)
                .take_while(|pair| pair[0].end() == pair[1].offset)
                .count();
            let (run, rest) = parts.split_at(together);
            self.digest_run(self.plan.file(first), run);
            parts = rest;
        }
    }

    fn digest_run(&self, file: &str, run: &[Part]) {
        let piece = Piece {
            file: file.to_owned(),
            range: run[0].offset..run[run.len() - 1].end(),
        };
        let mut chunks = self.source.files().fetch(vec![piece], CHUNK);
        let mut digest = Sha256::new();
        let mut parts = run.iter();
        let mut part = parts.next();
        let mut left = run[0].length;
        while part.is_some() {
            let mut chunk = match chunks.blocking_recv() {
                Some(Ok(chunk)) => chunk,
                Some(Err(problem)) => {
                    part.into_iter()
                        .chain(parts)
                        .for_each(|part| self.hurt(part, problem.clone()));
                    return;
                }
                // Whoever reads has ended before the end: what was not read is not sound.
                None => {
                    let stopped = EngineError::other("reading stopped before its end");
                    part.into_iter()
                        .chain(parts)
                        .for_each(|part| self.hurt(part, unreadable(file, &stopped)));
                    return;
                }
            };
            (self.progress)(chunk.len() as u64);
            while let Some(current) = part {
                let taken = chunk.split_to(left.min(chunk.len() as u64) as usize);
                digest.update(&taken);
                left -= taken.len() as u64;
                if left > 0 {
                    break;
                }
                let found = digest.finalize_reset();
                if found[..] != current.sha256 {
                    let range = current.offset..current.end();
                    self.hurt(current, other_digest(file, &range, &hex(&current.sha256), &hex(&found)));
                }
                part = parts.next();
                left = part.map_or(0, |part| part.length);
            }
        }
    }

    /// Reads an object as a restore would.
    fn decode(&self, part: &Part) {
        let entry = self.source.index().at(part.object as usize);
        let file = self.plan.file(part);
        let result = self.source.open_entry(entry).map_err(|error| unreadable(file, &error));
        let result = result.and_then(|mut stream| {
            let mut buffer = vec![0; 256 << 10];
            let mut reported = 0;
            loop {
                let length = stream.fill_or_problem(&mut buffer)?;
                let read = stream.stored_read();
                if read > reported {
                    (self.progress)(read - reported);
                    reported = read;
                }
                if length == 0 {
                    return Ok(());
                }
            }
        });
        if let Err(problem) = result {
            self.hurt(part, problem);
        }
    }

    fn hurt(&self, part: &Part, problem: Problem) {
        let object = Some(self.source.index().at(part.object as usize).name);
        lock(self.problems).push(Problem { object, ..problem });
    }
}

fn unreadable(file: &str, error: &EngineError) -> Problem {
    Problem {
        kind: ProblemKind::Unreadable,
        object: None,
        file: file.to_owned(),
        expected: "an object that can be opened".to_owned(),
        found: error.to_string(),
    }
}
