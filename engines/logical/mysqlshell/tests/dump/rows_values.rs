//! Every value of every type is in the data files as it is on the server.

use backstay_bed::{TestServer, on_both, run};
use backstay_mysql::{Flavour, Session};
use serde_json::json;

use crate::TestHost;

on_both!(bytes_of_every_type, conditions_and_contents, history_is_dumped);

/// A field of a row: its bytes, or NULL.
fn decode(field: &[u8]) -> Option<Vec<u8>> {
    if field == b"\\N" {
        return None;
    }
    let mut bytes = field.iter();
    let mut value = Vec::new();
    while let Some(byte) = bytes.next() {
        value.push(match byte {
            b'\\' => match bytes.next().unwrap() {
                b'0' => 0,
                b'b' => 8,
                b't' => b'\t',
                b'n' => b'\n',
                b'r' => b'\r',
                b'Z' => 26,
                other => *other,
            },
            other => *other,
        });
    }
    Some(value)
}

fn rows(host: &TestHost, name: &str) -> Vec<Vec<Option<Vec<u8>>>> {
    let objects = &host.backups()[0].objects;
    let object = objects
        .get(name)
        .unwrap_or_else(|| panic!("{name} of {:?}", objects.keys()));
    let lines = object.bytes.split_inclusive(|byte| *byte == b'\n');
    lines
        .map(|line| {
            line.strip_suffix(b"\n")
                .unwrap()
                .split(|byte| *byte == b'\t')
                .map(decode)
                .collect()
        })
        .collect()
}

/// What the server says a column's values are, in hexadecimal, by `id`.
fn hex(session: &mut Session, expression: &str) -> Vec<Option<Vec<u8>>> {
    let hex: Vec<Option<String>> = session
        .query(format!("SELECT HEX({expression}) FROM d.t WHERE id < 1000 ORDER BY id"))
        .unwrap();
    let bytes = |hex: String| {
        let byte = |at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap();
        (0..hex.len()).step_by(2).map(byte).collect()
    };
    hex.into_iter().map(|hex| hex.map(bytes)).collect()
}

