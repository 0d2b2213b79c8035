//! Backup and restore on real servers: what comes back is what was there at one point.

use backstay_bed::{Flavour, TestServer};
use backstay_mysql::mysql;
use backstay_tests::backstay::Backstay;
use backstay_tests::bank::{self, Load};
use backstay_tests::compare::{contents, differences, rows};
use backstay_tests::reference::{binlog_position, server_at};
use backstay_tests::shop;
use mysql::prelude::Queryable;

fn backstay(server: &TestServer) -> Backstay {
    Backstay::new(&server.dir().join("backstay"), &[], &server.section("main"))
}

/// Under transfers that go on, a backup shows one point: the sum holds, and each table is as on a server that has executed
/// exactly the transactions up to the position.
fn shows_one_point(flavour: Flavour, engine: &str) {
    let source = TestServer::start(flavour);
    let mut conn = source.conn();
    shop::create(&mut conn);
    bank::create(&mut conn);
    let load = Load::start(&source.opts(), 4, 1);
    load.wait_for(200);

    let backstay = backstay(&source);
    let taken = backstay.run(&["backup", "--engine", engine, "--json"]).ok().json();
    load.wait_for(50);
    let committed = load.stop();
    assert!(committed > 250, "only {committed} transfers");
    backstay.run(&["verify"]).ok();

    let target = TestServer::start(flavour);
    backstay.run(&["restore", "--to-server", &target.url()]).ok();
    let (file, offset) = binlog_position(&taken["backup"]["positions"]);
    let reference = server_at(&source, &file, offset);

    let restored = contents(&mut target.conn(), &[]);
    let expected = contents(&mut reference.conn(), &[]);
    let differing = differences(&restored, &expected);
    assert!(
        differing.is_empty(),
        "restored against reference:\n{}",
        differing.join("\n")
    );
    for name in [
        "`shop`.`a_view_on_a_view` view",
        "`shop`.`total` function",
        "`shop`.`note` procedure",
        "`shop`.`orders_noted` trigger",
        "`shop`.`tidy` event",
        "`shop_archive`.`odd ``name``, 100%/é` rows",
        "`bank`.`transfer` rows",
    ] {
        assert!(restored.contains_key(name), "{name} is missing: {:?}", restored.keys());
    }
    let (sum, expected) = bank::sums(&mut target.conn(), "bank");
    assert_eq!(sum, expected);
    let transfers: Option<u64> = target.conn().query_first("SELECT COUNT(*) FROM bank.transfer").unwrap();
    assert!(transfers.unwrap() >= 200, "{transfers:?}");

    for account in [
        "'clerk'@'localhost'",
        if flavour == Flavour::MySql {
            "'seller'@'%'"
        } else {
            "'seller'"
        },
    ] {
        assert_eq!(
            shop::grants(&mut target.conn(), account),
            shop::grants(&mut conn, account),
            "{account}"
        );
    }
    let clerk = mysql::OptsBuilder::from_opts(target.opts())
        .user(Some("clerk"))
        .pass(Some(shop::CLERKS_PASSWORD));
    let mut clerk = mysql::Conn::new(clerk).expect("clerk logs in with the password of before");
    let seen: Option<u32> = clerk.query_first("SELECT COUNT(*) FROM shop.orders").unwrap();
    assert_eq!(seen, Some(3));
}

#[test]
fn a_backup_under_load_shows_one_point_on_mysql() {
    shows_one_point(Flavour::MySql, "mysqldump");
    shows_one_point(Flavour::MySql, "mysqlshell");
}

#[test]
fn a_backup_under_load_shows_one_point_on_mariadb() {
    shows_one_point(Flavour::MariaDb, "mysqldump");
    shows_one_point(Flavour::MariaDb, "mysqlshell");
}

