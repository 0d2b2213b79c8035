//! The archive of a log without a database: what the host does with segments, whatever engine writes them. The log is a file
//! of numbered lines, which the plug-in `journal` archives.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Child;

use backstay_bed::until;
use backstay_tests::archived::directories;
use backstay_tests::backstay::{Backstay, Output};
use backstay_tests::plugins;
use backstay_tests::processes::{children, kill, terminate};
use serde_json::Value;
use tempfile::TempDir;

/// A configuration, a log, and the program.
struct Bed {
    backstay: Backstay,
    log: PathBuf,
    written: u64,
    // Last, so that it goes after the rest.
    dir: TempDir,
}

impl Bed {
    fn new(spool_size: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let folder = plugins::only(dir.path(), &["libjournal.so"]);
        let log = dir.path().join("log");
        fs::write(&log, "").unwrap();
        let sections = format!(
            "[archive]\nspool = \"spool\"\nspool_size = \"{spool_size}\"\nsegment_age = \"1s\"\n\
             [cluster.main]\nserver = \"mysql://backup@127.0.0.1:1\"\n\
             [workflow.log]\ncluster = \"main\"\nengine = \"journal\"\nsegment_size = \"1KiB\"\noptions = {{ file = \"{}\" }}\n",
            log.display()
        );
        let backstay = Backstay::new(dir.path(), &[folder], &sections);
        Self {
            backstay,
            log,
            written: 0,
            dir,
        }
    }

    /// Writes lines of some hundred bytes.
    fn write(&mut self, lines: u64) {
        let mut file = fs::OpenOptions::new().append(true).open(&self.log).unwrap();
        let mut text = String::new();
        for _ in 0..lines {
            self.written += 1;
            // What does not compress, so that the spool fills up.
            let noise: String = (0..20).map(|_| format!("{:04x}", rand::random::<u16>())).collect();
            text.push_str(&format!("{} {noise}\n", self.written));
        }
        file.write_all(text.as_bytes()).unwrap();
    }

    fn start(&self) -> Child {
        self.backstay.start(&["archive", "--workflow", "log"])
    }

    fn once(&self) -> Output {
        self.backstay.run(&["archive", "--workflow", "log", "--once"])
    }

    fn status(&self) -> Value {
        self.backstay
            .run(&["archive", "--status", "--cluster", "main", "--json"])
            .json()
    }

    /// The last line that is in the repository.
    fn archived(&self) -> u64 {
        let Some(stream) = streams(&self.backstay.repository()).pop() else {
            return 0;
        };
        let segments = segments(&stream);
        let Some(last) = segments.last() else { return 0 };
        let record: Value = serde_json::from_slice(&fs::read(last.join("segment.json")).unwrap()).unwrap();
        record["to"][0]["value"].as_str().unwrap().parse().unwrap()
    }

    #[track_caller]
    fn until_archived(&self, line: u64) {
        until("the archive has caught up", || self.archived() >= line);
    }

    /// That the archive has every line up to the last one, once.
    #[track_caller]
    fn assert_whole(&self) {
        let mut lines = Vec::new();
        for stream in streams(&self.backstay.repository()) {
            for segment in segments(&stream) {
                let file = fs::File::open(segment.join("data/lines.zst")).unwrap();
                let text = std::io::read_to_string(zstd(file)).unwrap();
                lines.extend(text.lines().map(str::to_owned));
            }
        }
        let log = fs::read_to_string(&self.log).unwrap();
        let expected: Vec<_> = log.lines().map(str::to_owned).collect();
        assert_eq!(lines.len(), expected.len());
        assert!(lines == expected, "the archive is not the log");
        self.backstay.run(&["verify"]).ok();
    }
}

/// Decompresses as an operator would.
fn zstd(file: fs::File) -> impl std::io::Read {
    let output = std::process::Command::new("zstd")
        .arg("-dc")
        .stdin(file)
        .output()
        .unwrap();
    assert!(output.status.success(), "zstd -d");
    std::io::Cursor::new(output.stdout)
}

fn streams(repository: &Path) -> Vec<PathBuf> {
    directories(&repository.join("clusters/main/logs"))
}

/// The directories of a log's whole segments, in order.
fn segments(stream: &Path) -> Vec<PathBuf> {
    let mut all = directories(stream);
    all.retain(|segment| segment.join("segment.json").exists());
    all
}

/// Ends an archive as a service manager does; it must end in order.
#[track_caller]
fn stop(archive: Child) -> String {
    terminate(archive.id());
    let output = archive.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(0), "{said}");
    said
}

#[test]
fn follows_stops_and_goes_on() {
    let mut bed = Bed::new("1MiB");
    bed.write(5);
    // The plug-in begins a new archive with the first line that there is.
    let output = bed.once().ok();
    assert!(output.stdout.contains("ends at journal-line 5"), "{}", output.stdout);
    bed.write(100);
    bed.once().ok();
    assert_eq!(bed.archived(), 105);
    assert_eq!(streams(&bed.backstay.repository()).len(), 1);

    let archive = bed.start();
    bed.write(7);
    bed.until_archived(112);
    until("it says how it stands", || {
        bed.status()["process"]["state"] == "following"
    });
    assert!(!bed.status()["holder"].is_null());
    // Another one would write the same log.
    let other = bed.once().fails_with(3);
    assert!(
        other.stderr.contains("the archive lock of cluster main is held"),
        "{}",
        other.stderr
    );
    bed.write(3);
    let said = stop(archive);
    assert_eq!(bed.archived(), 115, "what was read is published: {said}");
    let status = bed.status();
    assert_eq!(status["process"]["state"], "stopped");
    assert!(status["holder"].is_null());
    assert_eq!(status["logs"][0]["transactions"], 115);
    assert_eq!(fs::read_dir(bed.dir.path().join("spool")).unwrap().count(), 1);

    // A line in the middle of the archive is damaged.
    let stream = &streams(&bed.backstay.repository())[0];
    fs::write(segments(stream)[0].join("data/lines.zst"), "no zstd").unwrap();
    let verified = bed.backstay.run(&["verify"]).fails_with(1);
    assert!(verified.stdout.contains("DAMAGED"), "{}", verified.stdout);
    assert!(verified.stdout.contains("segment 000000000001"), "{}", verified.stdout);
}

