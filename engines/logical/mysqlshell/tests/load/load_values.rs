//! Values that are hard to load, and tables that are hard to take apart, on both servers.

use backstay_bed::{TestServer, run};
use backstay_mysql::{Flavour, quote_identifier};
use serde_json::json;

use crate::TestHost;
use crate::craft::dump;
use crate::describe::{assert_same, describe};

mod mysql {
    #[test]
    fn values() {
        super::values(backstay_mysql::Flavour::MySql);
    }
    #[test]
    fn large_values() {
        super::large_values(backstay_mysql::Flavour::MySql);
    }
    #[test]
    fn keys() {
        super::keys(backstay_mysql::Flavour::MySql);
    }
}

mod mariadb {
    #[test]
    fn values() {
        super::values(backstay_mysql::Flavour::MariaDb);
    }
    #[test]
    fn large_values() {
        super::large_values(backstay_mysql::Flavour::MariaDb);
    }
    #[test]
    fn keys() {
        super::keys(backstay_mysql::Flavour::MariaDb);
    }
}

fn bed(flavour: Flavour) -> TestServer {
    let log = if flavour.is_mariadb() {
        "--innodb-log-file-size=1G"
    } else {
        "--innodb-redo-log-capacity=2G"
    };
    TestServer::start_with(flavour, &[log])
}

/// Loads a dump of the schema in chunks of some rows, in pieces of some bytes, and compares.
fn there_and_back(source: &TestServer, flavour: Flavour, rows: usize, piece: Option<usize>) {
    let mut session = source.session();
    let host = TestHost::holding(dump(&mut session, "d", rows));
    if let Some(bytes) = piece {
        host.read_pieces_of(bytes);
    }
    let target = bed(flavour);
    host.restore_all(target.address(), json!({})).unwrap();
    assert_same(
        &describe(&mut session, &["d"]),
        &describe(&mut target.session(), &["d"]),
    );
}

fn values(flavour: Flavour) {
    let source = bed(flavour);
    let mut session = source.session();
    let all: String = (0..=255).map(|byte| format!("{byte:02X}")).collect();
    run(
        &mut session,
        &[
            "SET NAMES utf8mb4",
            "CREATE DATABASE d",
            "USE d",
            "CREATE TABLE bytes (id INT PRIMARY KEY AUTO_INCREMENT, b BLOB, v VARBINARY(300), f BINARY(4), n BIT(13), g GEOMETRY, t TEXT CHARACTER SET \
             gbk, j JSON, e ENUM('x','é') CHARACTER SET latin1) DEFAULT CHARSET utf8mb4",
            &format!(
                "INSERT INTO bytes VALUES (1, X'{all}', X'{all}', X'5C0A0900', b'101110001001', ST_GeomFromText('POINT(1 2)', 4326), '中\\\\文\\n', '{{\"a\": [1, \"é\\\\\\\\n\"]}}', 'é')"
            ),
            "INSERT INTO bytes VALUES (2, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL), (3, '', '', '', b'0', NULL, '', '[]', 'x')",
            "INSERT INTO bytes VALUES (4, X'5C4E', '\\\\N', X'5C4E0A09', b'1', NULL, '\\\\N', '\"\\\\\\\\N\"', NULL)",
            "CREATE TABLE texts (g VARCHAR(20) CHARACTER SET gbk, s VARCHAR(20) CHARACTER SET sjis, u TEXT CHARACTER SET utf16, l VARCHAR(20) \
             CHARACTER SET latin1, m LONGTEXT CHARACTER SET utf8mb4, a CHAR(5) CHARACTER SET ascii, k VARCHAR(9) CHARACTER SET \
             utf8mb3, e ENUM('ソ','中') CHARACTER SET sjis, z SET('中','b') CHARACTER SET gbk)",
            // Second bytes of gbk and sjis can be a backslash.
            "INSERT INTO texts VALUES ('誠\\\\x', 'ソ表', '😀中', 'ÿé€', '😀\\0\\t', 'a', '中', 'ソ', '中,b'), ('\\n', '\\t', '\\\\N', '', NULL, '', '\\\\', NULL, '')",
            "CREATE TABLE plain (id INT PRIMARY KEY, t VARCHAR(50), f FLOAT, d DOUBLE, n DECIMAL(65,30), dt DATETIME(6), ts TIMESTAMP(3) NULL, y \
             YEAR, tm TIME(6)) DEFAULT CHARSET utf8mb4",
            "INSERT INTO plain VALUES (0, '😀\\\\\\t\\n\\r', 16777217, 2.2250738585072014e-308, '-12345678901234567890123456789012345.123456789012345678901234567890', \
             '0000-00-00', '2024-03-31 02:30:00.125', 1901, '-838:59:58.999999'), (1, '', 0.123456789, -0.0, 0, '9999-12-31 23:59:59.999999', NULL, 0, 0)",
            "CREATE TABLE nothing (id INT PRIMARY KEY, b BLOB)",
            "CREATE TABLE myisam (id INT, t TEXT, KEY (id), FULLTEXT KEY (t)) ENGINE=MyISAM",
            "INSERT INTO myisam VALUES (1, 'a'), (2, 'b')",
        ],
    );
    if flavour.is_mariadb() {
        run(
            &mut session,
            &[
                "CREATE TABLE own (u UUID, i6 INET6, i4 INET4, b BLOB, c TEXT COMPRESSED)",
                "INSERT INTO own VALUES ('123e4567-e89b-12d3-a456-426655440000', '::1', '10.0.0.1', 'x', 'yy'), (NULL, NULL, NULL, NULL, NULL)",
                "CREATE TABLE own_text (u UUID, i6 INET6, t VARCHAR(9) CHARACTER SET latin1)",
                "INSERT INTO own_text VALUES ('123e4567-e89b-12d3-a456-426655440000', 'fe80::2', 'é')",
            ],
        );
    } else {
        run(
            &mut session,
            &[
                "CREATE TABLE own (v VECTOR(3), b BLOB)",
                "INSERT INTO own VALUES (TO_VECTOR('[1,2,3]'), 'x'), (NULL, NULL)",
            ],
        );
    }
    there_and_back(&source, flavour, 1000, None);
    there_and_back(&source, flavour, 1, Some(3));
}

