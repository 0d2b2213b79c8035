//! Incrementals that `mariadb-backup` would take, and that would not be what the server has.

use std::fs;
use std::path::Path;

use backstay_bed::{TestServer, data_dir, installed, run};
use backstay_engine_api::{EngineError, ErrorKind, PositionKind, Selection};
use backstay_mysql::private_server::initialise;
use backstay_mysql::{Flavour, PrivateServer, Session};
use serde_json::json;

use crate::{TestHost, contents, furnished, server_on};

/// The server goes on from a full backup that was restored into its directory, until its numbers are beyond those of an incremental of the
/// history that is lost.
#[test]
fn a_directory_that_was_set_back() {
    let (root, host) = (tempfile::tempdir().unwrap(), TestHost::new());
    let data = root.path().join("data");
    initialise(&installed(Flavour::MariaDb).program(), &data, &[]).unwrap();
    // Without a log the LSN is all that the server says of where it is.
    let start = || server_on(&data, &["--skip-log-bin"]);
    let server = start();
    run(
        &mut server.session().unwrap(),
        &[
            "CREATE DATABASE shop",
            "CREATE TABLE shop.t (id INT PRIMARY KEY, v VARCHAR(200))",
            "INSERT INTO shop.t SELECT seq, REPEAT('x', 200) FROM mysql.seq_1_to_2000",
            "FLUSH TABLES shop.t FOR EXPORT",
            "UNLOCK TABLES",
        ],
    );
    host.backup(server.server(), json!({})).unwrap();
    run(
        &mut server.session().unwrap(),
        &["UPDATE shop.t SET v = 'lost' WHERE id < 10"],
    );
    let end = lsn(&host.backup(server.server(), json!({})).unwrap().positions);
    server.stop().unwrap();

    let lost = host.backups().remove(1);
    host.restore(data_dir(&data), true, Selection::default(), json!({}))
        .unwrap();
    host.backups().push(lost);
    let server = start();
    let mut session = server.session().unwrap();
    run(
        &mut session,
        &[
            "CREATE TABLE shop.more (id INT PRIMARY KEY, v VARCHAR(200))",
            "INSERT INTO shop.more SELECT seq, REPEAT('y', 200) FROM mysql.seq_1_to_5000",
        ],
    );
    let now: Option<(String, u64)> = session
        .query_first("SHOW GLOBAL STATUS LIKE 'Innodb_lsn_current'")
        .unwrap();
    assert!(now.is_some_and(|(_, now)| now > end), "it is beyond {end}");
    let error = host.backup(server.server(), json!({})).unwrap_err();
    assert_eq!(error.kind, ErrorKind::Refused, "{error}");
    assert!(error.message.contains("is of other files"), "{error}");

    // A record that does not say of which files it is.
    let removed = host.backups()[1]
        .record
        .state
        .as_object_mut()
        .unwrap()
        .remove("lineage");
    assert!(removed.is_some());
    let error = host.backup(server.server(), json!({})).unwrap_err();
    assert_eq!(error.kind, ErrorKind::Refused, "{error}");
    assert!(error.message.contains("does not say of which files it is"), "{error}");
    assert!(error.to_string().contains("take a full backup"), "{error}");

    host.backups().clear();
    host.backup(server.server(), json!({})).unwrap();
    host.backup(server.server(), json!({})).unwrap();
    server.stop().unwrap();
}

fn lsn(positions: &[backstay_engine_api::Position]) -> u64 {
    let found = positions
        .iter()
        .find(|position| position.kind == PositionKind::INNODB_LSN);
    found.unwrap().value.parse().unwrap()
}

/// Makes a table what another is, by its file.
fn import(bed: &TestServer, from: &str, to: &str) {
    let mut session = bed.session();
    let file = |table: &str, extension: &str| bed.server.data_dir().join(format!("shop/{table}.{extension}"));
    run(&mut session, &[&format!("FLUSH TABLES shop.{from} FOR EXPORT")]);
    let exported = bed.dir().join("exported");
    fs::create_dir_all(&exported).unwrap();
    for extension in ["ibd", "cfg"] {
        fs::copy(file(from, extension), exported.join(extension)).unwrap();
    }
    run(
        &mut session,
        &["UNLOCK TABLES", &format!("ALTER TABLE shop.{to} DISCARD TABLESPACE")],
    );
    put_back(bed, &exported, to);
}

