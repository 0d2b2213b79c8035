//! The schema `zoo`: each type that a server has, at its limits.

use backstay_bed::Flavour;
use mysql::Conn;
use mysql::prelude::Queryable;

/// What both servers take.
const COMMON: &[&str] = &[
    "CREATE DATABASE zoo CHARACTER SET utf8mb4",
    "CREATE TABLE zoo.integers (id INT PRIMARY KEY, a TINYINT, au TINYINT UNSIGNED, b SMALLINT, bu SMALLINT UNSIGNED, c MEDIUMINT, \
     cu MEDIUMINT UNSIGNED, d INT, du INT UNSIGNED, e BIGINT, eu BIGINT UNSIGNED, z INT(8) UNSIGNED ZEROFILL, y YEAR)",
    "INSERT INTO zoo.integers VALUES \
     (1, -128, 0, -32768, 0, -8388608, 0, -2147483648, 0, -9223372036854775808, 0, 0, 1901), \
     (2, 127, 255, 32767, 65535, 8388607, 16777215, 2147483647, 4294967295, 9223372036854775807, 18446744073709551615, 99999999, 2155), \
     (-2147483648, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0), \
     (2147483647, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL)",
    "CREATE TABLE zoo.decimals (id INT PRIMARY KEY, a DECIMAL(65,30), b DECIMAL(65,0), c DECIMAL(1,1), d DECIMAL(30,10) UNSIGNED)",
    "INSERT INTO zoo.decimals VALUES \
     (1, -99999999999999999999999999999999999.999999999999999999999999999999, \
      99999999999999999999999999999999999999999999999999999999999999999, -0.9, 99999999999999999999.9999999999), \
     (2, 0.000000000000000000000000000001, -1, 0, 0), (3, NULL, NULL, NULL, NULL)",
    "CREATE TABLE zoo.floats (id INT PRIMARY KEY, f FLOAT, d DOUBLE, p FLOAT(10,4))",
    "INSERT INTO zoo.floats VALUES (1, 16777217, 9007199254740993, 1.5), (2, 0.1, 0.1, 0.1), (3, 3.4028234e38, 1.7976931348623157e308, 99999), \
     (4, 1.4e-45, 4.9e-324, -1), (5, -0.0, -0.0, 0), (6, 1234567.875, 0.30000000000000004, 3.1416), (7, NULL, NULL, NULL), \
     (8, 1.1754942e-38, 2.2250738585072011e-308, 12345.6789), (9, -8388609.5, 1e22, 7), (10, 3.3333333, 5e-324, 2)",
    "CREATE TABLE zoo.times (id INT PRIMARY KEY, d DATE, t TIME(6), dt DATETIME, dt6 DATETIME(6), ts TIMESTAMP NULL, ts6 TIMESTAMP(6) NULL)",
    "INSERT INTO zoo.times VALUES \
     (1, '0000-00-00', '-838:59:59.000000', '0000-00-00 00:00:00', '0000-00-00 00:00:00.000000', '0000-00-00 00:00:00', '0000-00-00 00:00:00'), \
     (2, '9999-12-31', '838:59:58.999999', '9999-12-31 23:59:59', '9999-12-31 23:59:59.999999', '2038-01-19 03:14:07', '2038-01-19 03:14:07.999999'), \
     (3, '1000-01-01', '00:00:00.000001', '1000-01-01 00:00:00', '1000-01-01 00:00:00.000001', '1970-01-01 00:00:01', '1970-01-01 00:00:01.000001'), \
     (4, NULL, NULL, NULL, NULL, NULL, NULL), (5, '2024-02-00', '-00:00:00.000001', '2024-00-00 01:02:03', '2026-11-22 10:15:30.5', '2026-03-29 01:30:00', '2026-10-25 00:30:00.123456')",
    "CREATE TABLE zoo.bits (id INT PRIMARY KEY, a BIT(1), b BIT(8), c BIT(13), d BIT(64))",
    "INSERT INTO zoo.bits VALUES (1, b'0', b'00001001', b'0000000001010', 0), (2, b'1', b'11111111', b'1111111111111', 0xFFFFFFFFFFFFFFFF), \
     (3, NULL, NULL, NULL, NULL), (4, b'1', b'01011100', b'0101110001001', 0x5C0A0900271A0D22)",
    "CREATE TABLE zoo.choices (id INT PRIMARY KEY, e ENUM('', 'small', 'tab\\there', 'é日', 'it''s', '\\\\'), s SET('a', 'b c', 'é', 'it''s', ''), \
     l ENUM('x', 'é') CHARACTER SET latin1)",
    "INSERT INTO zoo.choices VALUES (1, 'small', 'a,b c,é', 'é'), (2, '', '', 'x'), (3, NULL, NULL, NULL), (4, 'tab\\there', 'it''s', 'x'), \
     (5, 'é日', 'a,b c,é,it''s', 'é'), (6, '\\\\', 'é', 'x')",
    "INSERT IGNORE INTO zoo.choices VALUES (7, 'none', 'a', 'none')",
    // The empty member of the SET, alone and with others, and none.
    "INSERT INTO zoo.choices VALUES (8, 'small', 16, 'x'), (9, 'small', 17, 'x'), (10, 'small', 24, 'x'), (11, 'small', 0, 'x')",
    "CREATE TABLE zoo.texts (id INT PRIMARY KEY, a CHAR(20), b VARCHAR(200), c TEXT, l1 VARCHAR(100) CHARACTER SET latin1, \
     l1t LONGTEXT CHARACTER SET latin1, g VARCHAR(100) CHARACTER SET gbk, gt TEXT CHARACTER SET gbk, u16 VARCHAR(100) CHARACTER SET utf16, \
     u16t TEXT CHARACTER SET utf16, u32 VARCHAR(50) CHARACTER SET utf32, u3 VARCHAR(50) CHARACTER SET utf8mb3, j VARCHAR(50) CHARACTER SET sjis, \
     asc_ VARCHAR(50) CHARACTER SET ascii, big VARCHAR(50) CHARACTER SET big5, k VARCHAR(50) CHARACTER SET koi8r)",
    "INSERT INTO zoo.texts VALUES \
     (1, 'plain', 'plain', 'plain', 'plain', 'plain', 'plain', 'plain', 'plain', 'plain', 'plain', 'plain', 'plain', 'plain', 'plain', 'plain'), \
     (2, '', '', '', '', '', '', '', '', '', '', '', '', '', '', ''), \
     (3, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL), \
     (4, 'a\\tb\\nc\\rd\\\\e\\0f\\Zg\\bh', 'a\\tb\\nc\\rd\\\\e''f\"g`h\\0i\\Zj\\bk', '\\\\N', '\\\\N', '\\n', '\\\\', '\\t\\\\', '\\n\\t\\\\\\0', 'x\\\\', '\\\\N', '\\\\', '\\\\', '\\\\', '\\t', '\\n'), \
     (5, 'ünï 😀', '4-byte 😀🎉🐬 and 日本語', '😀', 'ÄÖÜß £ÿ', 'naïve café', '中文繁體', '汉字\\\\測試', '😀 日本', 'utf16 😀\\\\', '😀𝄞', '日本 é', 'ソ表予', 'ascii ~', '中文功', 'Привет'), \
     (6, 'trailing', 'trailing   ', ' leading', '  ', ' ', ' ', ' ', ' ', ' ', ' ', ' ', ' ', ' ', ' ', ' '), \
     (7, 'NULL', 'NULL', 'NULL', 'NULL', 'NULL', 'NULL', 'NULL', 'NULL', 'NULL', 'NULL', 'NULL', 'NULL', 'NULL', 'NULL', 'NULL')",
    "INSERT INTO zoo.texts (id, l1, g, j) VALUES (8, _latin1 X'80819FA0FFE9', _gbk X'815C8240D6D0', _sjis X'835C955C')",
    "CREATE TABLE zoo.bytes (id INT PRIMARY KEY, a BINARY(16), b VARBINARY(300), t TINYBLOB, c BLOB, m MEDIUMBLOB, l LONGBLOB)",
    "INSERT INTO zoo.bytes VALUES (1, X'00', X'', X'', X'', X'', X''), (2, NULL, NULL, NULL, NULL, NULL, NULL), \
     (3, X'5C4E', X'5C4E', X'0A', X'09', X'5C', X'000A0D091A5C2722')",
    "CREATE TABLE zoo.shapes (id INT PRIMARY KEY, p POINT, l LINESTRING, g GEOMETRY, c GEOMETRYCOLLECTION)",
    "INSERT INTO zoo.shapes VALUES (1, ST_GeomFromText('POINT(1 2)'), ST_GeomFromText('LINESTRING(0 0,1 1,2 4)'), \
     ST_GeomFromText('POLYGON((0 0,0 5,5 5,5 0,0 0),(1 1,1 2,2 2,2 1,1 1))'), ST_GeomFromText('GEOMETRYCOLLECTION(POINT(1 1),LINESTRING(2 2,3 3))')), \
     (2, NULL, NULL, ST_GeomFromText('MULTIPOINT(0 0,9 9)'), NULL), (3, ST_GeomFromText('POINT(-1.5 10.25)', 4326), NULL, NULL, NULL)",
    "CREATE TABLE zoo.made (id INT AUTO_INCREMENT PRIMARY KEY, a INT NOT NULL, b INT DEFAULT 7, s INT AS (a + b) STORED, v INT AS (a * b) VIRTUAL, \
     u VARCHAR(40) AS (CONCAT(a, '-', b)) VIRTUAL, CONSTRAINT positive CHECK (a >= 0), KEY by_sum (s), KEY by_text (u)) AUTO_INCREMENT = 1000",
    "INSERT INTO zoo.made (a, b) VALUES (1, 2), (3, NULL), (0, 0)",
    "CREATE TABLE zoo.hidden (id INT PRIMARY KEY, a VARCHAR(10), h VARCHAR(10) INVISIBLE DEFAULT 'h')",
    "INSERT INTO zoo.hidden (id, a) VALUES (1, 'one')",
    "INSERT INTO zoo.hidden (id, a, h) VALUES (2, 'two', 'secret'), (3, NULL, NULL)",
    "CREATE TABLE zoo.without_key (a INT, b VARCHAR(20))",
    "INSERT INTO zoo.without_key VALUES (1, 'twice'), (1, 'twice'), (NULL, NULL), (NULL, NULL), (2, '')",
    "CREATE TABLE zoo.`odd ``name``, 100%@/é.日` (`id col` INT PRIMARY KEY, `sel``ect` VARCHAR(20), `@a\\\\b` INT, KEY `k, ey)` (`@a\\\\b`)) COMMENT='it''s ''\\\\, (`'",
    "INSERT INTO zoo.`odd ``name``, 100%@/é.日` VALUES (1, 'x', 10), (2, NULL, NULL)",
    "CREATE TABLE zoo.ranges (id INT NOT NULL, d DATE NOT NULL, v VARCHAR(20), PRIMARY KEY (id, d)) PARTITION BY RANGE COLUMNS (d) \
     (PARTITION p2025 VALUES LESS THAN ('2026-01-01'), PARTITION `p we@rd` VALUES LESS THAN ('2027-01-01'), PARTITION rest VALUES LESS THAN (MAXVALUE))",
    "INSERT INTO zoo.ranges VALUES (1, '2025-05-05', 'a'), (2, '2026-05-05', 'b'), (3, '2030-05-05', NULL), (4, '0000-00-00', 'zero')",
    "CREATE TABLE zoo.subparts (id INT NOT NULL, y INT NOT NULL, PRIMARY KEY (id, y)) PARTITION BY RANGE (y) SUBPARTITION BY HASH (id) SUBPARTITIONS 2 \
     (PARTITION p0 VALUES LESS THAN (100), PARTITION p1 VALUES LESS THAN MAXVALUE)",
    "INSERT INTO zoo.subparts VALUES (1, 1), (2, 50), (3, 100), (4, 500)",
    "CREATE TABLE zoo.words (id INT PRIMARY KEY, a VARCHAR(100), b TEXT, FULLTEXT KEY ft (a, b), FULLTEXT KEY fb (b), KEY pre (b(10)), UNIQUE KEY ua (a))",
    "INSERT INTO zoo.words VALUES (1, 'the quick brown fox', 'jumps over'), (2, 'the lazy dog', NULL)",
    "CREATE TABLE zoo.plain (id INT PRIMARY KEY, v VARCHAR(10)) ENGINE=MyISAM",
    "INSERT INTO zoo.plain VALUES (1, 'my'), (2, 'isam')",
    "CREATE TABLE zoo.parents (id INT PRIMARY KEY, code CHAR(3) NOT NULL, UNIQUE KEY (code, id))",
    "CREATE TABLE zoo.a_child (id INT PRIMARY KEY, parent INT, code CHAR(3), CONSTRAINT `fk 1` FOREIGN KEY (parent) REFERENCES zoo.parents (id) ON DELETE CASCADE, \
     CONSTRAINT fk_2 FOREIGN KEY (code, parent) REFERENCES zoo.parents (code, id))",
    "CREATE TABLE zoo.itself (id INT PRIMARY KEY, up INT, CONSTRAINT fk_up FOREIGN KEY (up) REFERENCES zoo.itself (id))",
    "INSERT INTO zoo.parents VALUES (1, 'AAA'), (2, 'BBB')",
    "INSERT INTO zoo.a_child VALUES (10, 1, 'AAA'), (11, 2, NULL), (12, NULL, NULL)",
    "INSERT INTO zoo.itself VALUES (1, NULL), (2, 1), (3, 2)",
    "CREATE TABLE zoo.empty (id INT PRIMARY KEY, v TEXT)",
    "CREATE TABLE zoo.documents (id INT PRIMARY KEY, j JSON, k JSON)",
];

