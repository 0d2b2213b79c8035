//! Plug-ins that do what no plug-in may. In every case the host says what happened, in one line, exits with the right code,
//! and no backup is listed.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use backstay_bed::until;
use backstay_tests::backstay::{Backstay, Output};
use backstay_tests::plugins;
use backstay_tests::processes::{children, runs};
use insta::assert_snapshot;
use tempfile::TempDir;

const SECTIONS: &str = "[cluster.main]\nserver = \"mysql://backup@127.0.0.1:1\"\n";

fn bed(libraries: &[&str]) -> (TempDir, Backstay) {
    let dir = tempfile::tempdir().unwrap();
    let folder = plugins::only(dir.path(), libraries);
    let backstay = Backstay::new(dir.path(), &[folder], SECTIONS);
    (dir, backstay)
}

/// What the program said on standard error, with the test's directory and a backup's id taken out.
fn said(output: &Output, dir: &Path) -> String {
    let mut text = output.stderr.replace(&dir.display().to_string(), "DIR");
    while let Some(at) = text.find("Z-full-misbehave-") {
        text.replace_range(at - 15..at + "Z-full-misbehave-".len() + 4, "ID");
    }
    text
}

/// Takes a backup whose engine does a deed; it must fail with that code, and nothing may be left.
#[track_caller]
fn deed(options: &[&str], code: i32) -> String {
    let (dir, backstay) = bed(&["libmisbehave.so"]);
    let mut arguments = vec!["backup", "--engine", "misbehave"];
    for option in options {
        arguments.extend(["-o", option]);
    }
    let output = backstay.run(&arguments).fails_with(code);
    assert_eq!(backstay.ids("main"), [""; 0], "a backup is listed");
    let left: Vec<_> = backstay
        .files()
        .into_iter()
        .filter(|(path, _)| path.starts_with("clusters/main/backups"))
        .collect();
    assert_eq!(left, [], "something is left");
    said(&output, dir.path())
}

