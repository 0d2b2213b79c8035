//! Rows as the driver reads them, of every type and size.

use backstay_bed::{TestServer, on_both, run};
use backstay_engine_api::{EngineError, ErrorKind};
use backstay_mysql::mysql::prelude::Queryable;
use backstay_mysql::mysql::{Row as DriverRow, Value};
use backstay_mysql::{Flavour, Session};

use super::{AfterEachRow, Kept, Row, like};

on_both!(
    small_results,
    every_type,
    large_values,
    errors_leave_it_usable,
    killed_amid_rows,
    a_sink_that_gives_up,
    rows_in_larger_pieces,
);

/// A statement with more rows than sockets hold.
const LONG: &str = "SELECT a.id, REPEAT('x', 1000) FROM d.n a, d.n b, d.n c, d.n d, d.n e";

fn bed_with_numbers(flavour: Flavour) -> (TestServer, Session) {
    let bed = TestServer::start(flavour);
    let mut session = bed.session();
    run(
        &mut session,
        &[
            "CREATE DATABASE d",
            "CREATE TABLE d.n (id INT PRIMARY KEY)",
            "INSERT INTO d.n VALUES (0), (1), (2), (3), (4), (5), (6), (7), (8), (9)",
        ],
    );
    (bed, session)
}

/// What the driver reads.
fn by_driver(session: &mut Session, sql: &str) -> Vec<Row> {
    let rows: Vec<DriverRow> = session.conn().query(sql).unwrap();
    let value = |value| match value {
        Value::NULL => None,
        Value::Bytes(bytes) => Some(bytes),
        other => panic!("the text protocol has no {other:?}"),
    };
    rows.into_iter()
        .map(|row| row.unwrap().into_iter().map(value).collect())
        .collect()
}

fn small_results(flavour: Flavour) {
    let bed = TestServer::start(flavour);
    let mut session = bed.session();
    run(
        &mut session,
        &["CREATE DATABASE d", "CREATE TABLE d.t (id INT, v TEXT)"],
    );
    let mut raw = like(&session);
    assert_ne!(raw.connection_id(), session.connection_id());
    let text = |text: &str| Some(text.to_owned());
    assert_eq!(
        raw.texts("SELECT CONNECTION_ID(), NULL, '', @@wait_timeout, 'ä😀'")
            .unwrap(),
        [[
            text(&raw.connection_id().to_string()),
            None,
            text(""),
            text("31536000"),
            text("ä😀")
        ]]
    );
    let settings =
        "SELECT @@sql_mode, @@autocommit, @@lock_wait_timeout, @@character_set_results, @@collation_connection";
    let texts = |rows: Vec<Row>| {
        let text = |value: Option<Vec<u8>>| value.map(|bytes| String::from_utf8(bytes).unwrap());
        rows.into_iter()
            .map(|row| row.into_iter().map(text).collect::<Vec<_>>())
            .collect::<Vec<_>>()
    };
    assert_eq!(raw.texts(settings).unwrap(), texts(by_driver(&mut session, settings)));

    assert_eq!(raw.execute("INSERT INTO d.t VALUES (1, 'a'), (2, NULL)").unwrap(), 2);
    assert_eq!(raw.execute("SELECT * FROM d.t").unwrap(), 0);
    raw.run("SET @a = 1").unwrap();
    let mut kept = Kept::default();
    assert_eq!(raw.rows("SELECT id, v FROM d.t ORDER BY id", &mut kept).unwrap(), 2);
    let bytes = |text: &str| Some(text.as_bytes().to_vec());
    assert_eq!(kept.rows, [[bytes("1"), bytes("a")], [bytes("2"), None]]);
    let columns: Vec<(&str, u8, u16)> = kept
        .columns
        .iter()
        .map(|column| (column.name.as_str(), column.column_type, column.collation))
        .collect();
    // LONG and BLOB; the session's collation is the server's default for utf8mb4.
    assert_eq!(columns[0], ("id", 3, 63));
    assert_eq!((columns[1].0, columns[1].1), ("v", 252));
    assert_ne!(columns[1].2, 63);

    let mut kept = Kept::default();
    assert_eq!(raw.rows("SELECT id FROM d.t WHERE id > 5", &mut kept).unwrap(), 0);
    assert_eq!((kept.columns.len(), kept.rows.len()), (1, 0));
    assert_eq!(raw.rows("DO 1", &mut Kept::default()).unwrap(), 0);

    let error = raw.texts("SELECT 1, _binary x'ff' AS odd").unwrap_err();
    assert!(
        error.message.contains("column `odd`") && error.message.contains("not UTF-8"),
        "{error}"
    );
    assert_eq!(raw.texts("SELECT 2").unwrap(), [[text("2")]]);
    raw.run("SELECT CAST('x' AS SIGNED)").unwrap();
    assert_eq!(
        raw.warnings().unwrap(),
        ["Warning 1292: Truncated incorrect INTEGER value: 'x'"]
    );
    raw.run("SELECT * FROM d.t").unwrap();
    assert_eq!(raw.warnings().unwrap(), [""; 0]);
}