const MYSQL: &[&str] = &[
    "CREATE TABLE zoo.vectors (id INT PRIMARY KEY, v VECTOR(4), w VECTOR(3) NOT NULL)",
    "INSERT INTO zoo.vectors VALUES (1, TO_VECTOR('[1,2,3,4]'), TO_VECTOR('[0,0,0]')), (2, NULL, TO_VECTOR('[-1.5,0.25,1e10]'))",
    "CREATE TABLE zoo.places (id INT PRIMARY KEY, p POINT NOT NULL SRID 4326, SPATIAL KEY sp (p))",
    "INSERT INTO zoo.places VALUES (1, ST_GeomFromText('POINT(59.91 10.75)', 4326)), (2, ST_GeomFromText('POINT(-33.86 151.2)', 4326))",
    "CREATE TABLE zoo.functional (id INT PRIMARY KEY, a INT, n VARCHAR(20) DEFAULT (CONCAT('n-', 'x')), u BINARY(16) DEFAULT (UNHEX('00112233445566778899AABBCCDDEEFF')), \
     KEY k_f ((a + 100)), KEY k_l ((LOWER(n))), KEY k_i (a) INVISIBLE, KEY k_d (a DESC, id), CONSTRAINT c CHECK (a <> 99) NOT ENFORCED)",
    "INSERT INTO zoo.functional (id, a) VALUES (1, 5), (2, NULL), (3, 99)",
    "SET SESSION sql_generate_invisible_primary_key = ON",
    "CREATE TABLE zoo.generated_key (a INT, b VARCHAR(20))",
    "SET SESSION sql_generate_invisible_primary_key = OFF",
    "INSERT INTO zoo.generated_key VALUES (1, 'a'), (1, 'a'), (2, NULL)",
];

