//! `backstay restore --from-dump`: a directory that no Backstay made, without a repository or a configuration.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use backstay_tests::backstay::Output;
use backstay_tests::{build_dir, plugins};
use insta::assert_snapshot;
use tempfile::TempDir;

/// A directory to restore, plug-ins, and no configuration anywhere near.
struct Bed {
    dir: TempDir,
}

impl Bed {
    fn new(libraries: &[&str]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        plugins::only(dir.path(), libraries);
        let dump = dir.path().join("dump");
        fs::create_dir(&dump).unwrap();
        fs::write(dump.join("@.json"), br#"{"begin": "2026-11-22 10:15:30"}"#).unwrap();
        let rows = zstd_of(&rows());
        fs::write(dump.join("shop@orders@@0.tsv.zst"), rows).unwrap();
        fs::write(dump.join("shop@orders@@0.tsv.zst.idx"), 600_000_u64.to_be_bytes()).unwrap();
        fs::write(dump.join("shop@empty@@0.tsv"), b"").unwrap();
        Self { dir }
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(build_dir().join("backstay"));
        command
            .arg("restore")
            .args(arguments)
            .current_dir(self.dir.path())
            .env("BACKSTAY_PLUGINS", self.dir.path().join("plugins"))
            .env_remove("BACKSTAY_CONFIG")
            .env_remove("BACKSTAY_PASSWORD")
            .stdin(Stdio::null());
        command
    }

    fn run(&self, arguments: &[&str]) -> Output {
        let output = self.command(arguments).output().unwrap();
        Output {
            code: output.status.code(),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }

    fn dump(&self) -> std::path::PathBuf {
        self.dir.path().join("dump")
    }

    /// What was said on standard error, with the test's directories taken out.
    fn said(&self, output: &Output) -> String {
        let engines = format!(
            "{0}/engines, {1}/lib/backstay/engines, {0}",
            build_dir().display(),
            above(&build_dir())
        );
        let real = self.dir.path().canonicalize().unwrap();
        let text = output.stderr.replace(&engines, "USUAL PLACES");
        text.replace(&real.display().to_string(), "DIR")
    }
}

fn above(path: &Path) -> String {
    path.parent().unwrap().display().to_string()
}

fn rows() -> Vec<u8> {
    b"1\tone\n".repeat(100_000)
}

/// As the program makes it: a stream that does not say how long it is.
fn zstd_of(bytes: &[u8]) -> Vec<u8> {
    use std::io::Write;
    let mut child = Command::new("zstd")
        .args(["-qc", "--stream-size=0"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut input = child.stdin.take().unwrap();
    let bytes = bytes.to_owned();
    let writer = std::thread::spawn(move || input.write_all(&bytes).unwrap());
    let output = child.wait_with_output().unwrap();
    writer.join().unwrap();
    assert!(output.status.success());
    output.stdout
}

#[test]
fn an_engine_reads_the_files_and_those_that_are_zstd_decompressed() {
    let bed = Bed::new(&["libcold_files.so"]);
    let output = bed.run(&["--from-dump", "dump", "--to-datadir", "out", "--json"]).ok();
    let first = output.json()["restored"][0].as_str().unwrap().to_owned();
    assert!(first.starts_with("dump-"), "{first}");
    let out = bed.dir.path().join("out");
    assert_eq!(
        fs::read(out.join("@.json")).unwrap(),
        fs::read(bed.dump().join("@.json")).unwrap()
    );
    assert_eq!(fs::read(out.join("shop@orders@@0.tsv.zst")).unwrap(), rows());
    assert_eq!(
        fs::read(out.join("shop@orders@@0.tsv.zst.idx")).unwrap(),
        600_000_u64.to_be_bytes()
    );
    assert_eq!(fs::read(out.join("shop@empty@@0.tsv")).unwrap(), b"");

    // The same dump in the same place, however it is named, is the same one; another dump there is another.
    symlink(bed.dump(), bed.dir.path().join("link")).unwrap();
    let id = |dump: &str, to: &str| {
        let output = bed.run(&["--from-dump", dump, "--to-datadir", to, "--json"]).ok();
        output.json()["restored"][0].as_str().unwrap().to_owned()
    };
    assert_eq!(id("link", "out2"), first);
    fs::write(bed.dump().join("@.json"), b"{}").unwrap();
    assert_ne!(id("dump", "out3"), first);
}

#[test]
fn what_is_not_to_be_restored() {
    let bed = Bed::new(&["libcold_files.so"]);
    let said = |arguments: &[&str], code: i32| {
        let mut all = vec!["--to-datadir", "out"];
        all.extend(arguments);
        bed.said(&bed.run(&all).fails_with(code))
    };
    assert_snapshot!(said(&["--from-dump", "nowhere"], 2), @r#"
    error: nowhere can not be read: No such file or directory (os error 2)
    what to do: name a directory that holds a dump and that this user may read
    "#);
    fs::create_dir(bed.dir.path().join("nothing")).unwrap();
    assert_snapshot!(said(&["--from-dump", "nothing"], 2), @r#"
    error: nothing is empty
    what to do: name a directory that holds a dump and that this user may read
    "#);
    assert_snapshot!(said(&["--from-dump", "dump", "--engine", "cold-file"], 2), @r#"
    error: there is no engine `cold-file` in DIR/plugins, USUAL PLACES; did you mean `cold-files`?
    "#);
    assert_snapshot!(said(&["--from-dump", "dump", "--tables", "shop.orders"], 2), @r#"
    error: engine `cold-files` restores backups as a whole, not single tables
    what to do: restore all of it to another place, and copy the tables from there
    "#);
    assert_snapshot!(said(&["--from-dump", "dump", "--cluster", "main"], 2), @r#"
    error: there is no configuration that says what cluster `main` is
    what to do: leave `--cluster` out, or name a configuration with `--config`
    "#);
    symlink("/etc/passwd", bed.dump().join("shop.sql")).unwrap();
    assert_snapshot!(said(&["--from-dump", "dump"], 3), @r#"
    error: DIR/dump/shop.sql leads out of the directory, to /etc/passwd
    what to do: take it out of the directory
    "#);
    assert!(!bed.dir.path().join("out").exists());
}

#[test]
fn which_engine_it_is() {
    let bed = Bed::new(&["libpgdump.so"]);
    let output = bed.run(&[
        "--from-dump",
        "dump",
        "--engine",
        "pgdump",
        "--to-server",
        "postgresql://root@localhost",
    ]);
    assert_snapshot!(bed.said(&output.fails_with(2)), @r#"
    error: engine `pgdump` restores its own backups only, and no directories
    what to do: leave `--engine` out, or name another engine
    "#);
    let output = bed.run(&["--from-dump", "dump", "--to-server", "postgresql://root@localhost"]);
    assert_snapshot!(bed.said(&output.fails_with(2)), @r#"
    error: no engine restores directories to such a target; looked in DIR/plugins, USUAL PLACES
    what to do: install one, such as `mysqlshell`; `backstay engines list` shows those that there are, and any that can not be used
    "#);
    let bed = Bed::new(&["libcold_files.so", "libmisbehave.so"]);
    let output = bed.run(&["--from-dump", "dump", "--to-datadir", "out"]);
    assert_snapshot!(bed.said(&output.fails_with(2)), @r#"
    error: more than one engine restores directories: cold-files, misbehave
    what to do: name one with `--engine`
    "#);
}

#[test]
fn a_damaged_file_is_named() {
    let bed = Bed::new(&["libcold_files.so"]);
    let path = bed.dump().join("shop@orders@@0.tsv.zst");
    let good = fs::read(&path).unwrap();
    fs::write(&path, &good[..good.len() - 5]).unwrap();
    let output = bed.run(&["--from-dump", "dump", "--to-datadir", "out"]);
    assert_snapshot!(bed.said(&output.fails_with(1)), @r#"
    restoring DIR/dump
    error: DIR/dump/shop@orders@@0.tsv.zst is damaged: expected zstd frames, found: incomplete frame
    what to do: make the dump again, or take another copy of it
    "#);
}

#[test]
fn sessions_of_a_worker_that_dies_are_ended() {
    let bed = Bed::new(&["libmisbehave.so"]);
    let noted = bed.dir.path().join("cleaned.json");
    let cleaned = format!("cleaned={}", noted.display());
    let output = bed.run(&[
        "--from-dump",
        "dump",
        "--engine",
        "misbehave",
        "--to-server",
        "mysql://root@127.0.0.1:1",
        "-o",
        "deed=guard",
        "-o",
        "when=restore",
        "-o",
        "session=s77",
        "-o",
        &cleaned,
    ]);
    output.fails_with(1);
    let asked: serde_json::Value = serde_json::from_slice(&fs::read(noted).unwrap()).unwrap();
    assert_eq!(asked["sessions"], serde_json::json!(["s77"]));
}

#[test]
fn an_interrupt_stops_it() {
    let bed = Bed::new(&["libmisbehave.so"]);
    let mut child = bed
        .command(&[
            "--from-dump",
            "dump",
            "--engine",
            "misbehave",
            "--to-server",
            "mysql://root@127.0.0.1:1",
            "-o",
            "deed=sleep",
            "-o",
            "when=restore",
        ])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    // It has a worker: from then on a signal stops the job.
    let children = format!("/proc/{0}/task/{0}/children", child.id());
    let start = Instant::now();
    while fs::read_to_string(&children).unwrap_or_default().trim().is_empty() {
        assert!(start.elapsed() < Duration::from_secs(30), "no worker was started");
        std::thread::sleep(Duration::from_millis(10));
    }
    let process = rustix::process::Pid::from_raw(child.id() as i32).unwrap();
    rustix::process::kill_process(process, rustix::process::Signal::INT).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(130));
}
