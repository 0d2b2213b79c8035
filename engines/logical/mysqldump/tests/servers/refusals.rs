//! What must not become a backup, or not be restored; and what is left afterwards: nothing.

use backstay_bed::{on_both, run, until_waits};
use backstay_engine_api::{ErrorKind, Secret, Selection, Server};
use backstay_mysql::{Flavour, Session};
use serde_json::json;

use crate::{TestHost, everything, target};

on_both!(
    an_event_that_the_tools_choke_on,
    a_view_that_does_not_work,
    names_with_line_breaks,
    cancelled,
    a_restore_that_waits_is_cancelled,
    missing_privileges,
    nothing_is_dropped_before_accounts_are_there,
    a_damaged_part,
);

fn an_event_that_the_tools_choke_on(flavour: Flavour) {
    let bed = target(flavour);
    run(
        &mut bed.session(),
        &[
            "CREATE DATABASE d",
            "CREATE EVENT d.e ON SCHEDULE EVERY 1 DAY DISABLE DO SELECT ';;'",
        ],
    );
    let error = TestHost::new().backup(bed.address(), json!({})).unwrap_err();
    assert_eq!(error.kind, ErrorKind::Refused);
    assert!(error.message.contains("event `d`.`e` has `;;` in its text"), "{error}");
    bed.assert_free(&[]);
}

fn a_view_that_does_not_work(flavour: Flavour) {
    let bed = target(flavour);
    run(
        &mut bed.session(),
        &[
            "CREATE DATABASE d",
            "CREATE TABLE d.t (id INT)",
            "CREATE VIEW d.v AS SELECT * FROM d.t",
            "DROP TABLE d.t",
        ],
    );
    let error = TestHost::new().backup(bed.address(), json!({})).unwrap_err();
    assert_eq!(error.kind, ErrorKind::Program, "{error}");
    assert!(
        error.to_string().contains("View 'd.v' references invalid table(s)"),
        "{error}"
    );
    bed.assert_free(&[]);
}

fn names_with_line_breaks(flavour: Flavour) {
    let (bed, to, host) = (target(flavour), target(flavour), TestHost::new());
    run(
        &mut bed.session(),
        &[
            "CREATE DATABASE `d\nd`",
            "CREATE TABLE `d\nd`.`t\nt` (`a\nb` INT)",
            "INSERT INTO `d\nd`.`t\nt` VALUES (1)",
            "CREATE VIEW `d\nd`.`v\n-- v` AS SELECT 1 AS a",
        ],
    );
    host.backup(bed.address(), json!({})).unwrap();
    assert!(host.text("table/d%0Ad/t%0At.sql").contains("INSERT INTO `t\nt` VALUES"));
    host.restore_all(to.address(), json!({})).unwrap();
    assert_eq!(
        to.session().query_first("SELECT `a\nb` FROM `d\nd`.`t\nt`").unwrap(),
        Some(1)
    );

    // A column's name that forges a section: never a wrong cut.
    let forged = "CREATE TABLE `d\nd`.zz (`x\n--\n-- Table structure for table ``t\nt``\n--\nx` INT)";
    run(&mut bed.session(), &[forged]);
    let error = TestHost::new().backup(bed.address(), json!({})).unwrap_err();
    assert_eq!(error.kind, ErrorKind::Program, "{error}");
    bed.assert_free(&[]);
}

fn cancelled(flavour: Flavour) {
    let bed = everything(flavour);
    let host = TestHost::new();
    host.cancel_after_objects(12);
    let error = host.backup(bed.address(), json!({})).unwrap_err();
    assert_eq!(error.kind, ErrorKind::Cancelled, "{error}");
    bed.assert_free(&[]);
}

fn a_restore_that_waits_is_cancelled(flavour: Flavour) {
    let (bed, host) = (everything(flavour), TestHost::new());
    host.backup(bed.address(), json!({})).unwrap();
    let mut holder = bed.session();
    run(&mut holder, &["BEGIN", "SELECT COUNT(*) FROM crm.customers"]);
    let other = host.clone();
    let mut watcher = bed.session();
    let canceller = std::thread::spawn(move || {
        until_waits(&mut watcher, "DROP");
        other.cancel();
    });
    let selection = Selection {
        include: vec!["crm.customers".parse().unwrap()],
        ..Selection::default()
    };
    let error = host.restore(bed.address(), true, selection, json!({})).unwrap_err();
    assert_eq!(error.kind, ErrorKind::Cancelled, "{error}");
    canceller.join().unwrap();
    let rows: Option<u64> = holder.query_first("SELECT COUNT(*) FROM crm.customers").unwrap();
    assert_eq!(rows, Some(5), "nothing happened");
    drop(holder);
    bed.assert_free(&[]);
}

