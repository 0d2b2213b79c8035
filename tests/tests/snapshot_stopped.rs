//! The provider `copy` of the engine `snapshot`: what is known of a server that does not run.

use std::fs;

use backstay_bed::{Flavour, TestServer, on_both};
use backstay_mysql::PrivateServer;
use backstay_mysql::mysql::Conn;
use backstay_mysql::mysql::prelude::Queryable;
use backstay_tests::backstay::Backstay;
use backstay_tests::on_volume::conn;
use backstay_tests::reference::binlog_position;
use backstay_tests::shop;

/// Where the log of a stopped server ends is known if it was stopped in an orderly way. After a crash it is not: what MariaDB has written
/// beside its log is of an earlier stop, and the log may have what the data does not have.
fn copies_of_servers_that_were_stopped_and_killed(flavour: Flavour) {
    let mut source = TestServer::start(flavour);
    let (root, data) = (source.dir().to_owned(), source.server.data_dir().to_owned());
    let program = source.server.running().clone();
    let backstay = Backstay::new(&root.join("backstay"), &[], &source.section("main"));
    let copy = || {
        let arguments = ["backup", "--engine", "snapshot", "--option", "provider=copy"];
        backstay.run(&arguments).ok();
        backstay.run(&["show", "latest", "--json"]).ok().json()["backup"].clone()
    };
    shop::create(&mut source.conn());
    source.restart(false);
    let write = |conn: &mut Conn| {
        let mut statements = vec![
            "CREATE TABLE shop.late (id INT PRIMARY KEY)",
            "INSERT INTO shop.late VALUES (1)",
        ];
        if flavour.is_mariadb() {
            // Two servers have written into a domain, and one into another.
            statements.extend(["SET SESSION server_id = 77", "INSERT INTO shop.late VALUES (2)"]);
            statements.extend(["SET SESSION gtid_domain_id = 5", "INSERT INTO shop.late VALUES (3)"]);
        }
        for statement in statements {
            conn.query_drop(statement).unwrap();
        }
    };
    write(&mut source.conn());
    source.server.kill();
    let killed = copy();
    assert!(killed["positions"].is_null(), "{killed}");
    let notices = killed["notices"].to_string();
    assert!(
        notices.contains("no-position") && notices.contains("was not closed"),
        "{notices}"
    );
    // It restores nonetheless.
    let restored = root.join("restored");
    backstay
        .run(&["restore", "--to-datadir", &restored.to_string_lossy()])
        .ok();
    let server = PrivateServer::builder(program.clone(), &restored).start().unwrap();
    let rows: Option<u64> = conn(&server).query_first("SELECT COUNT(*) FROM shop.orders").unwrap();
    assert!(rows > Some(0), "{rows:?}");
    server.stop().unwrap();

    let (variable, system, own): (&str, &str, &[&str]) = match flavour.is_mariadb() {
        true => ("gtid_binlog_pos", "mariadb-gtid", &[]),
        false => (
            "gtid_executed",
            "mysql-gtid",
            &["--gtid-mode=ON", "--enforce-gtid-consistency=ON"],
        ),
    };
    let server = PrivateServer::builder(program, &data)
        .args(["--log-bin=binlog", "--server-id=1"])
        .args(own.iter().copied())
        .keep_identity()
        .start()
        .unwrap();
    let gtids: Option<String> = conn(&server)
        .query_first(format!("SELECT @@GLOBAL.{variable}"))
        .unwrap();
    server.stop().unwrap();
    let stopped = copy();
    let sorted = |text: &str| {
        let mut gtids: Vec<String> = text.split(',').map(|gtid| gtid.trim().to_owned()).collect();
        gtids.sort();
        gtids
    };
    let positions = stopped["positions"].as_array().unwrap();
    let named = positions.iter().find(|position| position["kind"] == system);
    let named = named.unwrap_or_else(|| panic!("no {system} in {positions:?}"));
    let gtids = sorted(&gtids.unwrap());
    assert_eq!(sorted(named["value"].as_str().unwrap()), gtids);
    assert!(!flavour.is_mariadb() || gtids.len() == 2, "{gtids:?}");
    let (file, offset) = binlog_position(&stopped["positions"]);
    assert_eq!(fs::metadata(data.join(&file)).unwrap().len(), offset);

    // A log by another name is there too.
    fs::copy(data.join(&file), data.join("former.000007")).unwrap();
    fs::write(data.join("former.index"), "./former.000007\n").unwrap();
    let several = copy();
    assert!(several["positions"].is_null(), "{several}");
    let notices = several["notices"].to_string();
    assert!(notices.contains(&format!("{file}, former.000007")), "{notices}");
}

on_both!(copies_of_servers_that_were_stopped_and_killed);
