//! Histograms of MySQL come back, made from the rows that are restored.

use backstay_bed::{TestServer, run};
use backstay_engine_api::Selection;
use backstay_mysql::Flavour;
use serde_json::{Value, json};

use crate::TestHost;

/// Columns, and how many buckets their histograms may have.
fn histograms(server: &TestServer) -> Vec<(String, u64)> {
    let sql = "SELECT COLUMN_NAME, CAST(JSON_EXTRACT(HISTOGRAM, '$.\"number-of-buckets-specified\"') AS UNSIGNED) FROM \
               information_schema.COLUMN_STATISTICS WHERE SCHEMA_NAME = 'd' ORDER BY 1";
    server.session().query(sql).unwrap()
}

fn backed_up() -> (TestServer, TestHost) {
    let source = TestServer::start(Flavour::MySql);
    run(
        &mut source.session(),
        &[
            "CREATE DATABASE d",
            "CREATE TABLE d.t (id INT PRIMARY KEY, a INT, `b``c` VARCHAR(20), e INT, f INT, KEY (f))",
            "INSERT INTO d.t WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 100) SELECT i, i % 20, i, i, i FROM n",
            "ANALYZE TABLE d.t UPDATE HISTOGRAM ON a, `b``c` WITH 7 BUCKETS",
            "ANALYZE TABLE d.t UPDATE HISTOGRAM ON e WITH 9 BUCKETS AUTO UPDATE",
        ],
    );
    let host = TestHost::new();
    host.backup(source.address(), json!({"accounts": false, "compression": "none"}))
        .unwrap();
    (source, host)
}

fn want() -> Vec<(String, u64)> {
    [("a", 7), ("b`c", 7), ("e", 9)]
        .map(|(column, buckets)| (column.to_owned(), buckets))
        .into()
}

#[test]
fn histograms_come_back() {
    let (source, host) = backed_up();
    assert_eq!(histograms(&source), want());
    let file: Value = serde_json::from_str(&host.text("d@t.json")).unwrap();
    assert_eq!(
        file["histograms"],
        json!([
            {"column": "a", "buckets": 7},
            {"column": "b`c", "buckets": 7},
            {"column": "e", "buckets": 9, "autoUpdate": true},
        ])
    );
    let target = TestServer::start(Flavour::MySql);
    let restored = host.restore_all(target.address(), json!({"accounts": false})).unwrap();
    let left_out = restored
        .notices
        .iter()
        .any(|notice| notice.code == "histogram-left-out");
    assert!(!left_out, "{:?}", restored.notices);
    assert_eq!(histograms(&target), want());
    let kept = "SELECT GROUP_CONCAT(COLUMN_NAME) FROM information_schema.COLUMN_STATISTICS WHERE JSON_EXTRACT(HISTOGRAM, '$.\"auto-update\"') = \
                CAST('true' AS JSON)";
    assert_eq!(
        target.session().query_first::<String>(kept).unwrap().as_deref(),
        Some("e")
    );
    // Rows alone change no statistics.
    run(
        &mut target.session(),
        &["ANALYZE TABLE d.t DROP HISTOGRAM ON a, `b``c`, e"],
    );
    let data = json!({"accounts": false, "content": "data"});
    host.restore(target.address(), true, Selection::default(), data)
        .unwrap();
    assert!(histograms(&target).is_empty());
}

/// It is said, and all else is there.
#[test]
fn what_a_server_makes_no_histogram_of() {
    let (_source, host) = backed_up();
    {
        let mut backups = host.backups();
        let file = &mut backups[0].objects.get_mut("d@t.json").unwrap().bytes;
        let mut json: Value = serde_json::from_slice(file).unwrap();
        // Every value of it is another, so that a server refuses.
        json["histograms"][2]["column"] = "id".into();
        *file = json.to_string().into_bytes();
    }
    let target = TestServer::start(Flavour::MySql);
    let restored = host.restore_all(target.address(), json!({"accounts": false})).unwrap();
    let notices = restored.notices.iter();
    let found: Vec<_> = notices.filter(|notice| notice.code == "histogram-left-out").collect();
    assert_eq!(found.len(), 1, "{:?}", restored.notices);
    assert_eq!(found[0].subject.as_deref(), Some("d.t"));
    assert!(found[0].text.contains("'id'"), "{}", found[0].text);
    assert!(
        found[0]
            .text
            .ends_with("UPDATE HISTOGRAM ON `id` WITH 9 BUCKETS AUTO UPDATE"),
        "{}",
        found[0].text
    );
    assert_eq!(histograms(&target), want()[..2]);
}
