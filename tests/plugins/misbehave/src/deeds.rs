//! Deeds that need no objects: faults, floods and hangs.

use std::hint::black_box;
use std::io::{self, Write};
use std::process;
use std::thread;
use std::time::Duration;

use backstay_engine_api::job::JobContext;
use backstay_engine_api::{EngineError, ErrorKind};

use crate::options::{Deed, Options};

/// How often a deed that waits looks whether it is cancelled.
const TICK: Duration = Duration::from_millis(20);

/// Does the deed, or nothing if it is one with objects.
pub(crate) fn run(job: &JobContext, options: &Options) -> Result<(), EngineError> {
    match options.deed {
        Deed::Error => {
            return Err(
                EngineError::new(ErrorKind::Busy, "table shop.orders is locked by session 12")
                    .advise("end session 12, or try again later")
                    .detail("Lock wait timeout exceeded"),
            );
        }
        Deed::DeepError => return Err(deep_error()),
        Deed::Panic => panic!("misbehave panics as it was told to"),
        Deed::PanicInThread => thread::scope(|scope| {
            scope.spawn(|| panic!("misbehave panics in a thread as it was told to"));
        }),
        Deed::Abort => process::abort(),
        Deed::Null => write_to_null(),
        Deed::StackOverflow => {
            black_box(recurse(black_box(1)));
        }
        Deed::Exit => process::exit(0),
        Deed::Exit3 => process::exit(3),
        Deed::Loop => loop {
            black_box(());
        },
        Deed::Sleep => loop {
            job.check_cancelled()?;
            thread::sleep(TICK);
        },
        Deed::Stdout => flood(&mut io::stdout().lock(), options)?,
        Deed::Stderr => flood(&mut io::stderr().lock(), options)?,
        Deed::Guard => {
            let _guard = job.guard(&options.session)?;
            thread::sleep(Duration::from_millis(options.milliseconds.unwrap_or(0)));
            process::abort();
        }
        _ => {}
    }
    Ok(())
}

/// As long and as ugly as a program's output can make an error: 100,000 lines, a terminal's escape sequence, a NUL.
fn deep_error() -> EngineError {
    let lines: Vec<String> = (1..=100_000)
        .map(|line| format!("line {line} of the message"))
        .collect();
    let mut error = EngineError::other(format!("first line\n\u{1b}[31mred\u{1b}[0m \0\n{}", lines.join("\n")))
        .advise("advice\nin two lines");
    for depth in 1..=1000 {
        error = error.detail(format!("cause {depth}\nin two lines"));
    }
    error
}

// The point of this deed is undefined behaviour that ends in SIGSEGV.
#[allow(unsafe_code)]
fn write_to_null() {
    let nowhere = black_box(std::ptr::null_mut::<u8>());
    // SAFETY: there is none: page 0 is not mapped on Linux, so that the process ends here.
    unsafe { nowhere.write_volatile(1) };
}

/// Not a tail call: the array is needed after the call returns.
#[allow(unconditional_recursion)]
fn recurse(depth: u64) -> u64 {
    let frame = black_box([depth; 64]);
    recurse(depth + 1) + black_box(frame)[0]
}

/// Prints lines of text.
fn flood(out: &mut dyn Write, options: &Options) -> Result<(), EngineError> {
    let line = b"misbehave prints where nobody should be listening";
    let mut piece: Vec<u8> = line.iter().copied().chain([b'\n']).cycle().take(1 << 20).collect();
    piece[(1 << 20) - 1] = b'\n';
    for _ in 0..options.megabytes.unwrap_or(1024) {
        out.write_all(&piece)?;
    }
    out.flush()?;
    Ok(())
}
