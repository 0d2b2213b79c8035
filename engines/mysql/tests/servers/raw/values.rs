//! Rows that come as values are the rows that come as text, byte by byte.

use backstay_bed::{TestServer, on_both, run};
use backstay_mysql::{Flavour, RawSession, Session};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use super::{Kept, Row, like};

on_both!(
    numbers,
    times,
    every_type_and_size,
    where_text_says_more,
    what_can_not_be_prepared,
);

fn by_text(raw: &mut RawSession, sql: &str) -> Vec<Row> {
    let mut kept = Kept::default();
    raw.rows(sql, &mut kept).unwrap();
    kept.rows
}

fn by_value(raw: &mut RawSession, sql: &str) -> Vec<Row> {
    let mut kept = Kept::default();
    let prepared = raw
        .prepare(sql)
        .unwrap()
        .unwrap_or_else(|| panic!("{sql} is not prepared"));
    assert!(raw.rows_of(prepared, &mut kept).unwrap().is_some());
    kept.rows
}

#[track_caller]
fn assert_same(texts: &[Row], values: &[Row]) {
    assert_eq!(texts.len(), values.len());
    let shown = |row: &Row| -> Vec<Option<String>> {
        let cell = |cell: &Option<Vec<u8>>| {
            cell.as_ref()
                .map(|bytes| String::from_utf8_lossy(&bytes[..bytes.len().min(60)]).into())
        };
        row.iter().map(cell).collect()
    };
    for (text, value) in texts.iter().zip(values) {
        assert!(text == value, "{:?} and {:?}", shown(text), shown(value));
    }
}

/// Whole numbers at their limits; DOUBLE and FLOAT of any bits and of any size. FLOAT is compared with the DOUBLE that it is.
fn numbers(flavour: Flavour) {
    let bed = TestServer::start(flavour);
    let mut session = bed.session();
    run(
        &mut session,
        &[
            "CREATE DATABASE d",
            "CREATE TABLE d.i (a TINYINT, b TINYINT UNSIGNED, c SMALLINT, d SMALLINT UNSIGNED, e MEDIUMINT, f MEDIUMINT UNSIGNED, g INT, h INT \
             UNSIGNED, i BIGINT, j BIGINT UNSIGNED, k BOOL, l DECIMAL(65,30), m BIT(64))",
            "INSERT INTO d.i VALUES (-128, 255, -32768, 65535, -8388608, 16777215, -2147483648, 4294967295, -9223372036854775808, \
             18446744073709551615, TRUE, -0.5, b'101'), (127, 0, 32767, 0, 8388607, 0, 2147483647, 0, 9223372036854775807, 0, FALSE, 0, 0), \
             (-1, 9, -10, 99, -100, 999, -1000, 9999, -10000, 99999, NULL, NULL, NULL)",
            "CREATE TABLE d.r (id INT PRIMARY KEY AUTO_INCREMENT, d DOUBLE, f FLOAT)",
        ],
    );
    let mut random = StdRng::seed_from_u64(20_261_129);
    let mut rows = Vec::new();
    for at in 0..30_000_u32 {
        let (double, float) = match at % 3 {
            0 => (f64::from_bits(random.random()), f32::from_bits(random.random())),
            // Of few digits, and near where an exponent is written.
            1 => {
                let digits = random.random_range(-99_999_i32..100_000);
                let power = random.random_range(-22_i32..22);
                let double: f64 = format!("{digits}e{power}").parse().unwrap();
                (double, double as f32)
            }
            _ => (f64::from(at).sqrt() - 80.0, at as f32 / 7.0),
        };
        let (double, float) = (
            if double.is_finite() { double } else { -0.0 },
            if float.is_finite() { float } else { f32::MAX },
        );
        rows.push(format!("({double:e}, {float:e})"));
    }
    for rows in rows.chunks(5_000) {
        session
            .run(format!("INSERT INTO d.r (d, f) VALUES {}", rows.join(", ")))
            .unwrap();
    }
    let mut raw = like(&session);
    assert_same(
        &by_text(&mut raw, "SELECT * FROM d.i"),
        &by_value(&mut raw, "SELECT * FROM d.i"),
    );
    assert_same(
        &by_text(&mut raw, "SELECT id, d, f - 0e0 FROM d.r ORDER BY id"),
        &by_value(&mut raw, "SELECT id, d, f FROM d.r ORDER BY id"),
    );
}