fn every_type(flavour: Flavour) {
    let bed = TestServer::start(flavour);
    let mut session = bed.session();
    run(
        &mut session,
        &[
            "CREATE DATABASE d",
            "SET SESSION sql_mode = ''",
            "CREATE TABLE d.t (id BIGINT UNSIGNED PRIMARY KEY, ti TINYINT, si SMALLINT, mi MEDIUMINT UNSIGNED, i INT, bi BIGINT, \
             de DECIMAL(65,30), fl FLOAT, dou DOUBLE, b BIT(64), da DATE, ti6 TIME(6), dt DATETIME(6), ts TIMESTAMP(3) NULL, \
             y YEAR, c CHAR(20), vc VARCHAR(300), bin BINARY(8), vb VARBINARY(300), tt TINYTEXT, tx TEXT, mt MEDIUMTEXT, \
             lt LONGTEXT, tb TINYBLOB, bl BLOB, e ENUM('', 'a', 'ä'), s SET('x', 'y'), j JSON, g GEOMETRY, \
             l1 VARCHAR(20) CHARACTER SET latin1, gb VARCHAR(20) CHARACTER SET gbk, u16 VARCHAR(20) CHARACTER SET utf16)",
            "INSERT INTO d.t VALUES (18446744073709551615, -128, 32767, 16777215, -2147483648, -9223372036854775808, \
             -12345678901234567890123456789012345.123456789012345678901234567890, 1.17549e-38, 2.2250738585072014e-308, \
             b'1000000000000000000000000000000000000000000000000000000000000001', '0000-00-00', '-838:59:59.000000', \
             '9999-12-31 23:59:59.999999', '2024-02-29 12:00:00.123', 2155, 'ä😀', REPEAT('ü', 300), x'00ff00ff', REPEAT(x'ff', 300), \
             '', REPEAT('t', 65535), REPEAT('m', 70000), REPEAT('l', 300000), x'00', REPEAT(x'00', 251), 'ä', 'x,y', \
             '{\"a\": [1, 2.5, null]}', ST_GeomFromText('POINT(1 2)'), 'é', '中', '😀')",
        ],
    );
    // Lengths around those of each form that a length has on the wire, in every place beside the others.
    for (at, length) in [
        0_u32, 1, 250, 251, 252, 65_535, 65_536, 262_000, 262_135, 262_144, 300_000, 4_000_000,
    ]
    .into_iter()
    .enumerate()
    {
        let sql = format!("INSERT INTO d.t (id, lt, bl, i) VALUES ({at}, REPEAT('v', {length}), '', {length})");
        run(&mut session, &[&sql]);
    }
    let mut raw = like(&session);
    for sql in [
        "SELECT * FROM d.t ORDER BY id",
        "SELECT lt, id, lt, NULL, lt FROM d.t ORDER BY id DESC",
        "SELECT lt FROM d.t ORDER BY id",
        "SELECT NULL",
        "SELECT ''",
        "SELECT '', NULL, ''",
        "SHOW COLLATION",
    ] {
        let mut kept = Kept::default();
        let count = raw
            .rows(sql, &mut kept)
            .unwrap_or_else(|error| panic!("{sql}: {error}"));
        assert_eq!(count, kept.rows.len() as u64);
        assert!(kept.rows == by_driver(&mut session, sql), "{sql}");
    }

    // A thousand columns, and as many rows as make packets begin at all places of the buffer.
    let columns: Vec<String> = (0..1_000)
        .map(|column| match column % 3 {
            0 => format!("{column} + i"),
            1 => "NULL".to_owned(),
            _ => format!("'text {column}'"),
        })
        .collect();
    let sql = format!("SELECT {} FROM d.t a, (SELECT id FROM d.t) b", columns.join(", "));
    let mut kept = Kept::default();
    raw.rows(&sql, &mut kept).unwrap();
    assert_eq!((kept.columns.len(), kept.rows.len()), (1_000, 169));
    assert!(kept.rows == by_driver(&mut session, &sql));
}

