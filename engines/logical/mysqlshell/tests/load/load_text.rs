//! Text of every character set a server has comes back byte by byte, also where Unicode has nothing for it.

use std::collections::BTreeSet;

use backstay_bed::{TestServer, on_both, run};
use backstay_engine_api::ErrorKind;
use backstay_mysql::{Flavour, Session};
use serde_json::{Value, json};

use crate::TestHost;
use crate::describe::{assert_same, describe};

on_both!(each_code_of_each_character_set, where_bytes_would_mean_something_else);

/// The server's character sets, and whether a character may have several bytes.
fn character_sets(session: &mut Session) -> Vec<(String, bool)> {
    session
        .query(
            "SELECT CHARACTER_SET_NAME, MAXLEN > 1 FROM information_schema.CHARACTER_SETS WHERE CHARACTER_SET_NAME NOT IN ('binary', 'filename') \
             ORDER BY 1",
        )
        .unwrap()
}

/// Every code of one byte and of two, of each character set: whatever the server takes.
fn fill(session: &mut Session) {
    run(
        session,
        &[
            "CREATE DATABASE d",
            "USE d",
            "SET SESSION sql_mode = ''",
            "CREATE TABLE bytes (b BINARY(1) PRIMARY KEY)",
        ],
    );
    let bytes: Vec<String> = (0..=255_u32).map(|byte| format!("(X'{byte:02X}')")).collect();
    session
        .run(format!("INSERT INTO bytes VALUES {}", bytes.join(", ")))
        .unwrap();
    for (name, wide) in character_sets(session) {
        session
            .run(format!(
                "CREATE TABLE {name} (id INT AUTO_INCREMENT PRIMARY KEY, c CHAR(4), t TEXT, n INT) CHARACTER SET {name}"
            ))
            .unwrap();
        let (codes, from) = match wide {
            true => ("CONCAT(a.b, b.b)", "bytes a, bytes b"),
            false => ("a.b", "bytes a"),
        };
        // What is not well-formed becomes an empty text.
        run(
            session,
            &[
                &format!("INSERT IGNORE INTO {name} (c) SELECT {codes} FROM {from}"),
                &format!("UPDATE {name} SET t = c"),
            ],
        );
    }
}

/// Columns of the dump that are bytes, as `table.column`.
fn as_bytes(host: &TestHost, names: &[(String, bool)]) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for (name, _) in names {
        let file: Value = serde_json::from_str(&host.text(&format!("d@{name}.json"))).unwrap();
        if let Some(columns) = file["options"]["decodeColumns"].as_object() {
            assert_eq!(
                file["characterSets"].as_object().unwrap().keys().collect::<Vec<_>>(),
                columns.keys().collect::<Vec<_>>()
            );
            found.extend(columns.keys().map(|column| format!("{name}.{column}")));
        }
    }
    found
}

fn restored(host: &TestHost, target: &TestServer) {
    let files = host.backups()[0]
        .objects
        .iter()
        .map(|(name, object)| (name.clone(), object.bytes.clone()))
        .collect();
    TestHost::holding(files)
        .restore_all(target.address(), json!({}))
        .unwrap();
}

fn each_code_of_each_character_set(flavour: Flavour) {
    let source = TestServer::start(flavour);
    let mut session = source.session();
    fill(&mut session);
    let names = character_sets(&mut session);
    assert!(names.len() > 35, "{names:?}");
    let host = TestHost::new();
    let options = json!({"compression": "none", "accounts": false});
    let usable = host.backup(source.address(), options).unwrap();
    let bytes = as_bytes(&host, &names);
    for (name, _) in &names {
        // What the server itself says of the values, another way than the engine asks it.
        let mut lost = |column: &str| {
            let sql = format!(
                "SELECT COUNT(*) FROM d.{name} WHERE HEX({column}) <> HEX(CONVERT(CONVERT({column} USING utf8mb4) USING {name}))"
            );
            session.query_first::<u64>(sql).unwrap() != Some(0)
        };
        // MariaDB takes no half surrogates.
        let half = name == "ucs2" && !flavour.is_mariadb();
        assert_eq!(half, name == "ucs2" && lost("t"), "{name}");
        for column in ["c", "t"] {
            // ASCII is text in any case, and has no conversion.
            let expected = name != "ascii" && lost(column);
            assert_eq!(bytes.contains(&format!("{name}.{column}")), expected, "{name}.{column}");
        }
        let told = usable
            .notices
            .iter()
            .any(|notice| notice.code == "text-as-bytes" && notice.subject == Some(format!("d.{name}")));
        assert_eq!(
            told,
            bytes.iter().any(|column| column.starts_with(&format!("{name}."))),
            "{name}"
        );
    }
    for name in ["sjis", "cp932", "cp1250"] {
        assert!(bytes.contains(&format!("{name}.t")), "{bytes:?}");
    }
    for name in ["utf8mb4", "latin1", "utf16"] {
        assert!(!bytes.contains(&format!("{name}.t")), "{bytes:?}");
    }
    let target = TestServer::start(flavour);
    restored(&host, &target);
    assert_same(
        &describe(&mut session, &["d"]),
        &describe(&mut target.session(), &["d"]),
    );
}

