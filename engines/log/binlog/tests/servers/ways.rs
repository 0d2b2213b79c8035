//! Other ways: by the client, into a data directory, without GTIDs.

use std::fs;
use std::os::unix::fs::MetadataExt;

use backstay_bed::{TestServer, data_dir, installed, on_both, run};
use backstay_engine_api::ErrorKind;
use backstay_engine_api::position::{BinlogFile, Position, RecoveryPoint};
use backstay_mysql::{Flavour, PrivateServer};
use serde_json::json;

use crate::logs::{self, Logs, TestHost};
use crate::{Recovery, assert_left_alone, contents, contents_of, nowhere, recover, settings};

on_both!(by_the_client, into_a_data_directory);

fn source(flavour: Flavour, arguments: &[&str]) -> (TestServer, Logs) {
    let source = TestServer::start_with(flavour, arguments);
    source.script(
        "CREATE DATABASE shop;\n\
         CREATE TABLE shop.orders (id INT PRIMARY KEY, what VARCHAR(200));\n\
         INSERT INTO shop.orders VALUES (1, 'one'), (2, 'two');\n\
         CREATE USER clerk@localhost IDENTIFIED BY 'secret';\n\
         GRANT SELECT ON shop.* TO clerk@localhost;\n\
         FLUSH BINARY LOGS;\n\
         CREATE TRIGGER shop.t BEFORE INSERT ON shop.orders FOR EACH ROW SET NEW.what = UPPER(NEW.what);\n\
         INSERT INTO shop.orders VALUES (3, 'three');\n\
         FLUSH BINARY LOGS;\n\
         DELETE FROM shop.orders WHERE id = 1;\n\
         DROP TABLE shop.orders;\n",
    );
    let logs = logs::read(&source);
    (source, logs)
}

/// Just before the DROP TABLE.
fn before_the_mistake(logs: &Logs) -> RecoveryPoint {
    let last = logs.transactions.last().unwrap();
    RecoveryPoint::before_gtid(last.line.gtid.as_deref().unwrap()).unwrap()
}

const LEFT: &str = "SELECT GROUP_CONCAT(id, what ORDER BY id) FROM shop.orders";

fn by_the_client(flavour: Flavour) {
    let (_source, logs) = source(flavour, &[]);
    let (host, target) = (TestHost::new(), TestServer::start_with(flavour, &["--server-id=2"]));
    let before = settings(&mut target.session());
    let recovery = |point| Recovery {
        target: target.address().into(),
        from: nowhere(flavour),
        point,
        logs: logs.put_into(&host, 4),
        options: json!({"replay": "client"}),
    };
    let recovered = recover(&host, recovery(before_the_mistake(&logs))).unwrap();
    assert_eq!(recovered.transactions as usize, logs.transactions.len() - 1);
    assert_eq!(
        target.session().query_first::<String>(LEFT).unwrap().as_deref(),
        Some("2two,3THREE")
    );
    assert_left_alone(&target, &before);
    let again = recover(&host, recovery(RecoveryPoint::Latest));
    if flavour.is_mariadb() {
        assert_eq!(again.unwrap_err().kind, ErrorKind::Refused);
    } else {
        again.unwrap();
        assert!(contents(&target).iter().all(|name| !name.contains("`orders`")));
    }
}

fn into_a_data_directory(flavour: Flavour) {
    let (source, logs) = source(flavour, &[]);
    let host = TestHost::new();
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    let program = installed(flavour).program();
    backstay_mysql::private_server::initialise(&program, &data, &[]).unwrap();
    std::os::unix::fs::chown(&data, Some(4711), Some(4712)).unwrap();
    let recovered = recover(
        &host,
        Recovery {
            target: match data_dir(&data) {
                backstay_engine_api::job::Target::DataDir { path, .. } => backstay_engine_api::job::Target::DataDir {
                    path,
                    programs: source.address().programs,
                },
                other => other,
            },
            from: nowhere(flavour),
            point: before_the_mistake(&logs),
            logs: logs.put_into(&host, 4),
            options: json!({}),
        },
    )
    .unwrap();
    assert_eq!(recovered.transactions as usize, logs.transactions.len() - 1);
    for entry in fs::read_dir(&data).unwrap() {
        let entry = entry.unwrap();
        let meta = entry.metadata().unwrap();
        assert_eq!((meta.uid(), meta.gid()), (4711, 4712), "{:?}", entry.path());
        let name = entry.file_name().to_string_lossy().into_owned();
        assert!(!name.contains("relay"), "{name} is left");
    }
    let server = PrivateServer::builder(program, &data).start().unwrap();
    let mut session = server.session().unwrap();
    assert_eq!(
        session.query_first::<String>(LEFT).unwrap().as_deref(),
        Some("2two,3THREE")
    );
    assert!(contents_of(&mut session).contains(&"account clerk@localhost".to_owned()));
    let applied = if flavour.is_mariadb() {
        "gtid_slave_pos"
    } else {
        "gtid_executed"
    };
    assert_eq!(
        session.variable(applied).unwrap(),
        Some(recovered.positions[0].value.clone())
    );
    server.stop().unwrap();
}

