//! Each dump of a real MySQL Shell onto a real MySQL.

use std::collections::BTreeMap;
use std::fs;

use backstay_bed::{TestServer, run};
use backstay_engine_api::Selection;
use backstay_mysql::{Flavour, Session, quote_identifier};
use serde_json::{Value, json};

use crate::describe::{UNEVEN, assert_same, checksum, describe};
use crate::{TestHost, dumps, files_of};

const SCHEMAS: [&str; 2] = ["golden", "we ird-@sch%é"];

/// `checksums.tsv`: the sum and the number of rows of a table by its quoted name.
fn sums() -> BTreeMap<String, (String, u64)> {
    let text = fs::read_to_string(dumps().join("checksums.tsv")).unwrap();
    let mut sums = BTreeMap::new();
    for line in text.lines().skip(1) {
        let cells: Vec<&str> = line.split('\t').collect();
        sums.insert(cells[0].to_owned(), (cells[1].to_owned(), cells[2].parse().unwrap()));
    }
    assert!(sums.len() > 40);
    sums
}

fn check_sums(session: &mut Session, host: &TestHost) -> usize {
    let sums = sums();
    let mut checked = 0;
    let done: Value = serde_json::from_slice(&host.backups()[0].objects["@.done.json"].bytes).unwrap();
    for (schema, tables) in done["tableDataBytes"].as_object().unwrap() {
        for table in tables.as_object().unwrap().keys() {
            let quoted = format!("{}.{}", quote_identifier(schema), quote_identifier(table));
            let (sum, rows) = &sums[&quoted];
            let found: u64 = session
                .query_first(format!("SELECT COUNT(*) FROM {quoted}"))
                .unwrap()
                .unwrap();
            assert_eq!(found, *rows, "{quoted}");
            if !UNEVEN.contains(&table.as_str()) {
                assert_eq!(checksum(session, &quoted), *sum, "{quoted}");
                checked += 1;
            }
        }
    }
    checked
}

#[test]
fn every_dump_of_a_shell() {
    let target = TestServer::start(Flavour::MySql);
    let mut session = target.session();
    let mut checked = 0;
    for entry in fs::read_dir(dumps()).unwrap() {
        let directory = entry.unwrap().path();
        if !directory.is_dir() {
            continue;
        }
        let name = directory.file_name().unwrap().to_str().unwrap().to_owned();
        let host = TestHost::holding(files_of(&directory));
        if name.ends_with("dataonly") {
            // Tables without triggers, which would change the rows.
            let ddl = TestHost::holding(files_of(&dumps().join("schemas-ddlonly")));
            ddl.restore_all(target.address(), json!({})).unwrap();
            let triggers: Vec<String> = session
                .query("SELECT TRIGGER_NAME FROM information_schema.TRIGGERS WHERE TRIGGER_SCHEMA = 'golden'")
                .unwrap();
            for trigger in triggers {
                run(
                    &mut session,
                    &[&format!("DROP TRIGGER golden.{}", quote_identifier(&trigger))],
                );
            }
        }
        let restored = host.restore_all(target.address(), json!({})).unwrap();
        println!("{name}: {:?}", restored.notices);
        checked += check_sums(&mut session, &host);
        let left: Option<String> = session.query_first("SHOW DATABASES LIKE 'backstay%'").unwrap();
        assert_eq!(left, None);
        run(&mut session, &["SET foreign_key_checks = 0"]);
        for schema in SCHEMAS {
            run(
                &mut session,
                &[&format!("DROP DATABASE IF EXISTS {}", quote_identifier(schema))],
            );
        }
        let accounts: Vec<String> = session
            .query("SELECT CONCAT(QUOTE(user), '@', QUOTE(host)) FROM mysql.user WHERE user LIKE 'golden%'")
            .unwrap();
        for account in accounts {
            run(&mut session, &[&format!("DROP USER {account}")]);
        }
    }
    assert!(checked >= 40, "{checked} tables");
}

#[test]
fn definitions_are_those_of_the_source() {
    let source = TestServer::start(Flavour::MySql);
    source.script(&fs::read_to_string(dumps().join("golden.sql")).unwrap());
    run(&mut source.session(), &["DROP TABLE golden.t_big, golden.t_big_cpk"]);
    let want = describe(&mut source.session(), &SCHEMAS);
    let host = TestHost::holding(files_of(&dumps().join("instance-none")));
    for defer in ["all", "fulltext", "none"] {
        let target = TestServer::start(Flavour::MySql);
        let restored = host
            .restore_all(target.address(), json!({"defer_indexes": defer, "gtid": "set"}))
            .unwrap();
        assert_same(&want, &describe(&mut target.session(), &SCHEMAS));
        assert_eq!(restored.positions.len(), 1);
        let grants: Vec<String> = target
            .session()
            .query("SHOW GRANTS FOR 'golden_ro'@'localhost'")
            .unwrap();
        assert_eq!(
            grants,
            source
                .session()
                .query::<String>("SHOW GRANTS FOR 'golden_ro'@'localhost'")
                .unwrap()
        );
        let gtids = target.session().variable("gtid_executed").unwrap();
        assert_eq!(gtids.as_deref(), Some(restored.positions[0].value.as_str()));
    }
}

/// A dump of single tables is no dump of their schema: what else that has stays.
#[test]
fn single_tables_replace_these_alone() {
    let target = TestServer::start(Flavour::MySql);
    let mut session = target.session();
    run(
        &mut session,
        &[
            "CREATE DATABASE golden",
            "CREATE TABLE golden.other (id INT PRIMARY KEY)",
            "INSERT INTO golden.other VALUES (7)",
            "CREATE TABLE golden.t_nopk (another INT)",
        ],
    );
    let host = TestHost::holding(files_of(&dumps().join("tables-none")));
    host.restore(target.address(), true, Selection::default(), json!({}))
        .unwrap();
    assert!(check_sums(&mut session, &host) > 0);
    let other: Option<u32> = session.query_first("SELECT id FROM golden.other").unwrap();
    assert_eq!(other, Some(7));
}