/// One table, put beside the original, without reading the others.
fn one_table(flavour: Flavour, engine: &str) {
    let source = TestServer::start(flavour);
    let mut conn = source.conn();
    shop::create(&mut conn);
    let backstay = backstay(&source);
    backstay.run(&["backup", "--engine", engine]).ok();
    let before = rows(&mut conn, "shop", "orders");
    conn.query_drop("DELETE FROM shop.order_lines").unwrap();
    conn.query_drop("DELETE FROM shop.orders").unwrap();

    // A table that is not selected may be damaged.
    let customers = find(&backstay, "shop", "customers");
    std::fs::write(&customers, "damaged").unwrap();
    let restore = [
        "restore",
        "--tables",
        "shop.orders",
        "--as-schema",
        "rescue",
        "--to-server",
    ];
    let url = source.url();
    let arguments: Vec<&str> = restore.iter().copied().chain([url.as_str()]).collect();
    backstay.run(&arguments).ok();
    assert_eq!(rows(&mut conn, "rescue", "orders"), before);
    assert_eq!(rows(&mut conn, "shop", "orders").split(' ').next(), Some("0"));
    let tables: Vec<String> = conn.query("SHOW TABLES FROM rescue").unwrap();
    assert_eq!(tables, ["orders"]);

    // Once more: the table is in the way.
    let again = backstay.run(&arguments).fails_with(3);
    assert!(
        again.stderr.contains("rescue") && again.stderr.contains("--overwrite"),
        "{}",
        again.stderr
    );
    let overwrite: Vec<&str> = arguments.iter().copied().chain(["--overwrite"]).collect();
    backstay.run(&overwrite).ok();
    assert_eq!(rows(&mut conn, "rescue", "orders"), before);

    // A name that is none.
    let none = backstay
        .run(&["restore", "--tables", "shop.order", "--to-server", &url])
        .fails_with(2);
    assert!(
        none.stderr.contains("shop.orders"),
        "the near name is not named: {}",
        none.stderr
    );
    // The damaged table is refused, and all of the backup.
    backstay
        .run(&[
            "restore",
            "--tables",
            "shop.customers",
            "--as-schema",
            "rescue",
            "--to-server",
            &url,
        ])
        .fails_with(1);
}

/// The file of a table's object.
fn find(backstay: &Backstay, schema: &str, table: &str) -> std::path::PathBuf {
    let shown = backstay.run(&["show", "--objects", "--json"]).ok().json();
    let objects = shown["objects"].as_array().unwrap();
    let of_table = |object: &&serde_json::Value| {
        object["attributes"]["schema"] == schema && object["attributes"]["table"] == table && object["size"] != 0
    };
    let object = objects.iter().find(of_table).unwrap_or_else(|| panic!("{shown}"));
    let id = shown["backup"]["id"].as_str().unwrap();
    backstay
        .backups("main")
        .join(id)
        .join(object["extents"][0]["file"].as_str().unwrap())
}

#[test]
fn one_table_comes_back_beside_the_original_on_mysql() {
    one_table(Flavour::MySql, "mysqldump");
    one_table(Flavour::MySql, "mysqlshell");
}

#[test]
fn one_table_comes_back_beside_the_original_on_mariadb() {
    one_table(Flavour::MariaDb, "mysqldump");
    one_table(Flavour::MariaDb, "mysqlshell");
}

/// 20,000 tables: a backup of at most 200 files, shown, and one table of it restored.
///
/// On MySQL they are spread over schemas: mysqldump asks for each table's status by name, which MySQL answers by going through
/// the whole schema, so that one schema of 20,000 takes a quarter of an hour in the dump program alone, and 20 of 1,000 some minutes.
fn many_tables(flavour: Flavour, schemas: u32) {
    const TABLES: u32 = 20_000;
    let arguments = ["--innodb-file-per-table=0", "--skip-log-bin", "--table-open-cache=2000"];
    let source = TestServer::start_with(flavour, &arguments);
    let mut conn = source.conn();
    for schema in 0..schemas {
        conn.query_drop(format!("CREATE DATABASE many{schema}")).unwrap();
        for table in 0..TABLES / schemas {
            let name = format!("many{schema}.t{table}");
            conn.query_drop(format!("CREATE TABLE {name} (id INT PRIMARY KEY, v VARCHAR(20))"))
                .unwrap();
            if table % 100 == 0 {
                conn.query_drop(format!("INSERT INTO {name} VALUES (1, 'row {table}')"))
                    .unwrap();
            }
        }
    }
    let backstay = backstay(&source);
    backstay.run(&["backup", "--engine", "mysqldump"]).ok();
    let files = backstay.files();
    assert!(files.len() <= 200, "{} files", files.len());
    let shown = backstay.run(&["show", "--json"]).ok().json();
    assert!(
        shown["backup"]["objects"].as_u64().unwrap() >= u64::from(TABLES),
        "{shown}"
    );
    let url = source.url();
    backstay
        .run(&[
            "restore",
            "--tables",
            "many0.t100",
            "--as-schema",
            "one",
            "--to-server",
            &url,
        ])
        .ok();
    let row: Option<String> = conn.query_first("SELECT v FROM one.t100").unwrap();
    assert_eq!(row.as_deref(), Some("row 100"));
    backstay.run(&["verify"]).ok();
}

#[test]
fn twenty_thousand_tables_on_mysql() {
    many_tables(Flavour::MySql, 100);
}

#[test]
fn twenty_thousand_tables_on_mariadb() {
    many_tables(Flavour::MariaDb, 1);
}
