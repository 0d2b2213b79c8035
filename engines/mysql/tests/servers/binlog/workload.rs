//! Statements of each kind that a binary log holds.

use backstay_bed::{Flavour, TestServer, mysql};
use mysql::prelude::Queryable;
use mysql::{Conn, OptsBuilder};

/// A statement, and whether it commits a transaction that is logged.
type Step = (&'static str, u64);

const SET_UP: &[Step] = &[
    ("CREATE DATABASE shop", 1),
    (
        "CREATE TABLE shop.orders (id INT AUTO_INCREMENT PRIMARY KEY, v VARCHAR(300), d DECIMAL(12,3), t DATETIME(6), e ENUM('a','b'))",
        1,
    ),
    (
        "CREATE TABLE shop.parts (id INT PRIMARY KEY, orders INT, b LONGBLOB, f DOUBLE, c CHAR(255)) CHARACTER SET utf8mb4",
        1,
    ),
    ("CREATE TABLE shop.plain (id INT PRIMARY KEY, v TEXT) ENGINE=MyISAM", 1),
];

const COMMON: &[Step] = &[
    (
        "INSERT INTO shop.orders (v, d, t, e) VALUES ('one', 1.5, '2026-11-22 10:15:30.123456', 'a'), ('two', NULL, NULL, 'b')",
        1,
    ),
    ("BEGIN", 0),
    ("INSERT INTO shop.orders (v) VALUES ('three')", 0),
    ("SAVEPOINT s1", 0),
    ("UPDATE shop.orders SET v = CONCAT(v, '!') WHERE id < 3", 0),
    ("ROLLBACK TO s1", 0),
    ("SAVEPOINT s2", 0),
    ("INSERT INTO shop.parts VALUES (1, 3, X'000102', 1.25, 'c')", 0),
    ("DELETE FROM shop.orders WHERE id = 2", 0),
    ("COMMIT", 1),
    ("BEGIN", 0),
    ("INSERT INTO shop.orders (v) VALUES ('never')", 0),
    ("ROLLBACK", 0),
    (
        "UPDATE shop.orders, shop.parts SET orders.v = 'joined', parts.f = 2.5 WHERE parts.orders = orders.id",
        1,
    ),
    ("SET @a = 'set by a variable'", 0),
    ("INSERT INTO shop.orders (v) VALUES (@a)", 1),
    ("INSERT INTO shop.plain VALUES (1, 'no transaction')", 1),
    ("UPDATE shop.plain SET v = 'changed'", 1),
    ("ALTER TABLE shop.orders ADD COLUMN w INT NOT NULL DEFAULT 7", 1),
    ("CREATE INDEX by_v ON shop.orders (v)", 1),
    ("CREATE TABLE shop.copied AS SELECT id, v FROM shop.orders", 1),
    ("XA START 'x1'", 0),
    ("INSERT INTO shop.orders (v) VALUES ('xa')", 0),
    ("XA END 'x1'", 0),
    ("XA PREPARE 'x1'", 1),
    ("XA COMMIT 'x1'", 1),
    ("XA START 'x2','branch',7", 0),
    ("INSERT INTO shop.orders (v) VALUES ('xa that goes')", 0),
    ("XA END 'x2','branch',7", 0),
    ("XA PREPARE 'x2','branch',7", 1),
    ("XA ROLLBACK 'x2','branch',7", 1),
    ("XA START 'x3'", 0),
    ("INSERT INTO shop.orders (v) VALUES ('xa in one phase')", 0),
    ("XA END 'x3'", 0),
    ("XA COMMIT 'x3' ONE PHASE", 1),
    ("RENAME TABLE shop.copied TO shop.kept", 1),
    ("TRUNCATE TABLE shop.kept", 1),
    ("DROP TABLE shop.kept", 1),
];

/// What a session of one binary log format does; returns how many transactions that logs.
fn round(conn: &mut Conn, format: &str) -> u64 {
    let mut count = 0;
    conn.query_drop(format!("SET SESSION binlog_format = {format}"))
        .unwrap();
    let there: Option<String> = conn.query_first("SHOW DATABASES LIKE 'shop'").unwrap();
    conn.query_drop("DROP DATABASE IF EXISTS shop").unwrap();
    // MySQL logs tables without transactions by themselves when a schema goes.
    let version: Option<String> = conn.query_first("SELECT VERSION()").unwrap();
    let by_itself = there.is_some() && !version.unwrap().contains("MariaDB");
    count += 1 + u64::from(by_itself);
    for (statement, commits) in SET_UP.iter().chain(COMMON) {
        conn.query_drop(*statement)
            .unwrap_or_else(|error| panic!("{statement}: {error}"));
        count += commits;
    }
    count
}

/// Does all of it in each format; returns how many transactions that logs.
pub(super) fn run(server: &TestServer) -> u64 {
    let mut conn = Conn::new(OptsBuilder::from_opts(server.opts()).max_allowed_packet(Some(64 << 20))).unwrap();
    let mut count = 0;
    for format in ["ROW", "STATEMENT", "MIXED"] {
        count += round(&mut conn, format);
    }
    conn.query_drop("SET SESSION binlog_format = ROW").unwrap();
    // Compressed, and larger than a packet of the protocol, both compressed and not.
    match server.flavour {
        Flavour::MariaDb => {
            conn.query_drop("SET GLOBAL log_bin_compress = 1, GLOBAL log_bin_compress_min_len = 10")
                .unwrap();
            count += round(&mut conn, "ROW") + round(&mut conn, "STATEMENT");
            conn.query_drop("SET GLOBAL log_bin_compress = 0, SESSION binlog_annotate_row_events = 1")
                .unwrap();
        }
        _ => {
            conn.query_drop("SET SESSION binlog_transaction_compression = ON")
                .unwrap();
            count += round(&mut conn, "ROW");
            conn.query_drop("INSERT INTO shop.parts SELECT 100, 1, REPEAT('compressed', 2000000), 1, ''")
                .unwrap();
            conn.query_drop("SET SESSION binlog_transaction_compression = OFF, binlog_rows_query_log_events = ON")
                .unwrap();
            conn.query_drop("SET SESSION binlog_row_value_options = PARTIAL_JSON")
                .unwrap();
            for statement in [
                "CREATE TABLE shop.documents (id INT PRIMARY KEY, j JSON, k JSON)",
                "INSERT INTO shop.documents VALUES (1, '{\"a\": \"a long value that is not to be written again\", \"b\": [1, 2, 3]}', '[]')",
                "UPDATE shop.documents SET j = JSON_SET(j, '$.b[0]', 9)",
            ] {
                conn.query_drop(statement).unwrap();
            }
            count += 4;
        }
    }
    conn.query_drop("SET SESSION binlog_format = ROW").unwrap();
    let large: Vec<u8> = (0..17_000_000_u32)
        .map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8)
        .collect();
    conn.exec_drop("INSERT INTO shop.parts VALUES (101, 1, ?, 1, '')", (large,))
        .unwrap();
    count += 1;
    if server.flavour != Flavour::MariaDb {
        for statement in [
            "SET gtid_next = 'AUTOMATIC:backstay'",
            "INSERT INTO shop.orders (v) VALUES ('tagged')",
            "INSERT INTO shop.orders (v) VALUES ('tagged too')",
            "SET gtid_next = 'AUTOMATIC:other_tag'",
            "DELETE FROM shop.orders WHERE v = 'tagged'",
            "SET gtid_next = 'AUTOMATIC'",
            "INSERT INTO shop.orders (v) VALUES ('without a tag')",
        ] {
            conn.query_drop(statement).unwrap();
        }
        count += 4;
    } else {
        // Another domain.
        for statement in [
            "SET SESSION gtid_domain_id = 7",
            "INSERT INTO shop.orders (v) VALUES ('in domain 7')",
            "SET SESSION gtid_domain_id = 0",
        ] {
            conn.query_drop(statement).unwrap();
        }
        count += 1;
    }
    count
}
