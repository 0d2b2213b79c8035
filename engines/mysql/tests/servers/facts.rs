//! What is found out of real servers.

use backstay_bed::{TestServer, on_both, run};
use backstay_engine_api::{Role, Server};
use backstay_mysql::{Flavour, Session, content, facts};
use serde_json::json;

on_both!(
    a_primary,
    a_replica,
    what_is_on_it,
    what_users_have_in_the_servers_own_schemas
);

fn a_primary(flavour: Flavour) {
    let bed = TestServer::start_with(flavour, &["--default-time-zone=+05:30"]);
    let found = facts(&mut bed.session()).unwrap();
    assert_eq!(found.flavour, flavour.as_str());
    assert!(
        found
            .version
            .starts_with(if flavour.is_mariadb() { "10." } else { "9." }),
        "{}",
        found.version
    );
    assert_eq!(found.identity["server_id"], json!(1));
    if flavour.is_mariadb() {
        assert_eq!(found.identity["gtid_domain_id"], json!(0));
    } else {
        assert_eq!(found.identity["server_uuid"].as_str().unwrap().len(), 36);
        assert_eq!(found.facts["gtid_mode"], json!("ON"));
        assert!(found.facts["innodb_redo_log_capacity"].as_u64().unwrap() > 0);
    }
    assert_eq!((found.role, found.lag), (Some(Role::Primary), None));
    assert!(found.replication.is_empty());
    assert_eq!(found.facts["innodb_page_size"], json!(16384));
    assert_eq!(found.facts["innodb_data_file_path"], json!("ibdata1:12M:autoextend"));
    assert_eq!(found.facts["lower_case_table_names"], json!(0));
    assert_eq!(found.facts["time_zone"], json!("+05:30"));
    assert_eq!(found.facts["log_bin"], json!(true));
    for name in [
        "system_time_zone",
        "collation_server",
        "character_set_server",
        "binlog_format",
        "sql_mode",
    ] {
        assert!(found.facts[name].is_string(), "{name}");
    }
    assert!(
        found.facts["plugins"].as_array().unwrap().contains(&json!("InnoDB")),
        "{}",
        found.facts["plugins"]
    );
}

fn a_replica(flavour: Flavour) {
    let source = TestServer::start(flavour);
    let replica = TestServer::start_with(flavour, &["--server-id=8"]);
    run(
        &mut source.session(),
        &[
            "CREATE USER r@'%' IDENTIFIED BY 'p'",
            "GRANT REPLICATION SLAVE ON *.* TO r@'%'",
        ],
    );
    let port = source.server.port().unwrap();
    let mut session = replica.session();
    let (change, start, applied) = if flavour.is_mariadb() {
        let change = format!(
            "CHANGE MASTER TO master_host='127.0.0.1', master_port={port}, master_user='r', master_password='p', \
             master_use_gtid=slave_pos"
        );
        (change, "START SLAVE", "gtid_slave_pos")
    } else {
        let change = format!(
            "CHANGE REPLICATION SOURCE TO SOURCE_HOST='127.0.0.1', SOURCE_PORT={port}, SOURCE_USER='r', \
             SOURCE_PASSWORD='p', SOURCE_AUTO_POSITION=1, GET_SOURCE_PUBLIC_KEY=1"
        );
        (change, "START REPLICA", "gtid_executed")
    };
    run(&mut session, &[&change]);
    let stopped = facts(&mut session).unwrap();
    assert_eq!((stopped.role, stopped.lag), (Some(Role::Replica), None));

    run(&mut session, &[start]);
    let mut found = stopped;
    for _ in 0..100 {
        found = facts(&mut session).unwrap();
        // A replica that has not received anything yet has no place in its source's log, or is at its beginning.
        let place = &found.replication["channels"][0];
        if found.lag == Some(0.0)
            && place["source_log_file"].is_string()
            && place["source_log_pos"].as_u64().is_some_and(|at| at > 4)
        {
            break;
        }
        std::thread::sleep(std::time::Duration::from_millis(100));
    }
    assert_eq!(
        (found.role, found.lag),
        (Some(Role::Replica), Some(0.0)),
        "{:?}",
        found.replication
    );
    let channel = &found.replication["channels"][0];
    assert_eq!(
        (&channel["source_host"], &channel["source_port"]),
        (&json!("127.0.0.1"), &json!(port))
    );
    assert!(
        channel["source_log_file"].as_str().unwrap().starts_with("binlog.0"),
        "{channel}"
    );
    assert!(channel["source_log_pos"].as_u64().unwrap() > 4, "{channel}");
    assert!(found.replication[applied].is_string());
}

