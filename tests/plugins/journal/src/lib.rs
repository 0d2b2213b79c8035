//! An engine that archives a file of numbered lines (`1 …`, `2 …`), each a transaction: the archive of a host can be tried on it
//! without a database. The file's first lines may vanish, as a server purges its log, and the whole file for a while, as a
//! server that is restarted.

use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::path::PathBuf;
use std::thread;
use std::time::{Duration, Instant};

use backstay_engine_api::job::{ArchiveStatus, Segment};
use backstay_engine_api::{
    ArchiveJob, Attributes, Engine, EngineError, EngineKind, ErrorKind, Manifest, Operation, Position, PositionKind,
    Storage, export_engine,
};
use serde::Deserialize;

#[derive(Default)]
struct Journal;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Options {
    /// The file of lines.
    file: PathBuf,
}

const SCHEMA: &str = r#"{
  "type": "object",
  "properties": { "file": { "type": "string", "description": "The file of lines" } },
  "required": ["file"],
  "additionalProperties": false
}"#;

impl Engine for Journal {
    const MANIFEST: Manifest = Manifest::new("journal", env!("CARGO_PKG_VERSION"), EngineKind::Log)
        .vendor("Backstay tests")
        .summary("Archives a file of lines")
        .databases(&["mysql"])
        .operations(&[Operation::ArchiveLog])
        .options_schema(SCHEMA);

    fn archive_log(&self, job: &ArchiveJob) -> Result<(), EngineError> {
        let options: Options = job.options()?;
        let mut at = start(job, &lines(&options)?)?;
        let mut since = Instant::now();
        loop {
            let lines = lines(&options)?;
            let new: Vec<&(u64, String)> = lines.iter().filter(|(number, _)| *number > at).collect();
            let bytes: u64 = new.iter().map(|(_, line)| line.len() as u64 + 1).sum();
            let over = job.cancelled() || job.once();
            let old = since.elapsed() >= Duration::from_secs(job.segment_seconds());
            if !new.is_empty() && (bytes >= job.segment_bytes() || old || over) {
                at = publish(job, at, &new)?;
            }
            if new.is_empty() || old {
                since = Instant::now();
            }
            job.status(ArchiveStatus {
                archived: vec![position(at)],
                lag: Some(since.elapsed().as_secs_f64()),
            });
            if over {
                return Ok(());
            }
            thread::sleep(Duration::from_millis(20));
        }
    }
}

/// Where to go on: after the archive's last line, or after what is missing.
fn start(job: &ArchiveJob, lines: &[(u64, String)]) -> Result<u64, EngineError> {
    let first = lines.first().map_or(1, |(number, _)| *number);
    let Some(after) = job.after().first() else {
        job.begin(vec![position(first - 1)], None)?;
        return Ok(first - 1);
    };
    let at: u64 = after
        .value
        .parse()
        .map_err(|_| EngineError::refused(format!("{after} is no place in a file of lines")))?;
    if first > at + 1 {
        let missing = format!("lines {} to {} are not in the file any more", at + 1, first - 1);
        job.begin(vec![position(first - 1)], Some(missing))?;
        return Ok(first - 1);
    }
    Ok(at)
}

fn publish(job: &ArchiveJob, at: u64, new: &[&(u64, String)]) -> Result<u64, EngineError> {
    let mut object = job.create("lines", Attributes::kind("lines"), Storage::Compress)?;
    for (_, line) in new {
        writeln!(object, "{line}")?;
    }
    object.finish()?;
    let last = new.last().map_or(at, |(number, _)| *number);
    job.publish(Segment {
        objects: vec!["lines".to_owned()],
        from: vec![position(at)],
        to: vec![position(last)],
        transactions: new.len() as u64,
        ..Segment::default()
    })?;
    Ok(last)
}

fn position(line: u64) -> Position {
    Position::new(PositionKind::new("journal-line"), line.to_string())
}

/// The lines that are whole, with their numbers.
fn lines(options: &Options) -> Result<Vec<(u64, String)>, EngineError> {
    let file = File::open(&options.file).map_err(|error| {
        EngineError::new(
            ErrorKind::Connection,
            format!("can not open {}", options.file.display()),
        )
        .because(&error)
    })?;
    let mut reader = BufReader::new(file);
    let mut lines = Vec::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line)?;
        let Some(whole) = line.strip_suffix('\n') else {
            return Ok(lines);
        };
        let number = whole.split(' ').next().unwrap_or_default().parse();
        let number = number.map_err(|_| EngineError::other(format!("a line without a number: {whole}")))?;
        lines.push((number, whole.to_owned()));
    }
}

export_engine!(Journal);