#[test]
fn a_panic() {
    assert_snapshot!(deed(&["deed=panic"], 1), @r#"
    backing up main from mysql://backup@127.0.0.1:1
    error: the engine panicked: misbehave panics as it was told to
      panicked at misbehave/src/deeds.rs:28:24: misbehave panics as it was told to
    what to do: this is a fault of the engine's; report it to its vendor
    "#);
}

#[test]
fn a_panic_in_a_thread() {
    assert_snapshot!(deed(&["deed=panic-in-thread"], 1), @r#"
    backing up main from mysql://backup@127.0.0.1:1
    error: the engine panicked: a scoped thread panicked
      panicked at misbehave/src/deeds.rs:30:28: misbehave panics in a thread as it was told to
    what to do: this is a fault of the engine's; report it to its vendor
    "#);
}

#[test]
fn an_abort() {
    assert_snapshot!(deed(&["deed=abort"], 1), @r#"
    backing up main from mysql://backup@127.0.0.1:1
    error: engine `misbehave` was ended by SIGABRT: it aborted itself
    what to do: no backup was made; if it happens again, report it to the engine's vendor
    "#);
}

#[test]
fn a_null_dereference() {
    assert_snapshot!(deed(&["deed=\"null\""], 1), @r#"
    backing up main from mysql://backup@127.0.0.1:1
    error: engine `misbehave` was ended by SIGSEGV: it touched memory that is not its own
    what to do: no backup was made; if it happens again, report it to the engine's vendor
    "#);
}

#[test]
fn a_stack_overflow() {
    let said = deed(&["deed=stack-overflow"], 1);
    assert!(
        said.contains("error: engine `misbehave` was ended by SIGABRT"),
        "{said}"
    );
    assert!(
        said.contains("it printed: fatal runtime error: stack overflow"),
        "{said}"
    );
}

#[test]
fn an_exit_of_the_process() {
    assert_snapshot!(deed(&["deed=exit"], 1), @r#"
    backing up main from mysql://backup@127.0.0.1:1
    error: engine `misbehave` ended its process with exit code 0 before it was done
    what to do: no backup was made; if it happens again, report it to the engine's vendor
    "#);
    assert_snapshot!(deed(&["deed=exit-3"], 1), @r#"
    backing up main from mysql://backup@127.0.0.1:1
    error: engine `misbehave` ended its process with exit code 3 before it was done
    what to do: no backup was made; if it happens again, report it to the engine's vendor
    "#);
}

#[test]
fn an_endless_loop_is_ended_at_the_deadline() {
    let (dir, backstay) = bed(&["libmisbehave.so"]);
    let started = Instant::now();
    let output = backstay.run(&["backup", "--engine", "misbehave", "--deadline", "1s", "-o", "deed=loop"]);
    assert_snapshot!(said(&output.fails_with(1), dir.path()), @r#"
    backing up main from mysql://backup@127.0.0.1:1
    error: engine `misbehave` was stopped at its deadline of 1s
      it did not stop when asked to, and was killed
    what to do: give the workflow a longer `deadline`, or find out what the engine waits for (-v shows its log)
    "#);
    // The deadline, ten seconds to stop by itself, and the killing.
    assert!(started.elapsed() < Duration::from_secs(20));
    assert_eq!(backstay.ids("main"), [""; 0]);
}

#[test]
fn an_engine_that_heeds_the_deadline_is_not_killed() {
    let (dir, backstay) = bed(&["libmisbehave.so"]);
    let output = backstay.run(&[
        "backup",
        "--engine",
        "misbehave",
        "--deadline",
        "1s",
        "-o",
        "deed=sleep",
    ]);
    assert_snapshot!(said(&output.fails_with(1), dir.path()), @r#"
    backing up main from mysql://backup@127.0.0.1:1
    error: engine `misbehave` was stopped at its deadline of 1s
    what to do: give the workflow a longer `deadline`, or find out what the engine waits for (-v shows its log)
    "#);
}

#[test]
fn names_that_lead_elsewhere() {
    assert_snapshot!(deed(&["deed=escape"], 3), @r#"
    backing up main from mysql://backup@127.0.0.1:1
    error: object name "../../etc/passwd" has a part `.` or `..`; expected a relative path of 1 to 1000 bytes
    "#);
    assert_snapshot!(deed(&["deed=absolute"], 3), @r#"
    backing up main from mysql://backup@127.0.0.1:1
    error: object name "/etc/passwd" is an absolute path; expected a relative path of 1 to 1000 bytes
    "#);
    assert_snapshot!(deed(&["deed=control"], 3), @r#"
    backing up main from mysql://backup@127.0.0.1:1
    error: object name "line\nbreak" has a control character; expected a relative path of 1 to 1000 bytes
    "#);
    // An engine that goes on as if nothing had happened.
    assert_snapshot!(deed(&["deed=escape", "defiant=true"], 3), @r#"
    backing up main from mysql://backup@127.0.0.1:1
     WARN went on in spite of: object name "../../etc/passwd" has a part `.` or `..`; expected a relative path of 1 to 1000 bytes engine=misbehave
    error: object name "../../etc/passwd" has a part `.` or `..`; expected a relative path of 1 to 1000 bytes
      the engine went on in spite of it, which it must not
    "#);
}

#[test]
fn objects_against_the_rules() {
    assert_snapshot!(deed(&["deed=duplicate"], 1), @r#"
    backing up main from mysql://backup@127.0.0.1:1
    error: object "twice" can not be started: the backup has one of that name
    what to do: this is a fault of the engine's: names are unique in a backup
    "#);
    assert_snapshot!(deed(&["deed=too-many"], 1), @r#"
    backing up main from mysql://backup@127.0.0.1:1
    error: object "open-65" can not be started: 64 objects are open, which is the most
    what to do: this is a fault of the engine's: it must finish objects before it starts more
    "#);
    assert_snapshot!(deed(&["deed=leak"], 1), @r#"
    backing up main from mysql://backup@127.0.0.1:1
    error: the backup can not be closed: 1 objects are neither finished nor thrown away, one of them "leaked"
    what to do: this is a fault of the engine's; report it to its vendor
    "#);
}

#[test]
fn an_error_without_end_is_cut() {
    let said = deed(&["deed=deep-error"], 1);
    assert!(said.len() < 5000, "{} bytes", said.len());
    assert!(
        said.contains("error: first line [31mred [0m line 1 of the message"),
        "{said}"
    );
    assert!(
        said.contains("  and 988 more\nwhat to do: advice in two lines\n"),
        "{said}"
    );
}

#[test]
fn a_gigabyte_on_standard_output_is_thrown_away() {
    let (dir, backstay) = bed(&["libmisbehave.so"]);
    let output = backstay
        .run(&["backup", "--engine", "misbehave", "-o", "deed=stdout"])
        .ok();
    assert_snapshot!(said(&output, dir.path()), @r#"
    backing up main from mysql://backup@127.0.0.1:1
     WARN engine `misbehave` printed 1073741824 bytes on standard output, which is not for engines; they were thrown away
    making it a backup
    "#);
    assert!(
        !output.stdout.contains("misbehave prints"),
        "what an engine prints is not the host's result"
    );
    assert_eq!(backstay.ids("main").len(), 1);
}

#[test]
fn a_gigabyte_on_standard_error_is_thrown_away() {
    let (dir, backstay) = bed(&["libmisbehave.so"]);
    let output = backstay
        .run(&["backup", "--engine", "misbehave", "-o", "deed=stderr"])
        .ok();
    assert_snapshot!(said(&output, dir.path()), @r#"
    backing up main from mysql://backup@127.0.0.1:1
    making it a backup
    "#);
}

#[test]
fn an_object_that_is_dropped_is_no_part_of_the_backup() {
    let (_dir, backstay) = bed(&["libmisbehave.so"]);
    backstay
        .run(&["backup", "--engine", "misbehave", "-o", "deed=unfinished"])
        .ok();
    let shown = backstay.run(&["show", "--objects", "--json"]).ok().json();
    let names: Vec<_> = shown["objects"]
        .as_array()
        .unwrap()
        .iter()
        .map(|object| object["name"].clone())
        .collect();
    assert_eq!(names, ["data/one", "data/two"]);
    backstay.run(&["verify"]).ok();
}

#[test]
fn a_thread_that_writes_after_the_end_changes_nothing() {
    let (_dir, backstay) = bed(&["libmisbehave.so"]);
    let output = backstay.run(&["backup", "--engine", "misbehave", "-o", "deed=linger"]);
    // The object is open when the engine says that it is done.
    assert!(output.fails_with(1).stderr.contains("neither finished nor thrown away"));
    assert_eq!(backstay.ids("main"), [""; 0]);
}

#[test]
fn the_sessions_of_an_engine_that_dies_are_cleaned_up() {
    let (dir, backstay) = bed(&["libmisbehave.so"]);
    let cleaned = dir.path().join("cleaned.json");
    let option = format!("cleaned={}", cleaned.display());
    backstay
        .run(&["backup", "--engine", "misbehave", "-o", "deed=guard", "-o", &option])
        .fails_with(1);
    let asked: serde_json::Value = serde_json::from_str(&fs::read_to_string(cleaned).unwrap()).unwrap();
    assert_eq!(asked["sessions"], serde_json::json!(["4711"]));
}

#[test]
fn ctrl_c_stops_a_job_and_says_so() {
    let (dir, backstay) = bed(&["libmisbehave.so"]);
    let child = backstay.start(&["backup", "--engine", "misbehave", "-o", "deed=sleep"]);
    until("a worker runs", || !children(child.id()).is_empty());
    let pid = rustix::process::Pid::from_child(&child);
    rustix::process::kill_process(pid, rustix::process::Signal::INT).unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(130));
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    let output = Output {
        code: Some(130),
        stdout: String::new(),
        stderr,
    };
    assert_snapshot!(said(&output, dir.path()), @r#"
    backing up main from mysql://backup@127.0.0.1:1
     WARN stopping; interrupt again to stop at once
    error: the job was cancelled
    "#);
    assert_eq!(backstay.ids("main"), [""; 0]);
}

#[test]
fn the_scratch_directory_of_a_job_whose_supervisor_is_killed_goes() {
    let (dir, backstay) = bed(&["libmisbehave.so"]);
    let scratch = dir.path().join("scratch");
    fs::create_dir(&scratch).unwrap();
    let backstay = backstay.env("TMPDIR", &scratch.display().to_string());
    let left = || fs::read_dir(&scratch).unwrap().count();
    let mut child = backstay.start(&["backup", "--engine", "misbehave", "-o", "deed=sleep"]);
    let patience = Instant::now() + Duration::from_secs(30);
    while left() == 0 {
        assert!(Instant::now() < patience, "the job has no scratch directory");
        std::thread::sleep(Duration::from_millis(10));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    // Whether the worker was far enough to do it, or the next job does.
    backstay.run(&["backup", "--engine", "misbehave"]).ok();
    assert_eq!(left(), 0);
}

/// Starts a backup that writes on and on, and kills its supervisor once something is there; answers its worker.
fn orphan(backstay: &Backstay) -> u32 {
    let mut child = backstay.start(&["backup", "--engine", "misbehave", "-o", "deed=heedless"]);
    until("the worker writes", || !directories(backstay).is_empty());
    let workers = children(child.id());
    child.kill().unwrap();
    child.wait().unwrap();
    assert_eq!(workers.len(), 1);
    workers[0]
}

fn directories(backstay: &Backstay) -> Vec<String> {
    let entries = fs::read_dir(backstay.backups("main")).into_iter().flatten().flatten();
    entries.map(|entry| entry.file_name().into_string().unwrap()).collect()
}

#[test]
fn a_worker_whose_supervisor_is_killed_takes_back_what_it_wrote() {
    let (_dir, backstay) = bed(&["libmisbehave.so"]);
    let worker = orphan(&backstay);
    until("the worker ends", || !runs(worker));
    assert_eq!(directories(&backstay), [""; 0]);
}

#[test]
fn the_next_job_may_come_while_such_a_worker_still_writes() {
    let (_dir, backstay) = bed(&["libmisbehave.so"]);
    let worker = orphan(&backstay);
    backstay.run(&["backup", "--engine", "misbehave"]).ok();
    until("the worker ends", || !runs(worker));
    assert_eq!(directories(&backstay), backstay.ids("main"), "only the backup is there");
}

#[test]
fn what_is_no_plug_in_is_said_without_running_it() {
    let libraries = [
        "libno_plugin.so",
        "libwrong_major.so",
        "libwrong_layout.so",
        "libbackstay_innocent.so",
        "libmisbehave.so",
    ];
    let (dir, backstay) = bed(&libraries);
    let proof = dir.path().join("constructor-ran");
    let backstay = backstay.env("BACKSTAY_TEST_CONSTRUCTOR", &proof.display().to_string());
    let whole = fs::read(dir.path().join("plugins/libmisbehave.so")).unwrap();
    let half = whole.len() / 2;
    fs::write(dir.path().join("plugins/truncated.so"), &whole[..half]).unwrap();
    fs::write(dir.path().join("plugins/text.so"), "no library").unwrap();

    let listed = backstay.run(&["engines", "list"]).ok();
    let listed = Output {
        code: None,
        stdout: String::new(),
        // How long a library is depends on where it was built.
        stderr: (listed.stdout)
            .replace(&format!("{} bytes", whole.len()), "WHOLE bytes")
            .replace(&format!("has {half}"), "has HALF"),
    };
    assert_snapshot!(said(&listed, dir.path()), @r#"
    ENGINE        VERSION  KIND      FOR                       SUMMARY
    misbehave     0.1.0    logical   mysql,mariadb,postgresql  Does on request what no engine may
    wrong-layout  0.1.0    logical   mysql,mariadb             A root module of another layout
    binlog        0.1.0    log       mysql,mariadb             MySQL's and MariaDB's binary logs: archived, and replayed up to a point
    mysqldump     0.1.0    logical   mysql,mariadb             MySQL and MariaDB through mysqldump / mariadb-dump and mysql / mariadb
    mysqlshell    0.1.0    logical   mysql,mariadb             MySQL and MariaDB in parallel, in MySQL Shell's dump format
    snapshot      0.1.0    physical  mysql,mariadb             MySQL and MariaDB through LVM, Btrfs and reflink snapshots: the server's own files, at one instant
    xtrabackup    0.1.0    physical  mysql,mariadb             MySQL and MariaDB through xtrabackup / mariadb-backup: the server's own files
    not usable: DIR/plugins/libbackstay_innocent.so is the engine `other-name`, which its file's name does not say; if it is meant to be here, rename it to libother_name.so
    not usable: DIR/plugins/libno_plugin.so is no engine: it has no section .backstay_engine, which `export_engine!` writes
    not usable: DIR/plugins/libwrong_major.so was built against contract 2.0.0; this host runs engines of contract 1.0.0; get a build of the engine for it
    not usable: DIR/plugins/text.so is no engine: it is no ELF file (a shared library)
    not usable: DIR/plugins/truncated.so is truncated: its headers speak of WHOLE bytes, it has HALF; copy it again
    "#);
    for library in ["libno_plugin.so", "libwrong_major.so", "truncated.so", "text.so"] {
        let path = dir.path().join("plugins").join(library);
        let code = if library == "libwrong_major.so" { 3 } else { 2 };
        let output = backstay
            .run(&["engines", "inspect", &path.display().to_string()])
            .fails_with(code);
        assert!(
            output.stderr.starts_with("error: ") && output.stderr.lines().count() == 1,
            "{}",
            output.stderr
        );
    }
    assert!(!proof.exists(), "code of a file that is no plug-in ran");

    let output = backstay.run(&["backup", "--engine", "wrong-layout"]).fails_with(3);
    assert_snapshot!(said(&output, dir.path()), @r#"
    backing up main from mysql://backup@127.0.0.1:1
    error: DIR/plugins/libwrong_layout.so can not be used: layout of the contract differs: EngineModule: expected package backstay-engine-api, found wrong-layout; it must be built anew against contract 1.0.0
    "#);
    let output = backstay.run(&["backup", "--engine", "other-name"]).fails_with(2);
    assert!(
        said(&output, dir.path()).starts_with("error: there is no engine `other-name`"),
        "{}",
        output.stderr
    );
    assert_eq!(backstay.ids("main"), [""; 0]);
}