const MARIADB: &[&str] = &[
    "CREATE TABLE zoo.addresses (id UUID PRIMARY KEY, v4 INET4, v6 INET6)",
    "INSERT INTO zoo.addresses VALUES ('123e4567-e89b-12d3-a456-426655440000', '192.168.0.1', '2001:db8::ff00:42:8329'), (UUID(), NULL, '::'), \
     ('00000000-0000-0000-0000-000000000000', '255.255.255.255', '::ffff:192.0.2.128')",
    "CREATE TABLE zoo.history (id INT PRIMARY KEY, v VARCHAR(20)) WITH SYSTEM VERSIONING",
    "INSERT INTO zoo.history VALUES (1, 'first'), (2, 'stays'), (3, 'goes')",
    "UPDATE zoo.history SET v = 'second' WHERE id = 1",
    "DELETE FROM zoo.history WHERE id = 3",
    "CREATE TABLE zoo.periods (id INT, v INT, s DATE, e DATE, PERIOD FOR valid (s, e), PRIMARY KEY (id, valid WITHOUT OVERLAPS))",
    "INSERT INTO zoo.periods VALUES (1, 1, '2026-01-01', '2026-06-01'), (1, 2, '2026-06-01', '2027-01-01')",
    "CREATE SEQUENCE zoo.numbers START WITH 100 INCREMENT BY 7 MINVALUE 1 MAXVALUE 100000 CACHE 20 CYCLE",
    "SELECT NEXTVAL(zoo.numbers), NEXTVAL(zoo.numbers)",
    "CREATE TABLE zoo.numbered (id INT PRIMARY KEY DEFAULT NEXTVAL(zoo.numbers), v VARCHAR(10))",
    "INSERT INTO zoo.numbered (v) VALUES ('a'), ('b')",
    "CREATE TABLE zoo.places (id INT PRIMARY KEY, p POINT NOT NULL, SPATIAL KEY sp (p))",
    "INSERT INTO zoo.places VALUES (1, ST_GeomFromText('POINT(59.91 10.75)', 4326))",
    "CREATE TABLE zoo.packed (id INT PRIMARY KEY, v TEXT COMPRESSED, b BLOB COMPRESSED)",
    "INSERT INTO zoo.packed VALUES (1, REPEAT('text ', 1000), REPEAT(X'00FF5C0A', 1000)), (2, NULL, ''), (3, '', NULL)",
    "SET SESSION sql_mode = 'ORACLE'",
    "CREATE PACKAGE zoo.tools AS FUNCTION twice(a INT) RETURN INT; PROCEDURE nothing; END",
    "CREATE PACKAGE BODY zoo.tools AS FUNCTION twice(a INT) RETURN INT AS BEGIN RETURN a * 2; END; PROCEDURE nothing AS BEGIN NULL; END; END",
    "SET SESSION sql_mode = ''",
];

