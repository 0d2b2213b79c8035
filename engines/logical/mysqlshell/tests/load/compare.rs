//! What differs between two tables of a server: every kind of value, keys of every kind, definitions.

use backstay_bed::{Flavour, TestServer, on_both, run};
use backstay_engine_api::wire::{Call, JobSpec};
use backstay_engine_api::{RowComparison, TableComparison, TableKind, TablePair, TableRef};

use crate::TestHost;

on_both!(each_kind_of_value_counts, rows_without_a_key, what_is_not_there);

fn compare(server: &TestServer, tables: &[&str]) -> Vec<TableComparison> {
    let pair = |table: &&str| TablePair {
        left: TableRef::new("a", *table),
        right: TableRef::new("b", *table),
    };
    let call = Call::Compare {
        job: JobSpec {
            scratch: server.dir().to_owned(),
            threads: 1,
            ..JobSpec::default()
        },
        server: server.address(),
        tables: tables.iter().map(pair).collect(),
        rows: true,
    };
    TestHost::new().call(&call).unwrap()
}

fn each_kind_of_value_counts(flavour: Flavour) {
    let server = TestServer::start(flavour);
    let mut session = server.session();
    run(&mut session, &["CREATE DATABASE a", "CREATE DATABASE b"]);
    // A type, a value, one that is not the same, and one that is.
    let kinds = [
        ("FLOAT", "0.1", "0.10000001", "0.1"),
        ("DOUBLE", "1e300", "1.0000000000000002e300", "1e300"),
        ("DECIMAL(30,10)", "1.0000000001", "1.0000000002", "1"),
        ("VARCHAR(20) CHARACTER SET utf8mb4", "'a'", "'A'", "'a'"),
        ("CHAR(20) CHARACTER SET utf8mb4", "'é'", "'e'", "'é'"),
        ("VARCHAR(20) CHARACTER SET latin1", "'a'", "'a '", "'a'"),
        ("TEXT CHARACTER SET utf8mb4", "'x'", "NULL", "'x'"),
        (
            "LONGTEXT CHARACTER SET utf8mb4",
            "REPEAT('x', 100000)",
            "REPEAT('X', 100000)",
            "REPEAT('x', 100000)",
        ),
        ("VARBINARY(20)", "X'00'", "X'0000'", "X'00'"),
        ("LONGBLOB", "X'00FF'", "''", "X'00FF'"),
        ("ENUM('x', 'X2')", "'x'", "'X2'", "'x'"),
        ("SET('x', 'y')", "'x,y'", "'x'", "'y,x'"),
        ("BIT(9)", "b'100000001'", "b'1'", "b'100000001'"),
        ("JSON", "'{\"a\": [1]}'", "'{\"a\": [2]}'", "'{\"a\": [1]}'"),
        (
            "DATETIME(6)",
            "'2026-01-01 00:00:00.000001'",
            "'2026-01-01'",
            "'2026-01-01 00:00:00.000001'",
        ),
        ("TIMESTAMP NULL", "'2026-01-01'", "NULL", "'2026-01-01'"),
        ("TIME(3)", "'-01:00:00.5'", "'01:00:00.5'", "'-01:00:00.500'"),
        ("YEAR", "2026", "2027", "2026"),
        (
            "POINT",
            "ST_GeomFromText('POINT(1 2)')",
            "ST_GeomFromText('POINT(2 1)')",
            "ST_GeomFromText('POINT(1 2)')",
        ),
    ];
    let mut names = Vec::new();
    for (at, (kind, value, other, same)) in kinds.iter().enumerate() {
        for (key, name) in [
            ("INT PRIMARY KEY", format!("keyed_{at}")),
            ("INT", format!("plain_{at}")),
        ] {
            for (schema, second) in [("a", value), ("b", other)] {
                run(
                    &mut session,
                    &[
                        &format!("CREATE TABLE {schema}.{name} (id {key}, v {kind})"),
                        &format!(
                            "INSERT INTO {schema}.{name} VALUES (1, {}), (2, {second}), (3, NULL)",
                            if schema == "a" { value } else { same }
                        ),
                    ],
                );
            }
            names.push(name);
        }
    }
    // A row of the DECIMAL has no equal value of another spelling.
    run(
        &mut session,
        &[
            "UPDATE b.keyed_2 SET v = 1.0000000001 WHERE id = 1",
            "UPDATE b.plain_2 SET v = 1.0000000001 WHERE id = 1",
        ],
    );
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    for (at, compared) in compare(&server, &names).iter().enumerate() {
        let kind = kinds[at / 2].0;
        let rows = compared.rows.as_ref().unwrap_or_else(|| panic!("{kind}: {compared:?}"));
        let expected = match at % 2 {
            0 => RowComparison {
                key: vec!["id".to_owned()],
                same: 2,
                different: 1,
                ..RowComparison::default()
            },
            _ => RowComparison {
                same: 2,
                only_left: 1,
                only_right: 1,
                ..RowComparison::default()
            },
        };
        assert_eq!(*rows, expected, "{kind}");
        assert_eq!(compared.definitions, [""; 0], "{kind}");
        assert!(!rows.is_equal());
    }
}

