//! The history of system-versioned tables (MariaDB).

use std::collections::BTreeMap;

use backstay_bed::{TestServer, run};
use backstay_mysql::Flavour;
use serde_json::json;

use crate::TestHost;

/// MariaDB from 11.5 on has another time for the end of rows of now than versions before. With the wrong one they would be rows of the past.
#[test]
fn rows_of_now_of_another_version() {
    let source = TestServer::start(Flavour::MariaDb);
    run(
        &mut source.session(),
        &[
            "CREATE DATABASE d",
            "CREATE TABLE d.t (id INT PRIMARY KEY, v INT) WITH SYSTEM VERSIONING",
            "CREATE TABLE d.shown (id INT PRIMARY KEY, b BLOB, t CHAR(9) CHARACTER SET utf16, s TIMESTAMP(6) AS ROW START, \
             e TIMESTAMP(6) AS ROW END, PERIOD FOR SYSTEM_TIME (s, e)) WITH SYSTEM VERSIONING",
            "INSERT INTO d.t VALUES (1, 1), (2, 2)",
            "INSERT INTO d.shown (id, b, t) VALUES (1, x'00FF', 'ä')",
            "UPDATE d.t SET v = 3 WHERE id = 2",
            "UPDATE d.shown SET b = 'b'",
        ],
    );
    let host = TestHost::new();
    host.backup(source.address(), json!({"accounts": false, "compression": "none"}))
        .unwrap();
    let now: Vec<Vec<u8>> = ["2038-01-19 03:14:07.999999", "2106-02-07 06:28:15.999999"]
        .map(|end| end.as_bytes().to_vec())
        .into();
    let mut rows_of_now = 0;
    let backups = host.backups();
    let files: BTreeMap<String, Vec<u8>> = backups[0]
        .objects
        .iter()
        .map(|(name, object)| {
            let mut bytes = object.bytes.clone();
            // Each has as many bytes as the other.
            for at in 0..bytes.len().saturating_sub(now[0].len()) {
                if let Some(which) = now.iter().position(|end| bytes[at..].starts_with(end)) {
                    bytes[at..at + now[0].len()].copy_from_slice(&now[1 - which]);
                    rows_of_now += 1;
                }
            }
            (name.clone(), bytes)
        })
        .collect();
    drop(backups);
    assert_eq!(rows_of_now, 3);
    let target = TestServer::start(Flavour::MariaDb);
    TestHost::holding(files)
        .restore_all(target.address(), json!({"accounts": false}))
        .unwrap();
    for query in [
        "SELECT CONCAT_WS(' ', id, v) FROM d.t ORDER BY 1",
        "SELECT CONCAT_WS(' ', id, v, row_start, row_end) FROM d.t FOR SYSTEM_TIME ALL ORDER BY 1",
        "SELECT CONCAT_WS(' ', id, HEX(b), t, s, e) FROM d.shown FOR SYSTEM_TIME ALL ORDER BY 1",
    ] {
        let [want, got]: [Vec<String>; 2] = [&source, &target].map(|server| server.session().query(query).unwrap());
        assert_eq!(want, got, "{query}");
        assert!(want.len() >= 2, "{query}");
    }
}
