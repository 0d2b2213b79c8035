//! Single tables that are restored next to others of their schema, which go on living.

use backstay_bed::{TestServer, on_both, run};
use backstay_engine_api::{EngineError, ErrorKind, Selection};
use backstay_mysql::{Flavour, Session};
use serde_json::json;

use crate::TestHost;

on_both!(
    a_table_that_foreign_keys_refer_to,
    a_renamed_table_keeps_its_names,
    constraints_of_a_renamed_table
);

fn restored(host: &TestHost, target: &TestServer, table: &str, overwrite: bool) -> Result<(), EngineError> {
    let selection = Selection {
        include: vec![table.parse().unwrap()],
        ..Selection::default()
    };
    host.restore(target.address(), overwrite, selection, json!({}))
        .map(drop)
}

fn backed_up(server: &TestServer) -> TestHost {
    let host = TestHost::new();
    host.backup(server.address(), json!({"accounts": false, "compression": "none"}))
        .unwrap();
    host
}

fn created(session: &mut Session, table: &str) -> String {
    let row: Option<(String, String)> = session.query_first(format!("SHOW CREATE TABLE {table}")).unwrap();
    row.unwrap().1
}

/// The key that they need is there from the beginning: without it the table could not be made again.
fn a_table_that_foreign_keys_refer_to(flavour: Flavour) {
    let server = TestServer::start(flavour);
    let mut session = server.session();
    run(
        &mut session,
        &[
            "CREATE DATABASE shop",
            "CREATE DATABASE other",
            "CREATE TABLE shop.customers (id INT PRIMARY KEY, n INT, a INT, code CHAR(8) NOT NULL, UNIQUE KEY n (n), \
             UNIQUE KEY code (code), KEY pair (a, n), KEY a (a))",
            "INSERT INTO shop.customers VALUES (1, 1, 1, 'one'), (2, 2, 2, 'two')",
            // MySQL lets a foreign key refer to a key that is not unique if this is off; MariaDB always does.
            if flavour.is_mariadb() {
                "DO 0"
            } else {
                "SET SESSION restrict_fk_on_non_standard_key = OFF"
            },
            "CREATE TABLE shop.orders (id INT PRIMARY KEY, code CHAR(8), FOREIGN KEY (code) REFERENCES customers (code))",
            "CREATE TABLE other.pairs (id INT PRIMARY KEY, x INT, y INT, FOREIGN KEY (x, y) REFERENCES shop.customers (a, n))",
            "INSERT INTO shop.orders VALUES (1, 'one')",
            "INSERT INTO other.pairs VALUES (1, 2, 2)",
        ],
    );
    let before = created(&mut session, "shop.customers");
    let host = backed_up(&server);
    run(
        &mut session,
        &[
            "DELETE FROM shop.customers WHERE id > 2",
            "INSERT INTO shop.customers VALUES (3, 3, 3, 'three')",
        ],
    );
    restored(&host, &server, "shop.customers", true).unwrap();
    // Somebody dropped it, and restores it.
    run(
        &mut session,
        &[
            "SET SESSION foreign_key_checks = 0",
            "DROP TABLE shop.customers",
            "SET SESSION foreign_key_checks = 1",
        ],
    );
    restored(&host, &server, "shop.customers", false).unwrap();
    assert_eq!(created(&mut session, "shop.customers"), before);
    let rows: Vec<String> = session.query("SELECT code FROM shop.customers ORDER BY id").unwrap();
    assert_eq!(rows, ["one", "two"]);
    // And both still hold.
    for wrong in [
        "INSERT INTO shop.orders VALUES (2, 'no')",
        "INSERT INTO other.pairs VALUES (2, 1, 2)",
    ] {
        assert!(session.run(wrong).is_err(), "{wrong}");
    }
}

/// The damaged table was renamed, and its trigger with it, which the restored one's would replace.
fn a_renamed_table_keeps_its_names(flavour: Flavour) {
    let server = TestServer::start(flavour);
    let mut session = server.session();
    run(
        &mut session,
        &[
            "CREATE DATABASE shop",
            "CREATE TABLE shop.orders (id INT PRIMARY KEY, n INT)",
            "CREATE TABLE shop.plain (id INT PRIMARY KEY)",
            "CREATE TRIGGER shop.noted BEFORE INSERT ON shop.orders FOR EACH ROW SET NEW.n = 1",
        ],
    );
    let host = backed_up(&server);
    run(
        &mut session,
        &[
            "RENAME TABLE shop.plain TO shop.plain_bad",
            "DROP TRIGGER shop.noted",
            "RENAME TABLE shop.orders TO shop.orders_bad",
        ],
    );
    // On MariaDB these names have a case.
    let name = if flavour.is_mariadb() {
        "shop.noted"
    } else {
        "shop.Noted"
    };
    let trigger = format!("CREATE TRIGGER {name} BEFORE INSERT ON shop.orders_bad FOR EACH ROW SET NEW.n = 2");
    run(&mut session, &[&trigger]);
    restored(&host, &server, "shop.plain", false).unwrap();
    let error = restored(&host, &server, "shop.orders", false).unwrap_err();
    assert_eq!(error.kind, ErrorKind::Refused, "{error}");
    assert!(
        error.message.contains(&format!("trigger {name} of orders_bad")),
        "{error}"
    );
    let of: Option<String> = session
        .query_first("SELECT EVENT_OBJECT_TABLE FROM information_schema.TRIGGERS WHERE TRIGGER_SCHEMA = 'shop'")
        .unwrap();
    assert_eq!(of.as_deref(), Some("orders_bad"));
    run(&mut session, &[&format!("DROP TRIGGER {name}")]);
    restored(&host, &server, "shop.orders", false).unwrap();
    // Its own trigger is no obstacle to itself.
    restored(&host, &server, "shop.orders", true).unwrap();
}

/// So are names of foreign keys, and on MySQL of checks: that would come out once all rows are there.
fn constraints_of_a_renamed_table(flavour: Flavour) {
    let server = TestServer::start(flavour);
    let mut session = server.session();
    run(
        &mut session,
        &[
            "CREATE DATABASE shop",
            "CREATE TABLE shop.parent (id INT PRIMARY KEY)",
            "CREATE TABLE shop.child (id INT PRIMARY KEY, p INT, CONSTRAINT mine FOREIGN KEY (p) REFERENCES parent (id))",
            "CREATE TABLE shop.checked (id INT PRIMARY KEY, n INT, CONSTRAINT positive CHECK (n > 0))",
        ],
    );
    let host = backed_up(&server);
    run(
        &mut session,
        &[
            "RENAME TABLE shop.child TO shop.child_bad",
            "RENAME TABLE shop.checked TO shop.checked_bad",
        ],
    );
    let error = restored(&host, &server, "shop.child", false).unwrap_err();
    assert_eq!(error.kind, ErrorKind::Refused, "{error}");
    assert!(error.message.contains("foreign key mine of shop.child_bad"), "{error}");
    let checked = restored(&host, &server, "shop.checked", false);
    match flavour.is_mariadb() {
        true => checked.unwrap(),
        false => {
            let error = checked.unwrap_err();
            assert!(error.message.contains("check positive of shop.checked_bad"), "{error}");
        }
    }
    run(&mut session, &["DROP TABLE shop.child_bad"]);
    restored(&host, &server, "shop.child", false).unwrap();
}