fn bytes_of_every_type(flavour: Flavour) {
    let bed = TestServer::start_with(flavour, &["--max-allowed-packet=128M"]);
    let mut session = bed.session();
    let utf8 = "CHARACTER SET utf8mb4";
    run(
        &mut session,
        &[
            "CREATE DATABASE d",
            &format!(
                "CREATE TABLE d.t (id INT PRIMARY KEY, b BIT(13), u BIGINT UNSIGNED, dc DECIMAL(65,30), f FLOAT, db DOUBLE, \
                 dt DATETIME(6), tm TIME(3), y YEAR, d DATE, ts TIMESTAMP(6) NULL, c CHAR(9) {utf8}, l VARCHAR(300) CHARACTER SET latin1, \
                 g TEXT CHARACTER SET gbk, w VARCHAR(50) CHARACTER SET utf16, bl LONGBLOB, vb VARBINARY(300), e ENUM('a\\tb', 'ü') {utf8}, \
                 s SET('x', 'y', '\\\\') {utf8}, j JSON, p POINT, gen INT AS (id + 1), lt LONGTEXT {utf8})"
            ),
            "SET SESSION time_zone = '+05:00'",
            "INSERT INTO d.t (id) VALUES (1)",
            "INSERT INTO d.t (id, b, u, dc, f, db, dt, tm, y, d, ts, c, l, g, w, bl, vb, e, s, j, p, lt) VALUES \
             (2, b'1010000001010', 18446744073709551615, '-99999999999999999999999999999999999.999999999999999999999999999999', \
              16777217.25, 1.7976931348623157e308, '9999-12-31 23:59:59.999999', '-838:59:59', 2155, '0000-00-00', \
              '2026-03-29 02:30:00.123456', 'a\\0\\b\\n\\r\\t\\Z\\\\', CONVERT('é\\t', CHAR), '中\\\\', '😀\\n', X'', X'00', 'a\\tb', 'x,\\\\', \
              '{\"a\": [1, \"\\\\n\\\\u0000\", 1.5e10]}', POINT(1, -2.5), ''), \
             (3, 0, 0, 0, 0.1, -2.2250738585072014e-308, '0000-00-00 00:00:00', '00:00:00.001', 0, '1000-01-01', NULL, '', '', '', '', \
              REPEAT(X'000102', 1), X'FFFF', 'ü', '', 'null', NULL, 'NULL')",
            "INSERT INTO d.t (id, f, db) VALUES (4, 3.4028234e38, 5e-324), (5, 1.1754944e-38, 0.1), (6, -0.0, -0.0)",
        ],
    );
    // Every byte value, alone and in a run; every character that needs an escape, at every place of a block.
    for byte in 0..=255_u32 {
        let id = 100 + byte;
        let latin = format!("CONVERT(CHAR({byte}) USING latin1)");
        session
            .run(format!(
                "INSERT INTO d.t (id, bl, vb, l, lt) VALUES ({id}, REPEAT(CHAR({byte}), {byte}), CHAR({byte}), {latin}, \
                 CONCAT(REPEAT('x', {byte}), '\\\\', REPEAT('é', {})))",
                byte % 20
            ))
            .unwrap();
    }
    session
        .run("INSERT INTO d.t (id, bl, lt) VALUES (1000, REPEAT(X'00FF5C', 22369621), REPEAT('tab\\t', 5000001))")
        .unwrap();
    let host = TestHost::new();
    let options = json!({"compression": "none", "accounts": false});
    let usable = host
        .backup(bed.address(), options)
        .unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(usable.state["rows"], 263);

    let file: serde_json::Value = serde_json::from_str(&host.text("d@t.json")).unwrap();
    let columns: Vec<&str> = file["options"]["columns"]
        .as_array()
        .unwrap()
        .iter()
        .map(|name| name.as_str().unwrap())
        .collect();
    assert!(!columns.contains(&"gen") && columns.len() == 22, "{columns:?}");
    let encoded = &file["options"]["decodeColumns"];
    let rows = rows(&host, "d@t@@0.tsv");
    assert_eq!(rows.len(), 263);
    run(&mut session, &["SET SESSION time_zone = '+00:00'"]);
    for (at, name) in columns.iter().enumerate() {
        let base64 = !encoded[name].is_null();
        assert_eq!(base64, ["b", "bl", "vb", "p"].contains(name), "{name}");
        let expression = match *name {
            "b" => "CAST(b AS BINARY(2))".to_owned(),
            "bl" | "vb" => (*name).to_owned(),
            "p" => "p".to_owned(),
            "f" => "CONVERT(f - 0e0, CHAR)".to_owned(),
            name => format!("CONVERT({name} USING utf8mb4)"),
        };
        let want = hex(&mut session, &expression);
        for (row, want) in rows.iter().zip(want) {
            let id = String::from_utf8_lossy(row[0].as_ref().unwrap()).into_owned();
            let mut found = row[at].clone();
            if base64 {
                found = found.map(|text| unbase64(&text));
            }
            let same = found == want
                || (*name == "b" && found.as_ref().map(|b| &b[..]) == want.as_ref().map(|b| &b[b.len() - 2..]));
            let show = |bytes: &Option<Vec<u8>>| {
                bytes
                    .as_ref()
                    .map(|b| String::from_utf8_lossy(&b[..b.len().min(90)]).into_owned())
            };
            assert!(
                same,
                "{name} of row {id}: found {:?}, expected {:?}",
                show(&found),
                show(&want)
            );
        }
    }
    // The driver can not take the large ones in hexadecimal.
    let large = rows.last().unwrap();
    let field = |name: &str| {
        large[columns.iter().position(|column| *column == name).unwrap()]
            .clone()
            .unwrap()
    };
    assert_eq!(unbase64(&field("bl")), [0, 0xff, 0x5c].repeat(22_369_621));
    assert_eq!(field("lt"), b"tab\t".repeat(5_000_001));
    let index = |name: &str| host.backups()[0].objects[name].bytes.clone();
    let (words, _) = index("d@t@@0.tsv.idx")
        .as_chunks::<8>()
        .0
        .split_last()
        .map(|(last, rest)| (u64::from_be_bytes(*last), rest.len()))
        .unwrap();
    assert_eq!(words, index("d@t@@0.tsv").len() as u64);
}

