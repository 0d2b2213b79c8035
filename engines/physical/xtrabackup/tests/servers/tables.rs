//! Single tables out of a backup, into a running server.

use std::fs;

use backstay_bed::{TestServer, data_dir, run};
use backstay_engine_api::job::Target;
use backstay_engine_api::{EngineError, ErrorKind, Notice, Restored, Selection};
use backstay_mysql::{Flavour, Session};
use serde_json::json;

use crate::{TestHost, furnished, server_on};

fn selection(tables: &[&str], into: Option<&str>) -> Selection {
    Selection {
        include: tables.iter().map(|table| table.parse().unwrap()).collect(),
        into_schema: into.map(str::to_owned),
        ..Selection::default()
    }
}

fn restore(host: &TestHost, bed: &TestServer, tables: &[&str], into: Option<&str>) -> Result<Restored, EngineError> {
    host.restore(Target::Server(bed.address()), false, selection(tables, into), json!({}))
}

fn sum(session: &mut Session, table: &str) -> Option<u64> {
    let row: Option<(String, Option<u64>)> = session.query_first(format!("CHECKSUM TABLE {table} EXTENDED")).unwrap();
    row.and_then(|(_, sum)| sum)
}

fn codes(notices: &[Notice]) -> Vec<(&str, &str)> {
    notices
        .iter()
        .map(|notice| (notice.code.as_str(), notice.subject.as_deref().unwrap_or_default()))
        .collect()
}

/// The files of a server's schemas, by which it is seen that nothing is left.
fn files(bed: &TestServer, schema: &str) -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(bed.server.data_dir().join(schema))
        .map(|entries| {
            entries
                .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
                .collect()
        })
        .unwrap_or_default();
    names.sort();
    names
}

#[test]
fn tables_come_back_alone() {
    let (bed, host) = (furnished(), TestHost::new());
    host.backup(bed.address(), json!({})).unwrap();
    let mut session = bed.session();
    run(
        &mut session,
        &[
            "INSERT INTO shop.orders (what) VALUES ('late')",
            "UPDATE shop.parts SET v = 'late' WHERE id = 700",
        ],
    );
    host.backup(bed.address(), json!({})).unwrap();
    let names = [
        "shop.orders",
        "shop.parts",
        "shop.packed",
        "`od-d ö`.`tä/b le`",
        "shop.lines",
    ];
    let want: Vec<Option<u64>> = names.map(|name| sum(&mut session, name)).into();
    run(&mut session, &["DROP TABLE shop.lines", "DROP TABLE shop.orders"]);

    // Where it was.
    let restored = restore(&host, &bed, &["shop.orders", "shop.lines"], None).unwrap();
    assert_eq!(sum(&mut session, "shop.orders"), want[0]);
    assert_eq!(sum(&mut session, "shop.lines"), want[4]);
    assert_eq!(
        codes(&restored.notices),
        [("trigger-left-out", "shop.orders_ai"), ("not-in-the-binary-log", "")]
    );
    // Only what is needed was read.
    let opened = host.opened();
    let others: Vec<&String> = opened
        .iter()
        .filter(|name| name.contains("packed") || name.contains("@0020le"))
        .collect();
    assert!(others.is_empty(), "{others:?}");
    run(
        &mut session,
        &[
            "INSERT INTO shop.orders (what) VALUES ('new')",
            "INSERT INTO shop.lines VALUES (5001, 1)",
        ],
    );

    // Beside it, with partitions, compressed pages, and names that are odd.
    let beside = ["shop.orders", "shop.parts", "shop.packed", "`od-d ö`.`tä/b le`"];
    restore(&host, &bed, &beside, Some("res-cue")).unwrap();
    for (name, want) in ["orders", "parts", "packed", "tä/b le"].into_iter().zip(&want) {
        assert_eq!(sum(&mut session, &format!("`res-cue`.`{name}`")), *want, "{name}");
    }
    let left = files(&bed, "res@002dcue");
    assert!(
        !left
            .iter()
            .any(|name| name.ends_with(".cfg") || name.contains("backstay")),
        "{left:?}"
    );

    // In the way; and replaced.
    let error = restore(&host, &bed, &["shop.orders"], None).unwrap_err();
    assert_eq!(error.kind, ErrorKind::Refused, "{error}");
    let target = Target::Server(bed.address());
    host.restore(target, true, selection(&["shop.orders"], Some("res-cue")), json!({}))
        .unwrap();
    assert_eq!(sum(&mut session, "`res-cue`.orders"), want[0]);
}

/// MariaDB takes a table that was imported since its last checkpoint for dropped when it recovers, and so does its backup tool.
#[test]
fn a_restored_table_outlives_a_crash_and_is_backed_up() {
    let (mut bed, host) = (furnished(), TestHost::new());
    host.backup(bed.address(), json!({})).unwrap();
    restore(&host, &bed, &["shop.orders"], Some("rescue")).unwrap();
    let count = "SELECT COUNT(*) FROM rescue.orders WHERE what = 'late'";
    run(
        &mut bed.session(),
        &[
            "UPDATE rescue.orders SET what = 'late' WHERE id <= 100",
            "INSERT INTO rescue.orders (what) VALUES ('late')",
        ],
    );
    host.backups().clear();
    host.backup(bed.address(), json!({})).unwrap();
    bed.restart(true);
    assert_eq!(bed.session().query_first::<u64>(count).unwrap(), Some(101));
    let root = tempfile::tempdir().unwrap();
    host.restore_all(data_dir(root.path().join("data")), json!({})).unwrap();
    let server = server_on(&root.path().join("data"), &[]);
    let rows: Option<u64> = server.session().unwrap().query_first(count).unwrap();
    assert_eq!(rows, Some(101));
    server.stop().unwrap();
}