fn large_values(flavour: Flavour) {
    const SIZE: usize = 64 << 20;
    // InnoDB takes no value of more than a tenth of its log.
    let log = if flavour.is_mariadb() {
        "--innodb-log-file-size=1G"
    } else {
        "--innodb-redo-log-capacity=1G"
    };
    let bed = TestServer::start_with(flavour, &[log]);
    let mut session = bed.session();
    run(
        &mut session,
        &[
            "CREATE DATABASE d",
            "CREATE TABLE d.t (id INT PRIMARY KEY, a LONGBLOB, b LONGTEXT, c INT)",
            "INSERT INTO d.t VALUES (1, REPEAT('0123456789abcdef', 4 << 20), 'x', 7), (2, 'small', NULL, 8), \
             (3, REPEAT('z', 16777215), REPEAT('y', 16777210), 9), (4, '', '', NULL)",
        ],
    );
    let mut raw = like(&session);
    let mut kept = Kept::default();
    raw.rows("SELECT * FROM d.t ORDER BY id", &mut kept).unwrap();
    let a = kept.rows[0][1].as_ref().unwrap();
    assert!(a.len() == SIZE && a.chunks(16).all(|chunk| chunk == b"0123456789abcdef"));
    assert_eq!(kept.rows[0][3].as_deref(), Some(&b"7"[..]));
    let bytes = |text: &str| Some(text.as_bytes().to_vec());
    assert_eq!(kept.rows[1], [bytes("2"), bytes("small"), None, bytes("8")]);
    let z = (kept.rows[2][1].as_ref().unwrap(), kept.rows[2][2].as_ref().unwrap());
    assert!(z.0.len() == 16_777_215 && z.0.iter().all(|byte| *byte == b'z'));
    assert!(z.1.len() == 16_777_210 && z.1.iter().all(|byte| *byte == b'y'));
    assert_eq!(kept.rows[3], [bytes("4"), bytes(""), bytes(""), None]);
    // Nobody held one whole.
    assert!(
        kept.parts > 300 && kept.longest <= 256 * 1024,
        "{} {}",
        kept.parts,
        kept.longest
    );
    assert_eq!(
        raw.texts("SELECT a FROM d.t WHERE id = 1").unwrap()[0][0]
            .as_ref()
            .unwrap()
            .len(),
        SIZE
    );
    let error = raw
        .texts("SELECT a.a FROM d.t a, d.t b, d.t c WHERE a.id = 1")
        .unwrap_err();
    assert!(error.message.contains("more than 256 MiB"), "{error}");
}

fn errors_leave_it_usable(flavour: Flavour) {
    let (bed, _) = bed_with_numbers(flavour);
    let mut raw = like(&bed.session());
    for (sql, said) in [
        ("SELEKT 1", "refused `SELEKT 1`: 1064 (42000)"),
        ("SELECT * FROM d.none", "1146"),
        ("", "1065"),
        ("SELECT 1; SELECT 2", "1064"),
    ] {
        let error = raw.rows(sql, &mut Kept::default()).unwrap_err();
        assert!(error.to_string().contains(said), "{sql}: {error}");
    }
    // After the first row: the subquery has more than one row for the second.
    let sql = "SELECT id, (SELECT b.id FROM d.n b WHERE b.id < a.id) FROM d.n a ORDER BY id";
    let mut kept = Kept::default();
    let error = raw.rows(sql, &mut kept).unwrap_err();
    assert!(error.to_string().contains("1242"), "{error}");
    assert_eq!(raw.texts("SELECT 1").unwrap().len(), 1);

    let limit = if flavour.is_mariadb() {
        "SET max_statement_time = 0.2"
    } else {
        "SET max_execution_time = 200"
    };
    raw.run(limit).unwrap();
    // More than the fastest machine sends in that time.
    let longer = format!("{LONG}, d.n f, d.n g");
    let error = raw.rows(&longer, &mut AfterEachRow(|| Ok(()))).unwrap_err();
    let code = if flavour.is_mariadb() { "1969" } else { "3024" };
    assert!(error.to_string().contains(code), "{error}");
    assert_eq!(raw.texts("SELECT 1").unwrap().len(), 1);
}

