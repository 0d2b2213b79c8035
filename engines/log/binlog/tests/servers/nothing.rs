//! Nothing to replay: the target is made to replicate from nowhere all the same.

use std::fs;
use std::net::TcpListener;
use std::path::Path;

use backstay_bed::{TestServer, data_dir, on_both, run, until};
use backstay_engine_api::ErrorKind;
use backstay_engine_api::job::{Segment, Target};
use backstay_engine_api::position::RecoveryPoint;
use backstay_mysql::{Flavour, PrivateServer, facts};
use serde_json::json;

use crate::logs::{self, TestHost};
use crate::refusals::replica_words;
use crate::{Recovery, nowhere, recover, recover_backup_of};

on_both!(a_directory_forgets_its_source, a_server_forgets_its_source);

/// A replica that does not run, and the source that it must not connect to.
fn replica(flavour: Flavour) -> (TestServer, TcpListener) {
    let old = TcpListener::bind("127.0.0.1:0").unwrap();
    old.set_nonblocking(true).unwrap();
    let replica = TestServer::start_with(flavour, &["--server-id=2"]);
    let (change, ..) = replica_words(&replica);
    let port = old.local_addr().unwrap().port();
    run(&mut replica.session(), &[&format!("{change}{port}")]);
    (replica, old)
}

fn up_to_latest(target: Target, logs: Vec<Segment>, from: Vec<backstay_engine_api::Position>) -> Recovery {
    Recovery {
        target,
        from,
        point: RecoveryPoint::Latest,
        logs,
        options: json!({}),
    }
}

/// A data directory, as a physical backup of a replica leaves it, and no log at all.
fn a_directory_forgets_its_source(flavour: Flavour) {
    let (replica, old) = replica(flavour);
    let (_, _, status) = replica_words(&replica);
    let source = facts(&mut replica.session()).unwrap();
    assert!(!source.replication.is_empty());
    let program = replica.server.running().clone();
    let data = replica.server.data_dir().to_owned();
    let process = replica.server.pid();
    run(&mut replica.session(), &["SHUTDOWN"]);
    until("the server has ended", || {
        !Path::new(&format!("/proc/{process}")).exists()
    });
    // Relay logs are no part of a backup.
    for entry in fs::read_dir(&data).unwrap() {
        let entry = entry.unwrap();
        let name = entry.file_name().to_string_lossy().into_owned();
        if name.contains("relay-bin") {
            fs::remove_file(entry.path()).unwrap();
        }
    }
    let target = |path: &Path| match data_dir(path) {
        Target::DataDir { path, .. } => Target::DataDir {
            path,
            programs: replica.address().programs,
        },
        other => other,
    };
    let host = TestHost::new();
    let recovery = |path: &Path| up_to_latest(target(path), Vec::new(), nowhere(flavour));
    let recovered = recover_backup_of(source.clone(), &host, recovery(&data)).unwrap();
    assert_eq!((recovered.transactions, recovered.positions), (0, nowhere(flavour)));
    let subjects: Vec<_> = recovered
        .notices
        .iter()
        .map(|notice| (notice.code.as_str(), notice.subject.clone().unwrap_or_default()))
        .collect();
    let address = old.local_addr().unwrap().to_string();
    assert_eq!(subjects, [("replica-configuration-removed", address)]);
    let again = recover_backup_of(source.clone(), &host, recovery(&data)).unwrap();
    assert!(again.notices.is_empty(), "{:?}", again.notices);
    let server = PrivateServer::builder(program, &data).start().unwrap();
    assert!(server.session().unwrap().query_named(status).unwrap().is_empty());
    server.stop().unwrap();
    assert!(old.accept().is_err(), "the old source was connected to");

    // Of a server that was no replica nothing is looked at.
    let mut primary = source;
    primary.replication.clear();
    recover_backup_of(primary, &host, recovery(Path::new("/nowhere"))).unwrap();
}

/// A server that stands where the logs end.
fn a_server_forgets_its_source(flavour: Flavour) {
    let source = TestServer::start(flavour);
    source.script("CREATE DATABASE shop;\n");
    let logs = logs::read(&source);
    let (target, old) = replica(flavour);
    let (_, start, status) = replica_words(&target);
    let host = TestHost::new();
    let recovery = || {
        let end = logs.positions_after(logs.transactions.len() - 1);
        up_to_latest(target.address().into(), logs.put_into(&host, 4), end)
    };
    let recovered = recover(&host, recovery()).unwrap();
    assert_eq!(recovered.transactions, 0);
    assert_eq!(recovered.notices.len(), 1, "{:?}", recovered.notices);
    assert_eq!(recovered.notices[0].code, "replica-configuration-removed");
    assert!(target.session().query_named(status).unwrap().is_empty());
    assert!(old.accept().is_err(), "the old source was connected to");

    // One that replicates is no server that was just restored.
    let (change, ..) = replica_words(&target);
    let port = old.local_addr().unwrap().port();
    run(&mut target.session(), &[&format!("{change}{port}"), start]);
    let error = recover(&host, recovery()).unwrap_err();
    assert_eq!(error.kind, ErrorKind::Refused);
    assert!(error.message.contains("at this moment"), "{error}");
}
