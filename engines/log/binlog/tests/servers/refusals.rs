//! What would make events vanish, or lead elsewhere: seen to, or refused with the reason.

use backstay_bed::{TestServer, on_both, run, until};
use backstay_engine_api::position::RecoveryPoint;
use backstay_engine_api::{EngineError, ErrorKind, Position, Recovered};
use backstay_mysql::Flavour;
use serde_json::json;

use crate::logs::{self, Logs, TestHost};
use crate::{Recovery, assert_left_alone, contents, nowhere, recover, settings};

on_both!(
    own_ids_and_filters,
    a_replica_that_is_still_configured,
    a_server_that_replicates,
    errors_that_are_passed_over,
    where_the_target_stands,
    an_event_that_does_not_fit,
    gaps,
);

/// A few transactions.
fn source(flavour: Flavour) -> (TestServer, Logs) {
    let source = TestServer::start(flavour);
    source.script(
        "CREATE DATABASE shop;\n\
         CREATE TABLE shop.orders (id INT PRIMARY KEY, what VARCHAR(200));\n\
         INSERT INTO shop.orders VALUES (1, 'one'), (2, 'two');\n\
         CREATE TABLE shop.lines (id INT PRIMARY KEY);\n\
         INSERT INTO shop.lines VALUES (1);\n\
         CREATE DATABASE other;\n\
         CREATE TABLE other.t (id INT PRIMARY KEY);\n\
         INSERT INTO other.t VALUES (1);\n\
         UPDATE shop.orders SET what = 'zwei' WHERE id = 2;\n",
    );
    let logs = logs::read(&source);
    (source, logs)
}

fn all_onto(target: &TestServer, logs: &Logs, from: Vec<Position>, skipped: usize) -> Result<Recovered, EngineError> {
    let host = TestHost::new();
    recover(
        &host,
        Recovery {
            target: target.address().into(),
            from,
            point: RecoveryPoint::Latest,
            logs: logs.put_some_into(&host, skipped, 4),
            options: json!({}),
        },
    )
}

pub(crate) fn replica_words(target: &TestServer) -> (&'static str, &'static str, &'static str) {
    if target.flavour.is_mariadb() {
        (
            "CHANGE MASTER TO MASTER_HOST = '127.0.0.1', MASTER_USER = 'r', MASTER_PASSWORD = 'r', MASTER_CONNECT_RETRY = 1, MASTER_PORT = ",
            "START SLAVE",
            "SHOW ALL SLAVES STATUS",
        )
    } else {
        (
            "CHANGE REPLICATION SOURCE TO SOURCE_HOST = '127.0.0.1', SOURCE_USER = 'r', SOURCE_PASSWORD = 'r', SOURCE_CONNECT_RETRY = 1, \
             SOURCE_PORT = ",
            "START REPLICA",
            "SHOW REPLICA STATUS",
        )
    }
}

/// The target has the id of the server that wrote the log, and its configuration filters everything away.
fn own_ids_and_filters(flavour: Flavour) {
    let (source, logs) = source(flavour);
    let filters = [
        "--server-id=1",
        "--replicate-do-db=nothing",
        "--replicate-ignore-table=shop.lines",
        "--replicate-wild-ignore-table=oth%.%",
    ];
    let target = TestServer::start_with(flavour, &filters);
    let before = settings(&mut target.session());
    let recovered = all_onto(&target, &logs, nowhere(flavour), 0).unwrap();
    assert_eq!(contents(&target), contents(&source));
    let codes: Vec<&str> = recovered.notices.iter().map(|notice| notice.code.as_str()).collect();
    assert!(
        !codes.is_empty() && codes.iter().all(|code| *code == "replication-filter"),
        "{codes:?}"
    );
    assert_left_alone(&target, &before);
}

/// The old source must not be connected to, not even for a moment, and not when the server is started again.
fn a_replica_that_is_still_configured(flavour: Flavour) {
    let (source, logs) = source(flavour);
    let old = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    old.set_nonblocking(true).unwrap();
    let target = TestServer::start(flavour);
    let (change, _, status) = replica_words(&target);
    let port = old.local_addr().unwrap().port();
    run(&mut target.session(), &[&format!("{change}{port}")]);
    let recovered = all_onto(&target, &logs, nowhere(flavour), 0).unwrap();
    assert_eq!(contents(&target), contents(&source));
    assert_eq!(recovered.notices.len(), 1, "{:?}", recovered.notices);
    assert_eq!(recovered.notices[0].code, "replica-configuration-removed");
    assert_eq!(
        recovered.notices[0].subject.as_deref(),
        Some(format!("127.0.0.1:{port}").as_str())
    );
    assert!(target.session().query_named(status).unwrap().is_empty());
    assert!(old.accept().is_err(), "the old source was connected to");
}