/// 64 MiB, of bytes that all need an escape and of text in another character set, and more than 64 MiB in one file.
fn large_values(flavour: Flavour) {
    let source = bed(flavour);
    run(
        &mut source.session(),
        &[
            "CREATE DATABASE d",
            "USE d",
            "CREATE TABLE big (id INT PRIMARY KEY, b LONGBLOB, t LONGTEXT CHARACTER SET latin1, m LONGTEXT CHARACTER SET utf8mb4)",
            "INSERT INTO big VALUES (1, REPEAT(X'5C0A0900FF', 13421773), NULL, NULL), (2, NULL, REPEAT('é', 33554432), NULL), (3, 'x', 'y', \
             REPEAT('a\\\\😀', 11184811))",
        ],
    );
    there_and_back(&source, flavour, 1000, None);
}

/// Keys in every order that servers sort them by.
fn keys(flavour: Flavour) {
    let source = bed(flavour);
    let mut session = source.session();
    run(
        &mut session,
        &[
            "CREATE DATABASE d",
            "USE d",
            "CREATE TABLE p (a INT NOT NULL, b INT, c VARCHAR(30), d TEXT, g GEOMETRY NOT NULL, v INT AS (a + 1) VIRTUAL, s INT AS (a + 1) STORED, KEY z \
             (c), FULLTEXT KEY ft (d), UNIQUE KEY un (b), KEY v (v), SPATIAL KEY sp (g), FULLTEXT KEY ft2 (c, d), UNIQUE KEY uu (a, c(5)), KEY k (s) \
             COMMENT 'x, KEY', PRIMARY KEY (a), KEY d (d(7)), UNIQUE KEY u3 (a, b))",
            "INSERT INTO p (a, b, c, d, g) VALUES (1, 2, 'x', 'y z', ST_GeomFromText('POINT(1 2)')), (2, NULL, 'x', 'y', ST_GeomFromText('POINT(1 3)'))",
            "CREATE TABLE nopk (a INT, b INT NOT NULL, c INT NOT NULL, KEY c (c), UNIQUE KEY ua (a), UNIQUE KEY ub (b), UNIQUE KEY uc (c))",
            "INSERT INTO nopk VALUES (NULL, 1, 1), (2, 2, 2)",
            "CREATE TABLE counter (a INT, n INT NOT NULL AUTO_INCREMENT, b INT, KEY a (a), KEY n (n), KEY b (b), KEY ab (a, b))",
            "INSERT INTO counter (a, b) VALUES (1, 1), (2, 2)",
            "CREATE TABLE child (id INT PRIMARY KEY, p INT, q INT, CONSTRAINT z FOREIGN KEY (p) REFERENCES p (a), CONSTRAINT a FOREIGN KEY (q) REFERENCES \
             child (id) ON DELETE CASCADE)",
            "INSERT INTO child VALUES (1, 1, 1), (2, NULL, 1)",
            "CREATE TABLE parts (id INT NOT NULL, d DATE NOT NULL, v INT, PRIMARY KEY (id, d), KEY v (v), UNIQUE KEY u (d, id)) PARTITION BY RANGE \
             (YEAR(d)) (PARTITION p0 VALUES LESS THAN (2020), PARTITION p1 VALUES LESS THAN MAXVALUE)",
            "INSERT INTO parts VALUES (1, '2019-01-01', 1), (2, '2021-01-01', 2)",
        ],
    );
    if flavour.is_mariadb() {
        run(
            &mut session,
            &[
                "CREATE TABLE ignored (a INT PRIMARY KEY, b INT, t TEXT, KEY i (b) IGNORED, UNIQUE KEY h (t) USING HASH)",
                "INSERT INTO ignored VALUES (1, 1, 'x'), (2, 2, 'y')",
                "CREATE TABLE period (id INT NOT NULL, f DATE, t DATE, PERIOD FOR pp (f, t), UNIQUE KEY u (id, pp WITHOUT OVERLAPS), KEY f (f))",
                "INSERT INTO period VALUES (1, '2020-01-01', '2021-01-01')",
            ],
        );
    } else {
        run(
            &mut session,
            &[
                "CREATE TABLE functional (a INT PRIMARY KEY, b INT, j JSON, v INT AS (b * 2) VIRTUAL, KEY f ((a + b)), KEY z (b), KEY v (v), UNIQUE KEY fu \
                 ((b + 2)), KEY inv (b) INVISIBLE, KEY de (b DESC), KEY m ((CAST(j->'$[*]' AS UNSIGNED ARRAY))))",
                "CREATE TABLE ngrams (a INT PRIMARY KEY, t TEXT, FULLTEXT KEY f (t) WITH PARSER ngram)",
                "INSERT INTO functional (a, b, j) VALUES (1, 1, '[1,2]'), (2, 5, NULL)",
                "INSERT INTO ngrams VALUES (1, 'abc')",
            ],
        );
        // Its sum is another on every call.
        run(&mut session, &["DELETE FROM functional"]);
    }
    there_and_back(&source, flavour, 1, None);
    assert_eq!(quote_identifier("d"), "`d`");
}
