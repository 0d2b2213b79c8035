//! Relay logs that do not shrink: the replay goes on all the same.

use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use backstay_bed::{TestServer, on_both, run};
use backstay_engine_api::position::RecoveryPoint;
use backstay_mysql::Flavour;
use serde_json::json;

use crate::logs::{self, TestHost};
use crate::{Recovery, assert_left_alone, contents, nowhere, recover, settings};

on_both!(relay_logs_that_are_not_purged);

/// The least that the option takes.
const LIMIT: u64 = 16 << 20;
/// Far more than the replay takes on a slow machine.
const PATIENCE: Duration = Duration::from_secs(300);

/// The target keeps its relay logs, and one file of the log is larger than the limit.
fn relay_logs_that_are_not_purged(flavour: Flavour) {
    let source = TestServer::start(flavour);
    let mut session = source.session();
    run(
        &mut session,
        &[
            "CREATE DATABASE shop",
            "CREATE TABLE shop.large (id INT PRIMARY KEY, b LONGBLOB)",
        ],
    );
    for id in 0..40 {
        run(
            &mut session,
            &[&format!(
                "INSERT INTO shop.large VALUES ({id}, REPEAT('sixteen bytes...', 65536))"
            )],
        );
    }
    let logs = logs::read(&source);
    let largest = logs.transactions.iter().map(|logged| logged.end).max();
    assert!(largest > Some(2 * LIMIT));
    let host = TestHost::new();
    let mut arguments = vec!["--relay-log-purge=OFF"];
    if flavour.is_mariadb() {
        // In KiB each second: so that it is seen in time that the limit is passed.
        arguments.push("--read-binlog-speed-limit=16384");
    }
    let target = TestServer::start_with(flavour, &arguments);
    let before = settings(&mut target.session());
    assert!(before.contains(&("relay_log_purge".to_owned(), "OFF".to_owned())));
    let recovery = Recovery {
        target: target.address().into(),
        from: nowhere(flavour),
        point: RecoveryPoint::Latest,
        logs: logs.put_into(&host, 1000),
        options: json!({"relay_log_limit": LIMIT}),
    };
    let (done, is_done) = mpsc::channel();
    // Not waited for if it hangs.
    thread::spawn(move || done.send(recover(&host, recovery)));
    let recovered = is_done.recv_timeout(PATIENCE).expect("the replay comes to its end");
    assert_eq!(recovered.unwrap().transactions as usize, logs.transactions.len());
    assert_eq!(contents(&target), contents(&source));
    assert_left_alone(&target, &before);
}
