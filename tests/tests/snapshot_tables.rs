//! Single tables out of a backup of the engine `snapshot`: what was dropped by mistake comes back alone, as it was, on both servers.

use backstay_bed::{Flavour, TestServer, on_both};
use backstay_mysql::mysql::prelude::Queryable;
use backstay_tests::compare::rows;
use backstay_tests::on_volume::OnVolume;
use backstay_tests::shop;
use backstay_tests::volumes::FileSystem;

fn a_table_that_was_dropped_comes_back(flavour: Flavour) {
    let bed = OnVolume::new::<&str>(flavour, FileSystem::Xfs, &[]);
    let mut conn = bed.source.conn();
    shop::create(&mut conn);
    let mut run = |sql: &str| conn.query_drop(sql).unwrap_or_else(|error| panic!("{sql}: {error}"));
    let mariadb = flavour.is_mariadb();
    let packed = if mariadb {
        "PAGE_COMPRESSED=1"
    } else {
        "COMPRESSION='zlib'"
    };
    let numbers =
        "(WITH RECURSIVE s (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM s WHERE n < 900) SELECT n FROM s) AS x";
    run("CREATE DATABASE d");
    run("CREATE TABLE d.parent (id INT PRIMARY KEY, v VARCHAR(50))");
    run("CREATE TABLE d.child (id INT PRIMARY KEY, parent INT, FOREIGN KEY (parent) REFERENCES d.parent (id))");
    run(
        "CREATE TABLE d.parts (id INT PRIMARY KEY, v VARCHAR(50)) PARTITION BY RANGE (id) \
         (PARTITION p0 VALUES LESS THAN (500), PARTITION P1 VALUES LESS THAN MAXVALUE)",
    );
    run(&format!("CREATE TABLE d.before (id INT PRIMARY KEY, v TEXT) {packed}"));
    run("CREATE TABLE d.`od-d name` (id INT PRIMARY KEY, v BLOB)");
    for table in ["parent", "parts", "before", "`od-d name`"] {
        run(&format!("INSERT INTO d.{table} SELECT n, REPEAT(n, 10) FROM {numbers}"));
    }
    run(&format!("INSERT INTO d.child SELECT n, n FROM {numbers}"));
    bed.backup(&[]);
    // Known by their tablespaces, tables may have other names in each backup.
    run("RENAME TABLE d.before TO d.renamed");
    run("UPDATE d.parts SET v = 'changed' WHERE id % 90 = 0");
    run("UPDATE d.renamed SET v = 'changed' WHERE id = 7");
    bed.backup(&["--incremental"]);

    let tables = [
        ("shop", "orders"),
        ("d", "parent"),
        ("d", "child"),
        ("d", "parts"),
        ("d", "renamed"),
        ("d", "od-d name"),
    ];
    let mut conn = bed.source.conn();
    let before = tables.map(|(schema, table)| rows(&mut conn, schema, table));
    assert!(before.iter().all(|rows| !rows.is_empty()));
    conn.query_drop("UPDATE d.parts SET v = 'too late' WHERE id = 1")
        .unwrap();
    conn.query_drop("SET foreign_key_checks = 0").unwrap();
    for (schema, table) in tables {
        conn.query_drop(format!("DROP TABLE {schema}.`{table}`")).unwrap();
    }

    let url = bed.source.url();
    let names = tables.map(|(schema, table)| format!("{schema}.{table}"));
    let mut arguments = vec!["restore", "--to-server", &url];
    arguments.extend(names.iter().flat_map(|name| ["--tables", name]));
    let restored = bed.backstay.run(&[&arguments[..], &["--json"]].concat()).ok();
    assert!(restored.stdout.contains("not-in-the-binary-log"), "{}", restored.stdout);
    for ((schema, table), before) in tables.iter().zip(&before) {
        assert!(rows(&mut conn, schema, table) == *before, "{schema}.{table}");
    }
    // They are tables like all others: foreign keys hold, and they survive a restart.
    conn.query_drop("SET foreign_key_checks = 1").unwrap();
    conn.query_drop("DELETE FROM d.parent WHERE id = 5").unwrap_err();
    conn.query_drop("INSERT INTO d.child VALUES (1000, 5)").unwrap();
    conn.query_drop("INSERT INTO d.parts VALUES (1000, 'new')").unwrap();
    let mut bed = bed;
    bed.source.restart(false);
    let mut conn = bed.source.conn();
    let count: Option<u64> = conn.query_first("SELECT COUNT(*) FROM d.parts").unwrap();
    assert_eq!(count, Some(901));

    // What is there is not replaced; under another schema it is beside.
    let section = bed.source.section("main");
    bed.backstay.configure(&bed.backstay.repository(), &[], &section);
    let url = bed.source.url();
    let restore = ["restore", "--to-server", &url, "--tables", "d.parts"];
    let again = bed.backstay.run(&restore).fails_with(3);
    assert!(again.stderr.contains("already"), "{}", again.stderr);
    bed.backstay
        .run(&[&restore[..], &["--as-schema", "rescue"]].concat())
        .ok();
    assert!(rows(&mut conn, "rescue", "parts") == before[3]);
    bed.backstay.run(&["restore", "--to-server", &url]).fails_with(2);
}