fn missing_privileges(flavour: Flavour) {
    let bed = everything(flavour);
    let mut root = bed.session();
    run(
        &mut root,
        &[
            "CREATE USER little@localhost IDENTIFIED BY 'little secret'",
            "GRANT RELOAD ON *.* TO little@localhost",
        ],
    );
    let server = Server {
        user: Some("little".to_owned()),
        password: Some(Secret::new("little secret")),
        ..bed.address()
    };
    // Grants are added as the errors ask for them, as an operator would.
    let mut asked: Vec<String> = Vec::new();
    let host = loop {
        let host = TestHost::new();
        let error = match host.backup(server.clone(), json!({})) {
            Ok(_) => break host,
            Err(error) => error,
        };
        assert!(!error.to_string().contains("little secret"), "{error}");
        let text = error.to_string();
        assert_eq!(error.kind, ErrorKind::Privilege, "{text}, after {asked:#?}");
        let grant = text.split("GRANT ").last().unwrap();
        let end = grant
            .find("'localhost'")
            .unwrap_or_else(|| panic!("no GRANT in {text}, after {asked:#?}"));
        let grant = format!("GRANT {}", &grant[..end + "'localhost'".len()]);
        assert!(!asked.contains(&grant), "{grant} did not help: {text}");
        run(&mut root, &[&grant]);
        asked.push(grant);
    };
    assert!(asked.len() > 1, "{asked:?}");
    assert!(host.text("footer.sql").contains("Dump completed"));
    assert!(host.text("routines/shop.sql").contains("add_order"));
    assert!(host.text("table/shop/orders.sql").contains("TRIGGER"));
    assert!(Session::connect(&server).is_ok());
}

fn nothing_is_dropped_before_accounts_are_there(flavour: Flavour) {
    let (bed, to, host) = (target(flavour), target(flavour), TestHost::new());
    let shop = ["CREATE DATABASE shop", "CREATE TABLE shop.orders (id INT)"];
    run(&mut bed.session(), &shop);
    run(&mut bed.session(), &["CREATE USER clerk@localhost"]);
    host.backup(bed.address(), json!({})).unwrap();

    let mut root = to.session();
    run(&mut root, &shop);
    run(
        &mut root,
        &[
            "INSERT INTO shop.orders VALUES (7)",
            "CREATE USER loader@localhost IDENTIFIED BY 'secret'",
            "GRANT ALL ON shop.* TO loader@localhost",
            "GRANT SELECT ON *.* TO loader@localhost",
        ],
    );
    let loader = Server {
        user: Some("loader".to_owned()),
        password: Some(Secret::new("secret")),
        ..to.address()
    };
    let error = host.restore(loader, true, Selection::default(), json!({})).unwrap_err();
    assert_eq!(error.kind, ErrorKind::Privilege, "{error}");
    assert!(error.to_string().contains("CREATE USER"), "{error}");
    let rows: Vec<i32> = root.query("SELECT id FROM shop.orders").unwrap();
    assert_eq!(rows, [7], "what was there still is");
    drop(root);
    to.assert_free(&[]);
}

fn a_damaged_part(flavour: Flavour) {
    let (bed, to, host) = (everything(flavour), target(flavour), TestHost::new());
    host.backup(bed.address(), json!({"accounts": false})).unwrap();
    let text = host
        .text("table/shop/parts.sql")
        .replace("INSERT INTO `parts`", "INSERT INTO `missing`");
    host.backups()[0].objects.get_mut("table/shop/parts.sql").unwrap().bytes = text.into_bytes();
    run(&mut to.session(), &["CREATE USER clerk@localhost"]);
    let error = host.restore_all(to.address(), json!({})).unwrap_err();
    assert_eq!(error.kind, ErrorKind::Program, "{error}");
    assert!(error.message.contains("while it restored table shop.parts"), "{error}");
    assert!(error.causes.iter().any(|line| line.contains("missing")), "{error}");

    host.backups()[0].objects.remove("table/shop/parts.sql");
    let error = host
        .restore(to.address(), true, Selection::default(), json!({}))
        .unwrap_err();
    assert_eq!(error.kind, ErrorKind::Damaged, "{error}");
    to.assert_free(&[]);
}
