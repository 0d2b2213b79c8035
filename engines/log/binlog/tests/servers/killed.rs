//! Killed in the middle, on either side, and run again: the same result. `BACKSTAY_ROUNDS` says how often.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

use backstay_bed::{TestServer, on_both, until_runs};
use backstay_engine_api::job::{Segment, Target};
use backstay_engine_api::position::RecoveryPoint;
use backstay_engine_api::testing::{Backup, Object};
use backstay_engine_api::wire::{Call, JobSpec};
use backstay_engine_api::{Server, ServerFacts, wire};
use backstay_mysql::{Flavour, PrivateServer};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use serde_json::json;

use crate::logs::{self, Logs, TestHost};
use crate::{Recovery, assert_left_alone, contents, load, nowhere, recover, rounds, settings};

on_both!(
    the_server_is_killed,
    the_worker_is_killed,
    the_worker_is_killed_while_the_target_applies
);

const SEED: u64 = 4711;
/// Where a child finds its job.
const JOB: &str = "BACKSTAY_REPLAY_JOB";

/// What a target is started with, the first time and again.
fn arguments(flavour: Flavour) -> Vec<&'static str> {
    let mut arguments = vec![
        "--server-id=1",
        "--log-bin=binlog",
        "--binlog-format=ROW",
        "--max-allowed-packet=256M",
        "--innodb-buffer-pool-size=64M",
        "--innodb-flush-log-at-trx-commit=1",
        "--sync-binlog=1",
    ];
    arguments.extend(if flavour.is_mariadb() {
        &[
            "--innodb-log-file-size=8M",
            "--gtid-strict-mode=ON",
            "--log-slave-updates",
        ][..]
    } else {
        &[
            "--innodb-redo-log-capacity=8M",
            "--gtid-mode=ON",
            "--enforce-gtid-consistency=ON",
            "--skip-replica-start=OFF",
        ][..]
    });
    arguments
}

fn source(flavour: Flavour) -> (TestServer, Logs) {
    println!("seed {SEED}");
    let source = TestServer::start(flavour);
    load::write(&source, SEED, 80);
    let logs = logs::read(&source);
    (source, logs)
}

fn moment(random: &mut StdRng) -> Duration {
    Duration::from_millis(random.random_range(50..900))
}

fn the_server_is_killed(flavour: Flavour) {
    let (source, logs) = source(flavour);
    let mut random = StdRng::seed_from_u64(SEED);
    let mut interrupted = 0;
    for round in 0..rounds(2) {
        let mut target = TestServer::start_with(flavour, &arguments(flavour));
        let before = settings(&mut target.session());
        let host = TestHost::new();
        let segments = logs.put_into(&host, 50);
        let recovery = |address: Server| Recovery {
            target: address.into(),
            from: nowhere(flavour),
            point: RecoveryPoint::Latest,
            logs: segments.clone(),
            options: json!({}),
        };
        let moment = moment(&mut random);
        let (first, other_host) = (recovery(target.address()), host.clone());
        let running = thread::spawn(move || recover(&other_host, first));
        thread::sleep(moment);
        let data = target.server.data_dir().to_owned();
        let program = target.server.running().clone();
        target.server.kill();
        let outcome = running.join().unwrap();
        target.server = PrivateServer::builder(program, data)
            .keep_identity()
            .tcp()
            .args(arguments(flavour))
            .start()
            .unwrap_or_else(|error| panic!("{error}"));
        interrupted += usize::from(outcome.is_err());
        let after = recover(&host, recovery(target.address())).unwrap_or_else(|error| {
            panic!(
                "round {round}, killed after {moment:?}: {error}\n{}",
                target.server.error_log()
            )
        });
        assert_eq!(after.positions[0], logs.transactions.last().unwrap().after);
        assert_eq!(
            contents(&target),
            contents(&source),
            "round {round}, killed after {moment:?}"
        );
        let same: Vec<(String, String)> = settings(&mut target.session());
        assert_eq!(same, before);
    }
    println!("{interrupted} interrupted");
}