fn rows_without_a_key(flavour: Flavour) {
    let server = TestServer::start(flavour);
    let mut session = server.session();
    run(
        &mut session,
        &[
            "CREATE DATABASE a",
            "CREATE DATABASE b",
            // The same row twice, and once more on the other side.
            "CREATE TABLE a.twice (v VARCHAR(10), w INT)",
            "CREATE TABLE b.twice LIKE a.twice",
            "INSERT INTO a.twice VALUES ('x', 1), ('x', 1), ('y', NULL), (NULL, 2), ('12', 3)",
            "INSERT INTO b.twice VALUES ('x', 1), ('x', 1), ('x', 1), ('y', NULL), (NULL, 3), ('1', 23)",
            // A unique key will do, if it can be no NULL and is in both.
            "CREATE TABLE a.unique_key (v VARCHAR(10) NOT NULL, w INT, UNIQUE KEY (v))",
            "CREATE TABLE b.unique_key (v VARCHAR(10) NOT NULL, w INT, UNIQUE KEY another (v))",
            "INSERT INTO a.unique_key VALUES ('x', 1), ('y', 2), ('z', 3)",
            "INSERT INTO b.unique_key VALUES ('X', 1), ('y', 3), ('w', 4)",
            // Keys that are not alike are none: the rows are, although one is text of another character set and a column is missing.
            "CREATE TABLE a.unlike (id INT PRIMARY KEY, v VARCHAR(10) CHARACTER SET latin1, gone INT)",
            "CREATE TABLE b.unlike (id BIGINT PRIMARY KEY, v VARCHAR(10) CHARACTER SET utf8mb4, new INT)",
            "INSERT INTO a.unlike VALUES (1, 'é', 1), (2, 'ö', 2)",
            "INSERT INTO b.unlike VALUES (1, 'é', 3), (2, 'o', 4)",
        ],
    );
    let compared = compare(&server, &["twice", "unique_key", "unlike"]);
    let rows = |at: usize| compared[at].rows.clone().unwrap();
    let counts = |same, different, only_left, only_right| RowComparison {
        key: Vec::new(),
        same,
        different,
        only_left,
        only_right,
    };
    assert_eq!(rows(0), counts(3, 0, 2, 3));
    assert_eq!(
        rows(1),
        RowComparison {
            key: vec!["v".to_owned()],
            ..counts(0, 2, 1, 1)
        }
    );
    assert_eq!(compared[1].definitions.len(), 2, "{:?}", compared[1].definitions);
    assert_eq!(rows(2), counts(1, 0, 1, 1));
    assert_eq!(compared[2].definitions.len(), 4, "{:?}", compared[2].definitions);
    assert!(compared[2].note.is_some());
}

fn what_is_not_there(flavour: Flavour) {
    let server = TestServer::start(flavour);
    let mut session = server.session();
    run(
        &mut session,
        &[
            "CREATE DATABASE a",
            "CREATE DATABASE b",
            "CREATE TABLE a.t (id INT PRIMARY KEY)",
            "INSERT INTO a.t VALUES (1), (2)",
            "CREATE TABLE a.v (id INT PRIMARY KEY)",
            "CREATE VIEW b.v AS SELECT 1 AS id",
        ],
    );
    let compared = compare(&server, &["t", "v", "neither"]);
    let kinds: Vec<_> = compared
        .iter()
        .map(|table| (table.left_kind, table.right_kind))
        .collect();
    let (table, other) = (Some(TableKind::Table), Some(TableKind::Other));
    assert_eq!(kinds, [(table, None), (table, other), (None, None)]);
    assert_eq!(compared[0].rows.as_ref().map(|rows| rows.only_left), Some(2));
    assert_eq!(compared[1].rows, None);
}