/// MySQL without GTIDs: by places in the log, also from the middle of a file.
#[test]
fn by_places() {
    const OFF: [&str; 2] = ["--gtid-mode=OFF", "--enforce-gtid-consistency=OFF"];
    let (source, logs) = source(Flavour::MySql, &OFF);
    let host = TestHost::new();
    let target = TestServer::start_with(Flavour::MySql, &OFF);
    let before = settings(&mut target.session());
    run(
        &mut target.session(),
        &[
            "CREATE DATABASE shop",
            "CREATE TABLE shop.orders (id INT PRIMARY KEY, what VARCHAR(200))",
        ],
    );
    let last = &logs.transactions[logs.transactions.len() - 2];
    let end = BinlogFile::new(&last.file, last.end).unwrap();
    let recovery = || Recovery {
        target: target.address().into(),
        from: logs.positions_after(1),
        point: RecoveryPoint::BinlogFile(end.clone()),
        logs: logs.put_into(&host, 3),
        options: json!({}),
    };
    let recovered = recover(&host, recovery()).unwrap();
    assert_eq!(recovered.positions, [Position::binlog_file(&end)]);
    assert_eq!(recovered.transactions as usize, logs.transactions.len() - 3);
    assert_eq!(
        target.session().query_first::<String>(LEFT).unwrap().as_deref(),
        Some("2two,3THREE")
    );
    assert_left_alone(&target, &before);
    drop(source);

    // A client would not know how far it came.
    let client = recover(
        &host,
        Recovery {
            options: json!({"replay": "client"}),
            ..recovery()
        },
    );
    let error = client.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Refused, "{error}");
    assert!(error.message.contains("needs GTIDs"), "{error}");

    // A server that wants GTIDs refuses what has none.
    let with = TestServer::start(Flavour::MySql);
    let error = recover(
        &host,
        Recovery {
            target: with.address().into(),
            ..recovery()
        },
    )
    .unwrap_err();
    assert_eq!(error.kind, ErrorKind::Refused);
    assert!(error.to_string().contains("--gtid-mode=OFF"), "{error}");
}

/// Files without a transaction: the server began one and then the next.
#[test]
fn by_places_over_empty_files() {
    const OFF: [&str; 2] = ["--gtid-mode=OFF", "--enforce-gtid-consistency=OFF"];
    let source = TestServer::start_with(Flavour::MySql, &OFF);
    source.script(
        "CREATE DATABASE shop;\n\
         CREATE TABLE shop.orders (id INT PRIMARY KEY, what VARCHAR(200));\n\
         FLUSH BINARY LOGS;\n\
         FLUSH BINARY LOGS;\n\
         INSERT INTO shop.orders VALUES (1, 'one');\n\
         INSERT INTO shop.orders VALUES (2, 'two');\n\
         FLUSH BINARY LOGS;\n\
         FLUSH BINARY LOGS;\n\
         FLUSH BINARY LOGS;\n\
         UPDATE shop.orders SET what = CONCAT(what, ' and more');\n",
    );
    let logs = logs::read(&source);
    let number = |index: usize| {
        let logged = &logs.transactions[index];
        BinlogFile::new(&logged.file, logged.end).unwrap().number()
    };
    let last = logs.transactions.len() - 1;
    assert!(number(1) + 2 == number(2) && number(last - 1) + 3 == number(last));
    // From the end of a file, in one log and cut into several at each place.
    for per_segment in [1, 2, 100] {
        let host = TestHost::new();
        let target = TestServer::start_with(Flavour::MySql, &OFF);
        run(
            &mut target.session(),
            &[
                "CREATE DATABASE shop",
                "CREATE TABLE shop.orders (id INT PRIMARY KEY, what VARCHAR(200))",
            ],
        );
        let recovery = |point| Recovery {
            target: target.address().into(),
            from: logs.positions_after(1),
            point,
            logs: logs.put_some_into(&host, 2, per_segment),
            options: json!({}),
        };
        let recovered = recover(&host, recovery(RecoveryPoint::Latest)).unwrap();
        assert_eq!(recovered.positions, logs.positions_after(last), "{per_segment}");
        assert_eq!(contents(&target), contents(&source), "{per_segment}");
    }
}