fn the_worker_is_killed(flavour: Flavour) {
    let (source, logs) = source(flavour);
    let mut random = StdRng::seed_from_u64(SEED + 1);
    let mut interrupted = 0;
    for round in 0..rounds(2) {
        let target = TestServer::start_with(flavour, &arguments(flavour));
        let before = settings(&mut target.session());
        let host = TestHost::new();
        let segments = logs.put_into(&host, 50);
        let call = |scratch: &Path| Call::Recover {
            job: JobSpec {
                id: "20261122T101530Z-recover-test".to_owned(),
                cluster: "test".to_owned(),
                options: json!({}),
                scratch: scratch.to_owned(),
                threads: 2,
            },
            target: target.address().into(),
            from: nowhere(flavour),
            point: RecoveryPoint::Latest,
            logs: segments.clone(),
            source: ServerFacts::default(),
        };
        let dir = tempfile::tempdir().unwrap();
        hand_over(dir.path(), &call(dir.path()), &segments, &host);
        let mut child = worker(dir.path());
        let moment = moment(&mut random);
        thread::sleep(moment);
        let ended = child.try_wait().unwrap();
        child.kill().unwrap();
        child.wait().unwrap();
        interrupted += usize::from(ended.is_none());
        if round % 2 == 0 {
            // As a host does; and what it leaves is the server as it was.
            let () = host
                .call(&Call::Clean {
                    job: JobSpec::default(),
                    server: Some(target.address()),
                    killed: "20261122T101530Z-recover-test".to_owned(),
                    sessions: Vec::new(),
                })
                .unwrap();
            assert_left_alone(&target, &before);
        }
        host.call::<backstay_engine_api::Recovered>(&call(dir.path()))
            .unwrap_or_else(|error| {
                panic!(
                    "round {round}, killed after {moment:?}: {error}\n{}",
                    target.server.error_log()
                )
            });
        assert_eq!(
            contents(&target),
            contents(&source),
            "round {round}, killed after {moment:?}"
        );
        assert_left_alone(&target, &before);
    }
    println!("{interrupted} interrupted");
}

/// What the worker has left on the server runs still when the next one begins, and nobody has cleaned up.
fn the_worker_is_killed_while_the_target_applies(flavour: Flavour) {
    let source = TestServer::start(flavour);
    source.script(
        "CREATE DATABASE shop;\n\
         CREATE TABLE shop.orders (id INT PRIMARY KEY, n INT);\n\
         SET SESSION binlog_format = STATEMENT;\n\
         INSERT INTO shop.orders VALUES (1, SLEEP(5));\n\
         INSERT INTO shop.orders VALUES (2, 0);\n",
    );
    let logs = logs::read(&source);
    let target = TestServer::start_with(flavour, &arguments(flavour));
    let before = settings(&mut target.session());
    let host = TestHost::new();
    let segments = logs.put_into(&host, 50);
    let dir = tempfile::tempdir().unwrap();
    let call = Call::Recover {
        job: JobSpec {
            id: "20261122T101530Z-recover-test".to_owned(),
            cluster: "test".to_owned(),
            options: json!({}),
            scratch: dir.path().to_owned(),
            threads: 2,
        },
        target: target.address().into(),
        from: nowhere(flavour),
        point: RecoveryPoint::Latest,
        logs: segments.clone(),
        source: ServerFacts::default(),
    };
    hand_over(dir.path(), &call, &segments, &host);
    let mut child = worker(dir.path());
    until_runs(&mut target.session(), "INSERT INTO shop.orders VALUES (1,");
    child.kill().unwrap();
    child.wait().unwrap();
    host.call::<backstay_engine_api::Recovered>(&call)
        .unwrap_or_else(|error| panic!("{error}\n{}", target.server.error_log()));
    assert_eq!(contents(&target), contents(&source));
    assert_left_alone(&target, &before);
}

/// A process that does the job in a directory.
fn worker(dir: &Path) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["--ignored", "--exact", "killed::a_worker_that_will_be_killed"])
        .env(JOB, dir)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

/// Writes a job and what it reads into a directory.
fn hand_over(dir: &Path, call: &Call, segments: &[Segment], host: &TestHost) {
    fs::write(dir.join("call.json"), serde_json::to_vec(call).unwrap()).unwrap();
    let backups = host.backups();
    for (number, (segment, backup)) in segments.iter().zip(backups.iter()).enumerate() {
        for name in &segment.objects {
            fs::write(dir.join(format!("{number}-{name}")), &backup.objects[name].bytes).unwrap();
        }
    }
}

#[test]
#[ignore = "a process of `the_worker_is_killed`, not a test of its own"]
fn a_worker_that_will_be_killed() {
    let dir = std::env::var_os(JOB).expect("the directory of a job");
    let dir = Path::new(&dir);
    let call: Call = serde_json::from_slice(&fs::read(dir.join("call.json")).unwrap()).unwrap();
    let wire::Call::Recover { logs, target, .. } = &call else {
        panic!("no recovery")
    };
    assert!(matches!(target, Target::Server(_)));
    let host = TestHost::new();
    let record = TestHost::holding(BTreeMap::new()).backups()[0].record.clone();
    for (number, segment) in logs.iter().enumerate() {
        let object = |name: &String| {
            let bytes = fs::read(dir.join(format!("{number}-{name}"))).unwrap();
            (
                name.clone(),
                Object {
                    bytes,
                    ..Object::default()
                },
            )
        };
        let objects = segment.objects.iter().map(object).collect();
        let record = record.clone();
        host.backups().push(Backup { record, objects });
    }
    host.call::<backstay_engine_api::Recovered>(&call).unwrap();
}