/// Nested values, each JSON type, and text that needs escapes on the way.
const DOCUMENTS: &[&str] = &[
    r#"{"a": 1, "b": [true, false, null, 1.5, "x\ty\n\"q\" \\ \u0000"], "ü": "😀"}"#,
    r#"{"big": 18446744073709551615, "neg": -9223372036854775808, "d": 1.7976931348623157e308, "t": 5e-324}"#,
    r#"{"nested": {"a": [[], {}, [1, [2, [3, [4, [5, {"deep": [[[[[["x"]]]]]]}]]]]]]}, "empty": "", "num": [0, -0.5, 1e10, 0.1]}"#,
    "[]",
    "{}",
    "\"a string\"",
    "null",
    "true",
    "-1.25",
];

/// Makes the zoo: every type there is on this server, at its limits.
///
/// # Panics
/// A statement fails.
pub fn create(conn: &mut Conn, flavour: Flavour) {
    conn.query_drop("SET NAMES utf8mb4, sql_mode = ''")
        .expect("a neutral session");
    let own = if flavour == Flavour::MySql { MYSQL } else { MARIADB };
    for statement in COMMON.iter().chain(own) {
        conn.query_drop(statement)
            .unwrap_or_else(|error| panic!("{statement}: {error}"));
    }
    let every: Vec<u8> = (0..=255).collect();
    let insert = "INSERT INTO zoo.bytes VALUES (?, ?, ?, ?, ?, ?, ?)";
    conn.exec_drop(insert, (4, &every[..16], &every, &every[1..], &every, &every, &every))
        .expect("each byte");
    for (id, document) in DOCUMENTS.iter().enumerate() {
        conn.exec_drop(
            "INSERT INTO zoo.documents VALUES (?, ?, ?)",
            (id, document, None::<String>),
        )
        .expect(document);
    }
}

/// Adds a blob and a text of 64 MiB each, which the server's `max_allowed_packet` must have room for.
///
/// # Panics
/// A statement fails.
pub fn add_large_values(conn: &mut Conn) {
    conn.query_drop("CREATE TABLE zoo.large (id INT PRIMARY KEY, b LONGBLOB, t LONGTEXT)")
        .expect("the table");
    // What needs the most of each kind of encoding: every byte, and every other one an escape.
    let bytes: Vec<u8> = (0..64_u32 << 20)
        .map(|at| (at.wrapping_mul(2_654_435_761) >> 13) as u8)
        .collect();
    conn.exec_drop("INSERT INTO zoo.large VALUES (1, ?, NULL)", (bytes,))
        .expect("64 MiB of bytes");
    conn.query_drop(
        "INSERT INTO zoo.large VALUES (2, NULL, REPEAT('\\\\é\\t\\0', 13421772)), (3, '', ''), (4, NULL, NULL)",
    )
    .expect("64 MiB of text");
}
