//! The engine `mysqlshell`: parts of a backup, and parts of a server.

use std::fs;

use backstay_bed::{BOTH, Flavour, TestServer};
use backstay_mysql::mysql;
use backstay_tests::backstay::Backstay;
use backstay_tests::compare::rows;
use backstay_tests::shop;
use mysql::prelude::Queryable;

/// One table of 1,000 comes back although the files of all others are gone: none is read.
fn one_of_a_thousand(flavour: Flavour) {
    const TABLES: usize = 1000;
    let source = TestServer::start_with(flavour, &["--skip-log-bin"]);
    let mut conn = source.conn();
    conn.query_drop("CREATE DATABASE many").unwrap();
    for table in 0..TABLES {
        conn.query_drop(format!(
            "CREATE TABLE many.t{table} (id INT PRIMARY KEY, v VARCHAR(20))"
        ))
        .unwrap();
        conn.query_drop(format!(
            "INSERT INTO many.t{table} VALUES (1, 'row {table}'), (2, NULL)"
        ))
        .unwrap();
    }
    let workflow = "\n[workflow.archive]\ncluster = \"main\"\nengine = \"mysqlshell\"\nbundle = \"never\"\n";
    let backstay = Backstay::new(
        &source.dir().join("backstay"),
        &[],
        &format!("{}{workflow}", source.section("main")),
    );
    backstay.run(&["backup", "--workflow", "archive"]).ok();

    let shown = backstay.run(&["show", "--objects", "--json"]).ok().json();
    let id = shown["backup"]["id"].as_str().unwrap();
    let mut removed = 0;
    for object in shown["objects"].as_array().unwrap() {
        let table = &object["attributes"]["table"];
        if table.is_string() && table != "t345" {
            for extent in object["extents"].as_array().unwrap() {
                fs::remove_file(backstay.backups("main").join(id).join(extent["file"].as_str().unwrap())).unwrap();
                removed += 1;
            }
        }
    }
    // Its description, its definition and its rows, of each.
    assert!(
        removed >= 3 * (TABLES - 1),
        "only {removed} objects are of other tables"
    );
    let url = source.url();
    let restore = [
        "restore",
        "--tables",
        "many.t345",
        "--as-schema",
        "rescue",
        "--to-server",
        &url,
    ];
    backstay.run(&restore).ok();
    assert_eq!(rows(&mut conn, "rescue", "t345"), rows(&mut conn, "many", "t345"));
    let tables: Vec<String> = conn.query("SHOW TABLES FROM rescue").unwrap();
    assert_eq!(tables, ["t345"]);
    // The whole is not there any more, and says so.
    backstay.run(&["verify"]).fails_with(1);
}

#[test]
fn one_table_of_a_thousand_is_read_alone_on_mysql() {
    one_of_a_thousand(Flavour::MySql);
}

#[test]
fn one_table_of_a_thousand_is_read_alone_on_mariadb() {
    one_of_a_thousand(Flavour::MariaDb);
}

#[test]
fn a_backup_of_chosen_rows_and_tables() {
    for flavour in BOTH {
        let source = TestServer::start(flavour);
        shop::create(&mut source.conn());
        let workflow = "\n[workflow.part]\ncluster = \"main\"\nengine = \"mysqlshell\"\n\
             options = { include_schemas = [\"shop\"], exclude_tables = [\"shop.log\", \"shop.*orders\"], \
             where = { \"shop.customers\" = \"id <> 2\" } }\n";
        let backstay = Backstay::new(
            &source.dir().join("backstay"),
            &[],
            &format!("{}{workflow}", source.section("main")),
        );
        let taken = backstay.run(&["backup", "--workflow", "part", "--json"]).ok().json();
        let notices = taken["backup"]["notices"].to_string();
        assert!(
            notices.contains("shop.customers"),
            "what is left out is said: {notices}"
        );

        let target = TestServer::start(flavour);
        backstay
            .run(&[
                "restore",
                "--tables",
                "shop.customers",
                "--tables",
                "shop.products",
                "--to-server",
                &target.url(),
            ])
            .ok();
        let mut conn = target.conn();
        let customers: Vec<i32> = conn.query("SELECT id FROM shop.customers ORDER BY 1").unwrap();
        assert_eq!(customers, [1, 3]);
        let tables: Vec<String> = conn.query("SHOW TABLES FROM shop").unwrap();
        assert_eq!(tables, ["customers", "products"]);
    }
}

#[test]
fn definitions_first_and_rows_afterwards() {
    for flavour in BOTH {
        let source = TestServer::start(flavour);
        shop::create(&mut source.conn());
        let backstay = Backstay::new(&source.dir().join("backstay"), &[], &source.section("main"));
        backstay.run(&["backup", "--engine", "mysqlshell"]).ok();
        let target = TestServer::start(flavour);
        let url = target.url();
        backstay
            .run(&["restore", "--to-server", &url, "-o", "content=definitions"])
            .ok();
        let mut conn = target.conn();
        assert!(rows(&mut conn, "shop", "customers").starts_with("0 rows"));
        // A trigger would change what is restored, and is in the way until it is gone.
        let data = ["restore", "--to-server", &url, "-o", "content=data"];
        let refused = backstay.run(&data).fails_with(3);
        assert!(refused.stderr.contains("orders_noted"), "{}", refused.stderr);
        conn.query_drop("DROP TRIGGER shop.orders_noted").unwrap();
        backstay.run(&data).ok();
        assert_eq!(
            rows(&mut conn, "shop", "customers"),
            rows(&mut source.conn(), "shop", "customers")
        );
        // A second time, the rows are in the way.
        let again = backstay
            .run(&["restore", "--to-server", &url, "-o", "content=data"])
            .fails_with(3);
        assert!(again.stderr.contains("--overwrite"), "{}", again.stderr);
        assert_eq!(
            rows(&mut conn, "shop", "customers"),
            rows(&mut source.conn(), "shop", "customers")
        );
    }
}
