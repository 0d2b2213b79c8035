//! The host's pipeline alone: what it adds to hashing the bytes and writing them into the page cache, and what a tiny object
//! costs.

use std::error::Error;
use std::fs;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use backstay::pipeline::{BackupSink, SinkOptions};
use backstay::repository::Repository;
use backstay_bed::target_dir;
use backstay_engine_api::{Attributes, EngineError, Storage};
use tempfile::TempDir;
use tokio::runtime::Runtime;

use super::hashing::{PIECE, hash_and_write, piece};
use super::{RUNS, median, table, time, verdict};

/// An engine's threads, each of which writes objects one after the other.
const THREADS: u64 = 4;
const OBJECTS: u64 = 8;
const OBJECT_BYTES: usize = 64 << 20;
/// A schema of 10,000 tables has so many.
const TINY: u64 = 40_000;
const TINY_BYTES: usize = 400;
const RATIO_BAR: f64 = 1.15;
const TINY_BAR: f64 = 20.0;

/// Large objects against their floor, and tiny ones.
///
/// # Errors
/// A file can not be written.
pub fn run() -> Result<String, Box<dyn Error>> {
    let (mut floor, mut ours, mut tiny) = (Vec::new(), Vec::new(), Vec::new());
    let piece = piece();
    let bytes = OBJECTS * OBJECT_BYTES as u64;
    for _ in 0..=RUNS {
        let bed = Bed::new()?;
        floor.push(time(|| hash_and_write(bed.dir.path(), bytes))?.0.as_secs_f64());
        let bed = Bed::new()?;
        ours.push(time(|| bed.large(&piece))?.0.as_secs_f64());
        let bed = Bed::new()?;
        tiny.push(time(|| bed.tiny(&piece[..TINY_BYTES]))?.0.as_secs_f64() * 1e6 / TINY as f64);
    }
    let middle = |values: &[f64]| median(&values[1..]).unwrap_or(f64::NAN);
    let (floor, ours, tiny) = (middle(&floor), middle(&ours), middle(&tiny));
    let rate = |seconds: f64| format!("{seconds:.2} s, {:.2} GB/s", bytes as f64 / seconds / 1e9);
    let mark = if tiny <= TINY_BAR { "<=" } else { "MISSED:" };
    Ok(table(
        &["what", "floor", "backstay", "ratio (bar)"],
        &[
            vec![
                format!("{THREADS} threads, pieces of 1 MiB, stored; the floor: SHA-256 and page cache on all cores"),
                rate(floor),
                rate(ours),
                verdict(ours / floor, RATIO_BAR),
            ],
            vec![
                format!("a tiny object of {TINY}, zstd"),
                "-".into(),
                format!("{tiny:.1} us"),
                format!("({mark} {TINY_BAR:.0} us)"),
            ],
        ],
    ))
}

struct Bed {
    dir: TempDir,
    repository: Repository,
    runtime: Runtime,
}

impl Bed {
    /// On the disk that the build is on: memory would hide what the page cache costs.
    fn new() -> Result<Self, Box<dyn Error>> {
        let folder = target_dir().join("bench");
        fs::create_dir_all(&folder)?;
        let dir = tempfile::tempdir_in(folder)?;
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()?;
        let repository = dir.path().join("repository");
        let repository = Repository::init(&format!("file://{}", repository.display()), runtime.handle())?;
        Ok(Self {
            dir,
            repository,
            runtime,
        })
    }

    fn sink(&self) -> Result<BackupSink, Box<dyn Error>> {
        Ok(BackupSink::new(
            self.repository
                .destination(self.repository.paths("bench", "backup")?.directory),
            self.runtime.handle().clone(),
            SinkOptions::default(),
        )?)
    }

    fn large(&self, piece: &[u8]) -> Result<(), Box<dyn Error>> {
        self.write(OBJECTS, Storage::Store, &|sink, object| {
            (0..OBJECT_BYTES / PIECE).try_for_each(|_| sink.write(object, piece))
        })
    }

    fn tiny(&self, bytes: &[u8]) -> Result<(), Box<dyn Error>> {
        self.write(TINY, Storage::Compress, &|sink, object| sink.write(object, bytes))
    }

    /// So many objects, from the engine's threads.
    fn write(
        &self,
        objects: u64,
        storage: Storage,
        fill: &(dyn Fn(&BackupSink, u64) -> Result<(), EngineError> + Sync),
    ) -> Result<(), Box<dyn Error>> {
        let sink = self.sink()?;
        sink.expect(objects);
        let next = AtomicU64::new(0);
        let work = || -> Result<(), EngineError> {
            loop {
                let number = next.fetch_add(1, Ordering::Relaxed);
                if number >= objects {
                    return Ok(());
                }
                let name = format!("shop@table_{number:05}.sql");
                let object = sink.create(&name, Attributes::kind("table").schema("shop").table(&name), storage)?;
                fill(&sink, object)?;
                sink.finish(object)?;
            }
        };
        thread::scope(|scope| {
            let threads: Vec<_> = (0..THREADS).map(|_| scope.spawn(work)).collect();
            threads.into_iter().try_for_each(|thread| {
                thread
                    .join()
                    .map_err(|_| "a thread panicked")?
                    .map_err(Box::<dyn Error>::from)
            })
        })?;
        sink.close()?;
        Ok(())
    }
}
