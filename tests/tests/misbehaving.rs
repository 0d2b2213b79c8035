//! Plug-ins that do what no plug-in may. In every case the host says what happened, in one line, exits with the right code,
//! and no backup is listed.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use backstay_tests::backstay::{Backstay, Output};
use backstay_tests::plugins;
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
    let left: Vec<_> = backstay.files().into_iter().filter(|(path, _)| path.starts_with("clusters/main/backups")).collect();
    assert_eq!(left, [], "something is left");
    said(&output, dir.path())
}

#[test]
fn a_panic() {
    assert_snapshot!(deed(&["deed=panic"], 1), @"");
}

#[test]
fn a_panic_in_a_thread() {
    assert_snapshot!(deed(&["deed=panic-in-thread"], 1), @"");
}

#[test]
fn an_abort() {
    assert_snapshot!(deed(&["deed=abort"], 1), @"");
}

#[test]
fn a_null_dereference() {
    assert_snapshot!(deed(&["deed=\"null\""], 1), @"");
}

#[test]
fn a_stack_overflow() {
    let said = deed(&["deed=stack-overflow"], 1);
    assert!(said.contains("error: engine `misbehave` was ended by SIGABRT"), "{said}");
    assert!(said.contains("it printed: fatal runtime error: stack overflow"), "{said}");
}

#[test]
fn an_exit_of_the_process() {
    assert_snapshot!(deed(&["deed=exit"], 1), @"");
    assert_snapshot!(deed(&["deed=exit-3"], 1), @"");
}

#[test]
fn an_endless_loop_is_ended_at_the_deadline() {
    let (dir, backstay) = bed(&["libmisbehave.so"]);
    let started = Instant::now();
    let output = backstay.run(&["backup", "--engine", "misbehave", "--deadline", "1s", "-o", "deed=loop"]);
    assert_snapshot!(said(&output.fails_with(1), dir.path()), @"");
    // The deadline, ten seconds to stop by itself, and the killing.
    assert!(started.elapsed() < Duration::from_secs(20));
    assert_eq!(backstay.ids("main"), [""; 0]);
}

#[test]
fn an_engine_that_heeds_the_deadline_is_not_killed() {
    let (dir, backstay) = bed(&["libmisbehave.so"]);
    let output = backstay.run(&["backup", "--engine", "misbehave", "--deadline", "1s", "-o", "deed=sleep"]);
    assert_snapshot!(said(&output.fails_with(1), dir.path()), @"");
}

#[test]
fn names_that_lead_elsewhere() {
    assert_snapshot!(deed(&["deed=escape"], 3), @"");
    assert_snapshot!(deed(&["deed=absolute"], 3), @"");
    assert_snapshot!(deed(&["deed=control"], 3), @"");
    // An engine that goes on as if nothing had happened.
    assert_snapshot!(deed(&["deed=escape", "defiant=true"], 3), @"");
}

#[test]
fn objects_against_the_rules() {
    assert_snapshot!(deed(&["deed=duplicate"], 1), @"");
    assert_snapshot!(deed(&["deed=too-many"], 1), @"");
    assert_snapshot!(deed(&["deed=leak"], 1), @"");
}

#[test]
fn an_error_without_end_is_cut() {
    let said = deed(&["deed=deep-error"], 1);
    assert!(said.len() < 5000, "{} bytes", said.len());
    assert!(said.contains("error: first line [31mred [0m line 1 of the message"), "{said}");
    assert!(said.contains("  and 988 more\nwhat to do: advice in two lines\n"), "{said}");
}

#[test]
fn a_gigabyte_on_standard_output_is_thrown_away() {
    let (dir, backstay) = bed(&["libmisbehave.so"]);
    let output = backstay.run(&["backup", "--engine", "misbehave", "-o", "deed=stdout"]).ok();
    assert_snapshot!(said(&output, dir.path()), @"");
    assert!(!output.stdout.contains("misbehave prints"), "what an engine prints is not the host's result");
    assert_eq!(backstay.ids("main").len(), 1);
}

#[test]
fn a_gigabyte_on_standard_error_is_thrown_away() {
    let (dir, backstay) = bed(&["libmisbehave.so"]);
    let output = backstay.run(&["backup", "--engine", "misbehave", "-o", "deed=stderr"]).ok();
    assert_snapshot!(said(&output, dir.path()), @"");
}

#[test]
fn an_object_that_is_dropped_is_no_part_of_the_backup() {
    let (_dir, backstay) = bed(&["libmisbehave.so"]);
    backstay.run(&["backup", "--engine", "misbehave", "-o", "deed=unfinished"]).ok();
    let shown = backstay.run(&["show", "--objects", "--json"]).ok().json();
    let names: Vec<_> = shown["objects"].as_array().unwrap().iter().map(|object| object["name"].clone()).collect();
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
    backstay.run(&["backup", "--engine", "misbehave", "-o", "deed=guard", "-o", &option]).fails_with(1);
    let asked: serde_json::Value = serde_json::from_str(&fs::read_to_string(cleaned).unwrap()).unwrap();
    assert_eq!(asked["sessions"], serde_json::json!(["4711"]));
}

#[test]
fn ctrl_c_stops_a_job_and_says_so() {
    let (dir, backstay) = bed(&["libmisbehave.so"]);
    let child = backstay.start(&["backup", "--engine", "misbehave", "-o", "deed=sleep"]);
    std::thread::sleep(Duration::from_millis(1500));
    let pid = rustix::process::Pid::from_child(&child);
    rustix::process::kill_process(pid, rustix::process::Signal::INT).unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(130));
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    let output = Output { code: Some(130), stdout: String::new(), stderr };
    assert_snapshot!(said(&output, dir.path()), @"");
    assert_eq!(backstay.ids("main"), [""; 0]);
}

#[test]
fn what_is_no_plug_in_is_said_without_running_it() {
    let libraries = ["libno_plugin.so", "libwrong_major.so", "libwrong_layout.so", "libbackstay_innocent.so", "libmisbehave.so"];
    let (dir, backstay) = bed(&libraries);
    let proof = dir.path().join("constructor-ran");
    let backstay = backstay.env("BACKSTAY_TEST_CONSTRUCTOR", &proof.display().to_string());
    let whole = fs::read(dir.path().join("plugins/libmisbehave.so")).unwrap();
    fs::write(dir.path().join("plugins/truncated.so"), &whole[..whole.len() / 2]).unwrap();
    fs::write(dir.path().join("plugins/text.so"), "no library").unwrap();

    let listed = backstay.run(&["engines", "list"]).ok();
    let listed = Output { code: None, stdout: String::new(), stderr: listed.stdout };
    assert_snapshot!(said(&listed, dir.path()), @"");
    for library in ["libno_plugin.so", "libwrong_major.so", "truncated.so", "text.so"] {
        let path = dir.path().join("plugins").join(library);
        let code = if library == "libwrong_major.so" { 3 } else { 2 };
        let output = backstay.run(&["engines", "inspect", &path.display().to_string()]).fails_with(code);
        assert!(output.stderr.starts_with("error: ") && output.stderr.lines().count() == 1, "{}", output.stderr);
    }
    assert!(!proof.exists(), "code of a file that is no plug-in ran");

    let output = backstay.run(&["backup", "--engine", "wrong-layout"]).fails_with(3);
    assert_snapshot!(said(&output, dir.path()), @"");
    let output = backstay.run(&["backup", "--engine", "other-name"]).fails_with(2);
    assert!(said(&output, dir.path()).starts_with("error: there is no engine `other-name`"), "{}", output.stderr);
    assert_eq!(backstay.ids("main"), [""; 0]);
}