/// What is open at the instant of the backup is rolled back in the background, once a server runs on the files.
fn what_was_not_committed_does_not_come_back(flavour: Flavour) {
    let bed = OnVolume::new::<&str>(flavour, FileSystem::Xfs, &[]);
    let mut conn = bed.source.conn();
    let mut run = |sql: &str| conn.query_drop(sql).unwrap_or_else(|error| panic!("{sql}: {error}"));
    run("CREATE DATABASE d");
    run("CREATE TABLE d.wanted (id INT PRIMARY KEY, v INT, KEY (v))");
    // Its file is not there where the other one is restored.
    run("CREATE TABLE d.unwanted (id INT PRIMARY KEY, v INT)");
    run(
        "INSERT INTO d.wanted WITH RECURSIVE s (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM s WHERE n < 1000) \
         SELECT n, 0 FROM s",
    );
    for doubled in 0..8 {
        run(&format!(
            "INSERT INTO d.wanted SELECT id + {}, 0 FROM d.wanted",
            1000 << doubled
        ));
    }
    run("INSERT INTO d.unwanted SELECT * FROM d.wanted WHERE id <= 1000");
    run("BEGIN");
    run("UPDATE d.unwanted SET v = 1");
    run("UPDATE d.wanted SET v = 1");
    run("DELETE FROM d.wanted WHERE id % 10 = 0");
    run("INSERT INTO d.wanted VALUES (1000000, 1)");
    bed.backup(&[]);
    run("ROLLBACK");

    let url = bed.source.url();
    let restore = [
        "restore",
        "--to-server",
        &url,
        "--tables",
        "d.wanted",
        "--as-schema",
        "rescue",
    ];
    bed.backstay.run(&restore).ok();
    let found: Option<(u64, u64, u64)> = conn
        .query_first("SELECT COUNT(*), MAX(id), SUM(v) FROM rescue.wanted IGNORE INDEX (v)")
        .unwrap();
    assert_eq!(found, Some((256_000, 256_000, 0)));
    let found: Option<u64> = conn
        .query_first("SELECT COUNT(*) FROM rescue.wanted FORCE INDEX (v) WHERE v = 0")
        .unwrap();
    assert_eq!(found, Some(256_000));
}

/// A stopped server may have prepared transactions, of which nobody knows yet whether they will be committed.
fn what_was_prepared_does_not_come_back(flavour: Flavour) {
    let bed = OnVolume::new::<&str>(flavour, FileSystem::Xfs, &[]);
    let mut conn = bed.source.conn();
    for sql in [
        "CREATE DATABASE d",
        "CREATE TABLE d.t (id INT PRIMARY KEY, v VARCHAR(20))",
        "INSERT INTO d.t VALUES (1, 'committed'), (2, 'committed')",
        "XA START 'pending'",
        "UPDATE d.t SET v = 'prepared' WHERE id = 1",
        "INSERT INTO d.t VALUES (3, 'prepared')",
        "XA END 'pending'",
        "XA PREPARE 'pending'",
    ] {
        conn.query_drop(sql).unwrap_or_else(|error| panic!("{sql}: {error}"));
    }
    drop(conn);
    // The volume stays until the end.
    let OnVolume {
        volume: _volume,
        source,
        backstay,
    } = bed;
    source.server.stop().unwrap();
    backstay.run(&["backup", "--engine", "snapshot"]).ok();

    let target = TestServer::start(flavour);
    let restored = backstay
        .run(&["restore", "--to-server", &target.url(), "--tables", "d.t", "--json"])
        .ok();
    assert!(restored.stdout.contains("prepared-left-out"), "{}", restored.stdout);
    // The XID, as text or in hexadecimal digits.
    let named = ["'pending'", "70656E64696E67"]
        .iter()
        .any(|xid| restored.stdout.contains(xid));
    assert!(named, "{}", restored.stdout);
    let rows: Vec<(u32, String)> = target.conn().query("SELECT id, v FROM d.t ORDER BY id").unwrap();
    assert_eq!(rows, [(1, "committed".to_owned()), (2, "committed".to_owned())]);
}

on_both!(
    a_table_that_was_dropped_comes_back,
    what_was_not_committed_does_not_come_back,
    what_was_prepared_does_not_come_back,
);