fn unbase64(text: &[u8]) -> Vec<u8> {
    let digit = |byte: u8| match byte {
        b'A'..=b'Z' => byte - b'A',
        b'a'..=b'z' => byte - b'a' + 26,
        b'0'..=b'9' => byte - b'0' + 52,
        b'+' => 62,
        b'/' => 63,
        other => panic!("{other} in base64"),
    };
    let mut bytes = Vec::with_capacity(text.len());
    assert_eq!(text.len() % 4, 0);
    for four in text.chunks(4) {
        let pads = four.iter().filter(|byte| **byte == b'=').count();
        let word = four.iter().fold(0_u32, |word, byte| {
            word << 6 | if *byte == b'=' { 0 } else { u32::from(digit(*byte)) }
        });
        bytes.extend_from_slice(&word.to_be_bytes()[1..4 - pads]);
    }
    bytes
}

fn conditions_and_contents(flavour: Flavour) {
    let bed = TestServer::start(flavour);
    let mut session = bed.session();
    run(
        &mut session,
        &[
            "CREATE DATABASE d",
            "CREATE TABLE d.t (id INT PRIMARY KEY)",
            "INSERT INTO d.t VALUES (1), (2), (3)",
            "CREATE VIEW d.v AS SELECT * FROM d.t",
        ],
    );
    let backup = |options: serde_json::Value| {
        let host = TestHost::new();
        let usable = host
            .backup(bed.address(), options)
            .unwrap_or_else(|error| panic!("{error}"));
        (host, usable)
    };
    let (host, _) = backup(json!({"where": {"d.t": "id = 2 or id = 3 -- not 1"}, "compression": "none"}));
    assert_eq!(host.text("d@t@@0.tsv"), "2\n3\n");
    let (host, _) = backup(json!({"content": "definitions", "accounts": false}));
    assert_eq!(
        host.names(),
        [
            "@.done.json",
            "@.json",
            "@.post.sql",
            "@.sql",
            "d.json",
            "d.sql",
            "d@t.json",
            "d@t.sql",
            "d@v.pre.sql",
            "d@v.sql"
        ]
    );
    let (host, usable) = backup(json!({"content": "data", "accounts": false}));
    assert_eq!(
        host.names(),
        [
            "@.done.json",
            "@.json",
            "@.post.sql",
            "@.sql",
            "d.json",
            "d@t.json",
            "d@t@@0.tsv.zst",
            "d@t@@0.tsv.zst.idx"
        ]
    );
    assert_eq!(usable.state["rows"], 3);
    let done: serde_json::Value = serde_json::from_str(&host.text("@.done.json")).unwrap();
    assert_eq!(done["chunkFileBytes"], json!({"d@t@@0.tsv.zst": 6}));
    assert_eq!(
        (&done["dataBytes"], &done["tableRows"]["d"]["t"]),
        (&json!(6), &json!(3))
    );

    run(&mut session, &["DROP DATABASE d"]);
    let (host, usable) = backup(json!({"accounts": false}));
    assert_eq!(host.names(), ["@.done.json", "@.json", "@.post.sql", "@.sql"]);
    assert_eq!(
        usable
            .notices
            .iter()
            .filter(|notice| notice.code == "no-schemas")
            .count(),
        1
    );
}

fn history_is_dumped(flavour: Flavour) {
    if !flavour.is_mariadb() {
        // MySQL has no such tables: that it dumps a plain one is in the other tests.
        return;
    }
    let bed = TestServer::start(flavour);
    run(
        &mut bed.session(),
        &[
            "CREATE DATABASE d",
            "CREATE TABLE d.h (id INT PRIMARY KEY, v INT) WITH SYSTEM VERSIONING",
            "CREATE TABLE d.p (id INT PRIMARY KEY, v INT) WITH SYSTEM VERSIONING PARTITION BY SYSTEM_TIME (PARTITION p0 HISTORY, PARTITION pn CURRENT)",
            "INSERT INTO d.h VALUES (1, 1), (2, 1)",
            "INSERT INTO d.p VALUES (1, 1), (2, 1)",
            "UPDATE d.h SET v = 2",
            "DELETE FROM d.h WHERE id = 1",
            "UPDATE d.p SET v = 2",
        ],
    );
    let host = TestHost::new();
    host.backup(bed.address(), json!({"compression": "none"}))
        .unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(rows(&host, "d@h@@0.tsv").len(), 4);
    assert_eq!(rows(&host, "d@p@@0.tsv").len(), 4);
}