#[test]
fn a_table_that_was_renamed_between_two_backups() {
    let (bed, host) = (furnished(), TestHost::new());
    host.backup(bed.address(), json!({})).unwrap();
    let mut session = bed.session();
    // Each has the other's name now: files of the same name are of different tablespaces.
    run(
        &mut session,
        &[
            "CREATE TABLE shop.second LIKE shop.orders",
            "INSERT INTO shop.second (what) VALUES ('of the second')",
            "RENAME TABLE shop.packed TO shop.wrapped",
            "UPDATE shop.wrapped SET v = 'changed' WHERE id = 5",
        ],
    );
    host.backup(bed.address(), json!({})).unwrap();
    run(
        &mut session,
        &["RENAME TABLE shop.orders TO shop.x, shop.second TO shop.orders, shop.x TO shop.second"],
    );
    host.backup(bed.address(), json!({})).unwrap();
    restore(&host, &bed, &["shop.orders", "shop.wrapped"], Some("rescue")).unwrap();
    for table in ["orders", "wrapped"] {
        assert_eq!(
            sum(&mut session, &format!("rescue.{table}")),
            sum(&mut session, &format!("shop.{table}")),
            "{table}"
        );
    }
}

#[test]
fn what_can_not_be_taken_out_alone() {
    let (bed, host) = (furnished(), TestHost::new());
    let mut session = bed.session();
    run(
        &mut session,
        &[
            "CREATE TABLE shop.texts (id INT PRIMARY KEY, v TEXT, FULLTEXT (v))",
            "INSERT INTO shop.texts VALUES (1, 'full text')",
            "CREATE DATABASE other",
            "CREATE TABLE other.orders (id INT PRIMARY KEY)",
        ],
    );
    host.backup(bed.address(), json!({})).unwrap();
    for (tables, into, kind, text) in [
        (&["shop.order"][..], None, ErrorKind::Usage, "shop.orders"),
        (
            &["shop.old"],
            None,
            ErrorKind::Refused,
            "none of the selected tables is of InnoDB",
        ),
        (&["mysql.user"], None, ErrorKind::Usage, "mysql.user"),
        (&["shop.texts"], Some("rescue"), ErrorKind::Refused, "full-text index"),
        (
            &["*.orders"],
            Some("rescue"),
            ErrorKind::Refused,
            "would both become rescue.orders",
        ),
    ] {
        let error = restore(&host, &bed, tables, into).unwrap_err();
        assert_eq!(error.kind, kind, "{error}");
        assert!(error.to_string().contains(text), "{error}");
    }
    assert_eq!(files(&bed, "rescue"), [""; 0]);

    // A target that is no such server.
    let small = TestServer::start_with(Flavour::MariaDb, &["--lower-case-table-names=1"]);
    let error = restore(&host, &small, &["shop.orders"], None).unwrap_err();
    assert!(error.message.contains("lower_case_table_names"), "{error}");

    // Its data directory is not where it is said to be: nothing is left of the table.
    let elsewhere = tempfile::tempdir().unwrap();
    let mut address = bed.address();
    address.data_dir = Some(elsewhere.path().to_owned());
    let error = host
        .restore(
            Target::Server(address),
            false,
            selection(&["shop.orders"], Some("rescue")),
            json!({}),
        )
        .unwrap_err();
    assert_eq!(error.kind, ErrorKind::Refused, "{error}");
    assert!(error.message.contains("elsewhere"), "{error}");
    let tables: Vec<String> = session.query("SHOW TABLES FROM rescue").unwrap();
    assert_eq!(tables, [""; 0]);

    // A file that is damaged is not taken in.
    {
        let mut backups = host.backups();
        let name = ["shop/orders.ibd", "shop/orders.new"]
            .into_iter()
            .find(|name| backups[0].objects.contains_key(*name));
        let object = backups[0].objects.get_mut(name.unwrap()).unwrap();
        for page in 4..object.bytes.len() / 16384 {
            object.bytes[page * 16384 + 8000] ^= 0xFF;
        }
    }
    let error = restore(&host, &bed, &["shop.orders"], Some("rescue")).unwrap_err();
    assert!(!matches!(error.kind, ErrorKind::Usage | ErrorKind::Refused), "{error}");
    let tables: Vec<String> = session.query("SHOW TABLES FROM rescue").unwrap();
    assert_eq!(tables, [""; 0]);
}

/// The tool leaves them prepared, with their rows changed.
#[test]
fn what_was_prepared_does_not_come_back() {
    let (bed, host) = (furnished(), TestHost::new());
    let mut session = bed.session();
    let want = sum(&mut session, "shop.orders");
    let mut other = bed.session();
    run(
        &mut other,
        &[
            "XA START 'pending'",
            "UPDATE shop.orders SET what = 'prepared'",
            "XA END 'pending'",
            "XA PREPARE 'pending'",
        ],
    );
    host.backup(bed.address(), json!({})).unwrap();
    run(&mut other, &["XA ROLLBACK 'pending'"]);
    let restored = restore(&host, &bed, &["shop.orders"], Some("rescue")).unwrap();
    assert_eq!(sum(&mut session, "rescue.orders"), want);
    let codes = codes(&restored.notices);
    assert!(codes.contains(&("prepared-left-out", "'pending'")), "{codes:?}");
}
