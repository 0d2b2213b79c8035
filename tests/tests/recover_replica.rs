//! A replica's physical backup, recovered to exactly what it shows: nothing is replayed, and what it replicated from is forgotten all
//! the same, for it would lead past the point.

use std::fs;
use std::net::TcpListener;
use std::path::Path;
use std::process::Command;

use backstay_bed::{Flavour, run};
use backstay_tests::build_dir;
use backstay_tests::on_volume::OnVolume;
use backstay_tests::volumes::FileSystem;
use serde_json::Value;

/// The code of a recovery's only notice.
#[track_caller]
fn only_notice(recovered: &Value) -> &str {
    let notices = recovered["recovered"]["notices"].as_array().expect("notices");
    assert_eq!(notices.len(), 1, "{recovered}");
    notices[0]["code"].as_str().expect("a code")
}

/// From where a server on a directory would replicate.
fn sources(bed: &OnVolume, data: &Path) -> usize {
    let server = bed.server_on(data, &[]);
    let found = server.session().unwrap().query_named("SHOW REPLICA STATUS").unwrap();
    server.stop().unwrap();
    found.len()
}

// MariaDB keeps in files beside its tables what it replicates from, and backups have none of them.
#[test]
fn a_replica_forgets_its_source_without_a_log() {
    let bed = OnVolume::new(Flavour::MySql, FileSystem::Xfs, &["--server-id=2"]);
    let old = TcpListener::bind("127.0.0.1:0").unwrap();
    old.set_nonblocking(true).unwrap();
    run(
        &mut bed.source.session(),
        &[
            "CREATE DATABASE shop",
            &format!(
                "CHANGE REPLICATION SOURCE TO SOURCE_HOST = '127.0.0.1', SOURCE_PORT = {}, SOURCE_USER = 'r', SOURCE_PASSWORD = 'r'",
                old.local_addr().unwrap().port()
            ),
        ],
    );
    bed.backup(&[]);
    let recover = |name: &str| {
        let data = bed.volume.point().join(name);
        let arguments = ["recover", "--latest", "--json", "--to-datadir"].map(str::to_owned);
        (
            data.clone(),
            [&arguments[..], &[data.to_string_lossy().into_owned()]].concat(),
        )
    };

    let (data, arguments) = recover("recovered");
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let recovered = bed.backstay.run(&arguments).ok().json();
    assert_eq!(recovered["recovered"]["plan"]["logs"], Value::Array(Vec::new()));
    assert_eq!(only_notice(&recovered), "replica-configuration-removed");
    assert_eq!(sources(&bed, &data), 0);

    // Where no engine for logs is installed, it is said that it is not so.
    let installed = tempfile::tempdir().unwrap();
    for file in ["backstay", "libbackstay_snapshot.so"] {
        fs::copy(build_dir().join(file), installed.path().join(file)).expect("run `cargo build --workspace`");
    }
    let (data, arguments) = recover("as-it-was");
    let output = Command::new(installed.path().join("backstay"))
        .arg("--config")
        .arg(bed.backstay.config())
        .args(&arguments)
        .env_remove("BACKSTAY_PLUGINS")
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let recovered: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(only_notice(&recovered), "replica-configuration-kept");
    assert_eq!(sources(&bed, &data), 1);
    assert!(old.accept().is_err(), "the old source was connected to");
}