fn times(flavour: Flavour) {
    let bed = TestServer::start(flavour);
    let mut session = bed.session();
    run(
        &mut session,
        &[
            "CREATE DATABASE d",
            "SET SESSION sql_mode = 'ALLOW_INVALID_DATES', time_zone = '+03:30'",
        ],
    );
    for digits in 0..=6 {
        run(
            &mut session,
            &[
                &format!(
                    "CREATE TABLE d.t{digits} (y YEAR, d DATE, dt DATETIME({digits}), ts TIMESTAMP({digits}) NULL, t TIME({digits}))"
                ),
                &format!(
                    "INSERT INTO d.t{digits} VALUES (0, '0000-00-00', '0000-00-00', '0000-00-00', 0), (1901, '0001-01-01', '0001-02-03 04:05:06', \
                     '1970-01-01 03:30:01', '-838:59:59'), (2155, '9999-12-31', '9999-12-31 23:59:59.123456', '2038-01-19 03:14:07.999', \
                     '838:59:58.999999'), (2026, '2026-00-00', '2026-11-29 00:00:00', '2026-11-29 00:00:00.000001', '-00:00:00.000001'), \
                     (2026, '2024-02-31', '2026-11-29 00:00:00.5', '2026-11-29 12:00', '00:00:01.5'), (NULL, NULL, NULL, NULL, NULL), \
                     (2000, '2000-01-01', '2000-01-01 00:00:59', '2000-01-01 00:59', '100:00:00')"
                ),
            ],
        );
    }
    let mut raw = like(&session);
    for zone in ["+00:00", "-11:15"] {
        raw.run(format!("SET SESSION time_zone = '{zone}'")).unwrap();
        for digits in 0..=6 {
            let sql = format!("SELECT * FROM d.t{digits}");
            assert_same(&by_text(&mut raw, &sql), &by_value(&mut raw, &sql));
        }
    }
}

fn every_type_and_size(flavour: Flavour) {
    let bed = TestServer::start_with(flavour, &["--max-allowed-packet=64M"]);
    let mut session = bed.session();
    let own = match flavour.is_mariadb() {
        true => "u UUID, i INET6",
        false => "u VECTOR(3), i BINARY(16)",
    };
    run(
        &mut session,
        &[
            "CREATE DATABASE d",
            &format!(
                "CREATE TABLE d.t (id INT PRIMARY KEY, c CHAR(20), vc VARCHAR(300), vb VARBINARY(300), tx LONGTEXT, bl LONGBLOB, e ENUM('', 'a', 'ä'), s \
                 SET('x', 'y'), j JSON, g GEOMETRY, l VARCHAR(20) CHARACTER SET latin1, n BIGINT, {own}) DEFAULT CHARSET utf8mb4"
            ),
        ],
    );
    let row = |id: usize, length: usize| {
        let own = match flavour.is_mariadb() {
            true => "'123e4567-e89b-12d3-a456-426655440000', '::1'",
            false => "TO_VECTOR('[1,2,3]'), x'01'",
        };
        format!(
            "INSERT INTO d.t VALUES ({id}, 'ä😀', REPEAT('ü', {}), REPEAT(x'ff', {}), REPEAT('l', {length}), REPEAT(x'00', {length}), 'ä', 'x,y', \
             '{{\"a\": [1, 2.5, null]}}', ST_GeomFromText('POINT(1 2)'), 'é', -{id}, {own})",
            length % 300,
            length % 251
        )
    };
    // Lengths around those of each form that one has on the wire; rows larger than the buffer, and than a packet.
    for (id, length) in [
        0, 1, 250, 251, 252, 65_535, 65_536, 70_000, 262_144, 16_777_200, 17_000_000,
    ]
    .into_iter()
    .enumerate()
    {
        session.run(row(id, length)).unwrap();
    }
    session.run("INSERT INTO d.t (id) VALUES (100)").unwrap();
    let mut raw = like(&session);
    let sql = "SELECT * FROM d.t ORDER BY id";
    assert_same(&by_text(&mut raw, sql), &by_value(&mut raw, sql));
    // More columns than a byte of the bitmap has bits for, some of them NULL.
    let many: Vec<String> = (0..60).map(|at| format!("NULLIF(id % 7, {}) + 0", at % 7)).collect();
    let sql = format!("SELECT {} FROM d.t ORDER BY id", many.join(", "));
    assert_same(&by_text(&mut raw, &sql), &by_value(&mut raw, &sql));
}

