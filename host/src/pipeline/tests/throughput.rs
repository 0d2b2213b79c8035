//! How fast a dump goes through, against `zstd` itself: run by hand, with optimisation.
//!
//! `BACKSTAY_DUMP=dump.sql cargo test --release -p backstay --lib throughput -- --ignored --nocapture`

use std::io::Read;
use std::process::{Command, Stdio};
use std::time::Instant;

use backstay_engine_api::{Attributes, Storage};

use super::super::testing::Bed;
use super::super::{SinkOptions, VerifyOptions, verify};

#[test]
#[ignore = "a measurement: needs a dump and an optimised build"]
fn throughput() {
    let dump = std::env::var("BACKSTAY_DUMP").expect("BACKSTAY_DUMP names a file");
    let options = match std::env::var("BACKSTAY_FRAME") {
        Ok(frame) => SinkOptions {
            frame_bytes: frame.parse().unwrap(),
            ..SinkOptions::default()
        },
        Err(_) => SinkOptions::default(),
    };
    let size = std::fs::metadata(&dump).unwrap().len() as f64;
    for round in 0..3 {
        let directory = tempfile::tempdir().unwrap();
        let target = std::fs::File::create(directory.path().join("dump.zst")).unwrap();
        let (start, before) = (Instant::now(), cpu());
        let mut cat = Command::new("cat").arg(&dump).stdout(Stdio::piped()).spawn().unwrap();
        let output = cat.stdout.take().unwrap();
        let status = Command::new("zstd")
            .args(["-T0", "-3", "-q", "-c"])
            .stdin(output)
            .stdout(target)
            .status()
            .unwrap();
        cat.wait().unwrap();
        let (plain, plain_cpu) = (start.elapsed().as_secs_f64(), cpu() - before);
        assert!(status.success());
        let plain_bytes = std::fs::metadata(directory.path().join("dump.zst")).unwrap().len() as f64;

        let bed = Bed::local();
        let (start, before) = (Instant::now(), cpu());
        let mut cat = Command::new("cat").arg(&dump).stdout(Stdio::piped()).spawn().unwrap();
        let mut output = cat.stdout.take().unwrap();
        let sink = bed.sink(options.clone());
        let object = sink
            .create("dump.sql", Attributes::default(), Storage::Compress)
            .unwrap();
        let mut buffer = vec![0; 128 << 10];
        loop {
            let length = output.read(&mut buffer).unwrap();
            if length == 0 {
                break;
            }
            sink.write(object, &buffer[..length]).unwrap();
        }
        sink.finish(object).unwrap();
        let summary = sink.close().unwrap();
        cat.wait().unwrap();
        let (ours, ours_cpu) = (start.elapsed().as_secs_f64(), cpu() - before);

        let source = bed.source();
        let start = Instant::now();
        verify(
            &source,
            None,
            VerifyOptions {
                threads: 2,
                deep: false,
            },
            &|_| {},
        )
        .unwrap();
        let verified = start.elapsed().as_secs_f64();
        let start = Instant::now();
        let mut stream = source.open_object("dump.sql").unwrap();
        while stream.fill(&mut buffer).unwrap() > 0 {}
        let read = start.elapsed().as_secs_f64();
        let rate = |seconds: f64| size / seconds / 1e6;
        println!(
            "round {round}: zstd {:.0} MB/s, backstay {:.0} MB/s: time x {:.3}, CPU x {:.3}, bytes x {:.4}; \
             verify {:.0} MB/s, read {:.0} MB/s; {}",
            rate(plain),
            rate(ours),
            ours / plain,
            ours_cpu / plain_cpu,
            summary.stored_bytes as f64 / plain_bytes,
            rate(verified),
            rate(read),
            peak(),
        );
    }
}

/// Ticks of processor time, of this process and of the children that it waited for: other work on the machine does not
/// change them much. See proc_pid_stat(5), fields 14 to 17.
fn cpu() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
    let (_, fields) = stat.rsplit_once(')').unwrap();
    fields
        .split_whitespace()
        .skip(11)
        .take(4)
        .map(|field| field.parse::<f64>().unwrap())
        .sum()
}

fn peak() -> String {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with("VmHWM"));
    line.unwrap_or("VmHWM unknown").to_owned()
}
