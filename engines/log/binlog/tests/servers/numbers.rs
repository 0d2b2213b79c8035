//! MariaDB's numbers need not go up in a domain: two servers that write to it each count on their own.

use backstay_bed::{TestServer, run};
use backstay_engine_api::position::RecoveryPoint;
use backstay_mysql::Flavour;
use serde_json::json;

use crate::logs::{self, Logs, TestHost};
use crate::{Recovery, assert_left_alone, contents, nowhere, recover, settings};

/// A log in which 0-1-1000 is followed by 0-2-100 and others, and the server that wrote it.
fn source() -> (TestServer, Logs) {
    let source = TestServer::start_with(Flavour::MariaDb, &["--gtid-strict-mode=OFF"]);
    let mut session = source.session();
    run(
        &mut session,
        &[
            "CREATE DATABASE shop",
            "CREATE TABLE shop.orders (id INT PRIMARY KEY, n INT)",
            "SET SESSION gtid_seq_no = 1000",
            "INSERT INTO shop.orders VALUES (1, 1)",
            "SET SESSION server_id = 2, gtid_seq_no = 100",
            // The target, too, takes its time.
            "SET SESSION binlog_format = STATEMENT",
            "INSERT INTO shop.orders VALUES (2, SLEEP(3))",
            "SET SESSION binlog_format = ROW",
        ],
    );
    for id in 3..100 {
        run(
            &mut session,
            &[
                &format!("SET SESSION gtid_seq_no = {}", 98 + id),
                &format!("INSERT INTO shop.orders VALUES ({id}, 1)"),
            ],
        );
    }
    let logs = logs::read(&source);
    let gtids: Vec<&str> = logs
        .transactions
        .iter()
        .filter_map(|logged| logged.line.gtid.as_deref())
        .collect();
    assert!(gtids.contains(&"0-1-1000"), "{gtids:?}");
    assert_eq!(gtids.last(), Some(&"0-2-197"));
    (source, logs)
}

/// The replay is over when the last transaction is applied, and not when one of a higher number is.
#[test]
fn numbers_that_go_down() {
    let (source, logs) = source();
    let (host, target) = (TestHost::new(), TestServer::start(Flavour::MariaDb));
    let before = settings(&mut target.session());
    let recovered = recover(
        &host,
        Recovery {
            target: target.address().into(),
            from: nowhere(Flavour::MariaDb),
            point: RecoveryPoint::Latest,
            logs: logs.put_into(&host, 30),
            options: json!({}),
        },
    )
    .unwrap();
    assert_eq!(recovered.positions[0].value, "0-2-197");
    assert_eq!(contents(&target), contents(&source));
    assert_left_alone(&target, &before);
}

/// The transaction that does not fit is named, though one of a higher number has been applied.
#[test]
fn the_first_that_is_missing() {
    let (_source, logs) = source();
    let (host, target) = (TestHost::new(), TestServer::start(Flavour::MariaDb));
    run(
        &mut target.session(),
        &[
            "SET SESSION sql_log_bin = 0",
            "CREATE DATABASE shop",
            "CREATE TABLE shop.orders (id INT PRIMARY KEY, n INT)",
            "INSERT INTO shop.orders VALUES (2, 0)",
        ],
    );
    let error = recover(
        &host,
        Recovery {
            target: target.address().into(),
            from: logs.positions_after(1),
            point: RecoveryPoint::Latest,
            logs: logs.put_some_into(&host, 2, 30),
            options: json!({}),
        },
    )
    .unwrap_err();
    assert!(error.message.contains("error 1062"), "{error}");
    assert!(error.message.contains("lacks is 0-2-100 at"), "{error}");
}
