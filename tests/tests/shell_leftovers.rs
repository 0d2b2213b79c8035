//! What stands about on real servers: views of tables that are gone, what an interrupted restore has left, a limit of rows for all. None of it
//! keeps a backup by the engine `mysqlshell` from being restored, and what is left out is said.

use backstay_bed::{Flavour, TestServer, on_both};
use backstay_mysql::mysql::prelude::Queryable;
use backstay_tests::backstay::Backstay;
use backstay_tests::compare::{contents, differences};
use backstay_tests::engines::run;
use backstay_tests::shop;
use serde_json::Value;

on_both!(broken_views_and_an_unfinished_restore);

fn codes(notices: &Value) -> Vec<(&str, &str)> {
    let notices = notices.as_array().expect("notices").iter();
    notices
        .map(|notice| {
            (
                notice["code"].as_str().unwrap_or_default(),
                notice["subject"].as_str().unwrap_or_default(),
            )
        })
        .collect()
}

fn broken_views_and_an_unfinished_restore(flavour: Flavour) {
    let source = TestServer::start(flavour);
    let mut conn = source.conn();
    shop::create(&mut conn);
    let expected = contents(&mut conn, &[]);
    run(
        &mut conn,
        &[
            "CREATE TABLE shop.gone (id INT PRIMARY KEY)",
            "CREATE VIEW shop.a_broken AS SELECT id FROM shop.gone",
            "CREATE VIEW shop.on_broken AS SELECT id FROM shop.a_broken",
            "DROP TABLE shop.gone",
            "CREATE DATABASE backstay_restore",
            "CREATE TABLE backstay_restore.progress (item VARBINARY(1200) NOT NULL PRIMARY KEY, bytes BIGINT UNSIGNED NOT NULL, \
             row_count BIGINT UNSIGNED NOT NULL, done TINYINT NOT NULL)",
            "INSERT INTO backstay_restore.progress VALUES ('file shop@customers@@0.tsv.zst', 1, 1, 1)",
            "CREATE TABLE backstay_restore.job (id INT NOT NULL PRIMARY KEY, identity LONGTEXT NOT NULL, accounts LONGTEXT NOT NULL)",
            "INSERT INTO backstay_restore.job VALUES (1, '{}', '[]')",
            // For sessions from now on that set none of their own.
            "SET GLOBAL sql_select_limit = 2",
        ],
    );
    let backstay = Backstay::new(&source.dir().join("backstay"), &[], &source.section("main"));
    let taken = backstay
        .run(&["backup", "--engine", "mysqlshell", "--json"])
        .ok()
        .json();
    let notices = codes(&taken["backup"]["notices"]);
    assert!(notices.contains(&("restore-unfinished", "backstay_restore")), "{taken}");
    assert!(notices.iter().any(|(code, _)| *code == "view-broken"), "{taken}");

    let target = TestServer::start_with(flavour, &["--server-id=77", "--event-scheduler=OFF"]);
    let restored = backstay
        .run(&["restore", "latest", "--to-server", &target.url(), "--json"])
        .ok()
        .json();
    let notices = codes(&restored["notices"]);
    for view in ["shop.a_broken", "shop.on_broken"] {
        assert!(notices.contains(&("view-broken", view)), "{restored}");
    }
    let differ = differences(&contents(&mut target.conn(), &[]), &expected);
    assert!(differ.is_empty(), "{differ:#?}");
    let left: Option<String> = target.conn().query_first("SHOW DATABASES LIKE 'backstay%'").unwrap();
    assert_eq!(left, None);
}