/// Imports a table from its files.
fn put_back(bed: &TestServer, exported: &Path, to: &str) {
    let file = |extension: &str| bed.server.data_dir().join(format!("shop/{to}.{extension}"));
    for extension in ["ibd", "cfg"] {
        fs::copy(exported.join(extension), file(extension)).unwrap();
    }
    run(
        &mut bed.session(),
        &[&format!("ALTER TABLE shop.{to} IMPORT TABLESPACE")],
    );
    fs::remove_file(file("cfg")).unwrap();
}

#[test]
fn imported_tables_are_in_the_backup_or_there_is_none() {
    let (bed, host) = (furnished(), TestHost::new());
    let refused = |error: EngineError, table: &str| {
        assert_eq!(error.kind, ErrorKind::Refused, "{error}");
        assert!(
            error.message.contains("were imported since backup") && error.message.ends_with(&format!(": {table}")),
            "{error}"
        );
    };
    let mut session: Session = bed.session();
    let columns = "(id INT PRIMARY KEY, v VARCHAR(200))";
    for (table, row) in [("one", "of one"), ("two", "of two"), ("gone", "of three")] {
        run(
            &mut session,
            &[
                &format!("CREATE TABLE shop.{table} {columns}"),
                &format!("INSERT INTO shop.{table} SELECT seq, '{row}' FROM mysql.seq_1_to_2000"),
                &format!("FLUSH TABLES shop.{table} FOR EXPORT"),
                "UNLOCK TABLES",
            ],
        );
    }
    host.backup(bed.address(), json!({})).unwrap();

    // In place of one that the parent has, and as one that it does not have.
    import(&bed, "one", "two");
    run(&mut session, &["UPDATE shop.two SET v = 'changed' WHERE id = 1"]);
    refused(host.backup(bed.address(), json!({})).unwrap_err(), "shop.two");
    // As long as the DISCARD is in the redo log after the last checkpoint, the tool leaves the table out.
    host.backups().clear();
    let checkpoint = "SET GLOBAL innodb_log_checkpoint_now = ON";
    let error = host.backup(bed.address(), json!({})).unwrap_err();
    assert_eq!(error.kind, ErrorKind::Program, "{error}");
    assert!(
        error
            .message
            .contains("left out tables that were there all the time: shop.two;"),
        "{error}"
    );
    assert!(error.to_string().contains(checkpoint), "{error}");
    run(&mut session, &[checkpoint]);
    host.backup(bed.address(), json!({})).unwrap();
    run(&mut session, &[&format!("CREATE TABLE shop.three {columns}")]);
    import(&bed, "two", "three");
    refused(host.backup(bed.address(), json!({})).unwrap_err(), "shop.three");
    run(&mut session, &[checkpoint]);
    refused(host.backup(bed.address(), json!({})).unwrap_err(), "shop.three");

    // What the parent has as it was imported is no matter, nor are tables that are rebuilt.
    host.backups().clear();
    run(&mut session, &["ALTER TABLE shop.gone DISCARD TABLESPACE"]);
    host.backup(bed.address(), json!({})).unwrap();
    run(
        &mut session,
        &[
            "UPDATE shop.three SET v = 'changed' WHERE id = 2",
            "ALTER TABLE shop.one FORCE",
            "TRUNCATE TABLE shop.two",
            "INSERT INTO shop.two VALUES (1, 'new')",
        ],
    );
    host.backup(bed.address(), json!({})).unwrap();

    // One that had no file in the parent.
    put_back(&bed, &bed.dir().join("exported"), "gone");
    refused(host.backup(bed.address(), json!({})).unwrap_err(), "shop.gone");
    host.backups().clear();
    run(&mut session, &[checkpoint]);
    host.backup(bed.address(), json!({})).unwrap();
    run(&mut session, &["DELETE FROM shop.gone WHERE id > 1000"]);
    host.backup(bed.address(), json!({})).unwrap();
    let root = tempfile::tempdir().unwrap();
    host.restore_all(data_dir(root.path().join("data")), json!({})).unwrap();
    let server: PrivateServer = server_on(&root.path().join("data"), &[]);
    assert_eq!(contents(&mut server.session().unwrap()), contents(&mut session));
    server.stop().unwrap();
}
