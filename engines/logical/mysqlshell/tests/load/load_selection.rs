//! Single tables, other schemas, definitions or rows alone.

use backstay_bed::{TestServer, run};
use backstay_engine_api::{ErrorKind, Selection};
use backstay_mysql::Flavour;
use serde_json::json;

use crate::craft::dump;
use crate::{TestHost, dumps, files_of};

fn bed() -> TestServer {
    TestServer::start(Flavour::MySql)
}

fn selection(include: &[&str], into: Option<&str>) -> Selection {
    Selection {
        include: include.iter().map(|text| text.parse().unwrap()).collect(),
        into_schema: into.map(str::to_owned),
        ..Selection::default()
    }
}

#[test]
fn only_the_objects_of_selected_tables_are_read() {
    let target = bed();
    let host = TestHost::holding(files_of(&dumps().join("instance-none")));
    let chosen = selection(
        &[
            "golden.t_trig",
            "golden.a_fk*",
            "golden.fk_parent",
            "golden.z_base_view",
            "golden.t_ints",
        ],
        Some("copy"),
    );
    let restored = host
        .restore(target.address(), false, chosen.clone(), json!({}))
        .unwrap();
    let codes: Vec<&str> = restored.notices.iter().map(|notice| notice.code.as_str()).collect();
    assert_eq!(codes, ["triggers-left-out", "view-refers"]);
    let mut opened = host.opened();
    opened.sort();
    opened.dedup();
    assert_eq!(
        opened,
        [
            "@.done.json",
            "@.json",
            "golden.json",
            "golden.sql",
            "golden@a_fk_child.json",
            "golden@a_fk_child.sql",
            "golden@a_fk_child@@0.tsv",
            "golden@fk_parent.json",
            "golden@fk_parent.sql",
            "golden@fk_parent@@0.tsv",
            "golden@t_ints.json",
            "golden@t_ints.sql",
            "golden@t_ints@@0.tsv",
            "golden@t_trig.json",
            "golden@t_trig.sql",
            "golden@t_trig@@0.tsv",
            "golden@z_base_view.pre.sql",
            "golden@z_base_view.sql",
            "we%20ird-%40sch%25é.json",
        ]
    );
    let mut session = target.session();
    let found: Vec<String> = session.query("SHOW DATABASES LIKE 'golden'").unwrap();
    assert!(found.is_empty());
    let found: Vec<String> = session.query("SHOW TABLES IN copy").unwrap();
    assert_eq!(found, ["a_fk_child", "fk_parent", "t_ints", "t_trig", "z_base_view"]);
    let rows: Option<u64> = session.query_first("SELECT COUNT(*) FROM copy.z_base_view").unwrap();
    assert!(rows.is_some_and(|rows| rows > 0));
    // Again: in the way, and then over it.
    let error = host
        .restore(target.address(), false, chosen.clone(), json!({}))
        .unwrap_err();
    assert_eq!(error.kind, ErrorKind::Refused);
    assert!(error.message.contains("already has copy."), "{error}");
    run(&mut session, &["DELETE FROM copy.t_ints"]);
    host.restore(target.address(), true, chosen, json!({})).unwrap();
    let rows: Option<u64> = session.query_first("SELECT COUNT(*) FROM copy.t_ints").unwrap();
    assert_eq!(rows, Some(5));
}

#[test]
fn what_can_not_be_selected() {
    let target = bed();
    let host = TestHost::holding(files_of(&dumps().join("instance-none")));
    for (include, into, expected) in [
        (
            &["golden.nothing"][..],
            None,
            "no table, view or sequence of the backup fits `golden.nothing`",
        ),
        (&["golden.t_ints", "*.x*"], None, "fits `*.x*`"),
    ] {
        let error = host
            .restore(target.address(), false, selection(include, into), json!({}))
            .unwrap_err();
        assert_eq!(error.kind, ErrorKind::Usage);
        assert!(error.message.contains(expected), "{error}");
    }
}