fn killed_amid_rows(flavour: Flavour) {
    let (bed, mut session) = bed_with_numbers(flavour);
    let mut raw = like(&session);
    let id = raw.connection_id();
    let mut kill = |raw: &mut backstay_mysql::RawSession, how: &str| {
        let mut rows = 0;
        let error = raw
            .rows(
                LONG,
                &mut AfterEachRow(|| {
                    rows += 1;
                    if rows == 1 {
                        run(&mut session, &[&format!("KILL {how} {id}")]);
                    }
                    Ok(())
                }),
            )
            .unwrap_err();
        assert!(rows < 100_000, "{rows} rows came");
        assert_eq!(error.kind, ErrorKind::Connection, "{error}");
        error.to_string()
    };
    let error = kill(&mut raw, "QUERY");
    assert!(error.contains("1317 (70100)"), "{error}");
    assert_eq!(raw.texts("SELECT 1").unwrap().len(), 1);

    let error = kill(&mut raw, "CONNECTION");
    let socket = bed.server.socket().display().to_string();
    let lost = format!("the session with {socket} was lost during `SELECT a.id");
    // MariaDB says it, MySQL may just close.
    assert!(
        error.contains(&lost) || error.contains("1317") || error.contains("1927"),
        "{error}"
    );
    let error = raw.run("SELECT 1").unwrap_err();
    assert_eq!(error.kind, ErrorKind::Connection);
    assert!(error.message.contains(&socket), "{error}");
}

fn a_sink_that_gives_up(flavour: Flavour) {
    let (bed, mut session) = bed_with_numbers(flavour);
    let mut raw = like(&session);
    let id = raw.connection_id();
    let error = raw
        .rows(LONG, &mut AfterEachRow(|| Err(EngineError::cancelled())))
        .unwrap_err();
    assert_eq!(error, EngineError::cancelled());
    let error = raw.run("SELECT 1").unwrap_err();
    assert_eq!(
        (error.kind, error.message),
        (
            ErrorKind::Connection,
            format!(
                "the session with {} is closed, for an earlier statement on it was given up",
                bed.server.socket().display()
            )
        )
    );
    // The server notices when it writes on.
    let gone = format!("SELECT COUNT(*) FROM information_schema.processlist WHERE id = {id}");
    while session.query_first::<u64>(&gone).unwrap() != Some(0) {
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
}

/// As the server counts its writes.
fn rows_in_larger_pieces(flavour: Flavour) {
    let bed = TestServer::start_with(
        flavour,
        &[
            "--performance-schema=ON",
            "--performance-schema-instrument=wait/io/socket/%=ON",
            "--max-allowed-packet=200000",
        ],
    );
    let session = bed.session();
    let writes = |bytes: usize| {
        let mut raw = like(&session);
        if bytes > 0 {
            raw.widen(bytes).unwrap();
        }
        // 20 MB, in rows that are smaller than any piece.
        let rows = "SELECT REPEAT('x', 1000) FROM seq a, seq b";
        let sql = format!("WITH RECURSIVE seq AS (SELECT 1 n UNION ALL SELECT n + 1 FROM seq WHERE n < 142) {rows}");
        let texts = raw.texts(&sql).unwrap();
        assert_eq!(texts.len(), 142 * 142);
        assert!(texts.iter().flatten().flatten().all(|text| text.len() == 1000));
        let count = "SELECT COUNT_WRITE FROM performance_schema.socket_summary_by_instance s \
                     JOIN performance_schema.socket_instances i USING (OBJECT_INSTANCE_BEGIN) \
                     JOIN performance_schema.threads t USING (THREAD_ID) WHERE PROCESSLIST_ID = CONNECTION_ID()";
        raw.texts(count).unwrap()[0][0].clone().unwrap().parse::<u64>().unwrap()
    };
    let usual = writes(0);
    assert!(usual > 1000, "{usual}");
    let wide = writes(64 << 10);
    assert!(wide * 3 < usual, "{wide} of {usual}");
    // No more than the server takes.
    let most = writes(64 << 20);
    assert!(most < wide, "{most} of {wide}");
}
