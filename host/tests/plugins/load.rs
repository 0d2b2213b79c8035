//! Engines that run in this process.

use std::fs;
use std::sync::{Arc, Mutex};

use abi_stable::std_types::{RSlice, RSliceMut, RVec};
use abi_stable::type_level::downcasting::TD_Opaque;
use backstay::plugin::{LoadedEngine, inspect, load};
use backstay_engine_api::abi::v1::{HostApi, HostApi_TO, HostPort};
use backstay_engine_api::wire::{Answer, Call, JobSpec, Request};
use backstay_engine_api::{ErrorKind, Server, ServerFacts};
use insta::assert_snapshot;

use crate::fixture::{Build, fixture};
use crate::{patched, shown};

/// A host that keeps the log.
struct Host(Arc<Mutex<Vec<String>>>);

impl HostApi for Host {
    fn request(&self, request: RSlice<'_, u8>) -> RVec<u8> {
        if let Ok(Request::Log { text, .. }) = serde_json::from_slice(request.as_slice()) {
            self.0.lock().unwrap().push(text);
        }
        serde_json::to_vec(&Answer::Ok(serde_json::Value::Null)).unwrap().into()
    }

    fn write(&self, _: u64, _: RSlice<'_, u8>) -> u32 {
        1
    }

    fn read(&self, _: u64, _: RSliceMut<'_, u8>) -> i64 {
        -1
    }

    fn cancelled(&self) -> bool {
        false
    }
}

/// Calls an engine's `probe`: its answer and what it logged.
fn probe(engine: &LoadedEngine, cluster: &str) -> (Answer, Vec<String>) {
    let log = Arc::default();
    let port: HostPort = HostApi_TO::from_value(Host(Arc::clone(&log)), TD_Opaque);
    let job = JobSpec {
        cluster: cluster.to_owned(),
        ..JobSpec::default()
    };
    let server = Server::default();
    let answer = engine.call(&Call::Probe { job, server }, port);
    let log = log.lock().unwrap().clone();
    (answer, log)
}

#[test]
fn several_engines_answer_in_one_process() {
    let hello = load(&fixture(Build::Hello), "hello", None).unwrap();
    let hola = load(&fixture(Build::Hola), "hola", None).unwrap();
    let again = load(&fixture(Build::Hello), "hello", Some(hello.inspected.sha256().unwrap())).unwrap();
    for (engine, name) in [(&hello, "hello"), (&hola, "hola"), (&again, "hello")] {
        let (answer, log) = probe(engine, "orders");
        let facts: ServerFacts = answer.into_result().unwrap();
        assert_eq!(facts.flavour, name);
        assert_eq!(log, [format!("{name}, orders")]);
    }
    assert!(
        fs::read_to_string("/proc/self/maps")
            .unwrap()
            .contains("/memfd:backstay-hola")
    );
}

#[test]
fn a_panic_is_an_error_and_the_engine_lives_on() {
    let engine = load(&fixture(Build::Hello), "hello", None).unwrap();
    let Answer::Error(error) = probe(&engine, "panic").0 else {
        panic!("no error");
    };
    assert_eq!(error.kind, ErrorKind::Panic);
    assert!(
        error.message.starts_with("the engine panicked: ") && error.message.contains("asked to panic"),
        "{error}"
    );
    assert!(matches!(probe(&engine, "orders").0, Answer::Ok(_)));
}

#[test]
fn calls_run_at_the_same_time_from_many_threads() {
    let engine = load(&fixture(Build::Hello), "hello", None).unwrap();
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                for _ in 0..50 {
                    assert!(matches!(probe(&engine, "orders").0, Answer::Ok(_)));
                }
            });
        }
    });
}

#[test]
fn what_is_not_as_expected_is_not_loaded() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("x.so");
    let good = fs::read(fixture(Build::Hello)).unwrap();
    fs::write(&path, &good).unwrap();
    let digest = inspect(&path).unwrap().sha256().unwrap().to_owned();

    let error = load(&path, "hola", None).unwrap_err();
    assert!(error.refused());
    assert_snapshot!(shown(&error, directory.path()), @r#"DIR/x.so is the engine `hello`, and not `hola`"#);

    fs::write(&path, patched(&good, b"says hello", b"says other")).unwrap();
    let error = load(&path, "hello", Some(&digest)).unwrap_err();
    assert!(error.refused());
    let text = shown(&error, directory.path())
        .replace(&digest, "A")
        .replace(inspect(&path).unwrap().sha256().unwrap(), "B");
    assert_snapshot!(text, @r#"DIR/x.so has changed since it was inspected: SHA-256 was A, is B"#);

    fs::copy(fixture(Build::Undefined), &path).unwrap();
    assert_snapshot!(shown(&load(&path, "hello", None).unwrap_err(), directory.path()), @r#"DIR/x.so can not be loaded: undefined symbol: backstay_no_such_function"#);

    fs::copy(fixture(Build::OtherLayout), &path).unwrap();
    let error = load(&path, "hello", None).unwrap_err();
    assert!(error.refused());
    assert_snapshot!(shown(&error, directory.path()), @r#"DIR/x.so can not be used: layout of the contract differs: EngineModule > call > param_1 > write > return: expected u32, found u64; it must be built anew against contract 1.0.0"#);
}

/// The digest is read later than the headers: it must not be another file's.
#[test]
fn what_took_its_place_is_not_digested_for_it() {
    let directory = tempfile::tempdir().unwrap();
    let (path, other) = (directory.path().join("x.so"), directory.path().join("y.so"));
    fs::copy(fixture(Build::Hello), &path).unwrap();
    fs::copy(fixture(Build::Hello), &other).unwrap();
    let (before, digested) = (inspect(&path).unwrap(), inspect(&path).unwrap());
    let digest = digested.sha256().unwrap();
    fs::rename(&other, &path).unwrap();
    let error = before.sha256().unwrap_err();
    assert!(error.refused());
    assert_snapshot!(shown(&error, directory.path()), @"DIR/x.so has changed since it was inspected, a moment ago; run the command again");
    assert_eq!(digested.sha256().unwrap(), digest);
}

/// The version in the code counts, whatever the manifest says; and a library of another abi_stable is told by its header.
#[test]
fn what_the_code_says_counts() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("x.so");
    let good = fs::read(fixture(Build::Hello)).unwrap();
    let magic = abi_stable::library::AbiHeader::VALUE.magic_string;
    let mut other = magic;
    other[0] ^= 1;
    fs::write(&path, patched(&good, &magic, &other)).unwrap();
    assert_snapshot!(shown(&load(&path, "hello", None).unwrap_err(), directory.path()), @r#"DIR/x.so can not be used: what it exports is no module of abi_stable; it must be built anew against contract 1.0.0"#);
}