#[test]
fn definitions_then_rows() {
    let target = bed();
    let host = TestHost::holding(files_of(&dumps().join("instance-none")));
    let chosen = selection(&["golden.t_ints", "golden.t_blob", "golden.fk*"], None);
    let rows_only = json!({"content": "data"});
    let error = host
        .restore(target.address(), false, chosen.clone(), rows_only.clone())
        .unwrap_err();
    assert!(error.message.contains("has no table golden."), "{error}");
    host.restore(
        target.address(),
        false,
        chosen.clone(),
        json!({"content": "definitions"}),
    )
    .unwrap();
    assert!(!host.opened().iter().any(|name| name.ends_with(".tsv")));
    let mut session = target.session();
    let count = |session: &mut backstay_mysql::Session| -> Option<u64> {
        session.query_first("SELECT COUNT(*) FROM golden.t_ints").unwrap()
    };
    assert_eq!(count(&mut session), Some(0));
    host.restore(target.address(), false, chosen.clone(), rows_only.clone())
        .unwrap();
    assert_eq!(count(&mut session), Some(5));
    let error = host
        .restore(target.address(), false, chosen.clone(), rows_only.clone())
        .unwrap_err();
    assert!(error.message.contains("is not empty"), "{error}");
    host.restore(target.address(), true, chosen.clone(), rows_only.clone())
        .unwrap();
    assert_eq!(count(&mut session), Some(5));
    run(
        &mut session,
        &[
            "TRUNCATE golden.t_ints",
            "CREATE TRIGGER golden.tr BEFORE INSERT ON golden.t_ints FOR EACH ROW SET NEW.i = 1",
        ],
    );
    let only = selection(&["golden.t_ints"], None);
    let error = host.restore(target.address(), false, only, rows_only).unwrap_err();
    assert!(error.message.contains("has the trigger tr"), "{error}");
}

/// The target's tables may be of another engine than the backup's: one that locks a whole table, and has no transactions.
fn rows_alone_into_engines_that_lock_tables(flavour: Flavour, engines: &[&str]) {
    let source = TestServer::start(flavour);
    let mut session = source.session();
    run(
        &mut session,
        &[
            "CREATE DATABASE d",
            "USE d",
            "CREATE TABLE a (id INT PRIMARY KEY AUTO_INCREMENT, t VARCHAR(200), KEY (t))",
            "CREATE TABLE b LIKE a",
            "CREATE TABLE nokey (t VARCHAR(200))",
            "INSERT INTO a (t) SELECT REPEAT('text ', 20) FROM information_schema.COLUMNS LIMIT 600",
            "INSERT INTO b SELECT * FROM a WHERE id <= 300",
            "INSERT INTO nokey SELECT t FROM a",
        ],
    );
    // Files enough that every thread would find one of the biggest table, were it shared.
    let host = TestHost::holding(dump(&mut session, "d", 20));
    host.read_pieces_of(1500);
    let target = TestServer::start(flavour);
    let mut found = target.session();
    for engine in engines {
        run(&mut found, &["DROP DATABASE IF EXISTS d"]);
        let definitions = json!({"content": "definitions"});
        host.cancel_after_reads(usize::MAX);
        host.restore_all(target.address(), definitions).unwrap();
        for table in ["a", "b", "nokey"] {
            run(&mut found, &[&format!("ALTER TABLE d.{table} ENGINE={engine}")]);
        }
        let rows_only = json!({"content": "data"});
        let mut interrupted = 0;
        for reads in (12..).step_by(9) {
            host.cancel_after_reads(reads);
            match host.restore_all(target.address(), rows_only.clone()) {
                Ok(_) => break,
                Err(error) => assert_eq!(error.kind, ErrorKind::Cancelled, "{error}"),
            }
            interrupted += 1;
        }
        assert!(interrupted >= 3, "{interrupted}");
        for (table, columns, rows) in [("a", "id, t", 600), ("b", "id, t", 300), ("nokey", "t", 600)] {
            let select = format!("SELECT CONCAT_WS(':', {columns}) FROM d.{table} ORDER BY 1");
            let want: Vec<String> = session.query(&select).unwrap();
            assert_eq!(want.len(), rows);
            let got: Vec<String> = found.query(&select).unwrap();
            assert_eq!(got, want, "{table} of {engine}");
        }
    }
}

#[test]
fn rows_alone_into_engines_that_lock_tables_mysql() {
    rows_alone_into_engines_that_lock_tables(Flavour::MySql, &["MyISAM", "MEMORY"]);
}

#[test]
fn rows_alone_into_engines_that_lock_tables_mariadb() {
    rows_alone_into_engines_that_lock_tables(Flavour::MariaDb, &["MyISAM", "Aria", "MEMORY"]);
}