/// ENUM and SET, tables without snapshots, and a target whose column has another character set.
fn where_bytes_would_mean_something_else(flavour: Flavour) {
    let source = TestServer::start(flavour);
    let mut session = source.session();
    // F040 is a user-defined character; ED40 and FA5C are the same one in Unicode.
    run(
        &mut session,
        &[
            "CREATE DATABASE d",
            "USE d",
            "CREATE TABLE t (id VARCHAR(10) CHARACTER SET cp932 PRIMARY KEY, k VARCHAR(9) CHARACTER SET sjis, e ENUM('', 'x', 'ソ') CHARACTER SET sjis, \
             s SET('中', 'b') CHARACTER SET gbk, p TEXT CHARACTER SET gbk, f ENUM(X'ED40', 'b') CHARACTER SET cp932)",
            "INSERT INTO t VALUES (X'F040', X'F0405C0A', 'ソ', '中,b', '中', 1), (X'ED40', NULL, '', '', NULL, 2), (X'FA5C', '', 'x', 'b', '\\\\', 1)",
            "CREATE TABLE m (id INT PRIMARY KEY, k VARCHAR(9) CHARACTER SET sjis, l VARCHAR(9) CHARACTER SET latin1) ENGINE=MyISAM",
            "INSERT INTO m VALUES (1, 'ソ', 'é')",
        ],
    );
    let host = TestHost::new();
    let options = json!({"compression": "none", "accounts": false});
    host.backup(source.address(), options.clone()).unwrap();
    let columns = |table: &str| {
        let file: Value = serde_json::from_str(&host.text(&format!("d@{table}.json"))).unwrap();
        file["characterSets"].clone()
    };
    assert_eq!(columns("t"), json!({"id": "cp932", "k": "sjis"}));
    assert_eq!(columns("m"), json!({"k": "sjis"}));
    let target = TestServer::start(flavour);
    restored(&host, &target);
    let want = describe(&mut session, &["d"]);
    assert_same(&want, &describe(&mut target.session(), &["d"]));

    let files = host.backups()[0]
        .objects
        .iter()
        .map(|(name, object)| (name.clone(), object.bytes.clone()))
        .collect();
    let count = || -> u64 {
        let count = target.session().query_first("SELECT COUNT(*) FROM d.t");
        count.unwrap().unwrap()
    };
    let data = json!({"accounts": false, "content": "data"});
    let dump = TestHost::holding(files);
    let replace = || {
        dump.restore(
            target.address(),
            true,
            backstay_engine_api::Selection::default(),
            data.clone(),
        )
    };
    run(
        &mut target.session(),
        &["ALTER TABLE d.t MODIFY k VARCHAR(9) CHARACTER SET utf8mb4"],
    );
    let error = replace().unwrap_err();
    assert_eq!(error.kind, ErrorKind::Refused, "{error}");
    assert!(
        error.message.contains("k of d.t has the character set utf8mb4"),
        "{error}"
    );
    // Before anything was removed.
    assert_eq!(count(), 3);
    run(&mut target.session(), &["ALTER TABLE d.t MODIFY k VARBINARY(9)"]);
    replace().unwrap();
    let hex = |server: &TestServer| -> Vec<Option<String>> {
        server
            .session()
            .query("SELECT HEX(k) FROM d.t ORDER BY HEX(id)")
            .unwrap()
    };
    assert_eq!(hex(&target), hex(&source));
}

/// Keys whose text has no literal of its own: two rows look alike from outside, and each is dumped once.
#[test]
fn keys_that_look_alike() {
    let source = TestServer::start(Flavour::MySql);
    let mut session = source.session();
    run(
        &mut session,
        &[
            "CREATE DATABASE d",
            "USE d",
            "CREATE TABLE n (n INT PRIMARY KEY)",
            "SET SESSION cte_max_recursion_depth = 100000",
            "INSERT INTO n WITH RECURSIVE r AS (SELECT 0 AS n UNION ALL SELECT n + 1 FROM r WHERE n < 5999) SELECT n FROM r",
            "CREATE TABLE s (k VARCHAR(20) CHARACTER SET sjis PRIMARY KEY, pad VARCHAR(200))",
            "INSERT INTO s SELECT CONCAT(CHAR(65 + n % 25), LPAD(n, 7, '0')), REPEAT('x', 200) FROM n",
            "INSERT INTO s VALUES ('Z', 'z')",
            "INSERT INTO s SELECT CONCAT(CONVERT(X'F040' USING sjis), LPAD(n, 7, '0')), REPEAT('x', 200) FROM n",
            "CREATE TABLE a (k VARCHAR(20) CHARACTER SET ascii PRIMARY KEY, pad VARCHAR(200))",
            "INSERT INTO a SELECT LEFT(SHA2(n, 224), 20), REPEAT('x', 200) FROM n",
            "ANALYZE TABLE s, a",
        ],
    );
    let host = TestHost::new();
    let options = json!({"compression": "none", "accounts": false, "bytes_per_chunk": 131_072});
    let usable = host.backup(source.address(), options).unwrap();
    assert_eq!(usable.state["rows"], 6000 + 12_001 + 6000);
    // Where the literals are in order, a table is cut all the same.
    assert!(host.names().iter().filter(|name| name.starts_with("d@a@")).count() > 4);
    let target = TestServer::start(Flavour::MySql);
    restored(&host, &target);
    assert_same(
        &describe(&mut session, &["d"]),
        &describe(&mut target.session(), &["d"]),
    );
}