fn what_is_on_it(flavour: Flavour) {
    let bed = TestServer::start(flavour);
    let mut session = bed.session();
    let fresh = content(&mut session).unwrap();
    assert!(fresh.is_empty() && fresh.accounts.is_empty(), "{fresh:?}");
    run(
        &mut session,
        &[
            "CREATE DATABASE test",
            "CREATE DATABASE `Übung`",
            "CREATE USER u@'10.%'",
        ],
    );
    let found = content(&mut session).unwrap();
    // An empty `test` is what some installations come with.
    assert_eq!(
        (found.schemas.as_slice(), found.accounts.as_slice()),
        (&["Übung".to_owned()][..], &["'u'@'10.%'".to_owned()][..])
    );
    assert!(!found.is_empty());
    run(&mut session, &["CREATE TABLE test.t (id INT)", "DROP DATABASE `Übung`"]);
    assert_eq!(content(&mut session).unwrap().schemas, ["test"]);
}

fn what_users_have_in_the_servers_own_schemas(flavour: Flavour) {
    let bed = TestServer::start(flavour);
    let mut session = bed.session();
    let fresh = facts::left_out(&mut session).unwrap();
    assert!(fresh.is_empty(), "{fresh:?}");
    run(
        &mut session,
        &[
            "CREATE TABLE mysql.kept (id INT PRIMARY KEY)",
            "CREATE VIEW mysql.my_view AS SELECT 1 AS a",
            "CREATE PROCEDURE mysql.tidy() SELECT 1",
            "CREATE EVENT mysql.nightly ON SCHEDULE EVERY 1 DAY DISABLE DO SELECT 1",
            "CREATE TABLE sys.my_table (id INT PRIMARY KEY)",
            "CREATE TRIGGER sys.my_trigger BEFORE INSERT ON sys.my_table FOR EACH ROW SET NEW.id = NEW.id + 1",
            "CREATE VIEW sys.my_report AS SELECT 1 AS a",
            "CREATE PROCEDURE sys.my_procedure() SELECT 1",
            // Another schema than `sys`, though not for whoever dumps schemas.
            "CREATE DATABASE SYS",
            "CREATE TABLE SYS.t (id INT PRIMARY KEY)",
            "CREATE PROCEDURE SYS.p() SELECT 1",
            "CREATE EVENT SYS.e ON SCHEDULE EVERY 1 DAY DISABLE DO SELECT 1",
            "CREATE USER nobody@localhost",
        ],
    );
    let found = facts::left_out(&mut session).unwrap();
    let shown = found.iter().map(|notice| {
        let listed = || notice.text.rsplit(": ").next();
        let names = notice.subject.as_deref().or_else(listed).unwrap_or_default();
        format!("{} {names}", notice.code)
    });
    assert_eq!(
        shown.collect::<Vec<_>>(),
        [
            "system-schema-table mysql.kept",
            "system-schema-table sys.my_table",
            "system-schema-objects mysql.my_view, sys.my_report",
            "system-schema-objects mysql.tidy, sys.my_procedure",
            "system-schema-objects mysql.nightly",
            "system-schema-objects sys.my_trigger",
            "system-schema-name SYS",
        ]
    );
    let content = content(&mut session).unwrap();
    assert_eq!(content.schemas, ["SYS"]);
    assert_eq!(content.objects, ["mysql.tidy"]);

    // Who sees nothing is told nothing, and it is no error. MySQL shows everybody the routines of `sys`.
    let nobody = Server {
        user: Some("nobody".to_owned()),
        ..bed.address()
    };
    let found = facts::left_out(&mut Session::connect(&nobody).unwrap()).unwrap();
    let texts: Vec<&str> = found.iter().map(|notice| notice.text.as_str()).collect();
    match flavour.is_mariadb() {
        true => assert!(texts.is_empty(), "{texts:?}"),
        false => assert!(
            texts.len() == 1 && texts[0].ends_with(": sys.my_procedure"),
            "{texts:?}"
        ),
    }
}
