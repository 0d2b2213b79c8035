//! Deeds with objects.

use std::io::Write;
use std::mem;
use std::thread;
use std::time::Duration;

use backstay_engine_api::{BackupJob, EngineError, ObjectWriter, Storage};

use crate::data::{self, PIECE, Stream};
use crate::options::{Deed, Options};

/// The size of an object that is there to be read again, in bytes.
const SMALL: u64 = 100_000;

/// Does the deed, and writes what a backup of it holds.
pub(crate) fn run(job: &BackupJob, options: &Options) -> Result<(), EngineError> {
    match options.deed {
        Deed::Escape => write(job, options, "../../etc/passwd", SMALL),
        Deed::Absolute => write(job, options, "/etc/passwd", SMALL),
        Deed::Control => write(job, options, "line\nbreak", SMALL),
        Deed::Duplicate => {
            write(job, options, "twice", SMALL)?;
            write(job, options, "twice", SMALL)
        }
        Deed::TooMany => {
            let open: Vec<ObjectWriter> = (1..=65)
                .map(|n| create(job, options, &format!("open-{n:02}"), n))
                .collect::<Result<_, _>>()?;
            open.into_iter().try_for_each(|object| object.finish().map(drop))
        }
        Deed::Unfinished => {
            ordinary(job, options)?;
            let mut object = create(job, options, "unfinished", 9)?;
            data::write(&mut object, &mut Stream::new(options.data, 9), SMALL)
        }
        Deed::Leak => {
            ordinary(job, options)?;
            let mut object = create(job, options, "leaked", 9)?;
            data::write(&mut object, &mut Stream::new(options.data, 9), SMALL)?;
            mem::forget(object);
            Ok(())
        }
        Deed::Late => {
            let (mut first, mut second) = (create(job, options, "first", 1)?, create(job, options, "second", 2)?);
            let (mut one, mut two) = (Stream::new(options.data, 1), Stream::new(options.data, 2));
            data::write(&mut first, &mut one, SMALL)?;
            data::write(&mut second, &mut two, SMALL)?;
            first.finish()?;
            data::write(&mut second, &mut two, SMALL)?;
            second.finish().map(drop)
        }
        Deed::Linger => {
            ordinary(job, options)?;
            let mut object = create(job, options, "lingering", 9)?;
            // Until the host says no, or the process ends.
            thread::spawn(move || while object.write_all(&[b'x'; 4096]).is_ok() {});
            Ok(())
        }
        Deed::Big => {
            let pieces = options.megabytes.unwrap_or(64);
            write_slowly(
                job,
                options,
                "big",
                pieces,
                PIECE as u64,
                options.milliseconds.unwrap_or(0),
            )
        }
        Deed::Slow => {
            let bytes = options.megabytes.unwrap_or(64) << 20;
            write_slowly(
                job,
                options,
                "slow",
                100,
                bytes / 100,
                options.milliseconds.unwrap_or(100),
            )
        }
        // Until the host says no, or the process ends. Each is large enough for a file of its own.
        Deed::Heedless => (1..).try_for_each(|n| {
            thread::sleep(Duration::from_millis(10));
            write(job, options, &format!("object-{n}"), 2 * PIECE as u64)
        }),
        _ => ordinary(job, options),
    }
}

/// What an engine that behaves writes.
pub(crate) fn ordinary(job: &BackupJob, options: &Options) -> Result<(), EngineError> {
    write(job, options, "data/one", SMALL)?;
    write(job, options, "data/two", 0)
}

fn create(job: &BackupJob, options: &Options, name: &str, seed: u64) -> Result<ObjectWriter, EngineError> {
    job.create(name, data::attributes(options.data, seed), Storage::Compress)
}

fn write(job: &BackupJob, options: &Options, name: &str, bytes: u64) -> Result<(), EngineError> {
    let seed = name.len() as u64;
    let mut object = create(job, options, name, seed)?;
    data::write(&mut object, &mut Stream::new(options.data, seed), bytes)?;
    object.finish().map(drop)
}

fn write_slowly(
    job: &BackupJob,
    options: &Options,
    name: &str,
    pieces: u64,
    piece: u64,
    pause: u64,
) -> Result<(), EngineError> {
    job.expect(Some(pieces * piece), Some(1));
    let mut object = create(job, options, name, 7)?;
    let mut stream = Stream::new(options.data, 7);
    for _ in 0..pieces {
        job.check_cancelled()?;
        data::write(&mut object, &mut stream, piece)?;
        thread::sleep(Duration::from_millis(pause));
    }
    object.finish().map(drop)
}