fn where_text_says_more(flavour: Flavour) {
    let bed = TestServer::start(flavour);
    let mut session = bed.session();
    run(&mut session, &["CREATE DATABASE d"]);
    let mut raw = like(&session);
    let mut kinds = vec!["INT(5) ZEROFILL", "DOUBLE(7,2)", "FLOAT(7,2)", "DOUBLE ZEROFILL"];
    if flavour.is_mariadb() {
        kinds.push("YEAR(2)");
    }
    for (at, kind) in kinds.iter().enumerate() {
        run(&mut session, &[&format!("CREATE TABLE d.t{at} (v {kind}, n INT)")]);
        assert!(
            raw.prepare(&format!("SELECT v FROM d.t{at}")).unwrap().is_none(),
            "{kind}"
        );
        assert!(
            raw.prepare(&format!("SELECT n FROM d.t{at}")).unwrap().is_some(),
            "{kind}"
        );
    }
}

/// How many statements the server holds, once it has got round to what it was told.
fn still_prepared(raw: &mut RawSession, session: &mut Session) -> u64 {
    raw.run("DO 0").unwrap();
    let row: Option<(String, u64)> = session
        .query_first("SHOW GLOBAL STATUS LIKE 'Prepared_stmt_count'")
        .unwrap();
    row.unwrap().1
}

fn what_can_not_be_prepared(flavour: Flavour) {
    let bed = TestServer::start(flavour);
    let mut session = bed.session();
    let mut raw = like(&session);
    let error = raw.prepare("SELECT * FROM mysql.not_there").unwrap_err();
    assert!(error.to_string().contains("1146"), "{error}");
    // Those that were read are gone again.
    for _ in 0..3 {
        assert_eq!(by_value(&mut raw, "SELECT 1"), [[Some(b"1".to_vec())]]);
    }
    assert_eq!(still_prepared(&mut raw, &mut session), 0);
    // A question mark is explained where the query is asked for as text.
    assert!(raw.prepare("SELECT 1 WHERE 1 = ?").unwrap().is_none());
    let error = raw.rows("SELECT 1 WHERE 1 = ?", &mut Kept::default()).unwrap_err();
    assert!(error.to_string().contains("1064"), "{error}");
    // One that fails in its midst is gone too, and the session goes on.
    let prepared = raw.prepare("SELECT (SELECT 1 UNION SELECT a) FROM (SELECT 1 AS a UNION SELECT 2) x");
    let error = raw
        .rows_of(prepared.unwrap().unwrap(), &mut Kept::default())
        .unwrap_err();
    assert!(error.to_string().contains("1242"), "{error}");
    assert_eq!(by_value(&mut raw, "SELECT 1"), [[Some(b"1".to_vec())]]);
    assert_eq!(still_prepared(&mut raw, &mut session), 0);
    run(&mut session, &["SET GLOBAL max_prepared_stmt_count = 0"]);
    assert!(raw.prepare("SELECT 1").unwrap().is_none());
    assert_eq!(by_text(&mut raw, "SELECT 1"), [[Some(b"1".to_vec())]]);
}