fn a_server_that_replicates(flavour: Flavour) {
    let (source, logs) = source(flavour);
    run(
        &mut source.session(),
        &[
            "CREATE USER r@'127.0.0.1' IDENTIFIED BY 'r'",
            "GRANT REPLICATION SLAVE ON *.* TO r@'127.0.0.1'",
        ],
    );
    let target = TestServer::start_with(flavour, &["--server-id=2"]);
    let (change, start, _) = replica_words(&target);
    run(&mut target.session(), &[&format!("{change}{}", source.port()), start]);
    let before = settings(&mut target.session());
    let error = all_onto(&target, &logs, nowhere(flavour), 0).unwrap_err();
    assert_eq!(error.kind, ErrorKind::Refused);
    assert!(
        error
            .message
            .contains(&format!("replicates from 127.0.0.1:{}", source.port())),
        "{error}"
    );
    assert_eq!(settings(&mut target.session()), before);
}

fn errors_that_are_passed_over(flavour: Flavour) {
    let (_source, logs) = source(flavour);
    let skip = if flavour.is_mariadb() {
        "--slave-skip-errors=1062"
    } else {
        "--replica-skip-errors=1062"
    };
    let target = TestServer::start_with(flavour, &[skip]);
    let error = all_onto(&target, &logs, nowhere(flavour), 0).unwrap_err();
    assert_eq!(error.kind, ErrorKind::Refused);
    assert!(error.message.contains("skip_errors = 1062"), "{error}");
}

/// A target that says nothing is told where the backup stands; one that is beyond the plan is refused.
fn where_the_target_stands(flavour: Flavour) {
    let (source, logs) = source(flavour);
    // As a restore leaves it that writes a binary log of its own.
    let target = TestServer::start_with(flavour, &["--server-id=2"]);
    run(
        &mut target.session(),
        &[
            "CREATE DATABASE shop",
            "CREATE TABLE shop.orders (id INT PRIMARY KEY, what VARCHAR(200))",
            "INSERT INTO shop.orders VALUES (1, 'one'), (2, 'two')",
        ],
    );
    let recovered = all_onto(&target, &logs, logs.positions_after(2), 3).unwrap();
    assert_eq!(recovered.transactions, logs.transactions.len() as u64 - 3);
    assert_eq!(contents(&target), contents(&source));

    // Again: it is all there already.
    let again = all_onto(&target, &logs, logs.positions_after(2), 3).unwrap();
    assert_eq!(again.positions, recovered.positions);
    assert_eq!(contents(&target), contents(&source));

    // To an earlier point: it is beyond that.
    let host = TestHost::new();
    let third = logs.transactions[3].line.gtid.clone().unwrap();
    let error = recover(
        &host,
        Recovery {
            target: target.address().into(),
            from: logs.positions_after(2),
            point: RecoveryPoint::gtid(&logs.transactions[3].after.value).unwrap(),
            logs: logs.put_some_into(&host, 3, 4),
            options: json!({}),
        },
    )
    .unwrap_err();
    assert_eq!(error.kind, ErrorKind::Refused, "{third}: {error}");
    assert!(error.message.contains("beyond the point"), "{error}");
}

fn an_event_that_does_not_fit(flavour: Flavour) {
    let (_source, logs) = source(flavour);
    let target = TestServer::start(flavour);
    run(
        &mut target.session(),
        &[
            "SET SESSION sql_log_bin = 0",
            "CREATE DATABASE shop",
            "CREATE TABLE shop.lines (id INT PRIMARY KEY)",
        ],
    );
    let before = settings(&mut target.session());
    let error = all_onto(&target, &logs, logs.positions_after(0), 1).unwrap_err();
    let fourth = logs.transactions[3].line.gtid.clone().unwrap();
    let text = error.to_string();
    assert!(text.contains("error 1050") && text.contains(&fourth), "{text}");
    assert!(
        text.contains("lines") && text.contains("restore the backup again"),
        "{text}"
    );
    assert_left_alone(&target, &before);
    // What came before it is there.
    until("the first rows", || {
        target
            .session()
            .query_first::<u32>("SELECT COUNT(*) FROM shop.orders")
            .unwrap()
            == Some(2)
    });
}

fn gaps(flavour: Flavour) {
    let (_source, logs) = source(flavour);
    let target = TestServer::start(flavour);
    let before = settings(&mut target.session());
    let error = all_onto(&target, &logs, nowhere(flavour), 2).unwrap_err();
    assert_eq!(error.kind, ErrorKind::Refused);
    assert!(error.message.starts_with("the log has a gap before 000000"), "{error}");
    assert_left_alone(&target, &before);
}
