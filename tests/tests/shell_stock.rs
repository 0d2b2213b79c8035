//! The engine `mysqlshell` beside dumps of a real MySQL Shell: those restore, and ours has the same files.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;

use backstay_bed::{BOTH, Flavour, TestServer};
use backstay_tests::backstay::Backstay;
use backstay_tests::compare::{checksums, rows};
use backstay_tests::shop;
use serde_json::Value;

/// What no text form carries, or what has another checksum on every call: see the fixtures' README.
const INEXACT: [&str; 3] = [
    "`golden`.`t_float_long`",
    "`golden`.`t_json_typed`",
    "`golden`.`t_json_mvi`",
];
const ARCHIVE: &str = "\n[workflow.archive]\ncluster = \"main\"\nengine = \"mysqlshell\"\nbundle = \"never\"\n\
    options = { compression = \"none\" }\n";

/// Tables that the fixture was made without, as one option's value.
const EXCLUDED: &str = "exclude_tables=[\"golden.t_big\", \"golden.t_big_cpk\"]";

fn fixtures() -> PathBuf {
    backstay_bed::workspace().join("engines/logical/mysqlshell/tests/fixtures")
}

/// Checksums of the source, by quoted name, as `checksums` has them.
fn source_checksums() -> BTreeMap<String, String> {
    let text = fs::read_to_string(fixtures().join("checksums.tsv")).unwrap();
    let line = |line: &str| {
        let (name, rest) = line.split_once('\t').unwrap();
        let sum = rest.split('\t').next().unwrap();
        (name.to_owned(), format!("Some({sum})"))
    };
    text.lines().skip(1).map(line).collect()
}

fn restores(dump: &str, tables: usize) {
    let target = TestServer::start(Flavour::MySql);
    let backstay = Backstay::new(&target.dir().join("backstay"), &[], &target.section("main"));
    let dump = fixtures().join(dump);
    backstay
        .run(&[
            "restore",
            "--from-dump",
            dump.to_str().unwrap(),
            "--to-server",
            &target.url(),
        ])
        .ok();
    let want = source_checksums();
    let mut conn = target.conn();
    let mut found = checksums(&mut conn, "golden");
    found.extend(checksums(&mut conn, "we ird-@sch%é"));
    assert_eq!(found.len(), tables, "{found:?}");
    for (name, sum) in found {
        if !INEXACT.contains(&name.as_str()) {
            assert_eq!(Some(&sum), want.get(&name), "{name}");
        }
    }
}

#[test]
fn an_instance_of_the_shells_restores() {
    // All but the two that were excluded.
    restores("instance-none", source_checksums().len() - 2);
}

#[test]
fn tables_of_the_shells_restore() {
    restores("tables-none", 2);
}

#[test]
fn tables_in_gzip_restore() {
    restores("tables-gzip", 2);
}

#[test]
fn tables_in_chunks_of_zstd_restore() {
    restores("chunked-128k-zstd", 2);
}

/// Takes the backup and exports it.
fn export(source: &TestServer, options: &[&str]) -> (Backstay, PathBuf) {
    let sections = format!("{}{ARCHIVE}", source.section("main"));
    let backstay = Backstay::new(&source.dir().join("backstay"), &[], &sections);
    let backup: Vec<&str> = ["backup", "--workflow", "archive"]
        .iter()
        .chain(options)
        .copied()
        .collect();
    backstay.run(&backup).ok();
    let dump = source.dir().join("dump");
    backstay.run(&["export", "latest", dump.to_str().unwrap()]).ok();
    (backstay, dump)
}

fn names(dump: &Path) -> BTreeSet<String> {
    let entries = fs::read_dir(dump).unwrap();
    entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect()
}

fn keys(path: &Path) -> BTreeSet<String> {
    let value: Value = serde_json::from_slice(&fs::read(path).unwrap()).unwrap();
    value.as_object().unwrap().keys().cloned().collect()
}

/// Without the comment at the top (program, host, version) and the salts of passwords.
fn normalised(path: &Path) -> String {
    let text = fs::read_to_string(path).unwrap();
    let line = |line: &str| match (line.find(" AS "), line.find(" REQUIRE ")) {
        (Some(from), Some(to)) if line.starts_with("CREATE USER") => format!("{} AS ?{}\n", &line[..from], &line[to..]),
        _ => format!("{line}\n"),
    };
    text.lines().skip(5).map(line).collect()
}

#[test]
fn a_backup_has_the_files_of_the_shells() {
    let source = TestServer::start(Flavour::MySql);
    let status = Command::new(source.program("mysql", "mariadb"))
        .args([
            "--no-defaults",
            "--comments",
            "--default-character-set=utf8mb4",
            "--user=root",
        ])
        .arg(format!("--socket={}", source.server.socket().display()))
        .stdin(File::open(fixtures().join("golden.sql")).unwrap())
        .status();
    assert!(status.unwrap().success());
    let (_backstay, ours) = export(&source, &["-o", EXCLUDED]);
    let theirs = fixtures().join("instance-none");
    let mut differing = Vec::new();
    let all: BTreeSet<String> = names(&ours).union(&names(&theirs)).cloned().collect();
    for name in &all {
        let (left, right) = (ours.join(name), theirs.join(name));
        if !left.exists() || !right.exists() {
            differing.push(format!(
                "{name}: ours {}, the shell's {}",
                left.exists(),
                right.exists()
            ));
        } else if name.ends_with(".json") {
            let (left, right) = (keys(&left), keys(&right));
            differing.extend(left.symmetric_difference(&right).map(|key| format!("{name}: {key}")));
        } else if name.ends_with(".sql") {
            if normalised(&left) != normalised(&right) {
                differing.push(format!("{name}: SQL"));
            }
        } else if fs::read(&left).unwrap() != fs::read(&right).unwrap() {
            differing.push(format!("{name}: bytes"));
        }
    }
    assert_eq!(differing, EXPECTED);
}

/// What differs, each rightly.
const EXPECTED: [&str; 7] = [
    // What a restore by Backstay needs of the server stands in a key of ours; the shell's `source` is all of the server's
    // variables, and its `targetVersion` is the shell's own.
    "@.json: backstay",
    "@.json: source",
    "@.json: targetVersion",
    // A FLOAT has all its digits, where the shell has six; offsets follow.
    "golden@t_float_long@@0.tsv: bytes",
    "golden@t_float_long@@0.tsv.idx: bytes",
    "golden@t_numeric@@0.tsv: bytes",
    "golden@t_numeric@@0.tsv.idx: bytes",
];

#[test]
fn an_exported_backup_restores_as_a_directory() {
    for flavour in BOTH {
        let source = TestServer::start(flavour);
        shop::create(&mut source.conn());
        let (backstay, dump) = export(&source, &[]);
        let dump = dump.to_str().unwrap();
        let target = TestServer::start(flavour);
        let url = target.url();
        backstay
            .run(&["restore", "--from-dump", dump, "--to-server", &url])
            .ok();
        let (left, right) = (&mut target.conn(), &mut source.conn());
        assert_eq!(checksums(left, "shop"), checksums(right, "shop"), "{flavour:?}");
        let one = [
            "restore",
            "--from-dump",
            dump,
            "--tables",
            "shop.customers",
            "--as-schema",
            "rescue",
        ];
        backstay.run(&[&one[..], &["--to-server", &url]].concat()).ok();
        assert_eq!(
            rows(left, "rescue", "customers"),
            rows(right, "shop", "customers"),
            "{flavour:?}"
        );
    }
}