#[test]
fn killed_at_any_moment() {
    let mut bed = Bed::new("1MiB");
    bed.once().ok();
    for round in 0..6 {
        let mut archive = bed.start();
        bed.write(40);
        until("a worker runs", || !children(archive.id()).is_empty());
        let enough = bed.written - 30 + 5 * round;
        bed.until_archived(enough.min(bed.written - 20));
        let workers = children(archive.id());
        if round % 3 != 1 {
            workers.iter().for_each(|worker| kill(*worker));
        }
        if round % 3 != 0 {
            kill(archive.id());
            archive.wait().unwrap();
        } else {
            // It starts another worker by itself.
            bed.write(2);
            bed.until_archived(bed.written);
            kill(archive.id());
            archive.wait().unwrap();
        }
        bed.write(1);
    }
    bed.once().ok();
    bed.assert_whole();
    assert_eq!(streams(&bed.backstay.repository()).len(), 1);
}

#[test]
fn the_repository_is_taken_away() {
    let mut bed = Bed::new("16KiB");
    bed.once().ok();
    let repository = bed.backstay.repository();
    let away = bed.dir.path().join("away");
    let archive = bed.start();
    bed.write(20);
    bed.until_archived(20);

    fs::rename(&repository, &away).unwrap();
    bed.write(20);
    let spooled = || {
        let spool = directories(&bed.dir.path().join("spool")).pop().unwrap();
        let streams = directories(&spool.join("segments"));
        streams.first().map_or(0, |stream| segments(stream).len())
    };
    until("segments wait in the spool", || spooled() > 0);
    fs::rename(&away, &repository).unwrap();
    bed.until_archived(40);

    // Away for so long that the spool is full, and killed meanwhile.
    fs::rename(&repository, &away).unwrap();
    let mut round = 0;
    until("the spool is full", || {
        round += 1;
        let state = process_state(&bed.dir.path().join("spool"));
        if state != "spool-full" && round % 10 == 0 {
            let noise = 20;
            bed.write(noise);
        }
        state == "spool-full"
    });
    let mut archive = archive;
    children(archive.id()).iter().for_each(|worker| kill(*worker));
    kill(archive.id());
    archive.wait().unwrap();
    fs::rename(&away, &repository).unwrap();
    assert!(bed.archived() < bed.written);
    bed.once().ok();
    bed.assert_whole();
}

fn process_state(spool: &Path) -> String {
    let place = directories(spool).pop().unwrap();
    let status: Value =
        serde_json::from_slice(&fs::read(place.join("status.json")).unwrap_or_default()).unwrap_or_default();
    status["state"].as_str().unwrap_or_default().to_owned()
}

#[test]
fn a_gap_is_reported_and_begins_a_new_log() {
    let mut bed = Bed::new("1MiB");
    bed.once().ok();
    bed.write(10);
    bed.once().ok();
    bed.write(10);
    // The server deletes what was not archived yet.
    let log = fs::read_to_string(&bed.log).unwrap();
    let left: Vec<&str> = log.lines().skip(15).collect();
    fs::write(&bed.log, left.join("\n") + "\n").unwrap();
    let output = bed.once().fails_with(1);
    assert!(
        output.stdout.contains("GAP after") && output.stdout.contains("lines 11 to 15 are not in the file any more"),
        "{}",
        output.stdout
    );
    assert!(output.stderr.contains("take a full backup"), "{}", output.stderr);
    assert_eq!(streams(&bed.backstay.repository()).len(), 2);
    assert_eq!(bed.archived(), 20);

    // It goes on after the gap, which stays to be mended.
    bed.write(5);
    bed.once().ok();
    assert_eq!(bed.archived(), 25);
    let status = bed
        .backstay
        .run(&["archive", "--status", "--cluster", "main"])
        .fails_with(1);
    assert!(status.stdout.contains("GAP after"), "{}", status.stdout);
    assert!(
        status.stdout.contains("a full backup has to be taken"),
        "{}",
        status.stdout
    );
    bed.backstay.run(&["verify"]).ok();
}

#[test]
fn mistakes_are_named() {
    let bed = Bed::new("1MiB");
    let unknown = bed
        .backstay
        .run(&["archive", "--cluster", "main", "--engine", "misbehave"])
        .fails_with(2);
    assert!(unknown.stderr.contains("misbehave"), "{}", unknown.stderr);
    bed.backstay
        .run(&["archive", "--workflow", "log", "--segment-size", "16"])
        .fails_with(2);
    let config = bed.backstay.config();
    let text = fs::read_to_string(&config).unwrap().replace("spool_size", "spool_sise");
    fs::write(&config, text).unwrap();
    let output = bed.once().fails_with(2);
    assert!(
        output.stderr.contains("did you mean `spool_size`?"),
        "{}",
        output.stderr
    );
}
